"""What the provisioning script made says so, and what does not is left as it is: neither deleted nor replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.provision_stand import DEPLOY, Provisioning


@pytest.fixture
def provisioning(tmp_path: Path) -> Provisioning:
    return Provisioning(tmp_path)


def test_what_was_not_made_here_is_left_when_the_rest_is_destroyed(provisioning: Provisioning) -> None:
    provisioning.run()
    anothers = {
        *("__demo_project_tipoff", "artifacts_repositories__tipoff", "run_services__tipoff_worker"),
        *(
            "pubsub_topics__requests",
            "pubsub_subscriptions__outcomes",
            "storage_buckets__gs___demo_project_tipoff_build",
        ),
        *("iam_service-accounts__tipoff_push", "scheduler_jobs__tipoff_sweep", "logging_metrics__tipoff_sweep"),
    }
    nameless = {
        *("monitoring_channels__Tipoff_on_call", "monitoring_dashboards__Tipoff__is_every_day_whole_"),
        "monitoring_policies__Tipoff__sweep_silent",
    }
    anothers |= nameless
    for resource in anothers:
        provisioning.unlabel(resource)

    destroyed = provisioning.run("--destroy", "demo-project")

    left = {name for name in provisioning.resources() if not name.startswith("artifacts_docker_images")}
    assert destroyed.returncode == 0
    assert left == anothers
    assert destroyed.stderr.count("was not made here") == len(anothers - nameless)


@pytest.mark.parametrize("resource", ["scheduler_jobs__tipoff_sweep", "logging_metrics__tipoff_sweep"])
def test_what_another_has_made_under_our_name_is_not_replaced(provisioning: Provisioning, resource: str) -> None:
    provisioning.run()
    provisioning.unlabel(resource)
    provisioning.calls()

    done = provisioning.run()

    kind = resource.partition("_")[0]
    changed = [call for call in provisioning.calls() if {kind, "update", "tipoff-sweep"} <= {*call}]
    assert (done.returncode, changed) == (2, [])
    assert "tipoff-sweep is there and was not made here" in done.stderr


def test_what_can_bear_a_label_bears_ours(provisioning: Provisioning) -> None:
    provisioning.run()

    unlabelled = {
        resource.partition("__")[0]
        for resource in provisioning.resources() - {file.name for file in (provisioning.folder / "labels").iterdir()}
    }
    # By gcloud the database takes no label, and Google makes the images; policies, objectives and the dashboard have
    # theirs in their files. Accounts, jobs and log metrics say it in their descriptions.
    assert unlabelled == {"firestore_databases", "artifacts_docker_images", "monitoring"}
    files = [DEPLOY / "slo_service.json", DEPLOY / "dashboard.json", *DEPLOY.glob("slos/*"), *DEPLOY.glob("alerts/*")]
    labels = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    assert {str(one.get("userLabels", one.get("labels"))) for one in labels} == {"{'managed-by': 'tipoff'}"}
