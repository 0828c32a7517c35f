"""`tipoff serve`: the dashboard over what a run left, with PyPI packages only."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.tipoff_command import command, environment, tipoff, write_league

pytestmark = pytest.mark.xdist_group("serve")  # its tests share a run

LEAGUE = {"Ann O'Dell": [20, 22, 24], "Bo-Li Tan": [10, 12, 8]}
DAY = "2026-01-30"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    ran = tipoff(
        "run", "--game-date", DAY, "--data", write_league(folder / "data", players=LEAGUE), "--state", folder / "state"
    )
    assert ran.status == 0, ran
    assert f"tipoff serve --state {folder / 'state'}" in ran.out
    return folder / "state"


@contextmanager
def served(*arguments: str | Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(command(*arguments), env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = None
        for line in process.stdout:
            address = re.search(r"http://127\.0\.0\.1:\d+/", line)
            if address:
                break
        assert address is not None
        yield address[0], process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_a_served_folder_shows_its_batch_and_ends_well_on_ctrl_c(state: Path) -> None:
    with served("serve", "--state", state, "--port", "0") as (url, process):
        listed = requests.get(url, timeout=10)

        assert listed.status_code == 200
        assert "COMPLETE" in listed.text
    assert process.returncode == 0


def test_a_span_is_run_and_graded_through_a_coordinator_by_its_address(state: Path) -> None:
    span = ("--from", "2026-01-29", "--to", DAY)
    with served("serve", "--state", state, "--port", "0") as (url, _process):
        skipped = tipoff("backfill", *span, "--url", url, "--json")
        ran = tipoff("backfill", *span, "--url", url, "--again", "--json")
        measured = tipoff("accuracy", *span, "--url", url, "--json")

    assert (skipped.status, ran.status, measured.status) == (0, 0, 0), (skipped, ran, measured)
    assert (skipped.json["ran"], skipped.json["skipped"]) == ([], 1)
    assert [(one["game_date"], one["state"]) for one in ran.json["ran"]] == [(DAY, "COMPLETE")]
    assert (measured.json["graded"], measured.json["ungraded"]) == (0, ran.json["season"]["dates"][0]["rows"])


def test_a_run_that_is_to_stay_open_serves_after_it_has_ended(tmp_path: Path) -> None:
    data = write_league(tmp_path / "data", players=LEAGUE)
    with served("run", "--open", "--game-date", DAY, "--data", data, "--state", tmp_path / "state") as (url, process):
        assert requests.get(f"{url}batches", timeout=10).json()["batches"][0]["state"] == "COMPLETE"
    assert process.returncode == 0


def test_a_folder_without_a_ledger_and_a_port_that_is_taken_are_mistakes(state: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        no_port = tipoff("serve", "--state", state, "--port", str(port))
    no_folder = tipoff("serve", "--state", tmp_path / "none")

    assert (no_port.status, no_folder.status) == (2, 2)
    assert f"--port: {port} cannot be used" in no_port.err
    assert "holds no run yet" in no_folder.err
