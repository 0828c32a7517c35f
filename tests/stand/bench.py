"""A consolidation bench: batches written to the ledger by hand and rows staged for them, over any warehouse.

Planning and predicting are left out, so that a test says exactly which rows are staged, by whom and in which schema
version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coordinator.documents import BATCH, batch_path, date_path, entry_of, new_shard, shard_path, shards_path
from coordinator.ledger import Ledger
from coordinator.rules import planning
from coordinator.rules.batch import Batch, BatchMark
from coordinator.rules.entries import AnyOutcome
from coordinator.rules.lifecycle import Status
from coordinator.rules.merge import rows_of_batch
from coordinator.usecases.consolidate import Consolidator, Report
from coordinator.usecases.one_at_a_time import Leases
from schemas import digest, names, tables
from schemas.messages import BatchFinished, Predicted
from schemas.tables import DELIVERY_COLUMN, Cell, Column, Row
from shared.adapters.sqlite import SqliteDocuments
from shared.declared import staging_spec, table_spec
from shared.ports import Create, FieldPath, TableSpec, Update, Value
from shared.ports import Path as DocumentPath
from shared.settings import Policy
from tests.memory_publisher import MemoryPublisher
from tests.plan_inputs import GAME_DATE
from tests.stand.ledger import a_failure, a_skip
from tests.stand.world import LEASE
from tests.warehouse_kit import Peer, WatchedWarehouse, open_warehouse

NOON = datetime(2026, 1, 30, 17, 0, 0, 123456, tzinfo=UTC)
LATE_UNTIL = datetime(2100, 1, 1, tzinfo=UTC)
"""A real warehouse tells the time itself; no table of a test may expire by it."""
PREDICTIONS = names.PREDICTIONS_TABLE
COLUMNS = tables.load(PREDICTIONS).columns
LINES = ("20.5", "21.0")

BatchRow = dict[str, Any]


class Bench:
    """The ledger, a warehouse, and the consolidator between them, at a time that a test sets."""

    def __init__(self, peer: Peer, documents: SqliteDocuments, *, name: str) -> None:
        self.now = NOON
        self._name = name
        self.peer, self.documents = peer, documents
        self.warehouse = WatchedWarehouse(peer.warehouse)
        self.finished = MemoryPublisher()
        self.max_bytes = 1 << 40
        self.consolidator = self.new_consolidator("one")
        self._batches = 0
        self._seeds: dict[str, int] = {}
        self._game_dates: set[date] = set()

    def new_consolidator(self, holder: str, *, patience: timedelta = timedelta(seconds=60)) -> Consolidator:
        """Another instance over the same world."""

        def clock() -> datetime:
            return self.now

        return Consolidator(
            ledger=Ledger(self.documents),
            warehouse=self.warehouse,
            finished=self.finished,
            leases=Leases(
                ledger=Ledger(self.documents), warehouse=self.warehouse, holder=holder, lasting=LEASE, clock=clock
            ),
            clock=clock,
            revision="coordinator-1",
            max_bytes=self.max_bytes,
            patience=patience,
            renew_every=min(patience, timedelta(seconds=20)),
        )

    # --- a batch ----------------------------------------------------------------------------------------------

    def create_target(self, columns: tuple[Column, ...] = COLUMNS) -> None:
        """Make the predictions table, unless it is there, and the schedule beside it."""
        self.warehouse.create(TableSpec(PREDICTIONS, columns, partition_by="game_date"))
        self.warehouse.create(table_spec("scheduled_games"))

    def plan(self, *players: str, policy: Policy | None = None, parent: str | None = None) -> str:
        """Write a RUNNING batch that expects these players, a redrive where it has a parent; return its id. Each one is
        planned a minute after the one before."""
        self._batches += 1
        planned_at = NOON + timedelta(minutes=self._batches)
        self.now = max(self.now, planned_at)
        shards = planning.cut_shards(sorted(players))
        batch = Batch(
            batch_id=names.batch_id(GAME_DATE, f"{self._name}-{self._batches}"),
            game_date=GAME_DATE,
            planned_at=planned_at,
            deadline_at=planned_at + timedelta(hours=3),
            late_until=LATE_UNTIL,
            schema_version=2,
            shard_starts=tuple(shard[0] for shard in shards),
            expected_count=len(players),
            policy=policy or Policy(),
            kind="redrive" if parent else "root",
            parent=parent,
            status=Status.RUNNING,
        )
        self._seeds[batch.batch_id] = self._batches
        self.create_target()
        self.warehouse.create(staging_spec(2))
        shard_writes = [
            Create(
                shard_path(batch.batch_id, number),
                new_shard(shard, batch_id=batch.batch_id, expires_at=batch.late_until),
            )
            for number, shard in enumerate(shards)
        ]
        self.documents.commit(
            [*shard_writes, Create(batch_path(batch.batch_id), BATCH.fields(batch)), self._newest(batch)]
        )
        return batch.batch_id

    def _newest(self, batch: Batch) -> Create | Update:
        mark = asdict(BatchMark(batch.batch_id, batch.planned_at))
        if batch.game_date in self._game_dates:
            return Update(date_path(batch.game_date), {("newest",): mark})
        self._game_dates.add(batch.game_date)
        return Create(date_path(batch.game_date), {"newest": mark})

    def batch(self, batch_id: str) -> Batch:
        """Read a batch."""
        return Ledger(self.documents).batch(batch_id)

    def fields(self, path: DocumentPath) -> Mapping[str, Any]:
        """Read a document of the ledger."""
        document = self.documents.get(path)
        assert document is not None
        return document.fields

    # --- what workers do --------------------------------------------------------------------------------------

    def rows(
        self,
        batch_id: str,
        player: str,
        lines: Sequence[str] = LINES,
        *,
        revision: str = "worker-1",
        version: int = 2,
        **cells: Cell,
    ) -> list[Row]:
        """A player's rows, one a line, every column filled; `cells` replace some. Another batch fills in other values."""
        batch, seed = self.batch(batch_id), self._seeds[batch_id]
        delivery = names.delivery_id(batch_id, player, {"by": [revision]})
        rows = (a_row(batch, player, line, seed=seed, version=version, delivery=delivery) for line in lines)
        return [row | cells for row in rows]

    def stage(self, batch_id: str, rows: Sequence[Row], *, version: int = 2) -> None:
        """Append rows to the batch's staging table of a schema version."""
        self.warehouse.create(staging_spec(version))
        lineage = tables.lineage(batch_id, self.batch(batch_id).planned_at, "")
        self.warehouse.append(names.staging_table(version), [{**lineage, **row} for row in rows])

    def predict(
        self,
        batch_id: str,
        *players: str,
        lines: Sequence[str] = LINES,
        revision: str = "worker-1",
        version: int = 2,
        **cells: Cell,
    ) -> None:
        """Stage rows for players and record that they are predicted."""
        for player in players:
            rows = self.rows(batch_id, player, lines, revision=revision, version=version, **cells)
            self.stage(batch_id, rows, version=version)
            self.record(predicted(batch_id, player, rows, revision=revision, version=version))

    def skip(self, batch_id: str, *players: str) -> None:
        """Record that players are rightly not predicted."""
        for player in players:
            self.record(a_skip(batch_id, player))

    def fail(self, batch_id: str, *players: str) -> None:
        """Record that players could not be predicted."""
        for player in players:
            self.record(a_failure(batch_id, player))

    def record(self, outcome: AnyOutcome) -> None:
        """Write an outcome to the ledger, and nothing more."""
        path, entry = entry_of(outcome, at=self.now)
        number = planning.shard_of(outcome.player_lookup, self.batch(outcome.batch_id).shard_starts)
        self.documents.commit([Update(shard_path(outcome.batch_id, number), {path: entry})])

    def forget_merged(self, batch_id: str) -> None:
        """Make the ledger as if no round had been marked, so that all rows are late again."""
        for shard in self.documents.query(shards_path(batch_id)):
            unmarked: dict[FieldPath, Value] = {("merged",): {}}
            self.documents.commit([Update(shard.path, unmarked)])

    # --- consolidating ----------------------------------------------------------------------------------------

    def consolidate(self, batch_id: str, *, forced: bool = False) -> Report:
        """Consolidate as the coordinator does."""
        return self.consolidator.consolidate(batch_id, forced=forced)

    def merged(self, *players: str, skipped: Sequence[str] = (), **how: Any) -> str:
        """A batch that predicted its players, skipped some, and was consolidated by force; returns its id."""
        batch_id = self.plan(*players, *skipped)
        self.predict(batch_id, *players, **how)
        self.skip(batch_id, *skipped)
        assert self.consolidate(batch_id, forced=True) is Report.MERGED
        return batch_id

    def result_code(self, batch_id: str) -> object:
        """What the batch's result says."""
        result = self.batch(batch_id).result
        return result.code if result else None

    def reason(self, batch_id: str) -> str:
        """Why the batch ended as it did."""
        return self.batch(batch_id).reason

    def events(self) -> list[BatchFinished]:
        """Every `batch-finished` published so far."""
        return [BatchFinished.model_validate_json(message.data) for message in self.finished.messages]

    # --- tables -----------------------------------------------------------------------------------------------

    def table(self, table: str = PREDICTIONS) -> list[BatchRow]:
        """Every cell of a table, in a fixed order."""
        return sorted((dict(row) for row in self.warehouse.inner.query(f"SELECT * FROM `{table}`")), key=_place)

    def staged(self, batch_id: str, version: int = 2) -> list[BatchRow]:
        """Every cell of a staging table, in a fixed order."""
        staged = rows_of_batch(version, batch_id, self.batch(batch_id).planned_at)
        return sorted((dict(row) for row in self.warehouse.inner.query(f"SELECT * {staged}")), key=_place)

    def active(self) -> dict[str, set[object]]:
        """Player → lines of his active rows."""
        found: dict[str, set[object]] = {}
        for row in self.table():
            if row["is_active"]:
                found.setdefault(row["player_lookup"], set()).add(f"{row['current_points_line']:.1f}")
        return found


@contextmanager
def open_bench(request: pytest.FixtureRequest, folder: Path) -> Iterator[Bench]:
    """A bench over the one of `PEERS` that a fixture's request is for, with nothing in it."""
    with open_warehouse(request, folder) as peer, closing(SqliteDocuments(folder / "ledger.sqlite")) as documents:
        yield Bench(peer, documents, name=request.node.nodeid)


def predicted(
    batch_id: str, player: str, rows: Sequence[Row], *, revision: str = "worker-1", version: int = 2, **changes: object
) -> Predicted:
    """The outcome that tells of these rows; `changes` make it tell something else."""
    ids = {str(row["prediction_id"]) for row in rows}
    told = {
        "batch_id": batch_id,
        "player_lookup": player,
        "worker_revision": revision,
        "delivery": names.delivery_id(batch_id, player, {"by": [revision]}),
        "table": names.staging_table(version),
        "schema_version": version,
        "rows": len(ids),
        "digest": digest.of_ids(ids),
    }
    return Predicted.model_validate(told | changes)


def a_row(batch: Batch, player: str, line: str, *, seed: int, version: int, delivery: str) -> dict[str, Cell]:
    """A staged row with a value of its own in every column, so that a swapped column shows."""
    columns = tables.load(PREDICTIONS, version).columns
    cells = {column.name: _filled(column, place, seed) for place, column in enumerate(columns)}
    return cells | {
        "prediction_id": an_id(player, line),
        "system_id": "season_average",
        "player_lookup": player,
        "game_date": batch.game_date,
        "game_id": "OKC@HOU",
        "prediction_version": 1,
        "current_points_line": Decimal(line),
        "is_active": True,
        "created_at": batch.planned_at,
        "updated_at": batch.planned_at,
        "superseded_by": None,
        DELIVERY_COLUMN: delivery,
    }


def an_id(player: str, line: str) -> str:
    """The prediction id of a player's row on a line."""
    return names.prediction_id(
        game_date=GAME_DATE,
        game_id="OKC@HOU",
        player_lookup=player,
        system_id="season_average",
        points_line=Decimal(line),
    )


def _filled(column: Column, place: int, seed: int) -> Cell:
    if column.mode == "REPEATED":
        return [f"{column.name} {seed}", "another"]
    match column.type:
        case "INT64":
            return 100 * place + seed
        case "FLOAT64":
            return place + seed / 8
        case "BOOL":
            return (place + seed) % 2 == 0
        case "NUMERIC":
            # At most 9.x, which the narrowest column holds.
            return Decimal(place % 9 + 1) - Decimal(seed).scaleb(-1)
        case "TIMESTAMP":
            return NOON + timedelta(seconds=place, microseconds=seed)
        case "JSON":
            return f'{{"seed": {seed}}}'
        case "DATE":
            return GAME_DATE
        case _:
            return f"{column.name} {seed}"


def _place(row: BatchRow) -> tuple[str, str, str]:
    return str(row["prediction_id"]), str(row.get(DELIVERY_COLUMN)), str(row["updated_at"])
