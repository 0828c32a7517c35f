"""One consolidation at a time per game date: the lease on the date, taken and kept by compare-and-set.

A holder's every write goes through `commit`, which makes it conditional on the holder's epoch and renews the lease.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from coordinator.ledger import Entry, Ledger
from coordinator.rules.batch import Batch, Lease
from schemas import names
from shared.errors import LeaseLost, Unavailable
from shared.ports import FieldPath, Jobs, JobState, Value

log = logging.getLogger(__name__)

_DISTURBANCES = 50
"""Leases that change under our eyes before we call the ledger unavailable."""

_USING_UP = timedelta(seconds=10)

Notes = Mapping[int, Mapping[FieldPath, Value]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leases:
    """The leases of one coordinator instance, which calls itself `holder`."""

    ledger: Ledger
    warehouse: Jobs
    holder: str
    lasting: timedelta
    clock: Callable[[], datetime]

    def take(self, batch_id: str) -> Entry | None:
        """Take the date's lease for a batch, or return None while another holder has it.

        A lease is taken over when it has expired. A compare-and-set that some other write merely disturbed is tried
        again. Before another batch's lease is taken over, its MERGE is kept from landing later.
        """
        for _ in range(_DISTURBANCES):
            read, now = self.ledger.entry(batch_id), self.clock()
            former = read.day.lease
            if former.is_held(now) or not self._can_land_no_more(former, read.batch):
                return None
            taken = former.taken_by(self.holder, batch_id, until=now + self.lasting)

            def take_it(found: Entry, *, former: Lease = former, taken: Lease = taken) -> Entry | None:
                return None if found.day.lease != former else replace(found, day=replace(found.day, lease=taken))

            found = self.ledger.change(batch_id, take_it)
            if found.day.lease == taken:
                game_date = str(read.batch.game_date)
                fields = {"game_date": game_date, "epoch": taken.epoch, "after": former.holder}
                log.info("lease taken", extra={"json_fields": fields})
                return found
        raise Unavailable(f"the lease of batch {batch_id}'s date was disturbed {_DISTURBANCES} times in a row")

    def commit(
        self,
        batch_id: str,
        lease: Lease,
        decide: Callable[[Entry], Entry] = lambda found: found,
        *,
        notes: Notes | None = None,
        release: bool = False,
    ) -> Entry:
        """Change the ledger on condition that the lease's epoch is still the date's, and renew the lease.

        Args:
            decide: changes what is found; asked again where another write came between.
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

        return self.ledger.change(batch_id, held, notes=notes)

    def _can_land_no_more(self, lease: Lease, batch: Batch) -> bool:
        """Whether the former lease's MERGE can no longer change the predictions table under the next holder.

        The same batch's job is dealt with by the next holder itself. Another batch's is looked up, and where it was
        recorded but never submitted its id is used up, so that a holder that wakes up late cannot submit it any more.
        """
        if lease.merge_no is None or lease.batch_id is None or lease.batch_id == batch.batch_id:
            return True
        return use_up(self.warehouse, names.merge_job_id(lease.batch_id, lease.merge_no)) is not JobState.RUNNING


def use_up(warehouse: Jobs, job_id: str) -> JobState:
    """Make sure that a job id that was never submitted never will be; return what had become of it.

    ABSENT means that the id is now used up by a statement that does nothing; RUNNING that it must be asked again. A
    repeat after ABSENT returns DONE.
    """
    state = warehouse.job(job_id).state
    if state is not JobState.ABSENT:
        return state
    warehouse.submit("SELECT 1 AS `used_up`", {}, job_id=job_id)
    # A late holder may have come first with its MERGE, which then runs under this id.
    return JobState.RUNNING if warehouse.job(job_id, wait=_USING_UP).state is JobState.RUNNING else JobState.ABSENT
