"""Consolidate a batch: claim it, verify staging, MERGE it once, verify the result, mark it.

Everything is done by the holder of the date's lease and conditional on its epoch; a crash anywhere leaves a state from
which the next holder goes on: the ledger, the recorded `merge_no` and the warehouse's own job tell where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Literal

from coordinator.ledger import Entry, Ledger
from coordinator.rules.batch import Batch, BatchMark, Lease, Merge
from coordinator.rules.due import Step, closing
from coordinator.rules.entries import Snapshot, TooManyMissing, ending
from coordinator.rules.lifecycle import MERGED, Event, Status, move
from coordinator.usecases.events import finished_event
from coordinator.usecases.leases import Leases, Notes
from coordinator.usecases.merging import Merger
from schemas.messages import RowCounts
from shared.errors import (
    ConfirmationNeeded,
    Conflict,
    MoveRefused,
    QueryRefused,
    SchemaClash,
    TableMissing,
    Transient,
    VerificationRefused,
)
from shared.ports import FieldPath, Publisher, Value, Warehouse

log = logging.getLogger(__name__)

_ROUNDS = 20
"""Further rounds for late news within one call; the sweep takes over from there."""
_SHARDS_PER_COMMIT = 20
"""Shards marked merged in one commit: far below Firestore's 500 writes and 10 MiB a commit at any shard size."""


class Report(StrEnum):
    """How a call of `consolidate` ended."""

    MERGED = "merged"
    REFUSED = "refused"
    BUSY = "busy"
    """Another holder is at work; it, or the sweep, finishes the batch."""
    WAITING = "waiting"
    """Players are silent and the deadline has not passed."""
    NOTHING_TO_DO = "nothing_to_do"
    SUPERSEDED = "superseded"
    """A newer root has merged for the date; this batch never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidator:
    """The use case, over its ports. `max_bytes` bounds what one MERGE may read by a dry run (B8); `auto_migrate` lets it
    add the columns of a newer version to the predictions table."""

    ledger: Ledger
    warehouse: Warehouse
    finished: Publisher
    leases: Leases
    clock: Callable[[], datetime]
    revision: str
    max_bytes: int
    patience: timedelta = timedelta(seconds=540)
    """How long one call waits for a MERGE job: below the push's ack deadline of 600 s."""
    renew_every: timedelta = timedelta(seconds=20)
    auto_migrate: bool = True

    def consolidate(self, batch_id: str, *, forced: bool = False) -> Report:
        """Consolidate a batch as far as its ledger allows, then again while late news is found.

        A repeat, or two calls at once, change nothing more: one of them holds the lease.

        Args:
            forced: a person's word to consolidate in spite of silent or failed players, of a former refusal, or of the
                number of rows that will be retired.

        Raises:
            UnknownBatch: there is no such batch.
            Conflict: it is cancelled, or not yet published.
            Transient: trouble that may pass; the batch is RUNNING again (or as it was) and staging is kept.
        """
        report = self._round(batch_id, forced=forced)
        for _ in range(_ROUNDS):
            if report is not Report.MERGED or not self._has_late_news(batch_id):
                return report
            report = self._round(batch_id, forced=False)
        return report

    def notify(self, batch: Batch) -> Batch:
        """Publish `batch-finished` for a batch's present end state unless that was done; repeats carry the same id."""
        if batch.is_live or batch.notified == batch.event_id:
            return batch
        self.finished.publish([finished_event(batch, revision=self.revision)])
        return self.ledger.change_batch(batch.batch_id, lambda found: replace(found, notified=batch.event_id))

    def overtaken(self, batch: Batch) -> frozenset[str]:
        """Name the players whom a newer redrive of the date, once merged, skipped: it may have left no newer row to tell.

        Its predicted players need no naming here, their newer rows do.
        """
        of_date = self.ledger.batches_of(batch.game_date)
        newer = (one for one in of_date if one.planned_at > batch.planned_at and one.status in MERGED)
        return frozenset(player for one in newer for player in self.ledger.snapshot(one.batch_id).skipped)

    def _has_late_news(self, batch_id: str) -> bool:
        return self.ledger.look(self.ledger.batch(batch_id), now=self.clock()).has_news

    def _round(self, batch_id: str, *, forced: bool) -> Report:
        batch = self.ledger.batch(batch_id)
        if batch.status is Status.CANCELLED:
            raise Conflict(f"batch {batch_id} is cancelled and will not be consolidated", batch_id=batch_id)
        if batch.status is Status.PLANNED:
            raise Conflict(f"batch {batch_id} is still being published; the sweep goes on with it", batch_id=batch_id)
        taken = self.leases.take(batch_id)
        if taken is None:
            return Report.BUSY
        try:
            report = _Round(self, taken, forced=forced).run()
        except Transient as trouble:
            self._give_back(batch_id, taken.day.lease, trouble)
            raise
        self.notify(self.ledger.batch(batch_id))
        return report

    def _give_back(self, batch_id: str, lease: Lease, trouble: Transient) -> None:
        """After trouble that may pass: RUNNING again and the lease free, if the store lets us; else the lease expires.

        A MERGE that may still be in flight stays recorded as submitted, so the next holder looks for its job.
        """
        log.warning("consolidation interrupted", extra={"json_fields": {"batch_id": batch_id, "reason": str(trouble)}})

        def given_back(found: Entry) -> Entry:
            if found.batch.status is not Status.CONSOLIDATING:
                return found
            return replace(found, batch=replace(found.batch, status=move(found.batch.status, Event.ATTEMPT_FAILED)))

        try:
            self.leases.commit(batch_id, lease, given_back, release=True)
        except Transient as again:
            log.warning("lease left to expire", extra={"json_fields": {"batch_id": batch_id, "reason": str(again)}})


class _Round:
    """One holder's work on one batch, from the snapshot to the mark."""

    def __init__(self, tools: Consolidator, taken: Entry, *, forced: bool) -> None:
        self._tools = tools
        self._batch = taken.batch
        self._day = taken.day
        self._forced = forced

    def run(self) -> Report:
        newer = self._day.overtakes(self._batch)
        if newer is not None:
            return self._give_way_to(newer)
        if self._batch.status in (Status.CANCELLED, Status.PLANNED):
            return self._release(Report.NOTHING_TO_DO)
        look = self._tools.ledger.look(self._batch, day=self._day, now=self._tools.clock())
        snapshot, is_merged = look.snapshot, self._batch.status in MERGED
        if self._forced:
            is_due = not is_merged or snapshot.has_news(missing_at_end=self._batch.missing_at_end)
        else:
            decided = closing(look)
            is_open = look.is_settled or look.is_past_deadline
            is_due = decided is not None and (is_open or decided.step in (Step.CONSOLIDATE, Step.MERGE_LATE))
        if not is_due:
            return self._release(Report.WAITING if self._batch.is_live else Report.NOTHING_TO_DO)
        # A later round merges what has come, whoever is still missing.
        end = ending(snapshot.players, self._batch.policy, forced=self._forced or is_merged)
        try:
            self._claim()
        except MoveRefused:  # cancelled a moment ago
            return self._release(Report.NOTHING_TO_DO)
        if isinstance(end, TooManyMissing):
            return self._refuse(snapshot, "too_many_missing", end.reason)
        if self._day.newest.batch_id != self._batch.batch_id:
            snapshot = replace(snapshot, overtaken=self._tools.overtaken(self._batch))
        return self._merge_and_mark(snapshot, end)

    def _merge_and_mark(self, snapshot: Snapshot, end: Event) -> Report:
        merger = Merger(
            warehouse=self._tools.warehouse,
            carry=lambda: self._note("carried", snapshot),
            record=self._record,
            renew=self._renew,
            patience=self._tools.patience,
            renew_every=self._tools.renew_every,
            max_bytes=self._tools.max_bytes,
            auto_migrate=self._tools.auto_migrate,
        )
        try:
            merger.run(self._batch, snapshot, confirmed=self._forced)
        except ConfirmationNeeded as needed:
            return self._refuse(snapshot, "confirmation_needed", str(needed))
        except (VerificationRefused, SchemaClash, QueryRefused, TableMissing) as refused:
            return self._refuse(snapshot, "verification_refused", str(refused))
        self._note("merged", snapshot)
        return self._finish(snapshot, end)

    # --- what the MERGE leaves in the ledger ---

    def _record(self, numbered: Merge) -> None:
        in_flight = numbered.number if numbered.state == "submitted" else None
        self._day = replace(self._day, lease=replace(self._day.lease, merge_no=in_flight))

        def recorded(batch: Batch) -> Batch:
            others = tuple(other for other in batch.merges if other.number != numbered.number)
            return replace(batch, merges=(*others, numbered))

        self._commit(recorded)
        self._log("merge recorded", merge_no=numbered.number, merge_state=numbered.state, job_id=numbered.job_id)

    def _renew(self) -> None:
        self._commit()

    def _note(self, what: Literal["carried", "merged"], snapshot: Snapshot) -> None:
        """Note for each late player which delivery a MERGE takes, or the predictions table now holds."""
        of_shard: dict[int, dict[FieldPath, Value]] = {}
        for player, number in snapshot.shard_of.items():
            of_shard.setdefault(number, {})[what, player] = snapshot.predicted[player].delivery
        noted = iter(of_shard.items())
        while some := dict(islice(noted, _SHARDS_PER_COMMIT)):
            self._commit(notes=some)

    # --- states ---

    def _claim(self) -> None:
        """Move to CONSOLIDATING; a later round leaves an end state as it is."""
        if self._batch.status in MERGED or (self._batch.status is Status.FAILED and not self._forced):
            return
        event = Event.FORCED if self._batch.status is Status.FAILED else Event.CLAIMED
        self._commit(lambda batch: replace(batch, status=move(batch.status, event)))
        self._log("batch claimed", epoch=self._day.lease.epoch)

    def _finish(self, snapshot: Snapshot, end: Event) -> Report:
        status, rows = move(self._batch.status, end), self._batch.merged_rows
        result = self._result(snapshot, rows, code="merged", reason=_ending(snapshot))
        self._commit(
            lambda batch: replace(batch, status=status, result=result, late_refusal=None),
            merged=self._batch.kind == "root",
            release=True,
        )
        self._log("batch consolidated", status=status.value, **rows.model_dump())
        return Report.MERGED

    def _refuse(self, snapshot: Snapshot, code: str, reason: str) -> Report:
        result = self._result(snapshot, self._batch.merged_rows, code=code, reason=reason)

        def refused(batch: Batch) -> Batch:
            if batch.status in MERGED:
                return replace(batch, late_refusal=reason)
            failed = Status.FAILED if batch.status is Status.FAILED else move(batch.status, Event.REFUSED)
            return replace(batch, status=failed, result=result)

        self._commit(refused, release=True)
        log.error(
            "consolidation refused",
            extra={"json_fields": {"batch_id": self._batch.batch_id, "code": code, "reason": reason}},
        )
        return Report.REFUSED

    def _give_way_to(self, newer: BatchMark) -> Report:
        """A newer root has merged: what came late to this batch is superseded, and the batch says so (B13's rule)."""
        self._commit(lambda batch: replace(batch, overtaken_by=newer.batch_id), release=True)
        self._log("late rows superseded", by=newer.batch_id)
        return Report.SUPERSEDED

    def _release(self, report: Report) -> Report:
        self._commit(release=True)
        return report

    def _result(self, snapshot: Snapshot, rows: RowCounts, *, code: str, reason: str) -> Mapping[str, Value]:
        return {
            "code": code,
            "reason": reason,
            "players": snapshot.players.model_dump(),
            "rows": rows.model_dump(),
            "at": self._tools.clock(),
        }

    def _log(self, text: str, **fields: object) -> None:
        log.info(text, extra={"json_fields": {"batch_id": self._batch.batch_id, **fields}})

    def _commit(
        self,
        decide: Callable[[Batch], Batch] = lambda batch: batch,
        *,
        notes: Notes | None = None,
        merged: bool = False,
        release: bool = False,
    ) -> None:
        """Change the batch under the lease; `merged` makes it the one of its date that merged last."""

        def decided(found: Entry) -> Entry:
            mark = BatchMark(found.batch.batch_id, found.batch.planned_at) if merged else found.day.merged
            return Entry(decide(found.batch), replace(found.day, merged=mark))

        changed = self._tools.leases.commit(
            self._batch.batch_id, self._day.lease, decided, notes=notes, release=release
        )
        self._batch, self._day = changed.batch, changed.day


def _ending(snapshot: Snapshot) -> str:
    players = snapshot.players
    if not players.expected:
        return "nobody was expected"
    if not snapshot.missing:
        return f"all {players.expected} players are predicted or skipped"
    named = ", ".join(snapshot.missing[:5]) + (", ..." if len(snapshot.missing) > 5 else "")
    return f"{len(snapshot.missing)} of {players.expected} players are missing: {named}"
