"""One consolidation at a time per game date: the lease on `dates/{game_date}`, taken and kept by compare-and-set.

A holder's every write goes through `commit`, which makes it conditional on the holder's epoch and renews the lease.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from coordinator.rules.batch import Batch, BatchMark, DateRecord, Lease, batch_path, date_path, read_batch, read_date
from schemas import names
from shared.errors import LeaseLost, Unavailable, UnknownBatch, VersionChanged
from shared.ports import DocumentStore, FieldPath, Jobs, JobState, Update, Value, Write

log = logging.getLogger(__name__)

_DISTURBANCES = 50
"""Lost compare-and-sets in a row before we call the store unavailable."""

_USING_UP = timedelta(seconds=10)


class Leases:
    """The leases of one coordinator instance, which calls itself `holder`."""

    def __init__(
        self,
        documents: DocumentStore,
        warehouse: Jobs,
        *,
        holder: str,
        lasting: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._documents = documents
        self._warehouse = warehouse
        self._holder = holder
        self._lasting = lasting
        self._clock = clock

    def read(self, game_date: date) -> DateRecord:
        """Return what the batches of a game date share."""
        document = self._documents.get(date_path(game_date))
        if document is None:
            raise UnknownBatch(f"no batch was ever planned for {game_date}")
        return read_date(document)

    def take(self, batch: Batch) -> Lease | None:
        """Take the date's lease for a batch, or return None while another holder has it.

        A lease is taken over when it has expired. A compare-and-set that some other write merely disturbed is tried
        again. Before another batch's lease is taken over, the MERGE that it may have in flight is put to rest.
        """
        for _ in range(_DISTURBANCES):
            date_record, now = self.read(batch.game_date), self._clock()
            lease = date_record.lease
            if lease.is_held(now) or not self._is_put_to_rest(lease, batch):
                return None
            taken = lease.taken_by(self._holder, batch.batch_id, until=now + self._lasting)
            try:
                self._documents.commit([self._lease_write(batch.game_date, taken, date_record.version)])
            except VersionChanged:
                continue
            log.info(
                "lease taken",
                extra={"json_fields": {"game_date": str(batch.game_date), "epoch": taken.epoch, "after": lease.holder}},
            )
            return taken
        raise Unavailable(f"the lease of {batch.game_date} was disturbed {_DISTURBANCES} times in a row")

    def commit(
        self,
        batch: Batch,
        lease: Lease,
        writes: Callable[[], Sequence[Write]] | Sequence[Write],
        *,
        merged: BatchMark | None = None,
        release: bool = False,
    ) -> Lease:
        """Commit writes on condition that the lease's epoch is still the date's; return the renewed lease.

        Args:
            writes: the writes, or a function that makes them anew from a fresh read at every try.
            merged: moves `dates.merged` in the same commit.
            release: gives the lease up in the same commit.

        Raises:
            LeaseLost: another holder has taken the lease; nothing was written.
        """
        for _ in range(_DISTURBANCES):
            date_record = self.read(batch.game_date)
            if date_record.lease.epoch != lease.epoch or date_record.lease.holder is None:
                raise LeaseLost(f"the lease of {batch.game_date} (epoch {lease.epoch}) passed to another holder")
            renewed = replace(lease, expires_at=self._clock() + self._lasting)
            written = renewed.released() if release else renewed
            fields: dict[FieldPath, Value] = {("merged",): merged.fields()} if merged else {}
            made = writes() if callable(writes) else writes
            try:
                self._documents.commit(
                    [self._lease_write(batch.game_date, written, date_record.version, fields), *made]
                )
            except VersionChanged:
                continue
            return renewed
        raise Unavailable(f"the ledger of {batch.batch_id} was disturbed {_DISTURBANCES} times in a row")

    def renew(self, batch: Batch, lease: Lease) -> Lease:
        """Keep the lease while a MERGE is pending. Raises `LeaseLost`."""
        return self.commit(batch, lease, ())

    def _lease_write(
        self, game_date: date, lease: Lease, version: str, fields: dict[FieldPath, Value] | None = None
    ) -> Update:
        return Update(date_path(game_date), {("lease",): lease.fields(), **(fields or {})}, if_version=version)

    def _is_put_to_rest(self, lease: Lease, batch: Batch) -> bool:
        """Whether the former lease's MERGE can no longer change the predictions table under the next holder.

        The same batch's job is dealt with by the next holder itself. Another batch's is looked up, and where it was
        recorded but never submitted its id is used up, so that a holder that wakes up late cannot submit it any more.
        """
        if lease.merge_no is None or lease.batch_id is None or lease.batch_id == batch.batch_id:
            return True
        return put_to_rest(self._warehouse, names.merge_job_id(lease.batch_id, lease.merge_no)) is not JobState.RUNNING


def put_to_rest(warehouse: Jobs, job_id: str) -> JobState:
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


def get_batch(documents: DocumentStore, batch_id: str) -> Batch:
    """Read a batch.

    Raises:
        UnknownBatch: there is none of that id.
    """
    document = documents.get(batch_path(batch_id))
    if document is None:
        raise UnknownBatch(f"there is no batch {batch_id!r}")
    return read_batch(document)
