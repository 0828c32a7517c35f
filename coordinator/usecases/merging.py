"""Run a batch's next numbered MERGE: verify before, count, record, submit, wait, verify after.

The job id is (batch, merge_no). It is recorded before it is submitted, so whoever comes next finds the job absent,
running, done or failed and goes on from there; no id ever runs twice (A16).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import takewhile

from coordinator.rules import merge
from coordinator.rules.batch import Batch, Merge
from coordinator.rules.entries import Snapshot
from coordinator.usecases.one_at_a_time import USED_UP, use_up
from coordinator.usecases.schema_check import fit, lacks
from schemas import names
from shared import tracing
from shared.errors import ConfirmationNeeded, QueryRefused, Unavailable, VerificationRefused
from shared.ports import Job, JobState, Warehouse

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merger:
    """The work between a snapshot and a verified predictions table.

    Args:
        record: writes a numbered MERGE to the ledger, conditional on the lease. With one that is to be submitted it notes
            which deliveries that takes, so that they stay the ones that count whatever is recorded later and whoever
            goes on. One that is done is written with what the holder writes next: its job tells as much until then.
        renew: renews the lease; called while a job is pending.
        patience: how long to wait for one job before giving up for now.
        auto_migrate: whether columns that the batch needs are added to the predictions table.
    """

    warehouse: Warehouse
    record: Callable[[Merge], None]
    renew: Callable[[], None]
    patience: timedelta
    renew_every: timedelta
    max_bytes: int
    auto_migrate: bool = True

    def run(self, batch: Batch, snapshot: Snapshot, *, confirmed: bool) -> None:
        """Bring the snapshot's rows into the predictions table and verify that they are there.

        A MERGE that an earlier holder submitted is waited for and, when the table then holds the snapshot, taken as
        this one. Running this again after it succeeded changes nothing in the table.

        Args:
            confirmed: a person's word, given after a look: it allows any number of retired rows, and one more job after
                the last that the policy allows.

        Raises:
            VerificationRefused, SchemaClash, QueryRefused, TableMissing: a person has to look; nothing was dropped.
            ConfirmationNeeded: more rows would be retired than the policy allows and `confirmed` is false.
            LeaseLost, Unavailable: try again later.
        """
        job = self._describe(batch, snapshot)
        self._check_staging(job)
        number = self._settle_former(batch, job, confirmed=confirmed)
        if number is None:
            return
        counted = self._count(job)
        share = merge.judge_count(
            counted, snapshot, max_retired_share=batch.policy.max_retired_share, confirmed=confirmed
        )
        if share is not None:
            raise ConfirmationNeeded(
                f"the MERGE would retire {counted.rows.superseded} of {counted.active} active rows of the date "
                f"({share:.0%}{_of_the_rest(counted)}; the policy allows {batch.policy.max_retired_share:.0%}); "
                f"to confirm it: tipoff consolidate {batch.batch_id} --force"
            )
        self._check_cost(job)
        numbered = Merge(
            number=number,
            job_id=names.merge_job_id(batch.batch_id, number),
            state="submitted",
            counts=counted.rows,
        )
        self.record(numbered)
        with tracing.span("MERGE", attributes={"tipoff.batch_id": batch.batch_id, "tipoff.job_id": numbered.job_id}):
            self.warehouse.submit(merge.merge(job), job.parameters, job_id=numbered.job_id)
            self._await_and_verify(job, numbered)

    def _settle_former(self, batch: Batch, job: merge.Consolidation, *, confirmed: bool) -> int | None:
        """Deal with the MERGE that was last recorded: return the number to run now, or None when its job turns out to
        have brought the whole snapshot into the table."""
        former = batch.last_merge
        if former is None:
            return 1
        if former.state == "submitted":
            found = self._wait(former)
            if found.state is JobState.ABSENT:
                # It may yet land, with another snapshot than ours, between our counting and our submission.
                found = use_up(self.warehouse, former.job_id)
            if found.state is JobState.RUNNING:
                raise Unavailable(f"MERGE job {former.job_id} may still land")
            if found.state is JobState.FAILED:
                former = replace(former, state="failed", error=found.error)
                self.record(former)
            else:
                former = replace(former, state="done")
                self.record(former)
        if former.state == "done" and former.counts.staged == job.snapshot.rows and self._holds(job):
            return None
        if former.state == "failed" and not confirmed:
            self._check_attempts((*batch.merges[:-1], former), allowed=batch.policy.max_merge_attempts)
        return former.number + 1

    def _check_attempts(self, merges: tuple[Merge, ...], *, allowed: int) -> None:
        """Stop after as many failed jobs in a row as the policy allows; those that never were submitted do not count.

        Raises:
            VerificationRefused: with the warehouse's own last words.
        """
        failed = takewhile(lambda numbered: numbered.state == "failed", reversed(merges))
        in_a_row = sum(USED_UP not in (numbered.error or "") for numbered in failed)
        if in_a_row >= allowed:
            last = merges[-1]
            raise VerificationRefused(f"{in_a_row} MERGE jobs failed in a row; job {last.job_id} says: {last.error}")

    def _await_and_verify(self, job: merge.Consolidation, numbered: Merge) -> None:
        found = self._wait(numbered, submitted=True)
        if found.state is JobState.FAILED:
            self.record(replace(numbered, state="failed", error=found.error))
            raise Unavailable(f"MERGE job {numbered.job_id} failed and will be tried again: {found.error}")
        self.record(replace(numbered, state="done"))
        merge.judge_result(self._count(job), job.snapshot)

    def _wait(self, numbered: Merge, *, submitted: bool = False) -> Job:
        """Wait for a job to end, renewing the lease; an absent one is returned as such unless we just submitted it (a
        look right after a submission may miss it).

        Raises:
            Unavailable: it has not ended within `patience`.
        """
        waited = timedelta(0)
        while waited < self.patience:
            found = self.warehouse.job(numbered.job_id, wait=self.renew_every)
            if found.state in (JobState.DONE, JobState.FAILED) or (found.state is JobState.ABSENT and not submitted):
                return found
            waited += self.renew_every
            self.renew()
        raise Unavailable(f"MERGE job {numbered.job_id} has not ended after {waited}")

    def _holds(self, job: merge.Consolidation) -> bool:
        try:
            merge.judge_result(self._count(job), job.snapshot)
        except VerificationRefused:
            return False
        return True

    def _count(self, job: merge.Consolidation) -> merge.Counted:
        return merge.read_count(self.warehouse.query(merge.count(job), merge.count_parameters(job)))

    def _check_staging(self, job: merge.Consolidation) -> None:
        found = self.warehouse.query(merge.staging_check(job), merge.staging_check_parameters(job))
        merge.judge_staging(found, job.snapshot.predicted)

    def _check_cost(self, job: merge.Consolidation) -> None:
        cost = self.warehouse.estimate(merge.merge(job), job.parameters)
        if cost > self.max_bytes:
            raise QueryRefused(
                f"the MERGE would read {cost:,} bytes; TIPOFF_MAX_BYTES_PER_QUERY allows {self.max_bytes:,}"
            )

    # --- columns ---

    def _describe(self, batch: Batch, snapshot: Snapshot) -> merge.Consolidation:
        """Compare the columns, and add to the predictions table those that the batch needs and it lacks."""
        found = fit(self.warehouse, batch, snapshot)
        if found.lacking and not self.auto_migrate:
            raise lacks(
                found.lacking,
                "TIPOFF_AUTO_MIGRATE is false: add them with `tipoff schema apply`, then consolidate again",
            )
        if found.lacking:
            self.warehouse.add_columns(names.PREDICTIONS_TABLE, found.lacking)
            fields = {"batch_id": batch.batch_id, "columns": [column.name for column in found.lacking]}
            log.info("columns added to the predictions table", extra={"json_fields": fields})
            found = fit(self.warehouse, batch, snapshot)
        if found.lacking:
            raise lacks(found.lacking, "they were added but are not visible yet: consolidate again")
        if found.undeclared:
            log.warning(
                "predictions table has undeclared columns; they are left alone",
                extra={"json_fields": {"columns": [column.name for column in found.undeclared]}},
            )
        return found.job


def _of_the_rest(counted: merge.Counted) -> str:
    return f" without the {counted.replaced} estimates that real lines replace" if counted.replaced else ""
