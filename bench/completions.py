"""How many completions a second the coordinator records, beside the design that it replaces, in turns in one run.

All are measured on Google's official Firestore emulator, which shares the machine:

- `slices`: the coordinator as it runs, a message bringing the outcomes of a slice of one shard's players;
- `joined`: the same with one outcome a message; what is concurrent is joined into shared commits and reads;
- `single`: the same without joining;
- `by player`: one document a player, and after each a count of all, to see whether the batch is over;
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
from bench.spread import spread
from coordinator.rules import planning
from local.emulated.emulators import firestore_emulator
from schemas import names
from schemas.messages import Predicted
from shared import push_answers, tracing
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.firestore import FirestoreDocuments
from shared.adapters.traced import TracedPublisher
from shared.ports import Outgoing
from shared.push import Pushed
from shared.settings import Policy

SIZES = (450, 2_000, 20_000)
DESIGNS = ("slices", "joined", "single", "by player", "naive")
_WRITES = 500
"""Documents in one commit."""
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
    calls: int
    """Reads and commits that reached the store, tries that were in vain included."""
    claims: int | None = None
    """Times that the batch was claimed for consolidation; None where the design has no such thing."""

    @property
    def per_second(self) -> float:
        """Completions a second; where none came through in the time given, what one would have been."""
        return max(self.completions, 1) / self.seconds


# --- load -----------------------------------------------------------------------------------------------------


Slice = Sequence[Predicted]


def each(work: Callable[[Slice], object], slices: Sequence[Slice], *, at_once: int) -> tuple[float, float]:
    """Deliver every slice, so many at once; return the seconds that it took, and those of this process's processor time."""
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda _: None, range(at_once)))  # the threads are there before the clock starts
        begun, processor_begun = time.perf_counter(), time.process_time()
        list(pool.map(work, slices))
        return time.perf_counter() - begun, time.process_time() - processor_begun


# --- the coordinator's ledger ----------------------------------------------------------------------------------


def measure_ledger(
    design: str, bench: LedgerBench, players: Sequence[str], options: Options, *, at_once: int, game_date: date
) -> Measured:
    """Measure one batch, and then close it."""
    shards = planning.cut_shards(players)
    size = Policy().players_per_request if design == "slices" else 1
    drawn = options.draw([shard[:-1] for shard in shards], size)
    measured, closing_players = [player for some in drawn for player in some], [shard[-1] for shard in shards]
    batch_id = bench.prepare(players, frozenset([*measured, *closing_players]), game_date=game_date)

    before = bench.counted.calls
    slices = [[outcome_of(batch_id, player) for player in some] for some in drawn]
    seconds, processor_seconds = each(bench.recorder.record, slices, at_once=at_once)
    calls = bench.counted.calls - before
    with counting_claims() as claims:
        each(bench.recorder.record, [[outcome_of(batch_id, player)] for player in closing_players], at_once=at_once)
    bench.check_complete(batch_id)
    return Measured(
        design, len(players), at_once, len(measured), seconds, processor_seconds, calls=calls, claims=claims.count
    )


# --- the designs that it is measured beside --------------------------------------------------------------------


def measure_other(other: Other, players: Sequence[str], options: Options, *, at_once: int, game_date: date) -> Measured:
    """Measure another design for a bounded time: it may well stand still.

    Raises:
        SystemExit: what is stored afterwards is not what came through.
    """
    chosen = [player for some in options.draw([players], 1) for player in some]
    other.prepare(f"{game_date}-{len(players)}-{at_once}", sorted(set(players) - set(chosen)))
    begun = time.perf_counter()
    came_through: list[str] = []

    def complete(slice_: Slice) -> None:
        [outcome] = slice_
        while time.perf_counter() - begun < options.naive_seconds:
            try:
                other.complete(outcome)
            except (GoogleAPIError, ValueError):  # the client's words for too many tries: the push comes again
                continue
            came_through.append(outcome.player_lookup)
            return

    slices = [[outcome_of(names.batch_id(game_date, "naive"), player)] for player in chosen]
    seconds, processor_seconds = each(complete, slices, at_once=at_once)
    if (stored := other.stored()) < len(players) - len(chosen) + len(came_through):
        raise SystemExit(f"{other.design}: {stored} players are stored, more came through")
    return Measured(other.design, len(players), at_once, len(came_through), seconds, processor_seconds, other.calls)


class Naive:
    """One document a batch."""

    design = "naive"

    def __init__(self, client: firestore.Client) -> None:
        self._client = client
        self.calls = 0

    def prepare(self, name: str, done: Sequence[str]) -> None:
        """Write the batch's document as it is when all but the measured players are done."""
        self._batch = self._client.collection("naive").document(name)
        self._batch.set({"completed": len(done), "players": done, "rows": len(done)})
        self.calls = 0

    def complete(self, outcome: Predicted) -> None:
        """Record one player."""
        _count_up(self._client.transaction(), self._batch, outcome, self._count)

    def stored(self) -> int:
        """How many are recorded."""
        return len((self._batch.get().to_dict() or {})["players"])

    def _count(self) -> None:
        self.calls += 2  # a read and a commit


class ByPlayer:
    """One document a player."""

    design = "by player"

    def __init__(self, client: firestore.Client) -> None:
        self._client = client
        self.calls = 0

    def prepare(self, name: str, done: Sequence[str]) -> None:
        """Write the documents of all but the measured players."""
        self._batch = self._client.collection("batches-by-player").document(name).collection("players")
        for start in range(0, len(done), _WRITES):
            writes = self._client.batch()
            for player in done[start : start + _WRITES]:
                writes.set(self._batch.document(player), {"rows": 1})
            writes.commit()
        self.calls = 0

    def complete(self, outcome: Predicted) -> None:
        """Record one player, and count whether he was the last."""
        self.calls += 2  # a commit and a count
        self._batch.document(outcome.player_lookup).set({"rows": outcome.rows})
        self.stored()

    def stored(self) -> int:
        """How many are recorded."""
        return int(self._batch.count().get()[0][0].value)


Other = Naive | ByPlayer


@firestore.transactional
def _count_up(
    transaction: firestore.Transaction,
    reference: firestore.DocumentReference,
    outcome: Predicted,
    count: Callable[[], None],
) -> None:
    count()
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
        with push_answers.delivered(told, pushed):
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
    designs: Sequence[str]
    chance: random.Random

    def draw(self, groups: Sequence[Sequence[str]], size: int) -> list[Sequence[str]]:
        """Draw the players whose completions are measured, in slices of one group, in the random order in which they come."""
        slices = [group[start : start + size] for group in groups for start in range(0, len(group), size)]
        return self.chance.sample(slices, min(max(self.completions // size, 1), len(slices)))


def run(options: Options) -> Iterator[Measured]:
    """Measure everything, the designs in turns."""
    with firestore_emulator() as emulator, closing(DuckdbWarehouse(":memory:")) as warehouse:
        os.environ[emulator.variable] = emulator.address
        client = firestore.Client(project="tipoff-bench", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # the client is untyped
        store = FirestoreDocuments(client)
        ours = {
            name: LedgerBench(store, warehouse, joins=name != "single")
            for name in ("slices", "joined", "single")
            if name in options.designs
        }
        others = [other for other in (ByPlayer(client), Naive(client)) if other.design in options.designs]
        game_date = FIRST_DATE
        for design, bench in ours.items():
            game_date += timedelta(days=1)
            measure_ledger(design, bench, players_of(_WARM_UP), options, at_once=16, game_date=game_date)
        for _ in range(options.rounds):
            for players in map(players_of, options.players):
                for at_once in options.at_once:
                    for design, bench in ours.items():
                        game_date += timedelta(days=1)
                        yield measure_ledger(design, bench, players, options, at_once=at_once, game_date=game_date)
                    for other in others:
                        yield measure_other(other, players, options, at_once=at_once, game_date=game_date)


def report(measured: Sequence[Measured]) -> Table:
    """Least, median and greatest over the rounds; medians where nothing is compared."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("players", "at once", "design", "a second", "times naive", "CPU ms each", "calls each", "claims"):
        table.add_column(heading, justify="left" if heading == "design" else "right", no_wrap=True)
    groups: dict[tuple[int, int, str], list[Measured]] = {}
    for one in measured:
        groups.setdefault((one.players, one.deliveries_at_once, one.design), []).append(one)
    for (players, at_once, design), mine in groups.items():
        naive = groups.get((players, at_once, "naive"), [])
        rates = [one.per_second for one in mine]
        ratios = [one.per_second / other.per_second for one, other in zip(mine, naive, strict=bool(naive))]
        table.add_row(
            f"{players:,}",
            str(at_once),
            design,
            spread(rates, 1),
            spread(ratios, 1) if ratios and design != "naive" else "",
            f"{median(1000 * one.processor_seconds / max(one.completions, 1) for one in mine):,.1f}",
            f"{median(one.calls / max(one.completions, 1) for one in mine):.2f}",
            ", ".join(sorted({str(one.claims) for one in mine if one.claims is not None})),
        )
    return table


@click.command()
@click.option("--players", type=int, multiple=True, default=SIZES, show_default=True, help="Players of a batch.")
@click.option("--at-once", type=int, multiple=True, default=(16, 1), show_default=True, help="Concurrent deliveries.")
@click.option("--completions", type=click.IntRange(min=1), default=400, show_default=True, help="Measured a batch.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--naive-seconds", type=float, default=5.0, show_default=True, help="Time given to the last two designs.")
@click.option("--designs", type=click.Choice(DESIGNS), multiple=True, default=DESIGNS, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print every single measurement instead.")
def main(players: tuple[int, ...], at_once: tuple[int, ...], as_json: bool, **rest: Any) -> None:
    """Measure completions a second, and print the figures.

    Where a design does not come through its completions in the time given, what it did in that time counts,
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
        if ours := [one for one in measured if one.design == "joined"]:
            each_push = seconds_of_tracing()
            share = each_push / median(one.processor_seconds / one.completions for one in ours)
            told = f"{1e6 * each_push:.1f} µs of a completion, {share:.2%} of its processor time"
            click.echo(f"tracing without an exporter: {told}")


if __name__ == "__main__":
    main()
