"""F6: nothing watched that Cloud Run asks every caller; without that, a token that anybody can write was an admin's."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from shared.auth import Certificates, TokenVerifier
from shared.errors import Unavailable
from tests.provision_stand import DEPLOY, ROOT, Provisioning

OPERATOR = "tipoff-operator@demo-project.iam.gserviceaccount.com"
COORDINATOR = "https://tipoff-coordinator-123456789012.us-east1.run.app"


@pytest.fixture
def provisioning(tmp_path: Path) -> Provisioning:
    return Provisioning(tmp_path)


def headers_of(call: list[str]) -> list[str]:
    return [word.partition("=")[2] for word in call if word.startswith("--header=")]


def test_f6_a_rerun_removes_public_callers_and_restores_the_check(provisioning: Provisioning) -> None:
    provisioning.run()
    provisioning.open_to("tipoff-coordinator", "allUsers")
    provisioning.open_to("tipoff-worker", "allAuthenticatedUsers")
    provisioning.open_to("tipoff-coordinator", "unchecked")

    done = provisioning.run()

    assert done.returncode == 0, done.stderr
    assert provisioning.openings() == set()


@pytest.mark.parametrize("believed", ["anybody", "forged"])
def test_f6_provisioning_stops_where_a_stranger_is_let_in(provisioning: Provisioning, believed: str) -> None:
    provisioning.open_to("tipoff-coordinator", believed)

    done = provisioning.run()

    assert done.returncode == 1
    assert "tipoff-coordinator" in done.stderr.splitlines()[-1]
    assert not any("scheduler" in call for call in provisioning.calls())


def test_f6_every_run_calls_ready_and_admin_routes_without_a_token_and_with_a_forged_one(
    provisioning: Provisioning,
) -> None:
    provisioning.run()

    asked = [(call[-1], bool(headers_of(call))) for call in provisioning.calls() if call[0] == "curl"]

    for route in ("/ready", "/batches"):
        assert {(COORDINATOR + route, False), (COORDINATOR + route, True)} <= {*asked}


def test_f6_the_forged_token_would_open_a_service_that_cloud_run_does_not_guard(provisioning: Provisioning) -> None:
    provisioning.run()
    (forged, *_others) = {
        header.removeprefix("Authorization: ")
        for call in provisioning.calls()
        if call[-1] == f"{COORDINATOR}/batches"
        for header in headers_of(call)
    }

    def out_of_reach() -> Certificates:
        raise Unavailable("nobody is asked")

    verifier = TokenVerifier(COORDINATOR, behind_cloud_run=True, fetch=out_of_reach)

    assert verifier.verify(forged, allowed=frozenset({OPERATOR})) == OPERATOR


@pytest.mark.parametrize(
    ("options", "status", "passes"),
    [
        ([], "403", True),
        ([], "401", True),
        ([], "404", False),
        ([], "200", False),
        ([], "503", False),
        ([], "000", False),
        (["--internal"], "404", True),
        (["--internal"], "200", False),
    ],
)
def test_f6_only_a_refusal_of_cloud_run_passes(tmp_path: Path, options: list[str], status: str, passes: bool) -> None:
    curl = tmp_path / "curl"
    curl.write_text(f"#!/bin/sh\nprintf {status}\n")
    curl.chmod(0o755)

    done = subprocess.run(
        [DEPLOY / "strangers.sh", *options, COORDINATOR, COORDINATOR, OPERATOR, "/ready"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "STRANGERS_WAIT_SECONDS": "0"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert (done.returncode == 0) is passes, done.stderr


def test_f6_a_build_gives_no_traffic_before_both_services_refused_strangers() -> None:
    text = (ROOT / "cloudbuild.yaml").read_text(encoding="utf-8")
    (smoke,) = re.findall(r"- id: smoke\n(.*?)\n  - id: traffic", text, re.DOTALL)

    assert 'deploy/strangers.sh "https://candidate---$${url#https://}"' in smoke
    assert "deploy/strangers.sh --internal" in smoke
