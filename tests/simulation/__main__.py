"""`make simulate`: play many seeded schedules, or tell the story of one.

python -m tests.simulation 0:20000          play these seeds; the last line counts them, exit 1 on any failure
python -m tests.simulation 4091             play one and tell what happened, line by line
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field

import click

from tests.simulation.schedules import play

_SEEDS_AT_ONCE = 50
_SHOWN = 50
"""Failures that are named; their number is in the last line."""


@dataclass
class Played:
    """What came of some seeds."""

    schedules: int = 0
    failures: dict[int, str] = field(default_factory=dict)
    """By seed, the law that did not hold."""
    effects: int = 0
    kills: int = 0
    cpu_seconds: float = 0.0
    ends: dict[str, int] = field(default_factory=dict)

    def __iadd__(self, other: Played) -> Played:
        self.schedules += other.schedules
        self.failures |= other.failures
        self.effects += other.effects
        self.kills += other.kills
        self.cpu_seconds += other.cpu_seconds
        for state, count in other.ends.items():
            self.ends[state] = self.ends.get(state, 0) + count
        return self


@contextmanager
def unlogged() -> Iterator[None]:
    """Nothing is logged inside: a schedule logs more than it computes."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is collected inside, but all of it at the end: a schedule ends before its garbage matters. What stood
    before is not looked through."""
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()
        gc.unfreeze()


def play_some(seeds: range, *, stop_at_first: bool = False) -> Played:
    """Play seeds one after the other."""
    played, began = Played(), time.process_time()
    with unlogged(), uncollected():
        for seed in seeds:
            played.schedules += 1
            try:
                day = play(seed)
            except Exception as broken:  # noqa: BLE001 - whatever ends a schedule is a failure of it
                played.failures[seed] = f"{type(broken).__name__}: {broken}"
                if stop_at_first:
                    break
                continue
            played.effects += day.world.calls
            played.kills += day.world.kills
            for batch in day.laws.batches():
                played.ends[batch.state] = played.ends.get(batch.state, 0) + 1
    played.cpu_seconds = time.process_time() - began
    return played


def play_all(seeds: range, *, processes: int) -> Played:
    """Play seeds in several processes."""
    parts = [seeds[start : start + _SEEDS_AT_ONCE] for start in range(0, len(seeds), _SEEDS_AT_ONCE)]
    played = Played()
    with ProcessPoolExecutor(processes) as pool:
        for done in as_completed([pool.submit(play_some, part) for part in parts]):
            part = done.result()
            for seed, law in sorted(part.failures.items()):
                if len(played.failures) < _SHOWN:
                    click.echo(f"seed {seed}: {law.splitlines()[0]}")
            played += part
    return played


def tell(seed: int) -> bool:
    """Print the story of a seed; whether all laws held."""
    try:
        with unlogged():
            day, holds = play(seed, told=True), True
    except Exception as broken:
        found = getattr(broken, "day", None)
        if found is None:
            raise
        day, holds = found, False
    click.echo("\n".join(day.world.story or []))
    return holds


def main() -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seeds", help="FIRST:END to play, or one seed to be told of")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first-failure", action="store_true", help="stop at the first failure, in one process")
    asked = parser.parse_args()
    if ":" not in asked.seeds:
        return 0 if tell(int(asked.seeds)) else 1
    first, end = map(int, asked.seeds.split(":"))
    if asked.first_failure:
        played = play_some(range(first, end), stop_at_first=True)
        for seed, law in played.failures.items():
            click.echo(f"seed {seed}: {law}")
    else:
        played = play_all(range(first, end), processes=asked.processes)
    click.echo(summary(played))
    return 1 if played.failures else 0


def summary(played: Played) -> str:
    """The last line."""
    rate = played.schedules / played.cpu_seconds if played.cpu_seconds else 0.0
    return (
        f"{played.schedules:,} schedules, {len(played.failures):,} failed "
        f"({played.effects:,} port calls, {played.kills:,} kills, {rate:.0f} schedules a second and core)"
    )


if __name__ == "__main__":
    sys.exit(main())
