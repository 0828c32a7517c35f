"""What stands where in a simulated world: batches, shards, staged rows, requests; read outside of the simulation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from coordinator.ledger import Ledger
from coordinator.rules.batch import Batch
from coordinator.rules.entries import Shard, Snapshot
from schemas.messages import Outcomes, PredictionRequest
from tests.simulation.memory_documents import MemoryDocuments
from tests.simulation.memory_warehouse import MemoryWarehouse


class Standing:
    """One reading after the other of a world's stores."""

    def __init__(self, documents: MemoryDocuments, warehouse: MemoryWarehouse) -> None:
        self._documents = documents
        self._warehouse = warehouse
        self.ledger = Ledger(documents)
        """The ledger as it is, whatever goes wrong between the services and their store."""

    def batches(self) -> list[Batch]:
        """Every batch."""
        return [self.ledger.batch(one.path[-1]) for one in self._documents.query(("batches",))]

    def batch(self, batch_id: str) -> Batch:
        return self.ledger.batch(batch_id)

    def batch_fields(self) -> list[Any]:
        return [one.fields for one in self._documents.query(("batches",))]

    def batch_planned_at(self, planned_at: datetime) -> Batch:
        return next(one for one in self.batches() if one.planned_at == planned_at)

    def shard(self, batch_id: str, number: int) -> Shard:
        return self.ledger.shard(batch_id, number)

    def snapshot(self, batch_id: str) -> Snapshot:
        return self.ledger.snapshot(batch_id)

    def staged(self, batch_id: str, player: str, delivery: str) -> list[Any]:
        return [row for row in self.staged_by(batch_id, player) if row["_delivery"] == delivery]

    def staged_by(self, batch_id: str, player: str) -> list[Any]:
        return [
            row
            for rows in self._warehouse.staging.values()
            for row in rows
            if row["_batch_id"] == batch_id and row["player_lookup"] == player
        ]

    def request(self, batch: Batch, player: str) -> PredictionRequest:
        """The request of a player, as his batch's frozen plan has it."""
        row = next(one for one in self._warehouse.plans[batch.batch_id] if one["player_lookup"] == player)
        of_batch = {"batch_id": batch.batch_id, "planned_at": batch.planned_at, "late_until": batch.late_until}
        return PredictionRequest.model_validate(json.loads(str(row["request"])) | of_batch)

    def spoken(self, batch: Batch) -> set[str]:
        """For whom a merged batch has spoken in the table."""
        return self.merged_players(self.ledger.shards(batch.batch_id)) | set(self.snapshot(batch.batch_id).skipped)

    def merged_players(self, shards: Sequence[Shard]) -> set[str]:
        return {player for shard in shards for player in shard.merged}

    def merged_as(self, shards: Sequence[Shard], player: str) -> str | None:
        return next((shard.merged[player] for shard in shards if player in shard.merged), None)

    def is_asked(self, batch: Batch) -> bool:
        """Whether a person has to decide on the batch first."""
        return batch.late_refusal is not None or (batch.state == "FAILED" and not batch.failed_for_missing_players)

    def has_unmerged_news(self, batch: Batch, snapshot: Snapshot) -> bool:
        """Whether something came to the batch that no MERGE of it has told; only a newer batch or a person is in the way."""
        return snapshot.has_news(missing_at_end=batch.missing_at_end)


@lru_cache(maxsize=256)
def outcomes_in(data: bytes) -> Outcomes:
    """Read a message of outcomes; one that comes again is read once."""
    return Outcomes.model_validate_json(data)
