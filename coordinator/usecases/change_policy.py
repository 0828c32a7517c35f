"""Change what a batch tolerates while it lives."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from coordinator.ledger import Ledger
from coordinator.rules.batch import Batch
from shared.errors import Conflict
from shared.settings import Policy

log = logging.getLogger(__name__)


def change_policy(ledger: Ledger, batch_id: str, change: Callable[[Policy], Policy]) -> Batch:
    """Change a live batch's policy; its deadline follows `deadline_minutes`. A repeat changes nothing more.

    Args:
        change: makes the new policy of the present one; asked again where another write came between.

    Raises:
        UnknownBatch: there is none of that id.
        Conflict: it has ended, so that its policy decides nothing any more.
    """

    def changed(batch: Batch) -> Batch:
        if not batch.is_live:
            raise Conflict(
                f"batch {batch_id} is {batch.state}: its policy no longer applies. To merge it in spite of its policy: "
                f"tipoff consolidate {batch_id} --force",
                batch_id=batch_id,
            )
        policy = change(batch.policy)
        deadline_at = batch.planned_at + timedelta(minutes=policy.deadline_minutes)
        return replace(batch, policy=policy, deadline_at=deadline_at)

    batch = ledger.change_batch(batch_id, changed)
    log.info("policy changed", extra={"json_fields": {"batch_id": batch_id, "policy": batch.policy.model_dump()}})
    return batch
