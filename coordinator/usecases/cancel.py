"""Cancel a live batch, once it is certain that none of its MERGEs can still land."""

from __future__ import annotations

import logging

from coordinator.rules.batch import Batch
from coordinator.rules.lifecycle import Event, Status, move
from coordinator.usecases.leases import get_batch, put_to_rest
from shared.errors import Conflict, Unavailable, VersionChanged
from shared.ports import DocumentStore, Jobs, JobState, Update

log = logging.getLogger(__name__)

_DISTURBANCES = 50


def cancel(documents: DocumentStore, warehouse: Jobs, batch_id: str) -> Batch:
    """Move a PLANNED or RUNNING batch to CANCELLED; requests and outcomes under way are recorded but never merged.

    A repeat changes nothing.

    Raises:
        UnknownBatch: there is none of that id.
        MoveRefused: it is consolidating, or has ended; nothing was changed.
        Conflict: a MERGE that it submitted still runs, or has already changed the predictions table.
    """
    for _ in range(_DISTURBANCES):
        batch = get_batch(documents, batch_id)
        if batch.status is Status.CANCELLED:
            return batch
        cancelled = move(batch.status, Event.CANCELLED)
        _check_merge_ended(batch, warehouse)
        try:
            documents.commit([Update(batch.path, {("status",): cancelled.value}, if_version=batch.version)])
        except VersionChanged:
            continue
        log.warning("batch cancelled", extra={"json_fields": {"batch_id": batch_id, "was": batch.status.value}})
        return get_batch(documents, batch_id)
    raise Unavailable(f"batch {batch_id} was disturbed {_DISTURBANCES} times in a row")


def _check_merge_ended(batch: Batch, warehouse: Jobs) -> None:
    last = batch.last_merge
    if last is None or last.state == "failed":
        return
    state = JobState.DONE if last.state == "done" else put_to_rest(warehouse, last.job_id)
    if state is JobState.RUNNING:
        raise Conflict(
            f"MERGE job {last.job_id} of batch {batch.batch_id} still runs; try again", batch_id=batch.batch_id
        )
    if state is JobState.DONE:
        raise Conflict(
            f"MERGE job {last.job_id} of batch {batch.batch_id} has landed; finish the batch with "
            f"POST /batches/{batch.batch_id}/consolidate",
            batch_id=batch.batch_id,
        )
