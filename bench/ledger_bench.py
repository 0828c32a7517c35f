"""A batch to record completions in: the coordinator's own ledger over any document store, and what counts its work.

Knows how a batch nearly over looks in the documents and in the warehouse; must never learn how it is measured.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from coordinator.documents import BATCH, batch_path, date_path, entry_of, new_shard, shard_path
from coordinator.ledger import Ledger
from coordinator.rules import planning
from coordinator.rules.batch import Batch, BatchMark
from coordinator.rules.lifecycle import Status
from coordinator.usecases.consolidate import Consolidator
from coordinator.usecases.one_at_a_time import Leases
from coordinator.usecases.publish import RequestPublishing
from coordinator.usecases.record import Recorder
from schemas import digest, names, tables
from schemas.messages import Predicted
from schemas.tables import Cell
from shared.adapters.coalescing import CoalescingDocuments
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import every_spec
from shared.ports import Create, Document, DocumentStore, Outgoing, Path, Where, Write

FIRST_DATE = date(2026, 1, 30)
NOON = datetime(2026, 1, 30, 17, tzinfo=UTC)
REVISION = "worker-00042-kev"
SCHEMA_VERSION = max(tables.versions(tables.PREDICTIONS))


def players_of(count: int) -> list[str]:
    """So many names of the awkward kind, in order."""
    return [f"p.j.-o'player-{number:05}" for number in range(count)]


def outcome_of(batch_id: str, player: str) -> Predicted:
    """What a worker says of a player with one staged row."""
    return Predicted(
        batch_id=batch_id,
        player_lookup=player,
        worker_revision=REVISION,
        delivery=names.delivery_id(batch_id, player, {"by": [REVISION]}),
        schema_version=SCHEMA_VERSION,
        rows=1,
        digest=digest.of_ids([prediction_id(player)]),
    )


def prediction_id(player: str) -> str:
    """The id of a player's one row."""
    return names.prediction_id(
        game_date=FIRST_DATE, game_id="OKC@HOU", player_lookup=player, system_id="bench", points_line=Decimal("20.5")
    )


class Claims(logging.Handler):
    """Counts how often a batch is claimed, by the line that the coordinator logs for it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count one line."""
        self.count += record.getMessage() == "batch claimed"


class CountedDocuments:
    """A store that counts what it is asked."""

    def __init__(self, inner: DocumentStore) -> None:
        self._inner = inner
        self._counting = threading.Lock()
        self.calls = 0

    def get(self, path: Path) -> Document | None:
        """Count, and pass on."""
        self._count()
        return self._inner.get(path)

    def commit(self, writes: Sequence[Write]) -> list[str]:
        """Count, and pass on."""
        self._count()
        return self._inner.commit(writes)

    def query(self, collection: Path, where: Sequence[Where] = (), *, limit: int | None = None) -> list[Document]:
        """Count, and pass on."""
        self._count()
        return self._inner.query(collection, where, limit=limit)

    def _count(self) -> None:
        with self._counting:
            self.calls += 1


class Nowhere:
    """A topic without subscribers."""

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Let the messages go."""

    def check(self) -> None:
        """Be there."""


class LedgerBench:
    """The coordinator's own `record`, over a document store and an embedded warehouse."""

    def __init__(self, store: DocumentStore, warehouse: DuckdbWarehouse, *, joins: bool) -> None:
        self.counted = CountedDocuments(store)
        documents: DocumentStore = CoalescingDocuments(self.counted) if joins else self.counted
        self._documents, self._warehouse = documents, warehouse
        lasting = timedelta(seconds=60)
        leases = Leases(
            ledger=Ledger(documents), warehouse=warehouse, holder="bench", lasting=lasting, clock=lambda: NOON
        )
        consolidator = Consolidator(
            ledger=Ledger(documents),
            warehouse=warehouse,
            finished=Nowhere(),
            leases=leases,
            clock=lambda: NOON,
            revision="bench",
            max_bytes=1 << 62,
        )
        publishing = RequestPublishing(
            ledger=Ledger(documents),
            warehouse=warehouse,
            requests=Nowhere(),
            clock=lambda: NOON,
        )
        self.recorder = Recorder(
            ledger=Ledger(documents), publishing=publishing, consolidator=consolidator, clock=lambda: NOON
        )

    def prepare(self, players: Sequence[str], waiting: frozenset[str], *, game_date: date) -> str:
        """Write a RUNNING batch in which everybody is recorded who is not waiting, and stage all its rows."""
        shards = planning.cut_shards(players)
        batch = Batch(
            batch_id=names.batch_id(game_date, "bench"),
            game_date=game_date,
            planned_at=NOON,
            deadline_at=NOON + timedelta(hours=3),
            late_until=datetime(2100, 1, 1, tzinfo=UTC),
            schema_version=SCHEMA_VERSION,
            shard_starts=tuple(shard[0] for shard in shards),
            expected_count=len(players),
            status=Status.RUNNING,
        )
        self._stage(batch, players)
        for number, shard in enumerate(shards):
            fields = dict(new_shard(shard, batch_id=batch.batch_id, expires_at=batch.late_until))
            entries = (entry_of(outcome_of(batch.batch_id, p), at=NOON) for p in shard if p not in waiting)
            fields["predicted"] = {path[1]: {path[2]: entry} for path, entry in entries}
            self._documents.commit([Create(shard_path(batch.batch_id, number), fields)])
        newest = {"newest": asdict(BatchMark(batch.batch_id, NOON))}
        self._documents.commit(
            [Create(batch_path(batch.batch_id), BATCH.fields(batch)), Create(date_path(game_date), newest)]
        )
        return batch.batch_id

    def _stage(self, batch: Batch, players: Sequence[str]) -> None:
        for spec in every_spec():
            self._warehouse.create(spec)
        self._warehouse.append(names.staging_table(SCHEMA_VERSION), [_row(batch, player) for player in players])

    def check_complete(self, batch_id: str) -> None:
        """Stop the bench unless the batch was consolidated with everybody in it."""
        batch = Ledger(self._documents).batch(batch_id)
        if batch.status is not Status.COMPLETE:
            raise SystemExit(f"batch {batch_id} of {batch.expected_count} players ended {batch.status}: {batch.result}")


def _row(batch: Batch, player: str) -> dict[str, Cell]:
    return {
        "prediction_id": prediction_id(player),
        "system_id": "bench",
        "player_lookup": player,
        "game_date": batch.game_date,
        "game_id": "OKC@HOU",
        "prediction_version": 1,
        "predicted_points": Decimal("20.5"),
        "confidence_score": Decimal("0.5"),
        "recommendation": "PASS",
        "has_prop_line": True,
        "is_active": True,
        "created_at": batch.planned_at,
        "updated_at": batch.planned_at,
        **tables.lineage(
            batch.batch_id, batch.planned_at, names.delivery_id(batch.batch_id, player, {"by": [REVISION]})
        ),
    }


@contextmanager
def counting_claims() -> Iterator[Claims]:
    """Count the claims made inside the block."""
    logger, claims = logging.getLogger("coordinator.usecases.consolidate"), Claims()
    logger.setLevel(logging.INFO)
    logger.addHandler(claims)
    try:
        yield claims
    finally:
        logger.removeHandler(claims)
