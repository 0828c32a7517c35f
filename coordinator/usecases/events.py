"""The messages that the coordinator sends: requests to workers and `batch-finished` to whoever follows the batch."""

from __future__ import annotations

from coordinator.rules.batch import Batch
from schemas.messages import BatchFinished, PlayerCounts
from shared.ports import Outgoing


def finished_event(batch: Batch, *, revision: str) -> Outgoing:
    """The news of a batch's true end state (C4); the same state of the same round makes the same event id (A8)."""
    players = PlayerCounts(expected=batch.expected_count, predicted=0, skipped=0, failed=0, silent=batch.expected_count)
    if batch.result is not None:
        players = batch.result.players
    event = BatchFinished.model_validate(
        {
            "event_id": batch.event_id,
            "batch_id": batch.batch_id,
            "game_date": batch.game_date,
            "planned_at": batch.planned_at,
            "state": batch.state,
            "reason": batch.reason,
            "players": players,
            "rows": batch.merged_rows,
            "coordinator_revision": revision,
        }
    )
    attributes = {"batch_id": batch.batch_id, "event_id": batch.event_id, "state": batch.state}
    return Outgoing(event.model_dump_json().encode(), attributes)
