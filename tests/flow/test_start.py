"""A start that is refused or dies leaves the date with the batch that it had, or is finished by its repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from coordinator.rules import quotas
from coordinator.rules.lifecycle import Status
from schemas import names
from shared.errors import Conflict, InputsIncomplete, InvalidInput
from shared.ports import Parameters
from tests.plan_inputs import GAME_DATE, League, a_scheduled_game
from tests.stand.world import PLAYERS, Crash, Stand, a_league

FIRST, SECOND = names.batch_id(GAME_DATE, "first"), names.batch_id(GAME_DATE, "second")


def of_one_name() -> League:
    """A league in which the first two players share their name."""
    league = a_league()
    return replace(league, logs=[{**log, "player_lookup": "a-name"} for log in league.logs if log["player_id"] != "3"])


def of_a_team_that_plays_twice() -> League:
    return replace(a_league(), games=[a_scheduled_game(), a_scheduled_game("OKC", "DAL")])


def without_box_scores() -> League:
    past = a_scheduled_game(game_id="past", game_date=GAME_DATE - timedelta(days=1))
    return replace(a_league(), games=[a_scheduled_game(), past])


def plans(stand: Stand) -> list[str]:
    return [table.name for table in stand.warehouse.list_tables("_plan_")]


# --- in the place of another batch ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("league", "refusal"),
    [
        (of_a_team_that_plays_twice, InvalidInput),
        (without_box_scores, InputsIncomplete),
        (of_one_name, InvalidInput),
    ],
)
def test_a_forced_start_that_is_refused_leaves_the_live_batch_be(
    stand: Stand, league: Callable[[], League], refusal: type[Exception]
) -> None:
    stand.start("first")
    stand.load(league())

    with pytest.raises(refusal):
        stand.start("second", force=FIRST)

    assert stand.batch(FIRST).status is Status.RUNNING
    stand.record(*map(stand.answer, PLAYERS))
    assert stand.batch(FIRST).status is Status.COMPLETE


def test_a_forced_start_of_too_many_players_leaves_the_live_batch_be(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.start("first")
    monkeypatch.setattr(quotas, "PARAMETER_BYTES", 5_000_000)

    with pytest.raises(InvalidInput, match="cannot be finished"):
        stand.start("second", force=FIRST)

    assert stand.batch(FIRST).status is Status.RUNNING


def test_a_forced_start_that_has_to_wait_is_refused_before_it_freezes_a_plan(stand: Stand) -> None:
    stand.start("first")
    refused: list[Conflict] = []

    def force(_job_id: str) -> None:
        stand.in_job.clear()
        with pytest.raises(Conflict, match="CONSOLIDATING") as caught:
            stand.start("second", force=FIRST)
        refused.append(caught.value)

    stand.in_job.append(force)
    with pytest.raises(Conflict, match="RUNNING"):
        stand.start("second", force=SECOND)
    stand.record(*map(stand.answer, PLAYERS))

    assert refused
    assert plans(stand) == [names.plan_table(FIRST)]


def test_a_forced_start_that_died_anywhere_is_finished_by_its_repeat(stand: Stand) -> None:
    forced, effect, cancelled = FIRST, 0, 0
    stand.start("first")
    while True:
        key = f"key-{effect}"
        try:
            with stand.crash_at(effect):
                stand.start(key, force=forced)
        except Crash:
            if not stand.batch(forced).is_live:
                cancelled += 1
                assert names.plan_table(names.batch_id(GAME_DATE, key)) in plans(stand)
            stand.coordinator = stand.new_coordinator(key)
            stand.start(key, force=forced)
        else:
            break
        assert stand.batch(forced).status is Status.CANCELLED
        forced, effect = names.batch_id(GAME_DATE, key), effect + 1
        assert stand.batch(forced).status is Status.RUNNING

    assert cancelled > 1


def test_a_batch_that_ends_while_the_one_in_its_place_is_planned_keeps_its_end(stand: Stand) -> None:
    stand.start("first")
    answers = [stand.answer(player) for player in PLAYERS]

    class Slow:
        """The first batch ends before the second one's plan is written."""

        def __getattr__(self, name: str) -> object:
            return getattr(stand.warehouse, name)

        def query(self, sql: str, parameters: Parameters | None = None) -> object:
            if sql.startswith("CREATE"):
                stand.record(*answers)
            return stand.warehouse.query(sql, parameters)

    slow = stand.new_coordinator("slow", warehouse=Slow())
    slow.starter.start(GAME_DATE, key="second", policy=slow.parts.policy, force=FIRST)

    assert stand.batch(FIRST).status is Status.COMPLETE
    assert stand.batch(SECOND).status is Status.RUNNING
