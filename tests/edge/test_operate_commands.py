"""Operate a running coordinator with `tipoff`, over real HTTP: what people see, what programs get, and every refusal."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask, Response, request

from coordinator.app import create_app
from coordinator.rules.lifecycle import Status
from local.one_machine.serving import serving
from shared.errors import CallerRefused
from tests.plan_inputs import GAME_DATE
from tests.stand.front import Front, Outage
from tests.stand.ledger import a_failure
from tests.stand.world import PLAYERS, Stand
from tests.terminal import Terminal
from tests.tipoff_command import Ran

UNKNOWN = "20260130_0123456789abcdef"
DATE = GAME_DATE.isoformat()


@pytest.fixture
def terminal(front: Front, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    with serving(front.app) as url:
        yield Terminal(url, capsys, monkeypatch)


class Person(io.StringIO):
    """Standard input of a person at a terminal."""

    def isatty(self) -> bool:
        return True


def assert_one_line(ran: Ran, status: int, *says: str) -> None:
    """Hold a command that did not succeed to its exit status and one line that says all that."""
    assert (ran.status, ran.out) == (status, ""), ran
    assert re.fullmatch(r"tipoff: .+\n", ran.err), ran.err
    assert [said for said in says if said not in ran.err] == [], ran.err


# --- looking --------------------------------------------------------------------------------------------------


def test_status_lists_the_batches(stand: Stand, terminal: Terminal) -> None:
    assert terminal.run("status").out == "no batches\n"
    batch_id = stand.run().batch_id

    listed = terminal.run("status")

    assert listed.status == 0
    assert re.search(rf"{batch_id} +{DATE} +COMPLETE +2026-01-30 15:00 +3", listed.out)
    assert terminal.json("status")["batches"][0]["batch_id"] == batch_id


def test_status_of_a_batch_names_who_is_not_predicted(stand: Stand, terminal: Terminal) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id
    stand.record(a_failure(batch_id, "player-2"))

    shown = terminal.run("status", batch_id)

    assert f"Batch {batch_id} of {DATE} is RUNNING\n" in shown.out
    assert "silent: player-3\n" in shown.out
    assert "failed: player-2 (prediction_error)\n" in shown.out
    assert "not merged yet: player-1\n" in shown.out
    assert "2026-01-30 15:00  planned for 3 players" in shown.out
    assert f"tipoff explain {batch_id}" in shown.out


def test_programs_get_the_coordinators_own_answers(stand: Stand, front: Front, terminal: Terminal) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id

    assert terminal.json("status", batch_id) == front.get(f"/batches/{batch_id}").get_json()
    assert terminal.json("explain", batch_id) == front.get(f"/batches/{batch_id}/explain").get_json()
    assert terminal.json("gaps", batch_id) == front.get(f"/batches/{batch_id}/gaps").get_json()


def test_a_game_date_means_its_newest_batch_and_nothing_the_newest_of_all(stand: Stand, terminal: Terminal) -> None:
    stand.run("first")
    stand.now += timedelta(hours=1)
    newest = stand.run("second").batch_id

    assert terminal.json("status", DATE)["batch_id"] == newest
    assert terminal.json("explain")["batch_id"] == newest


def test_explain_prints_sentences_and_then_what_to_do(stand: Stand, terminal: Terminal) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id

    headline, *lines = terminal.run("explain").out.splitlines()

    assert headline == f"Batch {batch_id} of {DATE} is RUNNING: 2 of 3 players have not answered."
    sentences, actions = lines[: lines.index("What you can do:")], lines[lines.index("What you can do:") :]
    assert any(line.startswith("- It waits for 2 of 3 players") for line in sentences)
    assert f"  tipoff cancel {batch_id}" in actions


def test_gaps_are_listed_by_stage_and_those_who_are_done_on_demand(stand: Stand, terminal: Terminal) -> None:
    stand.run(players=["player-1"])

    stuck = terminal.run("gaps").out

    assert re.search(r"^undelivered +2 ", stuck, re.MULTILINE)
    assert "\nundelivered:\n  player-2: published 1×, last at 2026-01-30 15:00 UTC\n  player-3: " in stuck
    assert "\nstaged not merged:\n  player-1: " in stuck
    assert "\nmerged:" not in terminal.run("gaps").out


def test_done_players_are_named_on_demand(stand: Stand, terminal: Terminal) -> None:
    stand.run()

    assert "player-1" not in terminal.run("gaps").out
    assert "\nmerged:\n  player-1: " in terminal.run("gaps", "--all").out


# --- watching -------------------------------------------------------------------------------------------------


def test_watching_lasts_until_the_batch_ends(stand: Stand, front: Front, terminal: Terminal) -> None:
    batch_id = stand.run(players=[]).batch_id
    answers = [stand.answer(player) for player in PLAYERS]

    @front.app.after_request
    def answer_one(response: Response) -> Response:
        if request.path == f"/batches/{batch_id}" and answers:
            stand.record(answers.pop())
        return response

    watched = terminal.run("status", batch_id, "--watch", "--interval", "0.1")

    assert watched.status == 0
    assert answers == []
    assert f"Batch {batch_id} of {DATE} is COMPLETE" in watched.out


def test_ctrl_c_ends_the_watching_and_changes_nothing(stand: Stand, front: Front, terminal: Terminal) -> None:
    batch_id = stand.run(players=[]).batch_id
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    @front.app.after_request
    def press(response: Response) -> Response:
        os.kill(os.getpid(), signal.SIGINT)
        return response

    try:
        watched = terminal.run("status", batch_id, "--watch")
    finally:
        signal.signal(signal.SIGINT, before)

    assert watched == Ran(130, "", "")
    assert stand.batch(batch_id).status is Status.RUNNING


# --- acting ---------------------------------------------------------------------------------------------------


def test_a_consolidation_that_has_to_wait_says_for_whom_and_force_goes_on_without(
    stand: Stand, terminal: Terminal
) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id

    assert_one_line(terminal.run("consolidate", batch_id), 2, "player-2, player-3")
    forced = terminal.run("consolidate", batch_id, "--force")

    assert forced.status == 0
    assert f"batch {batch_id} of {DATE} is PARTIAL: 2 of 3 players are missing" in forced.out
    assert stand.predicted_players() == {"player-1"}


def test_a_redrive_starts_a_batch_of_those_who_are_missing(stand: Stand, terminal: Terminal) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id
    stand.coordinator.consolidator.consolidate(batch_id, forced=True)
    stand.now += timedelta(hours=1)

    redriven = terminal.json("redrive", batch_id)

    assert (redriven["parent"], redriven["expected"]) == (batch_id, 2)
    assert stand.batch(redriven["batch_id"]).kind == "redrive"
    assert redriven["not_expected"] == []
    assert_one_line(terminal.run("redrive", DATE), 2, redriven["batch_id"])


def test_a_cancelled_batch_stays_cancelled(stand: Stand, terminal: Terminal) -> None:
    batch_id = stand.run(players=[]).batch_id

    cancelled = terminal.run("cancel", DATE)

    assert cancelled == Ran(0, f"batch {batch_id} of {DATE} is CANCELLED\n", "")
    assert stand.batch(batch_id).status is Status.CANCELLED


def test_an_ended_batch_cannot_be_cancelled(stand: Stand, terminal: Terminal) -> None:
    stand.run()

    assert_one_line(terminal.run("cancel", DATE), 2, "COMPLETE")


def test_a_policy_is_shown_and_changed(stand: Stand, terminal: Terminal) -> None:
    batch_id = stand.run(players=[]).batch_id
    planned_at = stand.batch(batch_id).planned_at

    assert re.search(r"deadline-minutes +180\n", terminal.run("policy", DATE).out)
    changed = terminal.run("policy", DATE, "--deadline-minutes", "240", "--tolerated-silent-share", "0.5")

    assert re.search(r"deadline-minutes +240\n", changed.out)
    assert stand.batch(batch_id).deadline_at == planned_at + timedelta(hours=4)
    assert stand.batch(batch_id).policy.tolerated_silent_share == 0.5
    assert_one_line(terminal.run("policy", DATE, "--deadline-minutes", "0"), 2, "--deadline-minutes")


def test_a_sweep_says_what_it_did(stand: Stand, terminal: Terminal) -> None:
    batch_id = stand.run(players=[]).batch_id
    stand.now += timedelta(minutes=16)

    swept = terminal.run("sweep")

    assert swept.status == 0
    assert re.search(rf"{batch_id} +RUNNING +repaired", swept.out)
    assert len(stand.sent()) == 2 * len(PLAYERS)


def test_a_dry_run_changes_nothing(stand: Stand, terminal: Terminal) -> None:
    batch_id = stand.run(players=[]).batch_id
    stand.now += timedelta(minutes=16)

    shown = terminal.run("sweep", "--dry-run")
    swept = terminal.json("sweep", "--dry-run")

    assert re.search(rf"{batch_id} +RUNNING +would repair", shown.out)
    assert [one["batch_id"] for one in swept["batches"]] == [batch_id]
    assert len(stand.sent()) == len(PLAYERS)


def test_a_sweep_says_what_is_left_to_a_person(stand: Stand, terminal: Terminal) -> None:
    batch_id = stand.run(players=[]).batch_id
    stand.now += timedelta(hours=4)

    swept = terminal.run("sweep")

    assert f"\n{batch_id}: 3 of 3 players are silent" in swept.out
    assert re.search(rf"^  tipoff \w+ {batch_id}", swept.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "asks"),
    [
        (("cancel", DATE), "Nothing of it will ever be merged."),
        (("consolidate", DATE, "--force"), "2 players are left out: player-2, player-3."),
    ],
)
def test_a_person_is_asked_first(
    stand: Stand, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], asks: str
) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id

    monkeypatch.setattr(sys, "stdin", Person("n\n"))
    refused = terminal.run(*arguments)

    assert refused.status == 1
    assert asks in refused.err
    assert stand.batch(batch_id).status is Status.RUNNING
    monkeypatch.setattr(sys, "stdin", Person(""))
    assert terminal.run(*arguments, "--yes").status == 0
    assert stand.batch(batch_id).status is not Status.RUNNING


# --- refusals and trouble -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (f"explain {UNKNOWN}", [UNKNOWN, "tipoff status"]),
        ("explain 2025-12-25", ["no batch of 2025-12-25", "tipoff status"]),
        ("gaps 2026-02-30", ["2026-02-30", "not a date", "2026-01-30"]),
        ("status yesterday", ["yesterday", "neither a batch id", "2026-01-30"]),
        ("redrive", ["BATCH"]),
        ("status --url https://x --state y", ["--state", "cannot go with --url"]),
        ("status --url http://tipoff.example", ["--url", "unencrypted", "https"]),
        ("status --url tipoff.example", ["--url", "not an address", "https://"]),
        ("status --limit 0", ["--limit"]),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_mend(terminal: Terminal, arguments: str, says: list[str]) -> None:
    assert_one_line(terminal.run(*arguments.split()), 2, *says)


def test_nobody_there_is_trouble_and_says_where(terminal: Terminal) -> None:
    assert_one_line(
        terminal.run("status", "--url", "http://127.0.0.1:9"),
        1,
        "no coordinator answers at http://127.0.0.1:9",
        "refused",
    )


def test_an_outage_of_the_coordinators_is_trouble_with_its_reason(
    stand: Stand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = Outage(stand.documents)
    coordinator = stand.new_coordinator("one", documents=documents)
    documents.goes_down()

    with serving(Front(stand, coordinator).app) as url:
        ran = Terminal(url, capsys, monkeypatch).run("status")

    assert_one_line(ran, 1, "503", "the service does not answer")


def test_something_else_that_answers_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Flask("other")) as url:
        ran = Terminal(url, capsys, monkeypatch).run("status")

    assert_one_line(ran, 2, "no JSON", "no coordinator")


def test_a_caller_who_is_refused_is_told_how_to_be_somebody_else(front: Front, terminal: Terminal) -> None:
    front.refusal = CallerRefused("you@example.com may not call this route")

    assert_one_line(terminal.run("status"), 2, "you@example.com may not", "--impersonate")


def test_no_token_is_sent_over_loopback(
    stand: Stand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    headers: list[str | None] = []
    app = create_app(stand.coordinator, guard=lambda header, _callers: headers.append(header))

    with serving(app) as url:
        Terminal(url, capsys, monkeypatch).run("status")

    assert headers == [None]
