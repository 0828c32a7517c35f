"""Consolidate a batch: claim it, verify staging, MERGE it once, verify the result, mark it.

Everything is done by the holder of the date's lease and conditional on its epoch; a crash anywhere leaves a state from
which the next holder goes on: the ledger, the recorded `merge_no` and the warehouse's own job tell where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from coordinator.ledger import Entry, Ledger, Notes
from coordinator.rules import pace
from coordinator.rules.batch import Batch, BatchMark, Merge, MergedResult, RefusalCode, RefusedResult
from coordinator.rules.due import Look, Step, closing
from coordinator.rules.entries import Snapshot, TooManyMissing, ending
from coordinator.rules.lifecycle import MERGED, Event, Status, move
from coordinator.usecases.merging import Merger
from coordinator.usecases.one_at_a_time import Leases
from schemas.messages import BatchFinished, PlayerCounts
from shared import tracing
from shared.errors import (
    ConfirmationNeeded,
    Conflict,
    QueryRefused,
    SchemaClash,
    TableMissing,
    Transient,
    VerificationRefused,
)
from shared.ports import FieldPath, Outgoing, Publisher, Value, Warehouse

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

    def consolidate(self, batch_id: str, *, forced: bool = False, known: Entry | None = None) -> Report:
        """Consolidate a batch as far as its ledger allows, then again while late news is found.

        A repeat, or two calls at once, change nothing more: one of them holds the lease.

        Args:
            forced: a person's word to consolidate in spite of silent or failed players, of a former refusal, or of the
                number of rows that will be retired.
            known: a reading by `Ledger.entry` to begin from.

        Raises:
            UnknownBatch: there is no such batch.
            Conflict: it is cancelled, or not yet published, or has failed and a newer batch of its date lives.
            Transient: trouble that may pass; the batch is RUNNING again (or as it was) and staging is kept.
        """
        with tracing.span("consolidate", attributes={"tipoff.batch_id": batch_id}):
            report, left = self._round(known or self.ledger.entry(batch_id), forced=forced)
            for _ in range(_ROUNDS):
                if report is not Report.MERGED or not self.ledger.look(left.batch, now=self.clock()).has_news:
                    return report
                report, left = self._round(left, forced=False)
            return report

    def notify(self, batch: Batch) -> Batch:
        """Publish `batch-finished` for a batch's present end state unless that was done; repeats carry the same id."""
        if batch.is_live or batch.notified == batch.event_id:
            return batch
        self.finished.publish([finished_event(batch, revision=self.revision)])
        if batch.notified is None and batch.kind == "root" and batch.status is not Status.CANCELLED:
            timeliness = "on time" if pace.is_on_time(batch) else "late"
            fields = {"batch_id": batch.batch_id, "state": batch.state, "timeliness": timeliness}
            log.info("batch ended", extra={"json_fields": fields})
        return self.ledger.change_batch(
            batch.batch_id, lambda found: replace(found, notified=batch.event_id), known=batch
        )

    def overtaken(self, batch: Batch) -> frozenset[str]:
        """Name the players whom a newer redrive of the date, once merged, skipped: it may have left no newer row to tell.

        Its predicted players need no naming here, their newer rows do.
        """
        of_date = self.ledger.batches_of(batch.game_date)
        newer = (one for one in of_date if one.planned_at > batch.planned_at and one.status in MERGED)
        return frozenset(player for one in newer for player in self.ledger.snapshot(one.batch_id).skipped)

    def _round(self, known: Entry, *, forced: bool) -> tuple[Report, Entry]:
        """One round, and the ledger as it left it."""
        batch = known.batch
        if batch.status is Status.CANCELLED:
            raise Conflict(f"batch {batch.batch_id} is cancelled and will not be consolidated", batch_id=batch.batch_id)
        if batch.status is Status.PLANNED:
            raise Conflict(
                f"batch {batch.batch_id} is not fully published yet; ask again after the next sweep",
                batch_id=batch.batch_id,
            )
        work = _Round(self, forced=forced)
        held = self.leases.take(batch.batch_id, work.claim, known=known)
        report, left = work.decline(known) if held is None else work.run(held)
        return report, left if report is Report.BUSY else replace(left, batch=self.notify(left.batch))


def finished_event(batch: Batch, *, revision: str) -> Outgoing:
    """The news of a batch's true end state (C4); the same state of the same round makes the same event id (A8)."""
    players = PlayerCounts(expected=batch.expected_count, predicted=0, skipped=0, failed=0, silent=batch.expected_count)
    copied = ("event_id", "batch_id", "game_date", "planned_at", "state", "reason")
    event = BatchFinished.model_validate(
        {
            **{name: getattr(batch, name) for name in copied},
            "players": batch.result.players if batch.result else players,
            "rows": batch.merged_rows,
            "coordinator_revision": revision,
        }
    )
    attributes = {"batch_id": batch.batch_id, "event_id": batch.event_id, "state": batch.state}
    return Outgoing(event.model_dump_json().encode(), attributes)


class _Round:
    """One holder's work on one batch, from the snapshot to the mark."""

    _batch_id: str
    _stored: Entry
    """What the ledger holds, as this holder wrote it last."""
    _snapshot: Snapshot
    _end: Event | TooManyMissing
    _merges: tuple[Merge, ...]
    _in_flight: int | None

    def __init__(self, tools: Consolidator, *, forced: bool) -> None:
        self._tools = tools
        self._forced = forced
        self._declined = Report.BUSY

    def claim(self, found: Entry) -> Entry | None:
        """Take the snapshot and move the batch to CONSOLIDATING, if there is something to consolidate; a later round leaves
        an end state as it is."""
        batch = found.batch
        if found.day.overtakes(batch) is not None:
            self._declined = Report.SUPERSEDED
            return None
        look = self._tools.ledger.look(batch, day=found.day, now=self._tools.clock())
        if batch.status in (Status.CANCELLED, Status.PLANNED) or not self._is_due(look):
            self._declined = Report.WAITING if batch.is_live else Report.NOTHING_TO_DO
            return None
        # A later round merges what has come, whoever is still missing. A MERGE that may have landed was decided on by a
        # former holder, perhaps by a person's word: who takes over carries it out, since the table may hold its rows.
        forced = self._forced or batch.status in MERGED or look.may_still_land
        self._snapshot, self._end = look.snapshot, ending(look.snapshot.players, batch.policy, forced=forced)
        if batch.status in MERGED or (batch.status is Status.FAILED and not self._forced):
            return found
        if batch.status is Status.FAILED and (other := look.other_live):
            raise Conflict(
                f"batch {other} of the date has not ended, and one batch of a date lives at a time; wait for its end, or "
                "cancel it",
                batch_id=other,
            )
        event = Event.FORCED if batch.status is Status.FAILED else Event.CLAIMED
        return replace(found, batch=replace(batch, status=move(batch.status, event)))

    def _is_due(self, look: Look) -> bool:
        if self._forced:
            batch = look.batch
            return batch.status not in MERGED or look.snapshot.has_news(missing_at_end=batch.missing_at_end)
        decided = closing(look)
        is_open = look.is_settled or look.is_past_deadline
        return decided is not None and (is_open or decided.step in (Step.CONSOLIDATE, Step.MERGE_LATE))

    def decline(self, found: Entry) -> tuple[Report, Entry]:
        """Say why nothing was claimed. Where a newer root has merged, what came late to this batch is superseded, and the
        batch says so (B13's rule)."""
        newer = found.day.overtakes(found.batch)
        if newer is None or self._declined is not Report.SUPERSEDED:
            return self._declined, found
        batch = self._tools.ledger.change_batch(
            found.batch.batch_id, lambda batch: replace(batch, overtaken_by=newer.batch_id), known=found.batch
        )
        log.info(
            "late rows superseded", extra={"json_fields": {"batch_id": found.batch.batch_id, "by": newer.batch_id}}
        )
        return self._declined, replace(found, batch=batch)

    def run(self, held: Entry) -> tuple[Report, Entry]:
        """Consolidate what was claimed; after trouble that may pass, give it back. The ledger as it is left comes back too."""
        self._batch_id, self._stored = held.batch.batch_id, held
        self._merges, self._in_flight = held.batch.merges, held.day.lease.merge_no
        self._log("batch claimed", epoch=held.day.lease.epoch, status=held.batch.status.value)
        try:
            return self._consolidate(), self._stored
        except Transient as trouble:
            self._give_back(trouble)
            raise

    def _consolidate(self) -> Report:
        if isinstance(self._end, TooManyMissing):
            return self._refuse("too_many_missing", self._end.reason)
        if self._stored.day.newest.batch_id != self._batch_id:
            self._snapshot = replace(self._snapshot, overtaken=self._tools.overtaken(self._stored.batch))
        merger = Merger(
            warehouse=self._tools.warehouse,
            record=self._record,
            renew=self._commit,
            patience=self._tools.patience,
            renew_every=self._tools.renew_every,
            max_bytes=self._tools.max_bytes,
            auto_migrate=self._tools.auto_migrate,
        )
        try:
            merger.run(self._stored.batch, self._snapshot, confirmed=self._forced)
        except ConfirmationNeeded as needed:
            return self._refuse("confirmation_needed", str(needed))
        except (VerificationRefused, SchemaClash, QueryRefused, TableMissing) as refused:
            return self._refuse("verification_refused", str(refused))
        return self._finish(self._end)

    def _give_back(self, trouble: Transient) -> None:
        """After trouble that may pass: RUNNING again and the lease free, if the store lets us; else the lease expires.

        A MERGE that may still be in flight stays recorded as submitted, so the next holder looks for its job.
        """
        fields = {"batch_id": self._batch_id, "reason": str(trouble)}
        log.warning("consolidation interrupted", extra={"json_fields": fields})

        def given_back(batch: Batch) -> Batch:
            if batch.status is not Status.CONSOLIDATING:
                return batch
            return replace(batch, status=move(batch.status, Event.ATTEMPT_FAILED))

        try:
            self._commit(given_back, release=True)
        except Transient as again:
            log.warning("lease left to expire", extra={"json_fields": {**fields, "reason": str(again)}})

    # --- what the MERGE leaves in the ledger ---

    def _record(self, numbered: Merge) -> None:
        self._merges = (*(other for other in self._merges if other.number != numbered.number), numbered)
        self._in_flight = numbered.number if numbered.state == "submitted" else None
        if numbered.state == "submitted":
            self._commit(notes=self._deliveries("carried"))
        elif numbered.state == "failed":
            self._commit()
        self._log("merge recorded", merge_no=numbered.number, merge_state=numbered.state, job_id=numbered.job_id)

    def _deliveries(self, what: Literal["carried", "merged"]) -> Notes:
        """For each late player the delivery that a MERGE takes, or that the predictions table now holds."""
        of_shard: dict[int, dict[FieldPath, Value]] = {}
        for player, number in self._snapshot.shard_of.items():
            of_shard.setdefault(number, {})[what, player] = self._snapshot.predicted[player].delivery
        return of_shard

    # --- states ---

    def _finish(self, end: Event) -> Report:
        batch = replace(self._stored.batch, merges=self._merges)
        status, rows = move(batch.status, end), batch.merged_rows
        result = MergedResult(
            reason=_ending(self._snapshot), players=self._snapshot.players, rows=rows, at=self._tools.clock()
        )
        self._commit(
            lambda batch: replace(batch, status=status, result=result, late_refusal=None),
            notes=self._deliveries("merged"),
            merged=batch.kind == "root",
            release=True,
        )
        self._log("batch consolidated", status=status.value, **rows.model_dump())
        return Report.MERGED

    def _refuse(self, code: RefusalCode, reason: str) -> Report:
        result = RefusedResult(
            code=code,
            reason=reason,
            players=self._snapshot.players,
            rows=replace(self._stored.batch, merges=self._merges).merged_rows,
            at=self._tools.clock(),
        )

        def refused(batch: Batch) -> Batch:
            if batch.status in MERGED:
                return replace(batch, late_refusal=reason)
            failed = Status.FAILED if batch.status is Status.FAILED else move(batch.status, Event.REFUSED)
            return replace(batch, status=failed, result=result)

        self._commit(refused, release=True)
        fields = {"batch_id": self._batch_id, "code": code, "reason": reason}
        log.error("consolidation refused", extra={"json_fields": fields})
        return Report.REFUSED

    def _log(self, text: str, **fields: object) -> None:
        log.info(text, extra={"json_fields": {"batch_id": self._batch_id, **fields}})

    def _commit(
        self,
        decide: Callable[[Batch], Batch] = lambda batch: batch,
        *,
        notes: Notes | None = None,
        merged: bool = False,
        release: bool = False,
    ) -> None:
        """Change the batch under the lease; `merged` makes it the one of its date that merged last.

        Notes of many shards are written ahead in commits of their own, and the last ones with the change.
        """
        of_shard = sorted((notes or {}).items())
        while len(of_shard) > _SHARDS_PER_COMMIT:
            self._write(lambda batch: batch, notes=dict(of_shard[:_SHARDS_PER_COMMIT]))
            of_shard = of_shard[_SHARDS_PER_COMMIT:]
        self._write(decide, notes=dict(of_shard), merged=merged, release=release)

    def _write(
        self, decide: Callable[[Batch], Batch], *, notes: Notes, merged: bool = False, release: bool = False
    ) -> None:
        def decided(found: Entry) -> Entry:
            mark = BatchMark(self._batch_id, found.batch.planned_at) if merged else found.day.merged
            return Entry(decide(replace(found.batch, merges=self._merges)), replace(found.day, merged=mark))

        lease = replace(self._stored.day.lease, merge_no=self._in_flight)
        self._stored = self._tools.leases.commit(
            self._batch_id, lease, decided, known=self._stored, notes=notes, release=release
        )


def _ending(snapshot: Snapshot) -> str:
    players = snapshot.players
    if not players.expected:
        return "nobody was expected"
    if not snapshot.missing:
        return f"all {players.expected} players are predicted or skipped"
    named = ", ".join(snapshot.missing[:5]) + (", ..." if len(snapshot.missing) > 5 else "")
    return f"{len(snapshot.missing)} of {players.expected} players are missing: {named}"
