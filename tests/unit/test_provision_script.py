"""The provisioning script: complete configurations only, nothing made twice, nothing left, names as the code has them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.documents import ACTION, BATCH, actions_path, batch_path, date_path, new_shard, shards_path
from coordinator.rules.batch import AdminAction, Batch, BatchMark, Lease
from local.emulated.provision import Backoff, PushTerms, Topics
from shared import gunicorn_conf
from shared.settings import CoordinatorSettings, WorkerSettings, describe, read
from tests.plan_inputs import GAME_DATE
from tests.provision_stand import DEPLOY, ROOT, VALUES, Provisioning, environment_of, flags_of

CREATING = {"create", "mk", "deploy", "submit", "POST"}
NOW = datetime(2026, 1, 30, tzinfo=UTC)


@pytest.fixture
def provisioning(tmp_path: Path) -> Provisioning:
    return Provisioning(tmp_path)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What a dry run prints."""
    return Provisioning(tmp_path_factory.mktemp("dry")).printed()


def created_by(calls: list[list[str]]) -> list[list[str]]:
    """The calls that make something; Pub/Sub's own account may be asked for again and again."""
    return [call for call in calls if CREATING & {*call} and "identity" not in call]


def lasting(seconds: str) -> int:
    return int(seconds.removesuffix("s"))


# --- the call -------------------------------------------------------------------------------------------------


def test_every_missing_value_is_told_in_one_error(provisioning: Provisioning) -> None:
    provisioning.values = {"PROJECT": "demo-project", "REGION": ""}

    done = provisioning.run("--dry-run")

    assert done.returncode == 2
    assert set(re.findall(r"(\w+): missing", done.stderr)) == VALUES.keys() - {"PROJECT"}
    assert done.stdout == ""


def test_the_example_asks_for_every_value_and_fills_in_none() -> None:
    lines = (DEPLOY / "config.example.env").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == [f"{name}=" for name in asked_for()]
    assert set(asked_for()) == VALUES.keys()


def asked_for() -> list[str]:
    """The names of the example file, in its order."""
    return re.findall(r"^(\w+)=", (DEPLOY / "config.example.env").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--destroy"], "--destroy demo-project"),
        (["--destroy", "another"], "--destroy demo-project"),
        (["--foo"], "--foo"),
    ],
)
def test_a_careless_call_runs_nothing(provisioning: Provisioning, options: list[str], says: str) -> None:
    done = provisioning.run(*options)

    assert (done.returncode, provisioning.calls()) == (2, [])
    assert says in done.stderr


def test_a_number_of_another_project_stops_before_anything_is_made(provisioning: Provisioning) -> None:
    provisioning.values["PROJECT_NUMBER"] = "42"

    done = provisioning.run()

    assert (done.returncode, provisioning.resources()) == (2, set())
    assert "123456789012, not 42" in done.stderr


def test_a_database_that_may_hold_other_data_is_refused(provisioning: Provisioning) -> None:
    provisioning.values["FIRESTORE_DATABASE"] = "(default)"

    assert provisioning.run().returncode == 2
    assert provisioning.calls() == []


def test_a_dry_run_runs_nothing(provisioning: Provisioning) -> None:
    assert provisioning.printed() != []
    assert provisioning.calls() == []


# --- again, and away ------------------------------------------------------------------------------------------


def test_a_second_run_creates_nothing_and_destroying_leaves_nothing(provisioning: Provisioning) -> None:
    first = provisioning.run()
    made, created = provisioning.resources(), created_by(provisioning.calls())

    second = provisioning.run()
    made_again, created_again = (
        provisioning.resources(),
        created_by(provisioning.calls()),
    )

    destroyed = provisioning.run("--destroy", "demo-project")
    left = {name for name in provisioning.resources() if not name.startswith("artifacts_docker_images")}
    provisioning.calls()
    again = provisioning.run("--destroy", "demo-project")
    deleting = {"delete", "DELETE", "rm", "remove-iam-policy-binding"}
    deleted_again = [call for call in provisioning.calls() if deleting & {*call}]

    assert [done.returncode for done in (first, second, destroyed, again)] == [0, 0, 0, 0], first.stderr + second.stderr
    assert len(created) > 25
    assert (made_again, created_again) == (made, [])
    assert (left, deleted_again) == (set(), [])


def test_what_broke_off_is_finished_by_the_next_run(provisioning: Provisioning) -> None:
    provisioning.run()
    whole = provisioning.resources()
    for name in sorted(whole)[::2]:
        provisioning.lose(name)

    assert provisioning.run().returncode == 0

    assert provisioning.resources() == whole


# --- services -------------------------------------------------------------------------------------------------


def service(commands: list[list[str]], verb: list[str], name: str) -> list[str]:
    """The one command that begins so and names the service."""
    (found,) = (command for command in commands if command[: len(verb) + 2] == ["gcloud", *verb, name])
    return found


@pytest.mark.parametrize(
    ("name", "kind"), [("tipoff-coordinator", CoordinatorSettings), ("tipoff-worker", WorkerSettings)]
)
@pytest.mark.parametrize("verb", [["run", "deploy"], ["run", "services", "update"]])
def test_a_service_is_given_its_required_settings_and_starts_with_them(
    commands: list[list[str]], name: str, kind: type[CoordinatorSettings | WorkerSettings], verb: list[str]
) -> None:
    given = environment_of(service(commands, verb, name))

    besides = {"tipoff-coordinator": {"TIPOFF_VIEWER_CALLERS"}, "tipoff-worker": {"TIPOFF_MODEL"}}[name]
    required = {row.name for row in describe(kind) if row.required}
    assert given.keys() == required | {"TIPOFF_AUTH"} | besides
    assert read(kind, {**given, "K_SERVICE": name}).audience == f"https://{name}-123456789012.us-east1.run.app"


@pytest.mark.parametrize("name", ["tipoff-coordinator", "tipoff-worker"])
def test_tokens_without_signature_are_accepted_only_where_cloud_run_asks_every_caller(
    commands: list[list[str]], name: str
) -> None:
    deploy = service(commands, ["run", "deploy"], name)

    assert environment_of(deploy)["TIPOFF_AUTH"] == "cloud-run"
    assert "--no-allow-unauthenticated" in deploy


def test_the_worker_may_read_its_model_and_the_shipped_one_has_to_be_asked_for(provisioning: Provisioning) -> None:
    grants = [one for one in provisioning.printed() if one[1:4] == ["storage", "buckets", "add-iam-policy-binding"]]
    assert ("gs://demo-models", "serviceAccount:tipoff-worker@demo-project.iam.gserviceaccount.com") in {
        (one[4], flags_of(one)["member"]) for one in grants
    }

    provisioning.values["MODEL"] = "simulated"
    worker = service(provisioning.printed(), ["run", "deploy"], "tipoff-worker")
    assert environment_of(worker)["TIPOFF_ALLOW_SIMULATED_MODEL"] == "true"

    provisioning.values["MODEL"] = "model.json"
    done = provisioning.run("--dry-run")
    assert done.returncode == 2
    assert "MODEL: model.json is neither" in done.stderr


def test_an_image_is_deployed_by_its_digest(provisioning: Provisioning) -> None:
    provisioning.run()

    deployed = [flags_of(call)["image"] for call in provisioning.calls() if call[1:3] == ["run", "deploy"]]

    assert len(deployed) == 2
    assert all(re.search(r"/tipoff-(worker|coordinator)@sha256:", image) for image in deployed)


def test_cloud_run_asks_the_workers_ready_before_a_revision_is_one(commands: list[list[str]]) -> None:
    probe = flags_of(service(commands, ["run", "deploy"], "tipoff-worker"))["startup-probe"]
    numbers = dict(re.findall(r"(\w+)=(\d+)", probe))

    assert "httpGet.path=/ready" in probe
    assert int(numbers["periodSeconds"]) * int(numbers["failureThreshold"]) <= 240, "the most that Cloud Run takes"


def test_no_command_replaces_an_environment() -> None:
    text = "".join(
        file.read_text(encoding="utf-8")
        for file in (*DEPLOY.glob("*.sh"), *DEPLOY.glob("*.yaml"), ROOT / "cloudbuild.yaml")
    )

    assert re.findall(r"--(?:set|clear|remove)-env-vars|--env-vars-file", text) == []
    assert "--update-env-vars" in text


def test_a_service_has_more_threads_than_it_takes_requests_and_longer_than_a_push(commands: list[list[str]]) -> None:
    for name in ("tipoff-coordinator", "tipoff-worker"):
        flags = flags_of(service(commands, ["run", "deploy"], name))

        assert 2 * int(flags["concurrency"]) <= gunicorn_conf.threads, "some for those who send slowly (F8)"
        assert PushTerms().ack_deadline.total_seconds() < int(flags["timeout"]) <= gunicorn_conf.timeout


def test_a_changed_service_takes_no_traffic_unseen(commands: list[list[str]]) -> None:
    updates = [command for command in commands if command[1:4] == ["run", "services", "update"]]

    assert len(updates) == 2
    assert all("--no-traffic" in command for command in updates)


def test_scheduler_tries_again_and_waits_longer_than_the_service_takes(commands: list[list[str]]) -> None:
    timeout = int(flags_of(service(commands, ["run", "deploy"], "tipoff-coordinator"))["timeout"])

    for job, path in (
        ("tipoff-start", "/start"),
        ("tipoff-start-evening", "/start"),
        ("tipoff-sweep", "/sweep"),
        ("tipoff-grade", "/grade"),
    ):
        flags = flags_of(service(commands, ["scheduler", "jobs", "create", "http"], job))
        assert int(flags["max-retry-attempts"]) >= 1
        assert timeout < lasting(flags["attempt-deadline"]) <= 1800  # the most that HTTP targets may have
        assert flags["time-zone"] == "America/New_York"
        assert flags["uri"] == flags["oidc-token-audience"] + path


# --- messages and ledger --------------------------------------------------------------------------------------


def test_subscriptions_have_the_names_and_numbers_of_the_emulated_ones(commands: list[list[str]]) -> None:
    topics, delivery, backoff = Topics("demo-project"), PushTerms(), Backoff()
    created = {c[4]: flags_of(c) for c in commands if c[1:4] == ["pubsub", "subscriptions", "create"]}
    topics_made = [c[4] for c in commands if c[1:4] == ["pubsub", "topics", "create"]]

    assert topics_made == [topics.requests, topics.outcomes, topics.finished, topics.dead_requests]
    assert {name: flags["push-endpoint"].rpartition("/")[2] for name, flags in created.items()} == {
        topics.requests: "predict",
        topics.outcomes: "complete",
        topics.dead_requests: "dead-letter",
    }
    for name, flags in created.items():
        assert flags["topic"] == name
        assert int(flags["ack-deadline"]) == delivery.ack_deadline.total_seconds()
        assert lasting(flags["min-retry-delay"]) == backoff.minimum.total_seconds()
        assert lasting(flags["max-retry-delay"]) == backoff.maximum.total_seconds()
        assert flags["expiration-period"] == "never"
        assert flags["push-endpoint"].startswith(flags["push-auth-token-audience"])
        assert flags["push-auth-service-account"] == "tipoff-push@demo-project.iam.gserviceaccount.com"
    assert created[topics.requests]["dead-letter-topic"] == topics.dead_requests
    assert int(created[topics.requests]["max-delivery-attempts"]) == delivery.maximum_attempts
    assert [name for name, flags in created.items() if "dead-letter-topic" in flags] == [topics.requests]


def overrides() -> dict[tuple[str, str], bool]:
    """Collection group and field of each index exemption, and whether it is the group's time to live."""
    listed = json.loads((DEPLOY / "firestore.indexes.json").read_text(encoding="utf-8"))["fieldOverrides"]
    assert all(one["indexes"] == [] for one in listed)
    return {(one["collectionGroup"], one["fieldPath"]): one.get("ttl", False) for one in listed}


def test_maps_lists_and_expiry_are_exempt_from_indexing_and_nothing_that_is_asked_for() -> None:
    batch = Batch(
        batch_id="b", game_date=GAME_DATE, planned_at=NOW, deadline_at=NOW, late_until=NOW, schema_version=2,
        shard_starts=("a",), expected_count=1,
    )  # fmt: skip
    stored: dict[str, Mapping[str, object]] = {
        date_path(GAME_DATE)[0]: {
            "newest": asdict(BatchMark("b", NOW)), "merged": asdict(BatchMark("b", NOW)),
            "lease": asdict(Lease()), "expires_at": NOW,
        },
        batch_path(batch.batch_id)[0]: {**BATCH.fields(batch), "result": {}},
        actions_path("b")[-1]: ACTION.fields(
            AdminAction(at=NOW, account="ann@example.com", action="cancel", asked="{}", why="")
        ),
        shards_path("b")[-1]: new_shard(["a"], batch_id="b", expires_at=NOW),
    }  # fmt: skip
    wanted = {
        (group, name): name == "expires_at"
        for group, fields in stored.items()
        for name, value in fields.items()
        if isinstance(value, dict | list) or name == "expires_at"
    }

    assert overrides() == wanted
    assert {name for _group, name in overrides()} & asked_fields() == set()


def asked_fields() -> set[str]:
    """The fields that the coordinator's queries name."""
    return {
        str(node.args[0].value)
        for file in (ROOT / "coordinator").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "Where"
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_exemption_and_expiry_of_the_file_is_applied(commands: list[list[str]]) -> None:
    exempt = {
        (flags_of(c)["collection-group"], c[5])
        for c in commands
        if c[1:5] == ["firestore", "indexes", "fields", "update"]
    }
    expiring = {
        (flags_of(c)["collection-group"], c[5]) for c in commands if c[1:5] == ["firestore", "fields", "ttls", "update"]
    }

    assert asked_fields() >= {"late_until", "game_date"}
    assert exempt == overrides().keys()
    assert expiring == {key for key, is_ttl in overrides().items() if is_ttl}
    assert {group for group, _field in expiring} == {"dates", "batches", "shards", "actions"}
