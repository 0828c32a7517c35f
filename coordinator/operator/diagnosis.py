"""Read what there is to know of a batch that is not finished, and have it explained: the use cases of those who look.

Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from coordinator.operator.explaining import Explanation, explain
from coordinator.operator.gaps import Gaps, place, unmerged
from coordinator.rules import merge
from coordinator.rules.batch import Batch, BatchMark, DateRecord, date_path, read_date, shards_path
from coordinator.rules.ledger import Snapshot, read_shard, take_snapshot
from coordinator.usecases.leases import get_batch
from shared.ports import Document, DocumentStore, Warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The use cases, over their ports."""

    documents: DocumentStore
    warehouse: Warehouse
    clock: Callable[[], datetime]

    def explain(self, batch_id: str) -> Explanation:
        """Say in sentences why a batch stands where it does (C6). Raises `UnknownBatch`."""
        batch = get_batch(self.documents, batch_id)
        shards = sorted(map(read_shard, self._shards(batch_id)), key=lambda shard: shard.number)
        document = self.documents.get(date_path(batch.game_date))
        day = DateRecord(BatchMark(batch_id, batch.planned_at)) if document is None else read_date(document)
        return explain(batch, shards, day, now=self.clock())

    def find_gaps(self, batch_id: str) -> Gaps:
        """Say of every expected player where he got stuck; one warehouse query, where somebody is predicted and unmerged.

        Raises:
            UnknownBatch: there is none of that id.
            Unavailable: ledger or warehouse did not answer.
        """
        batch, documents = get_batch(self.documents, batch_id), self._shards(batch_id)
        shards = sorted(map(read_shard, documents), key=lambda shard: shard.number)
        snapshot = take_snapshot(shards)
        return place(
            batch_id,
            shards,
            snapshot=snapshot,
            not_staged=self._not_staged(batch, unmerged(snapshot)) if snapshot.late else {},
            failures=_failure_details(documents, snapshot.failed),
        )

    def _shards(self, batch_id: str) -> list[Document]:
        return self.documents.query(shards_path(batch_id))

    def _not_staged(self, batch: Batch, snapshot: Snapshot) -> Mapping[str, str]:
        """Of predicted players, those whose rows are not in staging as the ledger has them, and what is wrong."""
        live = {table: self.warehouse.columns(table) for table in {one.table for one in snapshot.predicted.values()}}
        present = {player: one for player, one in snapshot.predicted.items() if live[one.table] is not None}
        gone = {
            player: _gone(batch, one.table, now=self.clock())
            for player, one in snapshot.predicted.items()
            if player not in present
        }
        if not present:
            return gone
        job = merge.Consolidation(
            game_date=batch.game_date,
            planned_at=batch.planned_at,
            batch_id=batch.batch_id,
            kind=batch.kind,
            columns=(),
            staging=tuple(
                merge.StagingTable(table, frozenset(column.name for column in columns))
                for table, columns in sorted(live.items())
                if columns is not None
            ),
            snapshot=snapshot,
        )
        found = self.warehouse.query(merge.staging_check(job), merge.staging_check_parameters(job))
        return {**gone, **merge.staging_problems(found, present)}


def _gone(batch: Batch, table: str, *, now: datetime) -> str:
    if now <= batch.late_until:
        return f"there is no table {table}"
    return (
        f"{table} was dropped after {batch.late_until:%Y-%m-%d %H:%M} UTC, so nobody can tell whether it held the rows"
    )


def _failure_details(documents: Sequence[Document], failed: Mapping[str, str]) -> Mapping[str, str]:
    """What was said of each failure that counts, beyond its code."""
    said: dict[str, str] = {}
    for document in documents:
        recorded = cast("Mapping[str, Mapping[str, Mapping[str, Any]]]", document.fields["failed"])
        for player, answers in recorded.items():
            if player in failed:
                said[player] = str(answers[failed[player]].get("detail") or "")
    return said
