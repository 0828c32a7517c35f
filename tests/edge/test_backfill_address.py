"""Where `tipoff backfill` works: on this machine, or through the coordinator that --url names, as the account that is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.one_machine.serving import serving
from tests.stand.front import Front
from tests.terminal import Terminal
from tests.tipoff_command import write_league

SPAN = ("backfill", "--from", "2026-01-30", "--to", "2026-01-30", "--dry-run")
ACCOUNT = "tipoff-operator@my-project.iam.gserviceaccount.com"


def test_only_the_option_leads_to_a_coordinator(
    front: Front, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_league(tmp_path / "data", players={"Ann O'Dell": [20, 22, 24], "Bo-Li Tan": [10, 12, 8]})
    with serving(front.app) as url:
        terminal = Terminal(url, capsys, monkeypatch)
        here = terminal.run(*SPAN, "--data", str(data), "--state", str(tmp_path / "state"), "--allow-hindsight")
        asked_by_environment = len(front.asked)
        there = terminal.run(*SPAN, "--url", url)

    assert (here.status, there.status) == (0, 0), (here, there)
    assert (asked_by_environment, len(front.asked)) == (0, 1)


def test_the_account_that_is_named_gives_the_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/called\necho "ERROR: stop here" >&2\nexit 1\n', encoding="utf-8"
    )
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    ran = Terminal("", capsys, monkeypatch).run(
        *SPAN, "--url", "https://coordinator.example", "--impersonate", ACCOUNT, "--audience", "made-for"
    )

    assert (ran.status, "stop here" in ran.err) == (2, True), ran
    called = (tmp_path / "called").read_text(encoding="utf-8")
    assert f"--audiences=made-for --impersonate-service-account={ACCOUNT}" in called


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--impersonate", ACCOUNT), "--impersonate: needs --url"),
        (("--audience", "made-for"), "--audience: needs --url"),
        (("--url", "https://coordinator.example", "--state", "there"), "--state: cannot go with --url"),
        (("--url", "https://coordinator.example", "--data", "there"), "--url: cannot go with --data"),
    ],
)
def test_options_that_would_be_passed_over_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], problem: str
) -> None:
    ran = Terminal("https://coordinator.example", capsys, monkeypatch).run(*SPAN, *options)

    assert (ran.status, ran.err.count("\n")) == (2, 1), ran
    assert problem in ran.err
