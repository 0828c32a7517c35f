"""Read what there is to know of a batch that is not finished, and have it explained: the use cases of those who look.

Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from coordinator.ledger import Ledger
from coordinator.operator.accuracy import has_grades, watch
from coordinator.operator.explaining import Explanation, Sentence, explain
from coordinator.operator.failures import details_of
from coordinator.operator.gaps import Gaps, place, unmerged
from coordinator.rules import merge, player_queries
from coordinator.rules.batch import Batch
from coordinator.rules.entries import Snapshot, take_snapshot
from schemas import names
from shared.ports import Warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The use cases, over their ports."""

    ledger: Ledger
    warehouse: Warehouse
    clock: Callable[[], datetime]

    def explain(self, batch_id: str) -> Explanation:
        """Say in sentences why a batch stands where it does (C6). Raises `UnknownBatch`."""
        batch = self.ledger.batch(batch_id)
        explained = explain(self.ledger.look(batch, now=self.clock()))
        warnings = (*self._simulated(batch), *self._drift(batch))
        return explained.model_copy(
            update={"sentences": (*(Sentence(text=one) for one in warnings), *explained.sentences)}
        )

    def _simulated(self, batch: Batch) -> Iterator[str]:
        """That rows of the date are of a model of simulated games, if some are."""
        if not any(merge.state == "done" for merge in batch.merges):
            return
        (row,) = self.warehouse.query(player_queries.simulated(), {"game_date": batch.game_date})
        if rows := row["rows"]:
            yield (
                f"{rows:,} active rows of the date are of a model that was trained on simulated games: they say nothing of "
                "real ones. Train a model on your own games, and name it by --model, in the cloud by TIPOFF_MODEL."
            )

    def _drift(self, batch: Batch) -> Iterator[str]:
        warning = watch(self.warehouse, batch.game_date).warning if has_grades(self.warehouse) else None
        if warning is not None:
            yield warning

    def find_gaps(self, batch_id: str) -> Gaps:
        """Say of every expected player where he got stuck; one warehouse query, where somebody is predicted and unmerged.

        Raises:
            UnknownBatch: there is none of that id.
            Unavailable: ledger or warehouse did not answer.
        """
        batch, shards = self.ledger.batch(batch_id), self.ledger.shards(batch_id)
        snapshot = take_snapshot(shards)
        return place(
            batch_id,
            shards,
            snapshot=snapshot,
            not_staged=self._not_staged(batch, unmerged(snapshot)) if snapshot.late else {},
            failures=details_of(shards, snapshot.failed),
        )

    def _not_staged(self, batch: Batch, snapshot: Snapshot) -> Mapping[str, str]:
        """Of predicted players, those whose rows are not in staging as the ledger has them, and what is wrong."""
        versions = sorted({one.schema_version for one in snapshot.predicted.values()})
        live = {version: self.warehouse.columns(names.staging_table(version)) for version in versions}
        present = {player: one for player, one in snapshot.predicted.items() if live[one.schema_version] is not None}
        gone = {
            player: f"there is no table {names.staging_table(one.schema_version)}"
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
                merge.StagingTable(version, frozenset(column.name for column in columns))
                for version, columns in live.items()
                if columns is not None
            ),
            snapshot=snapshot,
        )
        found = self.warehouse.query(merge.staging_check(job), merge.staging_check_parameters(job))
        return {**gone, **merge.staging_problems(found, present)}
