"""The warehouse in memory: what each of the coordinator's statements means, as plain code over plain rows.

It knows a statement by its form and takes from the text what the text names: date, batch, versions, whom the batch speaks
for. `test_memory_warehouse.py` holds it to the embedded warehouse, which runs the texts themselves, on random inputs. A
statement that it does not know is an error of the test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from schemas import digest, tables
from schemas.tables import Column, FittedRows, Row
from shared.declared import every_spec
from shared.errors import QueryRefused, TableMissing
from shared.ports import Job, JobState, Parameters, Table, TableSpec

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"`game_date` = DATE '([0-9-]+)'")
_STAGED = re.compile(r"FROM `_staging_v([0-9]+)` WHERE `_planned_on` = DATE '([0-9-]+)' AND `_batch_id` = '([^']+)'")
_FORMS: Mapping[str, re.Pattern[str]] = {
    "merge": re.compile(r"MERGE INTO `predictions` AS T\n"),
    "count": re.compile(r"SELECT\n  COUNTIF\(NOT S\.`retire`\) AS `staged`"),
    "staging_check": re.compile(r"SELECT\n  `_delivery`,\n  `_version`"),
    "deliveries": re.compile(r"SELECT\n  `player_lookup`,\n  `_delivery`"),
    "freeze": re.compile(r"CREATE TABLE IF NOT EXISTS `_plan_"),
    "names": re.compile(r"SELECT player_lookup, universal_player_id, planned_at FROM `_plan_([^`]+)`"),
    "requests": re.compile(r"SELECT player_lookup, request FROM `_plan_([^`]+)`"),
    "check": re.compile(r"-- What is wrong or unusable"),
    "completeness": re.compile(r"-- What the input tables hold"),
    "nothing": re.compile(r"SELECT (1|ERROR\(.*\)) AS `used_up`"),
}


@dataclass(frozen=True)
class Statement:
    """What a text says besides its form; `staged` are the versions whose tables it reads, and each one's partition."""

    form: str
    text: str
    game_date: date | None
    batch_id: str
    staged: tuple[tuple[int, date], ...]

    @property
    def is_root(self) -> bool:
        """Whether the batch speaks for everybody but those named."""
        return "`player_lookup` NOT IN UNNEST(@players)" in self.text


@lru_cache(maxsize=4096)
def understood(text: str) -> Statement:
    """Read a statement's text. Raises `AssertionError` where this model has no such statement."""
    form = next((name for name, pattern in _FORMS.items() if pattern.match(text)), None)
    assert form is not None, f"the warehouse's model does not know the statement: {text[:200]}"
    dates, staged = _DATE.findall(text), _STAGED.findall(text)
    plan = re.search(r"`_plan_([^`]+)`", text)
    return Statement(
        form=form,
        text=text,
        game_date=date.fromisoformat(dates[0]) if dates else None,
        batch_id=staged[0][2] if staged else plan[1] if plan else "",
        staged=tuple(dict.fromkeys((int(version), date.fromisoformat(day)) for version, day, _ in staged)),
    )


@dataclass(frozen=True)
class Effect:
    """What one run of a MERGE did to the predictions table."""

    batch_id: str
    inserted: int
    updated: int
    superseded: int

    @property
    def is_effective(self) -> bool:
        """Whether it changed anything."""
        return bool(self.inserted or self.updated or self.superseded)


@dataclass
class KeptJob:
    """One job id; its statement runs when the model's owner says so, and once."""

    statement: Statement
    parameters: Parameters
    state: JobState = JobState.RUNNING
    error: str | None = None
    effect: Effect | None = None
    began_at: datetime | None = None


_LASTING = {one.name: one.columns for one in every_spec()}
PlannedRow = Mapping[str, Any]


@dataclass
class MemoryWarehouse:
    """A `Warehouse` for the coordinator's and the worker's statements.

    Args:
        plan: who is planned, and each one's request; asked when a plan is frozen.
        started: told of each job that begins; the default runs it at once.
        refuses: says which rows an append refuses.
    """

    plan: Callable[[Parameters], Sequence[PlannedRow]]
    started: Callable[[str], None] | None = None
    refuses: Callable[[Row], bool] = lambda _row: False
    predictions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By prediction id."""
    tipoffs: dict[str, datetime] = field(default_factory=dict)
    """By game id, as the schedule tells it."""
    staging: dict[int, list[Row]] = field(default_factory=lambda: {1: [], 2: []})
    plans: dict[str, list[Row]] = field(default_factory=dict)
    jobs: dict[str, KeptJob] = field(default_factory=dict)
    live: dict[str, tuple[Column, ...]] = field(default_factory=lambda: dict(_LASTING))

    # --- jobs ---

    def query(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """See `Jobs.query`."""
        return self._answers[(statement := understood(sql)).form](statement, parameters or {})

    def estimate(self, sql: str, parameters: Parameters | None = None) -> int:  # noqa: ARG002 - nothing is read here
        """See `Jobs.estimate`; nothing costs anything."""
        understood(sql)
        return 0

    def submit(self, sql: str, parameters: Parameters, *, job_id: str) -> None:
        """See `Jobs.submit`."""
        if job_id in self.jobs:
            return
        self.jobs[job_id] = KeptJob(understood(sql), parameters)
        if self.started is None:
            self.finish(job_id)
        else:
            self.started(job_id)

    def job(self, job_id: str, *, wait: timedelta = timedelta(0)) -> Job:  # noqa: ARG002 - whoever simulates time waits
        """See `Jobs.job`."""
        kept = self.jobs.get(job_id)
        return Job(job_id, JobState.ABSENT) if kept is None else Job(job_id, kept.state, kept.error)

    def finish(self, job_id: str, *, error: str | None = None) -> None:
        """Run a job's statement now, or end it with an error and without an effect."""
        kept = self.jobs[job_id]
        if kept.statement.form == "nothing" and "ERROR" in kept.statement.text:
            error = error or kept.statement.text.split("'")[1]
        if error is None and kept.statement.form == "merge":
            try:
                kept.effect = self._merge(kept.statement, kept.parameters)
            except QueryRefused as refused:
                error = str(refused)
        kept.state, kept.error = (JobState.DONE, None) if error is None else (JobState.FAILED, error)

    # --- tables ---

    def append(self, table: str, rows: Sequence[Row] | FittedRows) -> None:
        """See `Tables.append`."""
        rows = rows_of(rows)
        if table not in self.live:
            raise TableMissing(f"there is no table `{table}`")
        if any(map(self.refuses, rows)):
            raise QueryRefused("a row does not fit")
        self.staging[int(table.removeprefix("_staging_v"))].extend(rows)

    def create(self, spec: TableSpec) -> None:
        """See `Tables.create`."""
        self.live.setdefault(spec.name, spec.columns)

    def columns(self, table: str) -> tuple[Column, ...] | None:
        """See `Tables.columns`."""
        return self.live.get(table)

    def add_columns(self, table: str, columns: Sequence[Column]) -> None:
        """See `Tables.add_columns`."""
        known = {column.name for column in self.live[table]}
        self.live[table] += tuple(column for column in columns if column.name not in known)

    def list_tables(self, prefix: str) -> list[Table]:
        """See `Tables.list_tables`."""
        return [Table(name, _NEVER) for name in sorted(self.live) if name.startswith(prefix)]

    def drop(self, table: str) -> None:
        """See `Tables.drop`."""
        self.live.pop(table, None)

    # --- what the statements mean ---

    @property
    def _answers(self) -> Mapping[str, Callable[[Statement, Parameters], list[Row]]]:
        return {
            "count": self._count,
            "staging_check": self._staging_check,
            "deliveries": self._deliveries,
            "freeze": self._freeze,
            "names": lambda said, _: [
                {name: row[name] for name in ("player_lookup", "universal_player_id", "planned_at")}
                for row in self.plans[said.batch_id]
            ],
            "requests": self._requests,
            "check": lambda _said, _parameters: [],
            "completeness": lambda _said, _parameters: _WHOLE_INPUTS,
        }

    def _freeze(self, said: Statement, parameters: Parameters) -> list[Row]:
        if said.batch_id not in self.plans:
            self.plans[said.batch_id] = [
                {**row, "planned_at": cast("datetime", parameters["planned_at"])} for row in self.plan(parameters)
            ]
        return []

    def _requests(self, said: Statement, parameters: Parameters) -> list[Row]:
        wanted: Any = parameters["players"]
        return [row for row in self.plans[said.batch_id] if row["player_lookup"] in wanted]

    def _staged(self, said: Statement) -> Iterable[tuple[int, Row]]:
        for version, day in said.staged:
            for row in self.staging[version]:
                if row[tables.BATCH_COLUMN] == said.batch_id and row[tables.PLANNED_ON_COLUMN] == day:
                    yield version, row

    def _counting(self, said: Statement, parameters: Parameters) -> list[tuple[int, Row]]:
        wanted: Any = {version: frozenset(parameters[f"deliveries_v{version}"]) for version, _ in said.staged}  # type: ignore[arg-type]  # arrays of text
        return [(version, row) for version, row in self._staged(said) if row["_delivery"] in wanted[version]]

    def _staging_check(self, said: Statement, parameters: Parameters) -> list[Row]:
        game_date = date.fromisoformat(re.findall(r"`game_date` != DATE '([0-9-]+)'", said.text)[0])
        of_each: dict[tuple[str, int], list[Row]] = {}
        for version, row in self._counting(said, parameters):
            of_each.setdefault((row["_delivery"], version), []).append(row)  # type: ignore[arg-type]  # lineage is text
        return [
            {
                "_delivery": delivery,
                "_version": version,
                **_described(rows),
                "of_another_date": sum(row["game_date"] != game_date for row in rows),
                "of_another_batch": sum(row["updated_at"] != parameters["planned_at"] for row in rows),
            }
            for (delivery, version), rows in of_each.items()
        ]

    def _deliveries(self, said: Statement, parameters: Parameters) -> list[Row]:
        wanted: Any = parameters["players"]
        of_each: dict[tuple[Any, Any, int], list[Row]] = {}
        for version, row in self._staged(said):
            if row["player_lookup"] in wanted:
                of_each.setdefault((row["player_lookup"], row["_delivery"], version), []).append(row)
        return [
            {
                "player_lookup": player,
                "_delivery": delivery,
                "_version": version,
                **_described(rows),
                "foreign_rows": sum(
                    row["game_date"] != parameters["game_date"] or row["updated_at"] != parameters["planned_at"]
                    for row in rows
                ),
            }
            for (player, delivery, version), rows in of_each.items()
        ]

    def _source(self, said: Statement, parameters: Parameters) -> tuple[list[Row], list[dict[str, Any]], set[Any]]:
        """The staged rows that count, without copies; the active rows that are retired; and the players overtaken."""
        counting = [row for _, row in self._counting(said, parameters)]
        copies = {(row["prediction_id"], row["_delivery"]): row for row in reversed(counting)}
        planned_at: Any = parameters["planned_at"]
        named: Any = parameters["players"]
        of_date = [row for row in self.predictions.values() if row["game_date"] == said.game_date]
        overtaken: set[Any] = {*parameters["overtaken"]}  # type: ignore[misc]  # an array of text
        overtaken |= {row["player_lookup"] for row in of_date if (row["updated_at"] or _NEVER) > planned_at}
        overtaken |= {row["player_lookup"] for row in of_date if self._was_active_at_tipoff(row, planned_at)}
        staged_ids = {row["prediction_id"] for row in counting}
        retired = [
            row
            for row in of_date
            if row["is_active"]
            and (row["updated_at"] or _NEVER) < planned_at
            and (row["player_lookup"] in named) is not said.is_root
            and not self._was_active_at_tipoff(row, planned_at)
            and row["prediction_id"] not in staged_ids
        ]
        return list(copies.values()), retired, overtaken

    def _was_active_at_tipoff(self, row: Mapping[str, Any], planned_at: datetime) -> bool:
        tipoff_at = self.tipoffs.get(row["game_id"])
        if tipoff_at is None or row["updated_at"] is None or not row["is_active"]:
            return False
        return bool(row["updated_at"] < tipoff_at <= planned_at)

    def _count(self, said: Statement, parameters: Parameters) -> list[Row]:
        staged, retired, overtaken = self._source(said, parameters)
        kinds = [self._kind(row, overtaken) for row in staged]
        replaced = {row["player_lookup"] for row in staged}
        return [
            {
                "staged": len(staged),
                "distinct_ids": len({row["prediction_id"] for row in staged}),
                "inserted": kinds.count("insert"),
                "updated": kinds.count("update"),
                "unchanged": kinds.count("leave"),
                "superseded": len(retired),
                "replaced": sum(not row["has_prop_line"] and row["player_lookup"] in replaced for row in retired),
                "active": sum(
                    row["game_date"] == said.game_date and row["is_active"] for row in self.predictions.values()
                ),
            }
        ]

    def _kind(self, row: Row, overtaken: set[Any]) -> str:
        found = self.predictions.get(str(row["prediction_id"]))
        if row["player_lookup"] in overtaken:
            return "leave"
        if found is None:
            return "insert"
        newer: Any = row["updated_at"]
        return "update" if newer > (found["updated_at"] or _NEVER) else "leave"

    def _merge(self, said: Statement, parameters: Parameters) -> Effect:
        staged, retired, overtaken = self._source(said, parameters)
        kinds = [self._kind(row, overtaken) for row in staged]
        acting = [str(row["prediction_id"]) for row, kind in zip(staged, kinds, strict=True) if kind != "leave"]
        if len(set(acting)) < len(acting):
            raise QueryRefused("UPDATE/MERGE must match at most one source row for each target row")
        for row in retired:
            row.update(is_active=False, superseded_by=parameters["batch_id"])
        for new, kind in zip(staged, kinds, strict=True):
            key = str(new["prediction_id"])
            if kind == "insert":
                declared = (*_COLUMNS, *(name for name in new if not name.startswith("_")))
                self.predictions[key] = {name: new.get(name) for name in declared}
            elif kind == "update":
                found = self.predictions[key]
                kept = {"created_at": found["created_at"], "prediction_version": found["prediction_version"] + 1}
                found.update({name: new.get(name) for name in found} | kept)
        return Effect(said.batch_id, kinds.count("insert"), kinds.count("update"), len(retired))


_COLUMNS = (
    *("prediction_id", "game_date", "player_lookup", "is_active", "superseded_by", "created_at", "updated_at"),
    *("prediction_version", "has_prop_line", "game_id"),
)


_WHOLE_INPUTS: list[Row] = [
    {"fact": "newest_box_scores", "name": "2026-01-29", "row_count": 1},
    *(
        {"fact": fact, "name": "", "row_count": 1}
        for fact in ("past_games", "games", "later_games", "lines", "reports")
    ),
]
"""The inputs lack nothing; what is lacking is told and refused by rules of its own, which no fault touches."""


def _described(rows: Sequence[Row]) -> Row:
    ids = {str(row["prediction_id"]) for row in rows}
    return {"distinct_rows": len(ids), "digest": digest.of_ids(ids)}


def rows_of(rows: Sequence[Row] | FittedRows) -> Sequence[Row]:
    """Rows one by one, however they were given."""
    return rows.rows() if isinstance(rows, FittedRows) else rows
