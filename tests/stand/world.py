"""A whole batch without servers: coordinator and worker over the embedded parts, a small league, and time that a test
sets.

Messages are not delivered by themselves: a test answers requests and records outcomes in whatever order it likes.
`crash_at` makes the n-th effect on the world the last one, as a killed process would.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from coordinator.assembly import Coordinator, Parts, assemble
from coordinator.ledger import Ledger
from coordinator.rules.batch import Batch
from coordinator.rules.entries import AnyOutcome
from coordinator.usecases.start import Started
from schemas import names, tables
from schemas.messages import BatchFinished, PredictionRequest, Slice
from schemas.tables import Column, FittedRows, Row
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.sqlite import SqliteDocuments
from shared.declared import every_spec
from shared.ports import Document, Job, Outgoing, Parameters, Table, TableSpec, Where, Write
from shared.ports import Path as DocumentPath
from shared.settings import PlanningRules, Policy
from tests.memory_publisher import MemoryPublisher
from tests.plan_inputs import GAME_DATE, INPUT_TABLES, PLANNED_AT, League, a_log, a_scheduled_game, an_offer
from worker.model import shipped_model
from worker.service import Worker

LEASE = timedelta(seconds=60)
A_WHILE = timedelta(seconds=1)

PLAYERS = ("player-1", "player-2", "player-3")


def a_league(players: int = 3) -> League:
    """So many players of HOU with two past games each; the first two have lines, the first one two of them."""
    ids = [str(number) for number in range(1, players + 1)]
    logs = [a_log(player, days_ago=day, points=10 + day) for player in ids for day in (2, 4)]
    lines = [an_offer("1", "20.5"), an_offer("1", "21.0", sportsbook="fanduel"), an_offer("2", "15.5")]
    return League(logs=logs, games=[a_scheduled_game()], lines=lines[: 2 * players - 1])


LEDGER, WAREHOUSE = "ledger.sqlite", "warehouse.duckdb"


@functools.cache
def made() -> Path:
    """A folder with the files of a world in which nothing has happened yet. Worlds begin as copies of them, since making
    tables takes longer than most tests do."""
    kept = ExitStack()
    atexit.register(kept.close)
    folder = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="tipoff-")))
    with (
        closing(SqliteDocuments(folder / LEDGER)),
        closing(DuckdbWarehouse(folder / WAREHOUSE, clock=lambda: PLANNED_AT)) as warehouse,
    ):
        for spec in every_spec():
            warehouse.create(spec)
        load(warehouse, a_league())
    return folder


def load(warehouse: DuckdbWarehouse, league: League) -> None:
    """Replace the input tables."""
    for table, rows in zip(INPUT_TABLES, (league.logs, league.games, league.lines, league.reports), strict=True):
        warehouse.drop(table)
        warehouse.create(TableSpec(name=table, columns=tables.load(table).columns, partition_by="game_date"))
        warehouse.append(table, rows)


class Crash(BaseException):
    """The process was killed; not an Exception, so that nothing but the test catches it."""


@dataclass
class Countdown:
    """Lets so many effects through; None lets all."""

    left: int | None = None

    def effect(self) -> None:
        """Count an effect that is about to happen, or die before it."""
        if self.left is None:
            return
        if self.left == 0:
            raise Crash
        self.left -= 1


class Stand:
    """The parts, and one coordinator that may be replaced by another instance at any time.

    Args:
        folder: of its files.
        league: the inputs; `a_league()` unless given.
        like: the folder of a closed stand, as which it begins, but for what was published.
    """

    def __init__(self, folder: Path, league: League | None = None, *, like: Path | None = None) -> None:
        self.now = PLANNED_AT
        self.countdown = Countdown()
        for file in (LEDGER, WAREHOUSE):
            shutil.copyfile((like or made()) / file, folder / file)
        self.documents = SqliteDocuments(folder / LEDGER)
        self.in_job: list[Any] = []
        self.warehouse = DuckdbWarehouse(folder / WAREHOUSE, clock=lambda: self.now, before_commit=self._inside_job)
        self.requests, self.outcomes, self.finished = MemoryPublisher(), MemoryPublisher(), MemoryPublisher()
        if league is not None:
            self.load(league)
        self.coordinator = self.new_coordinator("one")

    def close(self) -> None:
        """Close the files."""
        self.warehouse.close()
        self.documents.close()

    def load(self, league: League) -> None:
        """Replace the input tables."""
        load(self.warehouse, league)

    def new_coordinator(self, holder: str, **changes: Any) -> Coordinator:
        """Another instance over the same world; `changes` replace its parts."""
        parts = Parts(
            documents=CountedDocuments(self.documents, self.countdown),
            warehouse=CountedWarehouse(self.warehouse, self.countdown),
            requests=CountedPublisher(self.requests, self.countdown),
            finished=CountedPublisher(self.finished, self.countdown),
            clock=lambda: self.now,
            holder=holder,
            revision="coordinator-1",
            policy=Policy(),
            rules=PlanningRules(),
            lease=LEASE,
            renew_every=A_WHILE,
            max_bytes=1 << 40,
        )
        return assemble(replace(parts, **changes))

    @contextmanager
    def crash_at(self, effect: int) -> Iterator[None]:
        """Die before the n-th effect (from 0) inside the block; a block that has fewer goes through."""
        self.countdown.left = effect
        try:
            yield
        finally:
            self.countdown.left = None

    def pass_time(self, lasting: timedelta) -> None:
        """Set the clock forward."""
        self.now += lasting

    def _inside_job(self, job_id: str) -> None:
        for hook in list(self.in_job):
            hook(job_id)

    # --- the services -----------------------------------------------------------------------------------------

    def start(self, key: str = "a-key", *, policy: Policy | None = None, force: str | None = None) -> Started:
        """Start the date's batch."""
        return self.coordinator.starter.start(GAME_DATE, key=key, policy=policy or Policy(), force=force)

    def batch(self, batch_id: str) -> Batch:
        """Read a batch."""
        return Ledger(self.documents).batch(batch_id)

    def sent(self) -> list[str]:
        """The players of every published request, in order."""
        slices = [Slice.model_validate_json(message.data) for message in self.requests.messages]
        return [request.player_lookup for one in slices for request in one.requests]

    def request(self, player: str, *, batch_id: str | None = None) -> PredictionRequest:
        """The request last published for a player (of one batch)."""
        slices = [Slice.model_validate_json(message.data) for message in self.requests.messages]
        found = [request for one in slices for request in one.requests]
        return [r for r in found if r.player_lookup == player and batch_id in (None, r.batch_id)][-1]

    def answer(
        self, player: str, *, revision: str = "worker-1", version: int = 2, batch_id: str | None = None
    ) -> AnyOutcome:
        """Have a worker of some revision and schema version answer a player's request: rows staged, outcome returned,
        not yet recorded."""
        worker = Worker(
            warehouse=self.warehouse,
            outcomes=self.outcomes,
            revision=revision,
            schema_version=version,
            model=shipped_model(),
            clock=lambda: self.now,
        )
        alone = Slice(requests=(self.request(player, batch_id=batch_id),))
        (outcome,) = worker.predict_slice(alone.model_dump_json().encode(), {}).outcomes
        return outcome

    def record(self, *outcomes: AnyOutcome) -> None:
        """Record outcomes as `/complete` does."""
        for outcome in outcomes:
            self.coordinator.recorder.record([outcome])

    def run(self, key: str = "a-key", *, players: Sequence[str] | None = None, **start: Any) -> Batch:
        """Start a batch and answer for its players (all of them, or those named)."""
        started = self.start(key, **start).batch
        silent = self.coordinator.views.batch(started.batch_id).silent
        for player in silent if players is None else players:
            self.record(self.answer(player, batch_id=started.batch_id))
        return self.batch(started.batch_id)

    # --- what came of it --------------------------------------------------------------------------------------

    def predictions(self, *, active: bool | None = True) -> list[dict[str, Any]]:
        """The date's rows of the predictions table, in the order of their ids."""
        rows = self.warehouse.query(f"SELECT * FROM `{names.PREDICTIONS_TABLE}` ORDER BY prediction_id")
        return [dict(row) for row in rows if active is None or row["is_active"] is active]

    def predicted_players(self) -> set[str]:
        """Players with active rows."""
        return {row["player_lookup"] for row in self.predictions()}

    def events(self) -> list[BatchFinished]:
        """Every `batch-finished` published so far."""
        return [BatchFinished.model_validate_json(message.data) for message in self.finished.messages]


@dataclass(frozen=True)
class CountedDocuments:
    """A `DocumentStore` whose commits count as effects."""

    inner: SqliteDocuments
    countdown: Countdown

    def get(self, path: DocumentPath) -> Document | None:
        return self.inner.get(path)

    def commit(self, writes: Sequence[Write]) -> list[str]:
        self.countdown.effect()
        return self.inner.commit(writes)

    def query(
        self, collection: DocumentPath, where: Sequence[Where] = (), *, limit: int | None = None
    ) -> list[Document]:
        return self.inner.query(collection, where, limit=limit)


@dataclass(frozen=True)
class CountedWarehouse:
    """A `Warehouse` whose statements and table changes count as effects."""

    inner: DuckdbWarehouse
    countdown: Countdown

    def query(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        self.countdown.effect()
        return self.inner.query(sql, parameters)

    def estimate(self, sql: str, parameters: Parameters | None = None) -> int:
        return self.inner.estimate(sql, parameters)

    def submit(self, sql: str, parameters: Parameters, *, job_id: str) -> None:
        self.countdown.effect()
        self.inner.submit(sql, parameters, job_id=job_id)

    def job(self, job_id: str, *, wait: timedelta = timedelta(0)) -> Job:
        return self.inner.job(job_id, wait=wait)

    def append(self, table: str, rows: Sequence[Row] | FittedRows) -> None:
        self.countdown.effect()
        self.inner.append(table, rows)

    def create(self, spec: TableSpec) -> None:
        self.countdown.effect()
        self.inner.create(spec)

    def columns(self, table: str) -> tuple[Column, ...] | None:
        return self.inner.columns(table)

    def add_columns(self, table: str, columns: Sequence[Column]) -> None:
        self.countdown.effect()
        self.inner.add_columns(table, columns)

    def list_tables(self, prefix: str) -> list[Table]:
        return self.inner.list_tables(prefix)

    def drop(self, table: str) -> None:
        self.countdown.effect()
        self.inner.drop(table)


@dataclass(frozen=True)
class CountedPublisher:
    """A `Publisher` whose messages count as effects."""

    inner: MemoryPublisher
    countdown: Countdown = field(default_factory=Countdown)

    def publish(self, messages: Sequence[Outgoing]) -> None:
        self.countdown.effect()
        self.inner.publish(messages)

    def check(self) -> None:
        self.inner.check()


def by_player(rows: Sequence[Mapping[str, Any]], column: str) -> dict[str, set[Any]]:
    """The values of a column for each player."""
    found: dict[str, set[Any]] = {}
    for row in rows:
        found.setdefault(row["player_lookup"], set()).add(row[column])
    return found
