"""The scheduled look that repairs or finishes whatever events did not. The sweep is the guarantee; events are only faster.

It selects batches by age, not by status, and does what `coordinator.rules.due` names; every repair is one that a redelivery
could have made, so two sweeps at once are harmless. A dry run makes the same decisions and only prints them (B19).

On an ordinary day a sweep costs one query for the batches of the last eight days and no more for those that ended whole:
of a COMPLETE batch whose players are all predicted, a CANCELLED one and one that a newer root overtook, the batch
document alone tells that nothing can have come. That is not so where players were skipped or are missing: a prediction
that was recorded while its instance died shows in the shards only, so these batches' shards are read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from coordinator.ledger import Ledger
from coordinator.rules.batch import Batch
from coordinator.rules.due import CLOSING, By, Due, Look, Step, due, due_now, named, silent_players
from coordinator.rules.lifecycle import Status
from coordinator.rules.pace import pace_of
from coordinator.usecases.consolidate import Consolidator, Report
from coordinator.usecases.publish import RequestPublishing
from coordinator.usecases.record import Recorder
from coordinator.usecases.repair import StagingRepair
from coordinator.usecases.sweep_report import Swept, Verdict
from schemas.messages import Predicted
from shared.errors import Permanent, Transient

log = logging.getLogger(__name__)


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
        look = self.ledger.look(batch, now=now)
        try:
            found = {one.step: one for one in due_now(look, By.SWEEP)}
            for step in Step:
                if step not in found:
                    continue
                if dry_run:
                    self._tell(look, found[step], swept)
                    continue
                if done := self._do[step](look, found[step]):
                    swept.note(done, Verdict.REPAIRED)
                look = self.ledger.look(self.ledger.batch(batch.batch_id), now=now)
                found = {one.step: one for one in due_now(look, By.SWEEP)}
            self._call_a_person(look, swept)
        except Transient as trouble:
            swept.verdict, swept.why = Verdict.TRY_AGAIN, str(trouble)
        except Permanent as trouble:
            swept.needs_a_person(str(trouble), f"tipoff explain {batch.batch_id}")
        swept.state = look.batch.state
        _warn_of_delay(look)
        _log(swept, dry_run=dry_run)
        return swept

    def _call_a_person(self, look: Look, swept: Swept) -> None:
        """Say so where no sweep will finish the batch."""
        for one in due(look):
            if one.step is Step.ASK:
                swept.needs_a_person(one.to_do, f"tipoff consolidate {look.batch.batch_id} --force")

    def _tell(self, look: Look, found: Due, swept: Swept) -> None:
        """Say what a sweep would do; a look into staging tells what it would find."""
        if found.step is not Step.RECORD_FROM_STAGING:
            swept.note(found.to_do, Verdict.WOULD_REPAIR)
        elif lost := self.repair.find(look.batch, sorted(found.players)):
            swept.note(f"record {_players_of(lost)} from staging", Verdict.WOULD_REPAIR)

    @property
    def _do(self) -> Mapping[Step, Callable[[Look, Due], str | None]]:
        """How each step is taken; what it returns says what was done, or is None where others were faster."""
        return {
            Step.PUBLISH: self._publish,
            Step.RECORD_FROM_STAGING: self._record_from_staging,
            Step.PUBLISH_AGAIN: self._publish_again,
            **dict.fromkeys(CLOSING, self._consolidate),
            Step.NOTIFY: self._notify,
        }

    def _publish(self, look: Look, _: Due) -> str:
        self.publishing.publish_batch(look.batch)
        return "published what was never published"

    def _record_from_staging(self, look: Look, found: Due) -> str | None:
        lost = self.repair.find(look.batch, sorted(found.players))
        if lost:
            self.repair.record(look.batch, lost)
        self.repair.note_look(look.batch)
        return f"recorded {_players_of(lost)} from staging" if lost else None

    def _publish_again(self, look: Look, found: Due) -> str:
        silent = {shard.number: shard.silent & found.players for shard in look.shards if shard.silent & found.players}
        self.publishing.publish_alone(look.batch, silent, [shard for shard in look.shards if shard.number in silent])
        return f"published {silent_players(len(found.players))} again"

    def _consolidate(self, look: Look, _: Due) -> str | None:
        if look.batch.status is Status.RUNNING and not look.is_past_deadline:
            report = self.recorder.close(look.batch, *look.shards)
        else:
            report = self.consolidator.consolidate(look.batch.batch_id)
        if report is None or report in (Report.WAITING, Report.BUSY, Report.NOTHING_TO_DO):
            return None
        return f"consolidation: {report.replace('_', ' ')}"

    def _notify(self, look: Look, _: Due) -> str:
        self.consolidator.notify(look.batch)
        return "published batch-finished"


def _players_of(lost: Collection[Predicted]) -> str:
    return named({one.player_lookup for one in lost})


def _warn_of_delay(look: Look) -> None:
    """Say in the log that a batch will miss its deadline, while something can still be done; an alert counts the line."""
    pace = pace_of(look)
    if pace is not None and pace.is_late:
        ends_at = pace.ends_at.isoformat() if pace.ends_at else None
        fields = {"answered": pace.answered, "a_minute": round(pace.a_minute, 2), "ends_at": ends_at}
        deadline = {"batch_id": look.batch.batch_id, "deadline_at": pace.deadline_at.isoformat()}
        log.warning("batch will be late", extra={"json_fields": {**deadline, **fields}})


def _log(swept: Swept, *, dry_run: bool) -> None:
    fields = {"batch_id": swept.batch_id, "verdict": swept.verdict.value, "did": swept.did, "why": swept.why}
    log.info("batch swept", extra={"json_fields": {**fields, "dry_run": dry_run}})
