"""Change what a batch tolerates while it lives."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta

from coordinator.rules.batch import Batch, Policy
from coordinator.usecases.leases import get_batch
from shared.errors import Conflict, Unavailable, VersionChanged
from shared.ports import DocumentStore, Update

log = logging.getLogger(__name__)

_DISTURBANCES = 50


def change_policy(documents: DocumentStore, batch_id: str, change: Callable[[Policy], Policy]) -> Batch:
    """Change a live batch's policy; its deadline follows `deadline_minutes`. A repeat changes nothing more.

    Args:
        change: makes the new policy of the present one; asked again where another write came between.

    Raises:
        UnknownBatch: there is none of that id.
        Conflict: it has ended, so that its policy decides nothing any more.
        InvalidInput: a value is out of its bounds.
    """
    for _ in range(_DISTURBANCES):
        batch = get_batch(documents, batch_id)
        if not batch.is_live:
            raise Conflict(
                f"batch {batch_id} is {batch.state}: its policy decides nothing any more. To merge it beyond its policy, "
                f'POST /batches/{batch_id}/consolidate with {{"force": true}}',
                batch_id=batch_id,
            )
        policy = change(batch.policy)
        deadline_at = batch.planned_at + timedelta(minutes=policy.deadline_minutes)
        changed = Update(
            batch.path, {("policy",): asdict(policy), ("deadline_at",): deadline_at}, if_version=batch.version
        )
        try:
            documents.commit([changed])
        except VersionChanged:
            continue
        log.info("policy changed", extra={"json_fields": {"batch_id": batch_id, "policy": asdict(policy)}})
        return get_batch(documents, batch_id)
    raise Unavailable(f"batch {batch_id} was disturbed {_DISTURBANCES} times in a row")
