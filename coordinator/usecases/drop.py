"""Drop what nobody needs any more: plan and staging tables of batches past their `late_until`, and of none.

Only tables whose whole name is a batch's plan or staging table are ever touched. What is counted and what is dropped
come from one list and one decision, a dry run's as well (B19).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from coordinator.ledger import Ledger
from coordinator.rules.batch import Batch
from coordinator.rules.entries import Snapshot
from coordinator.rules.lifecycle import Status
from coordinator.usecases.sweep_report import Orphan, Swept, Verdict
from schemas import names
from shared.errors import Permanent, Transient
from shared.ports import Table, Warehouse
from shared.staging import OUTLIVES_LATE

log = logging.getLogger(__name__)

PREFIXES = ("_plan_", "_staging_")
_OF_BATCH = re.compile(
    rf"_plan_(?P<planned>{names.BATCH_ID_PATTERN})|_staging_(?P<staged>{names.BATCH_ID_PATTERN})_v[0-9]+"
)
MARGIN = timedelta(hours=1)
"""Outcomes that another instance took in time are recorded by then."""
ORPHAN_AGE = timedelta(days=2)
"""A start makes its plan table before its batch: a younger table may belong to a start that is under way or repeated."""


def batch_of(table: str) -> str | None:
    """The batch whose plan or staging table this is; None of any other table."""
    found = _OF_BATCH.fullmatch(table)
    return (found["planned"] or found["staged"]) if found else None


def is_over(batch: Batch, now: datetime) -> bool:
    """Whether nothing more can come to the batch."""
    return now > batch.late_until + MARGIN


def what_is_unmerged(batch: Batch, snapshot: Snapshot) -> str:
    """Say why the batch's tables may still be needed; empty where they are not."""
    if batch.status is Status.CANCELLED or batch.overtaken_by is not None:
        return ""
    if batch.is_live:
        return f"the batch is still {batch.state}, past its late_until"
    if snapshot.late:
        named = ", ".join(sorted(snapshot.late)[:5]) + (", ..." if len(snapshot.late) > 5 else "")
        return f"rows of {len(snapshot.late)} predicted players were never merged ({named})"
    return ""


@dataclass(frozen=True, slots=True)
class Tidied:
    """Batches whose tables were dropped, or should be by a person's word, and tables of no batch."""

    batches: list[Swept]
    orphans: list[Orphan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropper:
    """The use case, over its ports."""

    ledger: Ledger
    warehouse: Warehouse
    clock: Callable[[], datetime]

    def tidy(self, *, dry_run: bool = False) -> Tidied:
        """Drop the tables of batches that are over and wholly merged, and old tables of no batch; a repeat finds none.

        Tables are listed before batches are read, so that no batch made meanwhile is taken for missing.

        Raises:
            Transient: the tables or batches could not be read; what was dropped so far is gone, and a repeat goes on.
        """
        now, of_batch = self.clock(), self._tables()
        swept, orphans = [], []
        for batch_id, its_tables in sorted(of_batch.items()):
            batch = self.ledger.find(batch_id)
            if batch is None:
                old = [table for table in its_tables if now - table.created_at > ORPHAN_AGE]
                orphans += [self._drop_orphan(table, dry_run=dry_run) for table in old]
            elif is_over(batch, now):
                swept.append(self._finish(batch, its_tables, dry_run=dry_run))
        return Tidied(swept, orphans)

    def _tables(self) -> Mapping[str, list[Table]]:
        of_batch: dict[str, list[Table]] = {}
        for prefix in PREFIXES:
            for table in self.warehouse.list_tables(prefix):
                if batch_id := batch_of(table.name):
                    of_batch.setdefault(batch_id, []).append(table)
        return of_batch

    def _finish(self, batch: Batch, its_tables: Sequence[Table], *, dry_run: bool) -> Swept:
        swept = Swept(batch.batch_id, state=batch.state)
        try:
            if unmerged := self._unmerged(batch):
                swept.needs_a_person(
                    f"{unmerged}; its staging ends by itself at {batch.late_until + OUTLIVES_LATE:%Y-%m-%d %H:%M} UTC",
                    f"tipoff consolidate {batch.batch_id} --force",
                )
                return swept
            self._drop(its_tables, swept, dry_run=dry_run)
        except Transient as trouble:
            swept.verdict, swept.why = Verdict.TRY_AGAIN, str(trouble)
        except Permanent as trouble:
            swept.needs_a_person(str(trouble), f"tipoff explain {batch.batch_id}")
        return swept

    def _drop(self, its_tables: Sequence[Table], swept: Swept, *, dry_run: bool) -> None:
        deed = f"{', '.join(table.name for table in its_tables)}"
        if dry_run:
            swept.would_do(f"drop {deed}")
            return
        for table in its_tables:
            self.warehouse.drop(table.name)
        swept.did_one(f"dropped {deed}")
        log.info(
            "tables of a finished batch dropped", extra={"json_fields": {"batch_id": swept.batch_id, "tables": deed}}
        )

    def _unmerged(self, batch: Batch) -> str:
        unmerged = what_is_unmerged(batch, self.ledger.snapshot(batch.batch_id))
        if unmerged and not batch.is_live:
            day = self.ledger.day(batch.game_date)
            if day is not None and day.overtakes(batch):
                return ""  # a newer root has merged: these rows never will be
        return unmerged

    def _drop_orphan(self, table: Table, *, dry_run: bool) -> Orphan:
        if not dry_run:
            self.warehouse.drop(table.name)
            log.warning("orphaned table dropped", extra={"json_fields": {"table": table.name}})
        return Orphan(table.name, table.created_at, dropped=not dry_run)
