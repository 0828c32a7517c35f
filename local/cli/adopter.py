"""Adopt staging tables that another system left behind: look at all of them, merge what can be taken, verify, and only
then drop what is in the predictions table.

Nothing but the run's own work tables is changed before `adopt`, and no table is dropped unless `drop` is called.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

from coordinator.ledger import Ledger
from coordinator.rules import merge
from coordinator.usecases.migrate import plan
from local.cli import adoption_texts
from local.cli.adoption_texts import Adoption, Foreign
from schemas import names
from schemas.messages import RowCounts
from shared.errors import Conflict, InvalidInput, SchemaClash
from shared.ports import Warehouse

log = logging.getLogger(__name__)

_LOOKS_AT_ONCE = 8
"""Looking at a table's columns takes BigQuery a tenth of a second or so."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look found: everything counted, nothing but work tables changed."""

    adoption: Adoption
    foreign: tuple[Foreign, ...]
    refused: Mapping[str, str]
    """Table → why none of its rows can be taken."""
    gathered: Mapping[str, int]
    """Table → rows read."""
    left_out: Mapping[str, Mapping[str, int]]
    """Table → reason → rows that cannot be taken."""
    keys: int
    """Distinct predictions among the rows that can be taken."""
    counts: RowCounts

    @property
    def rows(self) -> int:
        """Rows read."""
        return sum(self.gathered.values())

    @property
    def reasons(self) -> Mapping[str, int]:
        """Reason → rows left out, most frequent first."""
        total: Counter[str] = Counter()
        for reasons in self.left_out.values():
            total.update(reasons)
        return dict(total.most_common())

    @property
    def copies(self) -> int:
        """Rows that say again what another says; of each prediction the newest counts."""
        return self.rows - sum(self.reasons.values()) - self.keys

    def as_object(self) -> dict[str, object]:
        """What `--json` prints."""
        return {
            "prefix": self.adoption.prefix,
            "game_date": self.adoption.game_date.isoformat(),
            "tables": len(self.foreign) + len(self.refused),
            "tables_refused": dict(self.refused),
            "rows": self.rows,
            "left_out": dict(self.reasons),
            "copies": self.copies,
            "predictions": self.keys,
            "counts": self.counts.model_dump(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopter:
    """The use case. `ledger` is None where no batch was ever planned."""

    warehouse: Warehouse
    ledger: Ledger | None
    clock: Callable[[], datetime]

    def survey(self, prefix: str, game_date: date | None) -> Survey:
        """Look at every table of the prefix and count what adopting them would do.

        Makes two work tables, which `finish` drops and which otherwise end by themselves in a day.

        Raises:
            InvalidInput: the prefix is unusable or has no tables, or nothing tells the game date.
            Conflict: a batch of this system lives, or has merged, for the date.
            SchemaClash: the predictions table is not as declared.
            VerificationRefused: the predictions table holds a prediction twice.
        """
        now = self.clock()
        wanted = adoption_texts.an_adoption(prefix, game_date, now=now)
        self._refuse_beside_batches(wanted.game_date)
        self._refuse_drift()
        foreign, refused = self._look(prefix)
        for spec in adoption_texts.work_tables(wanted, now=now):
            self.warehouse.create(spec)
        try:
            for chunk in adoption_texts.chunks(foreign):
                self.warehouse.query(adoption_texts.gather(wanted, chunk))
            return self._count(wanted, foreign, refused)
        except BaseException:
            self.finish(wanted)
            raise

    def adopt(self, survey: Survey) -> RowCounts:
        """Merge what was surveyed in one statement and verify it; return what it did. A repeat changes nothing.

        Raises:
            VerificationRefused: the check afterwards did not hold.
            Unavailable: the warehouse did not answer; the MERGE may have happened, survey and merge again.
        """
        self._refuse_beside_batches(survey.adoption.game_date)
        named = f"adopt_{survey.adoption.tag}"
        self.warehouse.query(adoption_texts.merge_text(survey.adoption), {"batch_id": named})
        adoption_texts.judge(self._counted(survey.adoption), keys=survey.keys, is_done=True)
        log.info("adopted", extra={"json_fields": {"adoption": named, **survey.as_object()}})
        return survey.counts

    def drop(self, survey: Survey) -> tuple[list[str], dict[str, str]]:
        """Drop the tables whose every row is in the predictions table, after asking again; return them and, of each
        other one, why it is kept.

        Raises:
            VerificationRefused: the predictions table does not hold what was surveyed.
        """
        adoption_texts.judge(self._counted(survey.adoption), keys=survey.keys, is_done=True)
        left_out = {table: sum(reasons.values()) for table, reasons in survey.left_out.items()}
        held: dict[str, int] = {}
        for chunk in adoption_texts.chunks(survey.foreign):
            held |= {
                str(row["_source"]): _number(row["row_count"])
                for row in self.warehouse.query(adoption_texts.row_counts(chunk))
            }
        dropped = adoption_texts.may_drop(survey.foreign, left_out, survey.gathered, held)
        for name in dropped:
            self.warehouse.drop(name)
            log.info("adopted table dropped", extra={"json_fields": {"table": name}})
        kept = dict(survey.refused)
        for table in survey.foreign:
            if table.name not in set(dropped):
                rows = left_out.get(table.name)
                kept[table.name] = (
                    f"{rows} of its rows were left out" if rows else "its rows have changed since the look"
                )
        return dropped, kept

    def finish(self, wanted: Adoption) -> None:
        """Drop the work tables."""
        for table in (wanted.rows_table, wanted.keys_table):
            self.warehouse.drop(table)

    # --- looking ----------------------------------------------------------------------------------------------

    def _look(self, prefix: str) -> tuple[tuple[Foreign, ...], dict[str, str]]:
        listed = [table.name for table in self.warehouse.list_tables(prefix)]
        if not listed:
            raise InvalidInput("--prefix", f"no table's name begins with {prefix}; look at the dataset's list")
        with ThreadPoolExecutor(max_workers=_LOOKS_AT_ONCE) as pool:
            live = dict(zip(listed, pool.map(self.warehouse.columns, listed), strict=True))
        refused = {name: why for name in listed if (why := adoption_texts.why_not(name, live[name])) is not None}
        foreign = (
            Foreign(name, frozenset(column.name for column in live[name] or ()))
            for name in listed
            if name not in refused
        )
        return tuple(foreign), refused

    def _count(self, wanted: Adoption, foreign: tuple[Foreign, ...], refused: dict[str, str]) -> Survey:
        gathered: Counter[str] = Counter()
        left_out: dict[str, dict[str, int]] = {}
        for row in self.warehouse.query(adoption_texts.findings(wanted)):
            table, rows = str(row["_source"]), _number(row["row_count"])
            gathered[table] += rows
            if row["reason"] is not None:
                left_out.setdefault(table, {})[str(row["reason"])] = rows
        keys = adoption_texts.key_rows(wanted, self.warehouse.query(adoption_texts.distinct_keys(wanted)))
        self.warehouse.append(wanted.keys_table, keys)
        counted = self._counted(wanted)
        adoption_texts.judge(counted, keys=len(keys), is_done=False)
        return Survey(wanted, foreign, refused, gathered, left_out, len(keys), counted.rows)

    def _counted(self, wanted: Adoption) -> merge.Counted:
        return merge.read_count(self.warehouse.query(adoption_texts.count(wanted)))

    # --- what forbids it --------------------------------------------------------------------------------------

    def _refuse_beside_batches(self, game_date: date) -> None:
        """A batch of this system speaks for its whole date, and what was left behind is older than it."""
        of_date = self.ledger.day(game_date) if self.ledger else None
        if of_date is None or self.ledger is None:
            return
        if of_date.merged is not None:
            merged = of_date.merged.batch_id
            raise Conflict(
                f"batch {merged} has merged for {game_date} and replaced the rows of the whole date; nothing older is adopted",
                batch_id=merged,
            )
        newest = self.ledger.batch(of_date.newest.batch_id)
        if newest.is_live:
            raise Conflict(
                f"batch {newest.batch_id} of {game_date} is {newest.state}; wait for its end or cancel it",
                batch_id=newest.batch_id,
            )

    def _refuse_drift(self) -> None:
        (change,) = (one for one in plan(self.warehouse) if one.spec.name == names.PREDICTIONS_TABLE)
        if change.refusals:
            raise SchemaClash(f"`{names.PREDICTIONS_TABLE}` differs from its declaration: {'; '.join(change.refusals)}")
        if change.statement is not None:
            raise SchemaClash(
                f"`{names.PREDICTIONS_TABLE}` is not of the newest version; bring it there with `tipoff schema apply`"
            )


def _number(cell: object) -> int:
    return int(str(cell))
