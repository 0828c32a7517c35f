"""A start that is refused or dies leaves the date with the batch that it had, or is finished by its repeat."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from coordinator.rules import quotas
from coordinator.rules.lifecycle import Status
from schemas import names
from shared.errors import Conflict, InputsIncomplete, InvalidInput, QueryRefused, Unavailable
from shared.ports import Parameters
from shared.settings import Policy
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


# --- a refused plan -------------------------------------------------------------------------------------------


def refuse(stand: Stand) -> None:
    """Have a start refused for the names of its frozen plan."""
    stand.load(of_one_name())
    with pytest.raises(InvalidInput, match=r"distinct values in a player_lookup column$"):
        stand.start("first")


def test_a_plan_that_was_refused_is_made_afresh_from_the_mended_inputs(stand: Stand) -> None:
    for _ in range(2):
        refuse(stand)
        stand.pass_time(timedelta(minutes=10))

    stand.load(a_league())
    batch = stand.start("first").batch

    assert batch.planned_at == stand.now
    assert stand.sent() == list(PLAYERS)


def test_a_plan_of_too_many_players_is_made_afresh(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(quotas, "PARAMETER_BYTES", 5_000_000)
        with pytest.raises(InvalidInput, match="cannot be finished"):
            stand.start("first")

    assert plans(stand) == []
    stand.load(a_league(2))
    assert stand.start("first").batch.expected_count == 2


def test_a_plan_that_a_longer_deadline_lets_pass_is_kept(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "Deployment", partial(quotas.Deployment, slice_seconds=100_000))
    planned_at = stand.now
    with pytest.raises(InvalidInput, match=r"before the deadline.*another idempotency key"):
        stand.start("first", policy=Policy(deadline_minutes=1))
    stand.pass_time(timedelta(minutes=10))

    batch = stand.start("first", policy=Policy(deadline_minutes=180)).batch

    assert batch.planned_at == planned_at


def test_a_drop_that_comes_late_leaves_the_plan_of_the_batch_be(stand: Stand) -> None:
    comes, goes_on = threading.Event(), threading.Event()

    class Late:
        """Its first drop is submitted when another start has long made the batch."""

        def __getattr__(self, name: str) -> object:
            return getattr(stand.warehouse, name)

        def submit(self, sql: str, parameters: Parameters, *, job_id: str) -> None:
            comes.set()
            assert goes_on.wait(20)
            stand.warehouse.submit(sql, parameters, job_id=job_id)

    late = stand.new_coordinator("late", warehouse=Late())
    stand.load(of_one_name())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(late.starter.start, GAME_DATE, key="first", policy=Policy())
        assert comes.wait(20)
        stand.pass_time(timedelta(minutes=10))
        refuse(stand)
        stand.load(a_league())
        stand.start("first")
        goes_on.set()
        with pytest.raises(InvalidInput):
            first.result()

    assert plans(stand) == [names.plan_table(FIRST)]
    stand.pass_time(timedelta(minutes=20))
    stand.coordinator.sweeper.sweep()
    assert stand.sent() == [*PLAYERS, *PLAYERS]


def test_a_plan_that_is_dropped_before_it_is_read_is_trouble_that_passes(stand: Stand) -> None:
    class Overtaken:
        """Another start drops the plan right after it was written."""

        def __getattr__(self, name: str) -> object:
            return getattr(stand.warehouse, name)

        def query(self, sql: str, parameters: Parameters | None = None) -> object:
            found = stand.warehouse.query(sql, parameters)
            if sql.startswith("CREATE"):
                stand.warehouse.drop(names.plan_table(FIRST))
            return found

    overtaken = stand.new_coordinator("overtaken", warehouse=Overtaken())

    with pytest.raises(Unavailable, match="try again"):
        overtaken.starter.start(GAME_DATE, key="first", policy=Policy())


def test_a_refused_plan_that_cannot_be_dropped_asks_for_another_key(stand: Stand) -> None:
    class Forbidding:
        """A warehouse that lets nobody drop a table."""

        def __getattr__(self, name: str) -> object:
            return getattr(stand.warehouse, name)

        def submit(self, _sql: str, _parameters: Parameters, *, job_id: str) -> None:
            raise QueryRefused(f"access denied: {job_id}")

    forbidding = stand.new_coordinator("forbidding", warehouse=Forbidding())
    stand.load(of_one_name())

    with pytest.raises(InvalidInput, match=r"distinct values.*another idempotency key"):
        forbidding.starter.start(GAME_DATE, key="first", policy=Policy())


@pytest.mark.parametrize("effect", range(6))
def test_a_refused_start_that_died_anywhere_leaves_no_plan_that_a_repeat_does_not_drop(
    stand: Stand, effect: int
) -> None:
    stand.load(of_one_name())
    with stand.crash_at(effect), suppress(Crash, InvalidInput):
        stand.start("first")
    stand.coordinator = stand.new_coordinator("two")
    stand.load(a_league())
    stand.pass_time(timedelta(minutes=10))

    with suppress(InvalidInput):
        stand.start("first")
    stand.start("first")

    assert stand.batch(FIRST).status is Status.RUNNING
