"""What happens in one seeded schedule: which league, which workers, which operators ask for what, in which climate."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from coordinator.usecases.cancel import cancel
from coordinator.usecases.change_policy import change_policy
from shared.settings import Policy
from tests.simulation.day import MINUTE, POLICY, Day
from tests.simulation.league import PlannedPlayer, Revision
from tests.simulation.simulated import simulated
from tests.simulation.world import SECOND, Climate

_TELLING_TIPOFF = 0.3
"""In so many schedules the game begins while batches are planned and merged; else they are all before it."""
NAMES = ("a.j.-green", "jokić", "lebron-james", "o.g.-anunoby", "shai", "t.j.-o'neil", "zion")


@simulated()
def play(seed: int, *, told: bool = False) -> Day:
    """Play one schedule to its end.

    Raises:
        LawBroken: a law did not hold; its `day` tells the story.
    """
    day = drawn(seed, told=told)
    try:
        day.world.run(until=day.world.now + day.world.rng.choice((8, 15, 25, 45)) * MINUTE)
        day.go_to_the_end()
    except Exception as error:
        day.world.say("law", f"{type(error).__name__}: {error}")
        error.day = day  # type: ignore[attr-defined]  # its story, for whoever asks
        raise
    return day


def drawn(seed: int, *, told: bool = False) -> Day:
    """The day of a seed, with everything that somebody will ask for already in its calendar."""
    rng = random.Random(f"schedule {seed}")  # noqa: S311 - a simulation's chance
    day = Day(
        seed=seed,
        players=_players(rng),
        climate=Climate.drawn(rng),
        revisions=_revisions(rng),
        attempts=rng.choice((2, 3, 5)),
        skews=_skews(rng),
        coordinators=rng.choice((1, 2, 2, 3)),
        told=told,
        policy=_policy(rng),
    )
    tipoff = random.Random(f"tip-off {seed}")  # noqa: S311 - as above
    if tipoff.random() < _TELLING_TIPOFF:
        day.tip_off(tipoff.choice((5, 20, 45)) * MINUTE)
    day.world.after(SECOND, day.start)
    for minute in (5, 10, 15, 22, 31, 36, 41):
        if rng.random() < 0.6:
            day.world.after(minute * MINUTE + rng.randrange(60) * SECOND, day.sweep)
    for _ in range(rng.choice((0, 1, 2, 3, 5))):
        act = rng.choice(ACTS)
        at = rng.choice((1, 5, 15, 45)) * MINUTE * rng.random()
        day.world.after(at, lambda act=act: act(day))  # type: ignore[misc]  # bound by the loop
    return day


def _players(rng: random.Random) -> tuple[PlannedPlayer, ...]:
    chosen = sorted(rng.sample(NAMES, rng.choice((0, 1, 2, 3, 4, 5, 5, 6)) if rng.random() < 0.9 else 7))
    return tuple(
        PlannedPlayer(
            name,
            lines=("20.5", "24.5")[: rng.choice((1, 2, 2))],
            is_out=rng.random() < 0.1,
            poison=rng.choice(("prediction", "row", "append")) if rng.random() < 0.08 else "",
        )
        for name in chosen
    )


def _revisions(rng: random.Random) -> tuple[Revision, ...]:
    if rng.random() < 0.5:
        return (Revision("worker-1"),)
    second = Revision("worker-2", version=rng.choice((1, 2)), answers=1, more_lines=rng.random() < 0.5)
    return (Revision("worker-1", version=rng.choice((1, 2))), second)


def _skews(rng: random.Random) -> tuple[timedelta, ...]:
    if rng.random() < 0.7:
        return (timedelta(0),)
    return tuple(rng.randrange(-200, 200) * SECOND for _ in range(3))


def _policy(rng: random.Random) -> Policy:
    return POLICY.model_copy(
        update={
            "players_per_request": rng.choice((1, 2, 3)),
            "tolerated_failed_share": rng.choice((0.05, 0.3, 0.6, 1.0)),
            "tolerated_silent_share": rng.choice((0.05, 0.3, 0.6, 1.0)),
            "max_retired_share": rng.choice((0.5, 1.0, 1.0)),
            "max_merge_attempts": rng.choice((1, 3, 3)),
            "max_republishes": rng.choice((0, 1, 3)),
        }
    )


# --- what operators ask for -----------------------------------------------------------------------------------


def _start_again(day: Day) -> None:
    """The same call again, as Cloud Scheduler makes it when the first was slow (D5)."""
    day.start(tries=2)


def _start_anew(day: Day) -> None:
    """Another root of the date, with the inputs of now."""
    _inputs_change(day)
    day.start(key=f"anew-{day.world.rng.randrange(2)}", tries=2)


def _force(day: Day) -> None:
    newest = day.newest()
    if newest:
        _inputs_change(day)
        day.start(key=f"forced-{day.world.rng.randrange(2)}", force=newest, tries=2)


def _redrive(day: Day) -> None:
    newest = day.newest()
    key = f"redrive-{day.world.rng.randrange(2)}"
    if newest:
        if day.world.rng.random() < 0.5:
            _heal(day)
        day.ask("redrive", lambda c: c.redriver.redrive(newest, key=key).batch.state, tries=2)


def _cancel(day: Day) -> None:
    newest = day.newest()
    if newest:
        day.ask("cancel", lambda c: cancel(c.ledger, c.parts.warehouse, newest).state, tries=2)


def _change_policy(day: Day) -> None:
    newest, rng = day.newest(), day.world.rng
    changes = {
        "deadline_minutes": rng.choice((1, 15, 30, 45)),
        "tolerated_silent_share": rng.choice((0.0, 1.0)),
        "tolerated_failed_share": rng.choice((0.0, 1.0)),
    }
    if newest:
        day.ask(
            "policy",
            lambda c: change_policy(c.ledger, newest, lambda found: found.model_copy(update=changes)).state,
            tries=2,
        )


def _consolidate(day: Day) -> None:
    """Any batch of the date, the newest mostly: a person may force an old one too."""
    drawn, batches = day.world.rng.random(), sorted(day.laws.batches(), key=lambda one: one.planned_at)
    if batches:
        wanted = batches[0 if drawn < 0.3 else -1].batch_id
        day.ask("consolidate", lambda c: c.consolidator.consolidate(wanted, forced=drawn < 0.6), tries=2)


def _two_sweeps(day: Day) -> None:
    day.sweep()
    day.sweep()


def _look(day: Day) -> None:
    newest = day.newest()
    if newest:
        day.ask("explain", lambda c: c.views.batch(newest).state)


def _clocks_jump(day: Day) -> None:
    for running in day.alive["coordinator"]:
        running.instance.skew += day.world.rng.choice((-90, 90, 400)) * SECOND
    day.world.say("world", "the coordinators' clocks jump")


def _inputs_change(day: Day) -> None:
    rng = day.world.rng
    day.players = tuple(
        replace(player, is_out=rng.random() < 0.15, lines=("20.5", "24.5")[: rng.choice((1, 2))])
        for player in day.players
        if rng.random() < 0.85
    )
    day.world.say("world", f"the inputs change: {', '.join(player.name for player in day.players)}")


def _heal(day: Day) -> None:
    day.players = tuple(replace(player, poison="") for player in day.players)
    day.world.say("world", "nobody is poison from here on")


ACTS: tuple[Callable[[Day], None], ...] = (
    *(_start_again, _start_anew, _start_anew, _force, _force, _force, _redrive, _redrive, _redrive, _cancel, _cancel),
    *(_change_policy, _change_policy, _consolidate, _consolidate, _two_sweeps, _look, _clocks_jump),
)
