"""The scheduled look that repairs or finishes whatever events did not. The sweep is the guarantee; events are only faster.

It selects batches by age, not by status, and every repair is one that a redelivery could have made: two sweeps at once
are harmless. Each step decides from one look what is due, as a deed that can be told and done; a dry run makes the same
decisions and only tells (B19).

On an ordinary day a sweep costs one query for the batches of the last eight days and no more for those that ended whole:
of a COMPLETE batch whose players are all predicted, a CANCELLED one and one that a newer root overtook, the batch
document alone tells that nothing can have come. That is not so where players were skipped or are missing: a prediction
that was recorded while its instance died shows in the shards only, so these batches' shards are read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from coordinator.ledger import Ledger
from coordinator.rules.batch import Batch
from coordinator.rules.entries import Shard, decide, take_snapshot
from coordinator.rules.lifecycle import MERGED, Event, Status
from coordinator.usecases.consolidate import Consolidator, Report
from coordinator.usecases.publish import RequestPublishing
from coordinator.usecases.record import Recorder
from coordinator.usecases.repair import StagingRepair, is_silent_past, whom_to_look_for
from coordinator.usecases.sweep_report import Swept, Verdict
from shared.errors import Permanent, Transient

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that is due: in words (empty for a look that finds nothing), to be done, and what was done once it is
    (None where that was nothing, or others were faster)."""

    to_do: str
    do: Callable[[], str | None]


class Look:
    """One look at a batch; its shards are read when a step first asks for them."""

    def __init__(self, batch: Batch, ledger: Ledger, now: datetime) -> None:
        self.batch = batch
        self.now = now
        self._ledger = ledger

    @cached_property
    def shards(self) -> list[Shard]:
        """Every shard, in order."""
        return self._ledger.shards(self.batch.batch_id)

    @property
    def may_have_news(self) -> bool:
        """Whether the shards of an ended batch can hold what its document does not tell."""
        batch = self.batch
        if batch.status is Status.CANCELLED or batch.overtaken_by is not None or batch.late_refusal is not None:
            return False
        return batch.status is not Status.COMPLETE or batch.predicted_at_end != batch.expected_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """The use case, over its ports and the use cases that it repeats."""

    ledger: Ledger
    publishing: RequestPublishing
    recorder: Recorder
    consolidator: Consolidator
    repair: StagingRepair
    clock: Callable[[], datetime]

    def sweep(self, *, dry_run: bool = False) -> list[Swept]:
        """Look at every batch until its `late_until` and do what is due; a failure with one does not stop the others.

        Args:
            dry_run: say what would be done, as things stand now, and change nothing.
        """
        now = self.clock()
        return [self._sweep_one(batch, now, dry_run=dry_run) for batch in self.ledger.batches_until(now)]

    def _sweep_one(self, batch: Batch, now: datetime, *, dry_run: bool) -> Swept:
        swept = Swept(batch.batch_id)
        try:
            for step in (self._publish_new, self._find_lost, self._publish_again, self._close, self._notify):
                for deed in step(Look(batch, self.ledger, now)):
                    if dry_run:
                        if deed.to_do:
                            swept.would_do(deed.to_do)
                        continue
                    if done := deed.do():
                        swept.did_one(done)
                    batch = self.ledger.batch(batch.batch_id)
        except Transient as trouble:
            swept.verdict, swept.why = Verdict.TRY_AGAIN, str(trouble)
        except Permanent as trouble:
            swept.needs_a_person(str(trouble), f"tipoff explain {batch.batch_id}")
        swept.state = batch.state
        if swept.verdict is not Verdict.TRY_AGAIN:
            self._call_a_person(batch, swept)
        log.info(
            "batch swept",
            extra={
                "json_fields": {
                    "batch_id": batch.batch_id,
                    "verdict": swept.verdict.value,
                    "did": swept.did,
                    "why": swept.why,
                    "dry_run": dry_run,
                }
            },
        )
        return swept

    def _call_a_person(self, batch: Batch, swept: Swept) -> None:
        """Say so where no sweep will finish the batch, unless a newer batch has made it needless."""
        why = (batch.result or {}).get("reason") if batch.status is Status.FAILED else batch.late_refusal
        if why is None or batch.overtaken_by is not None:
            return
        if self.ledger.entry(batch.batch_id).day.overtakes(batch) is None:
            swept.needs_a_person(
                f"{why}; POST /batches/{batch.batch_id}/consolidate to force it",
                f"tipoff consolidate {batch.batch_id} --force",
            )

    # --- what is due, in the order in which it is done ---

    def _publish_new(self, look: Look) -> Iterator[Deed]:
        def publish() -> str:
            self.publishing.publish_batch(look.batch)
            return "published what was never published"

        if look.batch.status is Status.PLANNED:
            yield Deed("publish what was never published", publish)

    def _find_lost(self, look: Look) -> Iterator[Deed]:
        """Look in staging, where a look is due, for deliveries whose outcomes were lost."""
        if look.batch.status not in (Status.RUNNING, Status.PARTIAL, Status.FAILED):
            return
        players = whom_to_look_for(look.batch, look.shards, look.now)
        if not players:
            return
        lost = self.repair.find(look.batch, players)
        named = _named(sorted({one.player_lookup for one in lost}))

        def record() -> str | None:
            if lost:
                self.repair.record(look.batch, lost)
            self.repair.note_look(look.batch)
            return f"recorded {named} from staging" if lost else None

        yield Deed(f"record {named} from staging" if lost else "", record)

    def _publish_again(self, look: Look) -> Iterator[Deed]:
        """Publish again what is silent past `republish_after`, measured from its last publishing (A13)."""
        batch = look.batch
        if batch.status is not Status.RUNNING:
            return
        due = [
            shard
            for shard in look.shards
            if is_silent_past(shard, batch.policy.republish_after, look.now)
            and shard.publishes <= batch.policy.max_republishes
        ]
        silent = {shard.number: shard.silent for shard in due}
        count = sum(map(len, silent.values()))

        def publish() -> str:
            self.publishing.publish(batch, silent, due)
            return f"published {count} silent players again"

        if due:
            yield Deed(f"publish {count} silent players again", publish)

    def _close(self, look: Look) -> Iterator[Deed]:
        """Run the close step; take over a dead holder's work; decide at the deadline; merge late rows."""

        def consolidate() -> str | None:
            if look.batch.status is Status.RUNNING and look.now < look.batch.deadline_at:
                report = self.recorder.close(look.batch.batch_id, *look.shards)
            else:
                report = self.consolidator.consolidate(look.batch.batch_id)
            if report is None or report in (Report.WAITING, Report.BUSY, Report.NOTHING_TO_DO):
                return None
            return f"consolidation: {report.replace('_', ' ')}"

        if told := self._closing(look):
            yield Deed(told, consolidate)

    def _closing(self, look: Look) -> str:
        """Say what a consolidation would be for; empty where none is due."""
        batch = look.batch
        if batch.status is Status.CONSOLIDATING:
            is_held = self.ledger.entry(batch.batch_id).day.lease.is_held(look.now)
            return "" if is_held else "take over the consolidation of a holder that died"
        if batch.status in (Status.PLANNED, Status.CANCELLED) or not (batch.is_live or look.may_have_news):
            return ""
        snapshot = take_snapshot(look.shards)
        if batch.status is Status.RUNNING:
            if not snapshot.silent:
                return "consolidate, since every player has an outcome"
            return "decide by the policy, since the deadline has passed" if look.now >= batch.deadline_at else ""
        if batch.status in MERGED:
            has_news = snapshot.has_news(missing_at_end=batch.missing_at_end)
            return "merge what came late" if has_news else ""
        end = decide(snapshot.players, batch.policy, past_deadline=True, forced=False)
        has_recovered = batch.failed_for_missing_players and isinstance(end, Event)
        return "consolidate, since the missing players have come" if has_recovered else ""

    def _notify(self, look: Look) -> Iterator[Deed]:
        def notify() -> str:
            self.consolidator.notify(look.batch)
            return "published batch-finished"

        if not look.batch.is_live and look.batch.notified != look.batch.event_id:
            yield Deed("publish batch-finished", notify)


def _named(players: list[str]) -> str:
    return ", ".join(players[:5]) + (f" and {len(players) - 5} more" if len(players) > 5 else "")
