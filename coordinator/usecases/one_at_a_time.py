"""One consolidation at a time per game date: the lease on the date, taken and kept by compare-and-set.

A holder's every write goes through `commit`, which makes it conditional on the holder's epoch and renews the lease.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from coordinator.ledger import Entry, Ledger, Notes
from coordinator.rules.batch import Batch, Lease
from schemas import names
from shared.errors import LeaseLost
from shared.ports import Job, Jobs, JobState

log = logging.getLogger(__name__)

_USING_UP = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leases:
    """The leases of one coordinator instance, which calls itself `holder`; each lasts `lasting` unless it is renewed
    (`lease_seconds` of `shared.settings`)."""

    ledger: Ledger
    warehouse: Jobs
    holder: str
    lasting: timedelta
    clock: Callable[[], datetime]

    def take(
        self, batch_id: str, claim: Callable[[Entry], Entry | None] = lambda found: found, *, known: Entry | None = None
    ) -> Entry | None:
        """Take the date's lease for a batch, in one commit with what `claim` makes of it.

        A lease is taken over when it has expired. Before another batch's lease is taken over, its MERGE is kept from
        landing later.

        Args:
            claim: changes what is found, or returns None to leave the lease; asked again where another write came between.
            known: an earlier reading to begin from.

        Returns:
            What the ledger then holds; None while another holder has the lease, or where `claim` declines.
        """
        taken: Lease | None = None

        def take_it(found: Entry) -> Entry | None:
            nonlocal taken
            former, now = found.day.lease, self.clock()
            taken = None
            if former.is_held(now) or not self._can_land_no_more(former, found.batch):
                return None
            claimed = claim(found)
            if claimed is None:
                return None
            taken = former.taken_by(self.holder, batch_id, until=now + self.lasting)
            return replace(claimed, day=replace(claimed.day, lease=taken))

        found = self.ledger.change(batch_id, take_it, known=known)
        if taken is None:
            return None
        fields = {"game_date": str(found.batch.game_date), "epoch": taken.epoch, "holder": self.holder}
        log.info("lease taken", extra={"json_fields": fields})
        return found

    def commit(
        self,
        batch_id: str,
        lease: Lease,
        decide: Callable[[Entry], Entry] = lambda found: found,
        *,
        known: Entry | None = None,
        notes: Notes | None = None,
        release: bool = False,
    ) -> Entry:
        """Change the ledger on condition that the lease's epoch is still the date's, and renew the lease.

        Args:
            decide: changes what is found; asked again where another write came between.
            known: an earlier reading to begin from.
            notes: entries of shards to write in the same commit.
            release: gives the lease up in the same commit.

        Raises:
            LeaseLost: another holder has taken the lease; nothing was written.
        """

        def held(found: Entry) -> Entry:
            if found.day.lease.epoch != lease.epoch or found.day.lease.holder is None:
                raise LeaseLost(f"the lease of {found.batch.game_date} (epoch {lease.epoch}) passed to another holder")
            decided = decide(found)
            renewed = replace(lease, expires_at=self.clock() + self.lasting)
            return replace(decided, day=replace(decided.day, lease=renewed.released() if release else renewed))

        return self.ledger.change(batch_id, held, known=known, notes=notes)

    def _can_land_no_more(self, lease: Lease, batch: Batch) -> bool:
        """Whether the former lease's MERGE can no longer change the predictions table under the next holder.

        The same batch's job is dealt with by the next holder itself. Another batch's is looked up, and where it was
        recorded but never submitted its id is used up, so that a holder that wakes up late cannot submit it any more.
        """
        if lease.merge_no is None or lease.batch_id is None or lease.batch_id == batch.batch_id:
            return True
        job_id = names.merge_job_id(lease.batch_id, lease.merge_no)
        return use_up(self.warehouse, job_id).state is not JobState.RUNNING


USED_UP = "used up before it was submitted"
"""What the job of a used-up id says: it fails, so that a MERGE's job that is DONE has always changed the table."""


def use_up(warehouse: Jobs, job_id: str) -> Job:
    """Make sure that a job id that was never submitted never will be; return what has become of it.

    FAILED: it changed nothing and never will. DONE: it had run after all. RUNNING: it must be asked again. A repeat finds
    the same.
    """
    found = warehouse.job(job_id)
    if found.state is JobState.ABSENT:
        warehouse.submit(f"SELECT ERROR('{USED_UP}') AS `used_up`", {}, job_id=job_id)
        # A late holder may have come first with its MERGE, which then runs under this id; a look this soon may miss either.
        found = warehouse.job(job_id, wait=_USING_UP)
    return replace(found, state=JobState.RUNNING) if found.state is JobState.ABSENT else found
