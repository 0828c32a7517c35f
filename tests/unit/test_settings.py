"""Settings are read once, and every problem with them is told at once."""

from __future__ import annotations

import re

import pytest

from shared.errors import InvalidInput
from shared.settings import CoordinatorSettings, WorkerSettings, describe, read

RESOURCES = {
    "TIPOFF_PROJECT": "demo-project",
    "TIPOFF_LOCATION": "US",
    "TIPOFF_DATASET": "nba",
    "TIPOFF_STAGING_DATASET": "nba_staging",
    "TIPOFF_FIRESTORE_DATABASE": "(default)",
    "TIPOFF_REQUESTS_TOPIC": "requests",
    "TIPOFF_OUTCOMES_TOPIC": "outcomes",
    "TIPOFF_FINISHED_TOPIC": "batch-finished",
}
CALLERS = {
    "TIPOFF_AUDIENCE": "https://tipoff.example",
    "TIPOFF_PUSH_CALLERS": "push@demo-project.iam.gserviceaccount.com",
    "TIPOFF_SCHEDULER_CALLERS": "scheduler@demo-project.iam.gserviceaccount.com",
    "TIPOFF_ADMIN_CALLERS": "Ann@example.com, bob@example.com",
}


def refusal(environ: dict[str, str], kind: type[CoordinatorSettings | WorkerSettings] = CoordinatorSettings) -> str:
    """Return the text of the refusal of an environment."""
    with pytest.raises(InvalidInput) as refused:
        read(kind, environ)
    return str(refused.value)


def test_resources_and_callers_are_all_that_must_be_set() -> None:
    settings = read(CoordinatorSettings, RESOURCES | CALLERS)

    assert (settings.project, settings.finished_topic) == ("demo-project", "batch-finished")
    assert (settings.lease_seconds, settings.late_hours, settings.tolerated_silent_share) == (120, 192, 0.05)
    assert (settings.auth, settings.revision, settings.schema_version) == ("google", "local", 2)


def test_the_worker_needs_fewer_and_does_not_mind_the_coordinators() -> None:
    needed = ("TIPOFF_PROJECT", "TIPOFF_LOCATION", "TIPOFF_DATASET", "TIPOFF_STAGING_DATASET", "TIPOFF_OUTCOMES_TOPIC")
    own = {name: RESOURCES[name] for name in needed} | {"TIPOFF_AUTH": "off"}

    assert read(WorkerSettings, own) == read(WorkerSettings, RESOURCES | CALLERS | {"TIPOFF_AUTH": "off"}).model_copy(
        update={"audience": "", "push_callers": frozenset()}
    )


def test_a_list_of_callers_is_taken_apart_and_lowered() -> None:
    settings = read(CoordinatorSettings, RESOURCES | CALLERS)

    assert settings.admin_callers == {"ann@example.com", "bob@example.com"}


def test_the_revision_is_cloud_runs() -> None:
    assert read(CoordinatorSettings, RESOURCES | CALLERS | {"K_REVISION": "c-00007-abc"}).revision == "c-00007-abc"


@pytest.mark.parametrize("kind", [CoordinatorSettings, WorkerSettings])
def test_names_of_cloud_resources_have_no_defaults(kind: type[CoordinatorSettings | WorkerSettings]) -> None:
    without_default = {row.name for row in describe(kind) if row.default is None}

    assert {name for name in RESOURCES if name in {row.name for row in describe(kind)}} <= without_default


@pytest.mark.parametrize("absent", ["", "   "])
def test_an_empty_variable_counts_as_absent(absent: str) -> None:
    assert "TIPOFF_DATASET: missing" in refusal(RESOURCES | CALLERS | {"TIPOFF_DATASET": absent})
    assert read(CoordinatorSettings, RESOURCES | CALLERS | {"TIPOFF_LEASE_SECONDS": absent}).lease_seconds == 120


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIPOFF_PROJECT", "Demo Project"),
        ("TIPOFF_PROJECT", "demo`; DROP"),
        ("TIPOFF_DATASET", "project.dataset"),
        ("TIPOFF_LOCATION", "US\nEU"),
        ("TIPOFF_REQUESTS_TOPIC", "projects/p/topics/requests"),
        ("TIPOFF_REQUESTS_TOPIC", "google-topic"),
        ("TIPOFF_FIRESTORE_DATABASE", "default!"),
        ("TIPOFF_LEASE_SECONDS", "2 minutes"),
        ("TIPOFF_LEASE_SECONDS", "0"),
        ("TIPOFF_MAX_REPUBLISHES", "-1"),
        ("TIPOFF_MAX_RETIRED_SHARE", "50"),
        ("TIPOFF_MAX_RETIRED_SHARE", "nan"),
        ("TIPOFF_LOG_LEVEL", "LOUD"),
        ("TIPOFF_AUTH", "none"),
        ("TIPOFF_PUSH_CALLERS", "nobody"),
        ("TIPOFF_LATE_HOURS", "3"),
        ("TIPOFF_SCHEMA_VERSION", "0"),
        ("TIPOFF_SCHEMA_VERSION", "999"),
    ],
)
def test_an_unusable_value_is_refused_by_name(name: str, value: str) -> None:
    told = refusal(RESOURCES | CALLERS | {name: value})

    assert re.search(rf"^settings: 1 to correct in the environment\n- {name}: ", told)


def test_a_value_is_told_only_where_it_helps() -> None:
    assert "'2 minutes'" in refusal(RESOURCES | CALLERS | {"TIPOFF_LEASE_SECONDS": "2 minutes"})


def test_zero_is_a_value() -> None:
    settings = read(
        CoordinatorSettings, RESOURCES | CALLERS | {"TIPOFF_MAX_REPUBLISHES": "0", "TIPOFF_TOLERATED_FAILED_SHARE": "0"}
    )

    assert (settings.max_republishes, settings.tolerated_failed_share) == (0, 0.0)


def test_callers_are_needed_unless_auth_is_off() -> None:
    told = refusal(RESOURCES)

    assert all(f"- {name}: missing" in told for name in CALLERS)
    assert read(CoordinatorSettings, RESOURCES | {"TIPOFF_AUTH": "off"}).audience == ""


def test_auth_cannot_be_off_on_cloud_run() -> None:
    told = refusal(RESOURCES | CALLERS | {"TIPOFF_AUTH": "off", "K_SERVICE": "coordinator"})

    assert "TIPOFF_AUTH: off is refused on Cloud Run" in told


def test_tokens_without_signature_are_for_cloud_run_only() -> None:
    told = refusal(RESOURCES | CALLERS | {"TIPOFF_AUTH": "cloud-run"})

    assert "TIPOFF_AUTH: cloud-run is refused elsewhere" in told
    there = read(CoordinatorSettings, RESOURCES | CALLERS | {"TIPOFF_AUTH": "cloud-run", "K_SERVICE": "coordinator"})
    assert there.auth == "cloud-run"


def test_callers_are_needed_on_cloud_run_as_well() -> None:
    told = refusal(RESOURCES | {"TIPOFF_AUTH": "cloud-run", "K_SERVICE": "coordinator"})

    assert all(f"- {name}: missing" in told for name in CALLERS)


def test_the_real_datas_variable_of_the_tests_is_no_typo() -> None:
    read(CoordinatorSettings, RESOURCES | CALLERS | {"TIPOFF_DATA": "somewhere"})


def test_settings_cannot_change() -> None:
    settings = read(CoordinatorSettings, RESOURCES | CALLERS)

    with pytest.raises(ValueError, match="frozen"):
        settings.lease_seconds = 1


@pytest.mark.parametrize("kind", [CoordinatorSettings, WorkerSettings])
def test_every_setting_says_what_it_means_and_its_default_reads_back(
    kind: type[CoordinatorSettings | WorkerSettings],
) -> None:
    rows = describe(kind)
    defaults = {row.name: row.default for row in rows if row.default is not None}

    assert all(row.meaning for row in rows)
    assert all(row.required == (row.default is None) for row in rows)
    assert read(kind, RESOURCES | CALLERS | defaults) == read(kind, RESOURCES | CALLERS)
