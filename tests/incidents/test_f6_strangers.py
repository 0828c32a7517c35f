"""F6: nothing watched that Cloud Run asks every caller; without that, a token that anybody can write was an admin's."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from flask import Flask, Response, request

from local.one_machine.serving import serving
from shared.auth import Certificates, TokenVerifier
from shared.errors import Unavailable
from tests.provision_stand import DEPLOY, ROOT, Provisioning

OPERATOR = "tipoff-operator@demo-project.iam.gserviceaccount.com"
COORDINATOR = "https://tipoff-coordinator-123456789012.us-east1.run.app"


@pytest.fixture
def provisioning(tmp_path: Path) -> Provisioning:
    return Provisioning(tmp_path)


def headers_of(call: list[str]) -> list[str]:
    return [value for option, value in pairwise(call) if option == "--header"]


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
    ("options", "to_nobody", "to_forged", "passes"),
    [
        ([], 403, 403, True),
        ([], 401, 401, True),
        ([], 404, 404, False),
        ([], 200, 200, False),
        ([], 403, 200, False),
        ([], 503, 503, False),
        (["--internal"], 404, 404, True),
        (["--internal"], 404, 200, False),
    ],
)
def test_f6_only_a_refusal_of_cloud_run_passes(
    options: list[str], to_nobody: int, to_forged: int, passes: bool
) -> None:
    with answering(lambda header: to_forged if header else to_nobody) as url:
        done = asked_by_strangers(*options, url)

    assert (done.returncode == 0) is passes, done.stderr
    assert ("where Cloud Run should have refused" in done.stderr) is not passes


def test_f6_who_does_not_answer_has_refused_nobody() -> None:
    with answering(lambda _: 403) as url:
        gone = url

    assert asked_by_strangers(gone).returncode == 1


def asked_by_strangers(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script with the real curl."""
    return subprocess.run(
        [DEPLOY / "strangers.sh", *arguments, COORDINATOR, OPERATOR, "/ready"],
        env={"PATH": os.environ["PATH"], "STRANGERS_WAIT_SECONDS": "0"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@contextmanager
def answering(status_of: Callable[[str | None], int]) -> Iterator[str]:
    """Serve whoever asks, by the header that says who he is; where."""
    app = Flask("service", static_folder=None)
    app.before_request(lambda: Response(status=status_of(request.headers.get("Authorization"))))
    with serving(app) as url:
        yield url


def test_f6_a_build_gives_no_traffic_before_both_services_refused_strangers() -> None:
    text = (ROOT / "cloudbuild.yaml").read_text(encoding="utf-8")
    (smoke,) = re.findall(r"- id: smoke\n(.*?)\n  - id: traffic", text, re.DOTALL)

    assert 'deploy/strangers.sh "https://candidate---$${url#https://}"' in smoke
    assert "deploy/strangers.sh --internal" in smoke
