"""What stands between a new project and a first success: rights that take a while, credentials, who may be whom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.provision_stand import DEPLOY, Provisioning


@pytest.fixture
def provisioning(tmp_path: Path) -> Provisioning:
    return Provisioning(tmp_path)


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What a dry run prints."""
    return Provisioning(tmp_path_factory.mktemp("dry")).printed()


# --- what passes, and what does not ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("gcloud projects add-iam-policy-binding", "ERROR: 403 permission denied"),
        ("gcloud iam service-accounts add-iam-policy-binding", "ERROR: Service account x does not exist."),
        ("gcloud alpha monitoring policies create", "ERROR: NOT_FOUND: 404 Cannot find metric that matches type"),
        ("mk --dataset", "BigQuery error in mk operation: BigQuery API has not been used in project 1 before"),
        ("GRANT", "BigQuery error in query operation: Access Denied: Project p: User does not have the right"),
        ("GRANT", "BigQuery error in query operation: IAM setPolicy failed: Service account y does not exist."),
    ],
)
def test_what_is_not_known_everywhere_yet_is_tried_again(provisioning: Provisioning, command: str, says: str) -> None:
    provisioning.trouble(command, says, 3)

    done = provisioning.run()

    assert done.returncode == 0, done.stderr
    assert " ".join(done.stderr.split()).count(says) == 3


def test_a_metric_has_longer_to_be_known_than_the_ten_minutes_it_may_take(provisioning: Provisioning) -> None:
    provisioning.trouble("gcloud alpha monitoring policies create", "404 Cannot find metric", 45)  # 11 min, 15 s apart

    assert provisioning.run().returncode == 0


@pytest.mark.parametrize(("says", "tries"), [("ERROR: 403 permission denied", 21), ("ERROR: invalid argument", 1)])
def test_what_does_not_pass_stops_it_within_a_bound(provisioning: Provisioning, says: str, tries: int) -> None:
    provisioning.trouble("gcloud pubsub topics create", says, 1_000)

    done = provisioning.run()

    assert done.returncode != 0
    assert done.stderr.count(says) == tries
    assert "run_services__tipoff_worker" not in provisioning.resources()


def test_without_credentials_of_googles_client_nothing_is_made(provisioning: Provisioning) -> None:
    provisioning.trouble("gcloud auth application-default print-access-token", "ERROR: no credentials", 1)

    done = provisioning.run()

    assert (done.returncode, provisioning.resources()) == (2, set())
    assert "gcloud auth application-default login" in done.stderr


# --- who may ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "account"),
    [
        ("group:oncall@example.com", "operator"),
        ("group:analysts@example.com", "viewer"),
        ("serviceAccount:tipoff-build@demo-project.iam.gserviceaccount.com", "build"),
    ],
)
def test_who_is_to_act_as_an_account_gets_its_token_and_a_stranger_does_not(
    provisioning: Provisioning, caller: str, account: str
) -> None:
    provisioning.run()
    asked = ["auth", "print-identity-token", "--audiences=https://x", "--include-email"]
    asked += [f"--impersonate-service-account=tipoff-{account}@demo-project.iam.gserviceaccount.com"]

    given = provisioning.gcloud(*asked, caller=caller)
    refused = provisioning.gcloud(*asked, caller="user:stranger@example.com")

    assert given.stdout.startswith(f"token-of-tipoff-{account}@"), given.stderr
    assert refused.returncode == 1


def test_the_first_build_runs_as_an_account_that_has_its_rights_by_then(provisioning: Provisioning) -> None:
    provisioning.run()

    calls = [" ".join(call) for call in provisioning.calls()]
    (build,) = [number for number, call in enumerate(calls) if "builds submit" in call]
    rights = [
        number
        for number, call in enumerate(calls)
        if "add-iam-policy-binding" in call and "tipoff-build@" in call and "run services" not in call
    ]
    assert "--service-account=projects/demo-project/serviceAccounts/tipoff-build@" in calls[build]
    assert "--gcs-source-staging-dir=gs://demo-project-tipoff-build/" in calls[build]
    assert len(rights) >= 6
    assert max(rights) < build
    assert "CLOUD_LOGGING_ONLY" in (DEPLOY / "images.yaml").read_text(encoding="utf-8")


def test_the_worker_may_write_to_the_staging_dataset_alone(commands: list[list[str]]) -> None:
    grants = [command[-1] for command in commands if command[0] == "bq" and "query" in command]

    of_worker = [grant for grant in grants if "tipoff-worker@" in grant]
    assert [re.findall(r"`([^`]+)`", grant) for grant in of_worker] == [
        ["roles/bigquery.dataEditor", "demo-project", "tipoff_staging"]
    ]
    of_coordinator = {tuple(re.findall(r"`([^`]+)`", grant)) for grant in grants if "tipoff-coordinator@" in grant}
    assert ("roles/bigquery.dataViewer", "demo-project", "tipoff_staging") in of_coordinator


def test_one_dataset_for_both_is_refused(provisioning: Provisioning) -> None:
    provisioning.values["STAGING_DATASET"] = "tipoff"

    assert (provisioning.run().returncode, provisioning.calls()) == (2, [])
