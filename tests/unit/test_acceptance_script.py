"""`deploy/acceptance.sh` proves what `deploy/provision.sh` made: the same names, by the same configuration."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from local.cli.acceptance import acceptance
from local.one_machine.faulty_day import SWEEP_JOB
from tests.provision_stand import DEPLOY, Provisioning, environment_of, flags_of

SCRIPT = "acceptance.sh"


@pytest.fixture
def provisioning(tmp_path: Path) -> Provisioning:
    return Provisioning(tmp_path)


def test_it_asks_for_what_was_provisioned(provisioning: Provisioning) -> None:
    made = provisioning.printed()

    done = provisioning.run("--json", script=SCRIPT)

    ((program, *arguments),) = provisioning.calls()
    assert (done.returncode, program, arguments[0]) == (0, "tipoff", "acceptance")
    asked = acceptance.make_context(
        "acceptance", arguments[1:], obj={}
    ).params  # refuses what the command does not take
    (coordinator,) = [one for one in made if one[1:4] == ["run", "deploy", "tipoff-coordinator"]]
    settings = environment_of(coordinator)
    assert (asked["url"], asked["impersonate"]) == (settings["TIPOFF_AUDIENCE"], settings["TIPOFF_ADMIN_CALLERS"])
    assert (asked["project"], asked["location"]) == (settings["TIPOFF_PROJECT"], settings["TIPOFF_LOCATION"])
    assert asked["dataset"] == settings["TIPOFF_DATASET"]
    assert asked["staging_dataset"] == settings["TIPOFF_STAGING_DATASET"]
    assert asked["as_json"] is True
    subscribed = {one[4] for one in made if one[1:4] == ["pubsub", "subscriptions", "create"]}
    assert {asked["requests_topic"], asked["outcomes_topic"]} <= subscribed
    assert flags_of(next(one for one in made if one[4:6] == ["http", SWEEP_JOB]))["location"] == asked["region"]
    assert flags_of(arguments).keys() >= {"url", "project", "impersonate"}


def test_a_broken_law_is_its_own_end_too(provisioning: Provisioning) -> None:
    provisioning.trouble("tipoff acceptance", "BROKEN  the day is COMPLETE: it is FAILED", 1)

    done = provisioning.run(script=SCRIPT)

    assert (done.returncode, done.stderr) == (1, "BROKEN  the day is COMPLETE: it is FAILED\n")


@pytest.mark.parametrize("name", ["PROJECT", "PROJECT_NUMBER", "REGION", "DATASET", "OUTCOMES_TOPIC"])
def test_a_missing_name_is_told_in_a_line_and_nothing_is_asked(provisioning: Provisioning, name: str) -> None:
    provisioning.values[name] = ""

    done = provisioning.run(script=SCRIPT)

    assert (done.returncode, provisioning.calls()) == (2, [])
    assert done.stderr.splitlines() == [
        f"acceptance: {provisioning.folder}/config.env: {name}: missing; see deploy/config.example.env"
    ]


def test_without_a_configuration_it_says_which_one_is_meant() -> None:
    done = subprocess.run([DEPLOY / SCRIPT], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "name the configuration file" in done.stderr
