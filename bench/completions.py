"""How many completions a second the coordinator records, beside the design that it replaces, in turns in one run.

All are measured on Google's official Firestore emulator, which shares the machine:

- `joined`: the coordinator as it runs, what is concurrent joined into shared commits and reads;
- `single`: the same without joining;
- `naive`: one document a batch, read, counted up and written back in a transaction.

A batch is nearly over when it is measured: all players but the last are recorded beforehand, so that documents are at
their largest. What closes it (the last player of every shard) comes afterwards, as many at once, unmeasured, and
reaches the real consolidation over an embedded warehouse; how often the batch is claimed for it is counted.

What tracing takes of a completion where no spans are sent is measured beside it: the trace of the push and of a message
that it leads to, and ten steps within it, of which a completion has none.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from statistics import median
from typing import Any

import click
from google.api_core.exceptions import GoogleAPIError
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from rich.console import Console
from rich.table import Table

from bench.ledger_bench import FIRST_DATE, LedgerBench, Nowhere, counting_claims, outcome_of, players_of
from coordinator.rules import planning
from local.emulated.emulators import firestore_emulator
from schemas import names
from schemas.messages import Predicted
from shared import edge, tracing
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.firestore import FirestoreDocuments
from shared.adapters.traced import TracedPublisher
from shared.ports import Outgoing
from shared.push import Pushed

SIZES = (450, 2_000, 20_000)
_WARM_UP = 100
"""Players whose completions nobody counts: the emulator's first answers are slow."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One repetition of one design at one size."""

    design: str
    players: int
    deliveries_at_once: int
    completions: int
    seconds: float
    processor_seconds: float
    """Of the process that records, without the emulator's: other load on the machine hardly changes it."""
    calls: int = 0
    """Reads and commits that reached the store."""
    claims: int | None = None
    """Times that the batch was claimed for consolidation; None where the design has no such thing."""

    @property
    def per_second(self) -> float:
        """Completions a second; where none came through in the time given, what one would have been."""
        return max(self.completions, 1) / self.seconds


# --- load -----------------------------------------------------------------------------------------------------


def each(work: Callable[[Predicted], object], outcomes: Sequence[Predicted], *, at_once: int) -> tuple[float, float]:
    """Deliver every outcome, so many at once; return the seconds that it took, and those of this process's processor time."""
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda _: None, range(at_once)))  # the threads are there before the clock starts
        begun, processor_begun = time.perf_counter(), time.process_time()
        list(pool.map(work, outcomes))
        return time.perf_counter() - begun, time.process_time() - processor_begun


# --- the coordinator's ledger ----------------------------------------------------------------------------------


def measure_ledger(
    design: str, bench: LedgerBench, players: Sequence[str], options: Options, *, at_once: int, game_date: date
) -> Measured:
    """Measure one batch, and then close it."""
    closing_players = [shard[-1] for shard in planning.cut_shards(players)]
    measured = options.draw(sorted(set(players) - set(closing_players)))
    batch_id = bench.prepare(players, frozenset([*measured, *closing_players]), game_date=game_date)

    def record(outcome: Predicted) -> object:
        return bench.recorder.record([outcome])

    before = bench.counted.calls
    seconds, processor_seconds = each(record, [outcome_of(batch_id, player) for player in measured], at_once=at_once)
    calls = bench.counted.calls - before
    with counting_claims() as claims:
        each(record, [outcome_of(batch_id, player) for player in closing_players], at_once=at_once)
    bench.check_complete(batch_id)
    return Measured(
        design, len(players), at_once, len(measured), seconds, processor_seconds, calls=calls, claims=claims.count
    )


# --- the naive design -----------------------------------------------------------------------------------------


def measure_naive(
    client: firestore.Client, players: Sequence[str], options: Options, *, at_once: int, game_date: date
) -> Measured:
    """Measure the one-document design for a bounded time: it may well stand still."""
    chosen = options.draw(players)
    done = sorted(set(players) - set(chosen))
    reference = client.collection("naive").document(f"{game_date}-{len(players)}-{at_once}")
    reference.set({"expected": len(players), "completed": len(done), "players": done, "rows": len(done)})
    begun = time.perf_counter()
    came_through: list[str] = []

    def complete(outcome: Predicted) -> None:
        while time.perf_counter() - begun < options.naive_seconds:
            try:
                _count_up(client.transaction(), reference, outcome)
            except (GoogleAPIError, ValueError):  # the client's words for too many tries: the push comes again
                continue
            came_through.append(outcome.player_lookup)
            return

    outcomes = [outcome_of(names.batch_id(game_date, "naive"), player) for player in chosen]
    seconds, processor_seconds = each(complete, outcomes, at_once=at_once)
    return Measured("naive", len(players), at_once, len(came_through), seconds, processor_seconds)


@firestore.transactional
def _count_up(transaction: firestore.Transaction, reference: firestore.DocumentReference, outcome: Predicted) -> None:
    found = reference.get(transaction=transaction).to_dict() or {}
    if outcome.player_lookup in found["players"]:
        return
    changes = {
        "completed": found["completed"] + 1,
        "players": [*found["players"], outcome.player_lookup],
        "rows": found["rows"] + outcome.rows,
    }
    transaction.update(reference, changes)


# --- tracing --------------------------------------------------------------------------------------------------


def seconds_of_tracing(times: int = 10_000) -> float:
    """Processor seconds that tracing takes of one push where no spans are sent."""
    topic = TracedPublisher(Nowhere(), topic="outcomes")
    told = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "shard": "0", "slice": "0:25"}
    pushed = Pushed(b"{}", told, "1", None, 1, "outcomes")
    begun = time.process_time()
    for _ in range(times):
        with edge.delivered(told, pushed):
            for _ in range(10):
                with tracing.span("step", attributes=told):
                    pass
            topic.publish([Outgoing(b"{}", {})])
    return (time.process_time() - begun) / times


# --- the run --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    players: Sequence[int]
    at_once: Sequence[int]
    completions: int
    rounds: int
    naive_seconds: float
    chance: random.Random

    def draw(self, players: Sequence[str]) -> list[str]:
        """Draw the players whose completions are measured, in the random order in which they come."""
        return self.chance.sample(players, min(self.completions, len(players)))


def run(options: Options) -> Iterator[Measured]:
    """Measure everything, the designs in turns."""
    with firestore_emulator() as emulator, closing(DuckdbWarehouse(":memory:")) as warehouse:
        os.environ[emulator.variable] = emulator.address
        client = firestore.Client(project="tipoff-bench", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # the client is untyped
        store = FirestoreDocuments(client)
        designs = {
            "joined": LedgerBench(store, warehouse, joins=True),
            "single": LedgerBench(store, warehouse, joins=False),
        }
        game_date = FIRST_DATE
        for design, bench in designs.items():
            game_date += timedelta(days=1)
            measure_ledger(design, bench, players_of(_WARM_UP), options, at_once=16, game_date=game_date)
        for _ in range(options.rounds):
            for players in map(players_of, options.players):
                for at_once in options.at_once:
                    for design, bench in designs.items():
                        game_date += timedelta(days=1)
                        yield measure_ledger(design, bench, players, options, at_once=at_once, game_date=game_date)
                    yield measure_naive(client, players, options, at_once=at_once, game_date=game_date)


def report(measured: Sequence[Measured]) -> Table:
    """Medians over the rounds, with the least and the greatest where they are compared."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("players", "at once", "design", "a second", "times naive", "CPU ms each", "calls each", "claims"):
        table.add_column(heading, justify="left" if heading == "design" else "right", no_wrap=True)
    groups: dict[tuple[int, int, str], list[Measured]] = {}
    for one in measured:
        groups.setdefault((one.players, one.deliveries_at_once, one.design), []).append(one)
    for (players, at_once, design), mine in groups.items():
        naive = groups[players, at_once, "naive"]
        rates = [one.per_second for one in mine]
        ratios = [one.per_second / other.per_second for one, other in zip(mine, naive, strict=True)]
        table.add_row(
            f"{players:,}",
            str(at_once),
            design,
            _spread(rates),
            "" if design == "naive" else _spread(ratios),
            f"{median(1000 * one.processor_seconds / max(one.completions, 1) for one in mine):,.1f}",
            "" if design == "naive" else f"{median(one.calls / one.completions for one in mine):.2f}",
            ", ".join(sorted({str(one.claims) for one in mine if one.claims is not None})),
        )
    return table


def _spread(figures: Sequence[float]) -> str:
    return f"{median(figures):,.1f} ({min(figures):,.1f} to {max(figures):,.1f})"


@click.command()
@click.option("--players", type=int, multiple=True, default=SIZES, show_default=True, help="Players of a batch.")
@click.option("--at-once", type=int, multiple=True, default=(16, 1), show_default=True, help="Concurrent deliveries.")
@click.option("--completions", type=click.IntRange(min=1), default=400, show_default=True, help="Measured a batch.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--naive-seconds", type=float, default=5.0, show_default=True, help="Time given to the naive design.")
@click.option("--json", "as_json", is_flag=True, help="Print every single measurement instead.")
def main(players: tuple[int, ...], at_once: tuple[int, ...], as_json: bool, **rest: Any) -> None:
    """Measure completions a second, and print the figures.

    Where the naive design does not come through its completions in the time given, what it did in that time counts,
    and at least one completion.
    """
    # The same players every time, no secret.
    options = Options(players=players, at_once=at_once, chance=random.Random(0), **rest)  # noqa: S311 - see above
    measured = []
    for one in run(options):
        measured.append(one)
        click.echo(f"{one.players:,} {one.design}, {one.deliveries_at_once} at once: {one.per_second:,.1f}/s", err=True)
    if as_json:
        click.echo(json.dumps([asdict(one) | {"per_second": one.per_second} for one in measured]))
    else:
        Console(width=120).print(report(measured))
        ours, each_push = [one for one in measured if one.design == "joined"], seconds_of_tracing()
        share = each_push / median(one.processor_seconds / one.completions for one in ours)
        click.echo(
            f"tracing without an exporter: {1e6 * each_push:.1f} µs of a completion, {share:.2%} of its processor time"
        )


if __name__ == "__main__":
    main()
