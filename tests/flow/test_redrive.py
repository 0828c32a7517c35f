"""A redrive: a new batch, planned afresh, for the players of the newest root who are not predicted."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.rules.lifecycle import Status
from coordinator.usecases.start import Started
from shared.errors import Conflict, Unavailable, UnknownBatch
from shared.settings import Policy
from tests.plan_inputs import a_report, an_offer
from tests.stand.ledger import a_failure, a_skip
from tests.stand.world import PLAYERS, Crash, Stand, a_league

POLICY = Policy(deadline_minutes=60, tolerated_silent_share=1, tolerated_failed_share=1)
DEADLINE = timedelta(minutes=60)


def a_root(stand: Stand, *answering: str) -> str:
    """A root that ended at its deadline, when only these players had been predicted."""
    batch_id = stand.start("root", policy=POLICY).batch.batch_id
    stand.record(*[stand.answer(player, batch_id=batch_id) for player in answering])
    stand.pass_time(DEADLINE)
    stand.coordinator.sweeper.sweep()
    return batch_id


def redrive(stand: Stand, batch_id: str, key: str = "again") -> Started:
    return stand.coordinator.redriver.redrive(batch_id, key=key)


def finish(stand: Stand, batch_id: str) -> None:
    for player in stand.coordinator.views.batch(batch_id).silent:
        stand.record(stand.answer(player, batch_id=batch_id))


def test_expected_minus_predicted_of_the_root_make_a_child_batch(stand: Stand) -> None:
    root = a_root(stand, PLAYERS[0])
    assert stand.batch(root).status is Status.PARTIAL

    started = redrive(stand, root)
    finish(stand, started.batch.batch_id)

    child = stand.batch(started.batch.batch_id)
    assert started.is_new
    assert (child.kind, child.parent, child.policy) == ("redrive", root, POLICY)
    assert (child.expected_count, child.status) == (2, Status.COMPLETE)
    assert child.planned_at > stand.batch(root).planned_at
    assert stand.predicted_players() == set(PLAYERS)
    assert stand.batch(root).status is Status.PARTIAL, "a redrive is a batch of its own"


def test_only_its_own_players_are_superseded(stand: Stand) -> None:
    root = a_root(stand, PLAYERS[0], PLAYERS[1])
    before = [row for row in stand.predictions() if row["player_lookup"] != PLAYERS[2]]

    finish(stand, redrive(stand, root).batch.batch_id)

    assert [row for row in stand.predictions() if row["player_lookup"] != PLAYERS[2]] == before


def test_failed_and_skipped_players_are_not_predicted_either(stand: Stand) -> None:
    root = stand.start("root", policy=POLICY).batch.batch_id
    stand.record(a_failure(root, PLAYERS[0]), a_skip(root, PLAYERS[1]), stand.answer(PLAYERS[2]))

    child = redrive(stand, root).batch

    assert stand.coordinator.views.batch(child.batch_id).silent == list(PLAYERS[:2])


def test_it_is_planned_with_the_inputs_of_now(stand: Stand) -> None:
    root = a_root(stand, PLAYERS[0], PLAYERS[1])
    league = a_league()
    stand.load(replace(league, lines=[*league.lines, an_offer("3", "18.5")]))

    child = redrive(stand, root).batch

    (line,) = stand.request(PLAYERS[2], batch_id=child.batch_id).lines
    assert (str(line.points_line), line.is_estimated) == ("18.5", False)
    assert stand.request(PLAYERS[2], batch_id=root).lines[0].is_estimated


def test_whom_the_fresh_plan_does_not_expect_is_named_and_never_silently_dropped(stand: Stand) -> None:
    root = a_root(stand, PLAYERS[0])
    league = a_league()
    stand.load(replace(league, reports=[a_report("3", "OUT")]))

    first, again = redrive(stand, root), redrive(stand, root)

    assert first.batch.left_out == again.batch.left_out == (PLAYERS[2],)
    assert stand.coordinator.views.batch(first.batch.batch_id).not_expected == [PLAYERS[2]]
    assert stand.coordinator.views.batch(first.batch.batch_id).silent == [PLAYERS[1]]


def test_a_repeat_with_the_same_key_answers_with_the_same_batch(stand: Stand) -> None:
    root = a_root(stand, PLAYERS[0])
    first = redrive(stand, root)
    published = len(stand.requests.messages)

    again = redrive(stand, root)

    assert (again.batch.batch_id, again.is_new) == (first.batch.batch_id, False)
    assert len(stand.requests.messages) == published


def test_while_the_root_or_a_redrive_lives_there_is_no_other(stand: Stand) -> None:
    root = stand.start("root", policy=POLICY).batch.batch_id
    with pytest.raises(Conflict, match="RUNNING"):
        redrive(stand, root)
    stand.pass_time(DEADLINE)
    stand.coordinator.sweeper.sweep()
    child = redrive(stand, root).batch.batch_id

    with pytest.raises(Conflict, match=child):
        redrive(stand, root, "another")
    with pytest.raises(Conflict, match=child):
        stand.start("a new root")


def test_of_a_redrive_its_root_is_redriven_for_whom_neither_predicted(stand: Stand) -> None:
    root = a_root(stand, PLAYERS[0])
    first = redrive(stand, root).batch.batch_id
    stand.record(stand.answer(PLAYERS[1], batch_id=first), a_failure(first, PLAYERS[2]))

    second = redrive(stand, first, "another").batch

    assert (second.parent, second.expected_count) == (root, 1)
    assert stand.coordinator.views.batch(second.batch_id).silent == [PLAYERS[2]]


def test_where_everybody_is_predicted_there_is_nobody_to_redrive(stand: Stand) -> None:
    root = stand.run().batch_id

    with pytest.raises(Conflict, match="nobody"):
        redrive(stand, root)


def test_only_the_newest_root_is_redriven(stand: Stand) -> None:
    old = a_root(stand, PLAYERS[0])
    newer = stand.run("newer").batch_id

    with pytest.raises(Conflict, match=newer):
        redrive(stand, old)


def test_a_cancelled_batch_is_started_anew_instead(stand: Stand) -> None:
    first = stand.start("root").batch.batch_id
    second = stand.start("second", force=first).batch.batch_id
    stand.coordinator.starter.start(stand.batch(second).game_date, key="third", policy=POLICY, force=second)

    for batch_id in (first, second):
        with pytest.raises(Conflict):
            redrive(stand, batch_id)


def test_an_unknown_batch_is_an_error(stand: Stand) -> None:
    with pytest.raises(UnknownBatch):
        redrive(stand, "20260130_0123456789abcdef")


@pytest.mark.parametrize("lines_moved", [False, True])
def test_the_roots_late_outcome_does_not_stand_beside_the_redrives_rows(stand: Stand, *, lines_moved: bool) -> None:
    root = a_root(stand, PLAYERS[0], PLAYERS[1])
    late = stand.answer(PLAYERS[2], batch_id=root)
    if lines_moved:
        league = a_league()
        stand.load(replace(league, lines=[*league.lines, an_offer("3", "18.5")]))
    child = redrive(stand, root).batch
    finish(stand, child.batch_id)
    before = stand.predictions(active=None)

    stand.record(late)

    assert stand.predictions(active=None) == before
    assert stand.batch(root).status is Status.COMPLETE
    assert {row["updated_at"] for row in before if row["player_lookup"] == PLAYERS[2]} == {child.planned_at}


def test_a_crash_between_any_two_effects_of_a_redrive_is_finished_by_a_repeat(tmp_path: Path) -> None:
    for effect in range(40):
        folder = tmp_path / str(effect)
        folder.mkdir()
        with closing(Stand(folder)) as stand:
            root = a_root(stand, PLAYERS[0], PLAYERS[1])
            crashed = False
            try:
                with stand.crash_at(effect):
                    redrive(stand, root)
            except Crash:
                crashed = True
            stand.coordinator = stand.new_coordinator("two")
            child = redrive(stand, root).batch.batch_id
            finish(stand, child)
            assert stand.predicted_players() == set(PLAYERS), effect
            assert stand.batch(child).status is Status.COMPLETE
            found = stand.coordinator.views.batches()
            assert [one.batch_id for one in found] == [child, root]
        if not crashed:
            assert effect > 5
            return
    pytest.fail("the redrive never ran through")


def test_an_outage_while_planning_is_an_error_and_makes_no_batch(stand: Stand) -> None:
    root = a_root(stand, PLAYERS[0])
    stand.requests.fail_next(1)

    with pytest.raises(Unavailable):
        redrive(stand, root)

    assert redrive(stand, root).batch.status is Status.RUNNING
