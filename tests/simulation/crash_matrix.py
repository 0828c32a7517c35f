"""Every fault at every place of one day, one and two at a time: recovered by redelivery and sweeps alone, and exact.

The day takes its turns in order, so that the n-th port call is the same in every run until the first fault; the second
fault is placed among the calls after it, in the recovery.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.errors import Unavailable
from shared.settings import Policy
from tests.simulation.day import MINUTE, POLICY, Day
from tests.simulation.league import PlannedPlayer, Revision, simulated_rows
from tests.simulation.simulated import simulated
from tests.simulation.world import CALM, SECOND, Climate, LawBroken, Task

PLAYERS = (
    PlannedPlayer("ann", lines=("20.5",)),
    PlannedPlayer("bob"),
    PlannedPlayer("cid", is_out=True),
    PlannedPlayer("o.g.-dee", lines=("20.5",)),
)
_PAUSE = 5 * MINUTE
"""Past the next sweep, which takes over; in a shorter one nobody would."""
LENIENT: Policy = POLICY.model_copy(update={"players_per_request": 2, "deadline_minutes": 20})


class Fault(StrEnum):
    """What happens at a place."""

    KILL_BEFORE = "killed before an effect"
    KILL_AFTER = "killed after an effect"
    PAUSE = "paused past the lease before a call"
    """The task goes on with what it has read, after others have taken over."""
    DRAIN = "drained: SIGTERM, a successor at once, killed 10 s later"
    STORE_RESTART = "the document store restarts: no answer for 5 s"
    UNTOLD = "done, and the caller is told of trouble"


EFFECTS_ONLY = {Fault.KILL_BEFORE, Fault.KILL_AFTER, Fault.UNTOLD}
"""Faults that a reading call does not tell apart from the one at the next effect."""


@dataclass(frozen=True)
class Place:
    """A fault before the n-th port call of the day or, for the second one, the n-th after the first fault."""

    fault: Fault
    call: int


@dataclass
class Run:
    """One day under some faults. `calls` are the port calls after the last fault that came about: what it writes."""

    places: Sequence[Place]
    day: Day
    calls: list[bool]
    came_about: int = 0


@simulated()
def run(places: Sequence[Place], *, told: bool = False, climate: Climate = CALM) -> Run:
    """Go through the day under faults, each counted from the one before; `climate` is what goes wrong besides.

    Raises:
        LawBroken: a law did not hold, or the end is not that of the day without faults.
    """
    day = Day(seed=1, players=PLAYERS, climate=climate, in_order=True, coordinators=1, policy=LENIENT, told=told)
    found = Run(places, day, [])
    left = list(places)
    restarted_at = [day.world.now]

    def before_call(task: Task, what: str, writes: bool) -> None:
        if day.world.now < restarted_at[0] and what.startswith("documents."):
            raise Unavailable("the store restarts")
        found.calls.append(writes)
        if not left or task.instance is None or len(found.calls) - 1 != left[0].call:
            return
        fault = left.pop(0).fault
        found.calls.clear()
        found.came_about += 1
        day.world.say("fault", f"{task.name} is {fault} ({what})")
        match fault:
            case Fault.KILL_BEFORE:
                day.world.kill(task.instance)
            case Fault.KILL_AFTER | Fault.UNTOLD:
                _after_effect(day, task, fault)
            case Fault.PAUSE:
                day.world.sleep(_PAUSE)
            case Fault.DRAIN:
                day.drain(task.instance)
            case Fault.STORE_RESTART:
                restarted_at[0] = day.world.now + 5 * SECOND

    day.world.call_hook = before_call
    day.world.after(SECOND, lambda: day.start(tries=12))
    for minute in (4, 8, 12):
        day.world.after(minute * MINUTE, day.sweep)
    day.world.run(until=day.world.now + 14 * MINUTE)
    day.go_to_the_end()
    _is_exact(day)
    return found


def _after_effect(day: Day, task: Task, fault: Fault) -> None:
    """Let the effect happen, and then kill the instance or tell the caller of trouble."""

    def after(who: Task, _what: str, done: bool) -> None:
        if who is not task or not done:
            return
        day.world.effect_hooks.remove(after)
        if fault is Fault.UNTOLD:
            raise Unavailable("no answer")
        assert task.instance is not None
        day.world.kill(task.instance)

    day.world.effect_hooks.append(after)


def _is_exact(day: Day) -> None:
    """The table is that of the day without faults, row for row, each made once."""
    found = sorted(
        (key, row["player_lookup"], row["predicted_points"], row["is_active"], row["prediction_version"])
        for key, row in day.warehouse.predictions.items()
    )
    (batch,) = day.laws.batches()
    if found != _without_faults() or batch.state != "COMPLETE":
        raise LawBroken(f"the day ended {batch.state} with {len(found)} rows, not as it does without faults")


_EXPECTED: list[Any] = []


@simulated()
def _without_faults() -> list[Any]:
    if not _EXPECTED:
        day = Day(seed=1, players=PLAYERS, in_order=True, coordinators=1, policy=LENIENT)
        day.world.after(SECOND, day.start)
        day.world.run(until=day.world.now + MINUTE)
        (batch,) = day.laws.batches()
        requests = [day.laws.request(batch, player.name) for player in PLAYERS if not player.is_out]
        for request in requests:
            rows = simulated_rows(request, Revision("worker-1"), schema_version=2)
            _EXPECTED.extend(
                (row["prediction_id"], row["player_lookup"], row["predicted_points"], True, 1) for row in rows
            )
        _EXPECTED.sort()
    return _EXPECTED


def places_of(calls: Sequence[bool], faults: Sequence[Fault]) -> Iterator[Place]:
    """Every place for these faults among some port calls."""
    for fault in faults:
        for number, writes in enumerate(calls):
            if writes or fault not in EFFECTS_ONLY:
                yield Place(fault, number)


@dataclass
class Score:
    """How many combinations were tried, and those that were not exact."""

    tried: int = 0
    failed: list[str] | None = None


def singles(faults: Sequence[Fault] = tuple(Fault)) -> dict[Fault, Score]:
    """Every fault at every place."""
    scores = {fault: Score(failed=[]) for fault in faults}
    for place in places_of(_day_calls(), faults):
        _try([place], scores[place.fault])
    return scores


def pairs(
    first: Sequence[Fault], second: Sequence[Fault], *, every: int = 1, offset: int = 0
) -> dict[tuple[Fault, Fault], Score]:
    """Every fault at every place, and during the recovery every second one at every place; or every n-th of these."""
    scores = {(one, two): Score(failed=[]) for one, two in itertools.product(first, second)}
    number = offset
    for place in places_of(_day_calls(), first):
        recovery = run([place]).calls
        for another in places_of(recovery, second):
            number += 1
            if number % every == 0:
                _try([place, another], scores[place.fault, another.fault])
    return scores


def _day_calls() -> list[bool]:
    return run([]).calls


def _try(places: Sequence[Place], score: Score, *, play: Callable[[Sequence[Place]], Run] = run) -> None:
    score.tried += 1
    try:
        play(places)
    except LawBroken as broken:
        assert score.failed is not None
        score.failed.append(f"{', then '.join(f'{one.fault.name} at {one.call}' for one in places)}: {broken}")
