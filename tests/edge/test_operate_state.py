"""Operate the ledger that a run left in a state folder: the same commands, no network, and nothing that runs meanwhile."""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import ExitStack, closing
from datetime import date
from pathlib import Path

import pytest

from local.one_machine.csv_inputs import load_folder
from local.one_machine.push_topic import PushTopic
from local.one_machine.stack import LocalParts, open_parts
from shared.errors import Unavailable
from shared.settings import Policy
from tests.tipoff_command import DAY, tipoff, write_league

LEAGUE = {"Ann O'Dell": [20, 22, 24], "Bo-Li Tan": [10, 12, 8]}


def start(parts: LocalParts, data: Path) -> str:
    """Load a league and start its day; nobody delivers the requests."""
    game_date = date.fromisoformat(DAY)
    load_folder(parts.warehouse, folder=data, game_date=game_date)
    return parts.coordinator.starter.start(game_date, key="a-key", policy=Policy()).batch.batch_id


@pytest.fixture
def state(tmp_path: Path) -> tuple[Path, str]:
    """A state folder that a run left before anything was delivered, and its batch."""
    with ExitStack() as opened:
        parts = open_parts(tmp_path / "state", opened)
        return tmp_path / "state", start(parts, write_league(tmp_path / "data", players=LEAGUE))


def waiting_requests(state: Path) -> int:
    with closing(sqlite3.connect(state / "requests.sqlite")) as file:
        ((count,),) = file.execute("SELECT COUNT(*) FROM messages").fetchall()
    return int(count)


def test_what_a_run_left_is_explained_and_a_look_delivers_nothing(state: tuple[Path, str]) -> None:
    folder, batch_id = state

    shown = tipoff("explain", "--state", folder)

    assert shown.status == 0, shown
    assert f"Batch {batch_id} of {DAY} is RUNNING: 2 of 2 players have not answered." in shown.out
    assert "ann-o'dell, bo-li-tan" in shown.out
    assert waiting_requests(folder) == 1


def test_what_is_offered_on_a_state_folder_is_what_goes_on_there(state: tuple[Path, str]) -> None:
    folder, batch_id = state

    shown = tipoff("explain", "--state", folder)

    offered = [line.strip() for line in shown.out.splitlines() if line.startswith("  tipoff ")]
    assert offered[:2] == [f"tipoff run --resume --state {folder}", f"tipoff serve --state {folder}"]
    assert f"tipoff cancel {batch_id} --state {folder}" in offered
    assert [line for line in offered if "sweep" in line] == []

    resumed = tipoff(*shlex.split(offered[0])[1:], "--json")

    assert (resumed.status, resumed.json["batch_id"], resumed.json["state"]) == (0, batch_id, "COMPLETE"), resumed


def test_a_refusal_for_the_time_being_ends_in_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise Unavailable("the process died here")

    folder = tmp_path / "state"
    monkeypatch.setattr(PushTopic, "publish", crash)
    with ExitStack() as opened, pytest.raises(Unavailable):
        start(open_parts(folder, opened), write_league(tmp_path / "data", players=LEAGUE))

    refused = tipoff("consolidate", DAY, "--yes", "--state", folder)

    assert (refused.status, refused.out) == (2, "")
    assert "is not fully published yet" in refused.err
    assert refused.err.splitlines()[-1].endswith(
        f"nothing runs on a state folder by itself: `tipoff run --resume --state {folder}` continues the batch"
    )


def test_a_refusal_that_no_run_mends_offers_none(state: tuple[Path, str]) -> None:
    folder, batch_id = state
    assert tipoff("cancel", batch_id, "--state", folder).status == 0

    refused = tipoff("consolidate", batch_id, "--state", folder)

    assert refused.status == 2
    assert "is cancelled" in refused.err
    assert "--resume" not in refused.err


def test_what_is_published_over_a_state_folder_is_said_to_wait(state: tuple[Path, str]) -> None:
    folder, batch_id = state

    changed = tipoff("policy", batch_id, "--republish-after-minutes", "0", "--state", folder)
    swept = tipoff("sweep", "--state", folder)

    assert (changed.status, swept.status) == (0, 0), (changed, swept)
    assert "published 2 silent players again" in " ".join(swept.out.split())
    assert "tipoff run --resume" in swept.err
    assert waiting_requests(folder) == 3, "one of both, and one of each alone"


def test_a_batch_can_be_given_up_in_its_state_folder(state: tuple[Path, str]) -> None:
    folder, batch_id = state

    cancelled = tipoff("cancel", batch_id, "--state", folder)

    assert (cancelled.status, cancelled.out) == (0, f"batch {batch_id} of {DAY} is CANCELLED\n"), cancelled


def test_watching_a_folder_where_nothing_runs_is_refused(state: tuple[Path, str]) -> None:
    folder, batch_id = state

    watched = tipoff("status", "--watch", "--state", folder)

    assert (watched.status, watched.out) == (2, "")
    way_out = f"`tipoff run --resume --state {folder}` continues it"
    assert (
        watched.err
        == f"tipoff: --watch: {batch_id} is RUNNING, and nothing runs on a state folder by itself: {way_out}\n"
    )


def test_a_folder_in_use_is_refused_at_once(tmp_path: Path) -> None:
    with ExitStack() as opened:
        parts = open_parts(tmp_path / "state", opened)
        start(parts, write_league(tmp_path / "data", players=LEAGUE))

        shown = tipoff("status", "--state", tmp_path / "state")

    assert (shown.status, shown.out) == (2, "")
    assert "is in use by another process" in shown.err


def test_a_folder_without_a_ledger_is_refused_and_not_made(tmp_path: Path) -> None:
    shown = tipoff("status", "--state", tmp_path / "nowhere")

    assert (shown.status, shown.out) == (2, "")
    assert "holds no run yet" in shown.err
    assert "--url" in shown.err
    assert not (tmp_path / "nowhere").exists()
