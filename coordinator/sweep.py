"""The scheduled look that repairs or finishes whatever events did not. The sweep is the guarantee; events are only faster.

It selects batches by age, not by status, and every repair is one that a redelivery could have made: two sweeps at once
are harmless.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from coordinator.batch import Batch, read_batch
from coordinator.consolidation import Consolidator, Report
from coordinator.ledger import Shard
from coordinator.lifecycle import Status
from coordinator.publishing import RequestPublishing
from coordinator.service import Ledger
from shared.errors import Permanent, Transient
from shared.ports import DocumentStore, Where

log = logging.getLogger(__name__)


class Verdict(StrEnum):
    """What a batch needed of a sweep."""

    NOTHING = "nothing"
    REPAIRED = "repaired"
    TRY_AGAIN = "try_again"
    NEEDS_A_PERSON = "needs_a_person"


@dataclass(slots=True)
class Swept:
    """What a sweep found and did for one batch, in words."""

    batch_id: str
    verdict: Verdict = Verdict.NOTHING
    state: str = ""
    did: list[str] = field(default_factory=list)
    why: str = ""

    def did_one(self, deed: str) -> None:
        """Note a repair."""
        self.did.append(deed)
        self.verdict = Verdict.REPAIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """The use case, over its ports and the use cases that it repeats."""

    documents: DocumentStore
    publishing: RequestPublishing
    ledger: Ledger
    consolidator: Consolidator
    clock: Callable[[], datetime]

    def sweep(self) -> list[Swept]:
        """Look at every batch until its `late_until` and do what is due; a failure with one does not stop the others."""
        now = self.clock()
        found = self.documents.query(("batches",), [Where("late_until", ">=", now)])
        return [self._sweep_one(read_batch(document), now) for document in found]

    def _sweep_one(self, batch: Batch, now: datetime) -> Swept:
        swept = Swept(batch.batch_id)
        try:
            batch = self._repair(batch, now, swept)
        except Transient as trouble:
            swept.verdict, swept.why = Verdict.TRY_AGAIN, str(trouble)
        except Permanent as trouble:
            swept.verdict, swept.why = Verdict.NEEDS_A_PERSON, str(trouble)
        swept.state = batch.state
        if batch.status is Status.FAILED and swept.verdict is not Verdict.TRY_AGAIN:
            swept.verdict = Verdict.NEEDS_A_PERSON
            swept.why = f"{(batch.result or {}).get('reason')}; POST /batches/{batch.batch_id}/consolidate to force it"
        log.info(
            "batch swept",
            extra={
                "json_fields": {
                    "batch_id": batch.batch_id,
                    "verdict": swept.verdict.value,
                    "did": swept.did,
                    "why": swept.why,
                }
            },
        )
        return swept

    def _repair(self, batch: Batch, now: datetime, swept: Swept) -> Batch:
        if batch.status is Status.PLANNED:
            batch = self.publishing.publish_batch(batch)
            swept.did_one("published what was never published")
        shards = self.publishing.read_shards(batch.batch_id)
        if batch.status is Status.RUNNING:
            self._republish(batch, shards, now, swept)
        report = self._finish(batch, shards, now)
        if report is not None and report not in (Report.WAITING, Report.BUSY, Report.NOTHING_TO_DO):
            swept.did_one(f"consolidation: {report.replace('_', ' ')}")
        batch = self._read(batch)
        if not batch.is_live and batch.notified != batch.event_id:
            self.consolidator.notify(batch)
            swept.did_one("published batch-finished")
        return batch

    def _republish(self, batch: Batch, shards: list[Shard], now: datetime, swept: Swept) -> None:
        """Publish again what is silent past `republish_after`, measured from its last publishing (A13)."""
        due = [
            shard
            for shard in shards
            if shard.silent
            and (shard.published_at is None or now - shard.published_at >= batch.policy.republish_after)
            and shard.publishes <= batch.policy.max_republishes
        ]
        if due:
            silent = {shard.number: shard.silent for shard in due}
            self.publishing.publish(batch, silent, due)
            swept.did_one(f"published {sum(map(len, silent.values()))} silent players again")

    def _finish(self, batch: Batch, shards: list[Shard], now: datetime) -> Report | None:
        """Run the close step; take over a dead holder's work; decide at the deadline."""
        if batch.status is Status.CANCELLED:
            return None
        if batch.status is Status.CONSOLIDATING or (batch.status is Status.RUNNING and now >= batch.deadline_at):
            return self.consolidator.consolidate(batch.batch_id)
        return self.ledger.close(batch.batch_id, *shards)

    def _read(self, batch: Batch) -> Batch:
        document = self.documents.get(batch.path)
        return read_batch(document) if document is not None else batch
