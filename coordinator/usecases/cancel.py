"""Cancel a live batch, once it is certain that none of its MERGEs can still land."""

from __future__ import annotations

import logging
from dataclasses import replace

from coordinator.ledger import Ledger
from coordinator.rules.batch import Batch
from coordinator.rules.lifecycle import Event, Status, move
from coordinator.usecases.one_at_a_time import use_up
from shared.errors import Conflict
from shared.ports import Jobs, JobState

log = logging.getLogger(__name__)


def cancel(ledger: Ledger, warehouse: Jobs, batch_id: str) -> Batch:
    """Move a PLANNED or RUNNING batch to CANCELLED; requests and outcomes under way are recorded but never merged.

    A repeat changes nothing.

    Raises:
        UnknownBatch: there is none of that id.
        MoveRefused: it is consolidating, or has ended; nothing was changed.
        Conflict: a MERGE that it submitted still runs, or has already changed the predictions table.
    """

    def cancelled(batch: Batch) -> Batch | None:
        if batch.status is Status.CANCELLED:
            return None
        status = check_cancellable(batch, warehouse)
        log.warning("batch cancelled", extra={"json_fields": {"batch_id": batch_id, "was": batch.status.value}})
        return replace(batch, status=status)

    return ledger.change_batch(batch_id, cancelled)


def check_cancellable(batch: Batch, warehouse: Jobs) -> Status:
    """Tell the state that a batch has once it is cancelled. A repeat finds the same, unless the batch has gone on.

    Raises:
        MoveRefused, Conflict: as `cancel` does.
    """
    status = move(batch.status, Event.CANCELLED)
    _check_merge_ended(batch, warehouse)
    return status


def _check_merge_ended(batch: Batch, warehouse: Jobs) -> None:
    for merge in batch.merges:
        if merge.state == "failed":
            continue
        state = JobState.DONE if merge.state == "done" else use_up(warehouse, merge.job_id).state
        if state is JobState.RUNNING:
            raise Conflict(
                f"MERGE job {merge.job_id} of batch {batch.batch_id} still runs; try again", batch_id=batch.batch_id
            )
        if state is JobState.DONE:
            raise Conflict(
                f"MERGE job {merge.job_id} of batch {batch.batch_id} has landed; finish the batch with "
                f"POST /batches/{batch.batch_id}/consolidate",
                batch_id=batch.batch_id,
            )
