"""How many players a second go through the whole system, from the post to `/start` to the last recorded outcome.

Two ways in turns, each on a stack of its own with nothing in it:

- `one machine`: `tipoff run`'s stack, all in one process;
- `emulated`: both services under gunicorn, Google's Firestore and Pub/Sub emulators and local-bigquery. The Pub/Sub
  emulator makes two pushes of a subscription at a time and no more.

Planning is part of both, the consolidation of neither.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console
from rich.table import Table

from bench.many_players import write_copies
from bench.spread import spread
from local.emulated.cloud_stack import CloudStack
from local.one_machine.csv_inputs import load_folder
from local.one_machine.run import follow, start_batch
from local.one_machine.stack import local_stack
from local.sample.season import SAMPLE_GAME_DATE

ONE_MACHINE, EMULATED = "one machine", "emulated"

_PATIENCE = timedelta(minutes=30)
_POST_SECONDS = 600
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """One repetition of one way at one size."""

    way: str
    players: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Players a second."""
        return self.players / self.seconds


# --- the whole stacks -----------------------------------------------------------------------------------------


def measure_one_machine(season: Path, scratch: Path) -> Iterator[Measured]:
    """Measure a day on `tipoff run`'s stack."""
    with local_stack(scratch) as stack:
        load_folder(stack.warehouse, folder=season, game_date=SAMPLE_GAME_DATE)
        begun = datetime.now(UTC)
        batch = start_batch(stack, SAMPLE_GAME_DATE)
        ended = follow(stack, batch.batch_id, patience=_PATIENCE, shown=lambda _seen: None)
        if ended.state != "COMPLETE" or ended.last_outcome_at is None:
            raise click.ClickException(f"the batch ended {ended.state}: {ended.reason}")
        yield Measured(ONE_MACHINE, ended.players.expected, (ended.last_outcome_at - begun).total_seconds())


def measure_emulated(season: Path, scratch: Path) -> Iterator[Measured]:
    """Measure a day as Pub/Sub's emulator pushes it."""
    with _cloud(season, scratch) as stack:
        begun = datetime.now(UTC)
        view = _ended(stack, _start(stack))
        last = datetime.fromisoformat(view["last_outcome_at"])
        yield Measured(EMULATED, view["players"]["expected"], (last - begun).total_seconds())


@contextmanager
def _cloud(season: Path, scratch: Path) -> Iterator[CloudStack]:
    with CloudStack(scratch, environ=os.environ) as stack:
        stack.load(season, SAMPLE_GAME_DATE)
        yield stack


def _start(stack: CloudStack) -> str:
    body = {"game_date": SAMPLE_GAME_DATE.isoformat()}
    answer = requests.post(f"{stack.coordinator_url}/start", json=body, timeout=_POST_SECONDS)
    answer.raise_for_status()
    return str(answer.json()["batch_id"])


def _look(stack: CloudStack, batch_id: str) -> dict[str, Any]:
    answer = requests.get(f"{stack.coordinator_url}/batches/{batch_id}", timeout=_POST_SECONDS)
    answer.raise_for_status()
    view: dict[str, Any] = answer.json()
    return view


def _ended(stack: CloudStack, batch_id: str) -> dict[str, Any]:
    """Wait until every player has an outcome; a look reads the whole ledger, so looking takes no more than a twentieth."""
    given_up_at = time.monotonic() + _PATIENCE.total_seconds()
    looked_at = time.monotonic()
    while (view := _look(stack, batch_id))["players"]["silent"]:
        rest_seconds = max(_LOOK_SECONDS, 20 * (time.monotonic() - looked_at))
        if stack.has_ended("worker", within=rest_seconds) or time.monotonic() > given_up_at:
            raise click.ClickException(f"{view['players']['silent']} players got no outcome")
        looked_at = time.monotonic()
    if view["players"]["failed"]:
        raise click.ClickException(f"players failed, so the figure would mean nothing: {view['failed']}")
    return view


# --- figures --------------------------------------------------------------------------------------------------


def report(measured: Sequence[Measured]) -> Table:
    """Least, median and greatest over the rounds; ratios are those within a round."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("players", "way", "players a second", "times emulated"):
        table.add_column(heading, justify="left" if heading == "way" else "right", no_wrap=True)
    groups: dict[tuple[int, str], list[Measured]] = {}
    for one in measured:
        groups.setdefault((one.players, one.way), []).append(one)
    for (players, way), mine in groups.items():
        emulated = groups[players, EMULATED]
        ratios = [one.per_second / other.per_second for one, other in zip(mine, emulated, strict=True)]
        table.add_row(f"{players:,}", way, spread([one.per_second for one in mine], 1), spread(ratios, 1))
    return table


def run(*, copies: Sequence[int], rounds: int) -> Iterator[Measured]:
    """Measure everything, the ways in turns."""
    for number in range(rounds):
        for times in copies:
            with tempfile.TemporaryDirectory(prefix="tipoff-bench-") as scratch:
                folder = Path(scratch)
                write_copies(folder / "season", copies=times)
                yield from measure_one_machine(folder / "season", folder / f"one-machine-{number}")
                yield from measure_emulated(folder / "season", folder / f"emulated-{number}")


@click.command()
@click.option("--copies", type=int, multiple=True, default=(1, 3), show_default=True, help="Of each sample player.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print every single measurement instead.")
def main(copies: tuple[int, ...], rounds: int, as_json: bool) -> None:
    """Measure players a second through the whole system, and print the figures."""
    measured = []
    for one in run(copies=copies, rounds=rounds):
        measured.append(one)
        click.echo(f"{one.players:,} players, {one.way}: {one.per_second:,.1f}/s", err=True)
    if as_json:
        click.echo(json.dumps([asdict(one) | {"per_second": one.per_second} for one in measured]))
        return
    console = Console(width=120, highlight=False)
    console.print(f"{rounds} rounds on {os.cpu_count()} processors; least / median / greatest\n")
    console.print(report(measured))


if __name__ == "__main__":
    main()
