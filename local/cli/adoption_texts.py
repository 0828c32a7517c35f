"""The rules of adopting staging tables that another system left behind: which tables and rows can be taken, which copy
counts, and the SQL texts that say so.

Rows are keyed anew by what they are about (date, game, player, system, exact line), since their own ids are random. Must
never learn how SQL is run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice

from coordinator.rules import merge
from coordinator.rules.sql_text import indent, listed, union
from schemas import names, tables
from schemas.tables import Column, Row
from shared.errors import InvalidInput, VerificationRefused
from shared.ports import TableSpec

TABLES_PER_QUERY = 250
"""BigQuery takes 1,000 tables and 1 MB of text in one query (https://cloud.google.com/bigquery/quotas#query_jobs); the
text of so many tables with every column stays below half of that."""
_WORK_TABLES_LAST = timedelta(days=1)

_SOURCE = Column("_source", "STRING", "REQUIRED")
_KEYS = (
    Column("prediction_id", "STRING", "REQUIRED"),
    Column("game_id", "STRING", "REQUIRED"),
    Column("player_lookup", "STRING", "REQUIRED"),
    Column("system_id", "STRING", "REQUIRED"),
    Column("points_line", "NUMERIC"),
)
_NO_LINE = "-1"
"""Stands for the absent line where lines are compared; no line is below 0."""

_PREFIX = re.compile(r"_[A-Za-z0-9_]{5,}")
_TABLE = re.compile(r"[A-Za-z0-9_]+")
_OURS = re.compile(r"_staging_v\d+|_plan_[0-9]{8}_[0-9a-f]{16}|_adopt_.*")
_DATE = re.compile(r"(?<!\d)(\d{4})_?(\d{2})_?(\d{2})(?!\d)")


@dataclass(frozen=True, slots=True)
class Foreign:
    """One table that can be taken, and the declared columns that it has."""

    name: str
    live: frozenset[str]


@dataclass(frozen=True, slots=True)
class Adoption:
    """One run: what is adopted, and the names of its work tables, which end by themselves."""

    prefix: str
    game_date: date
    tag: str

    @property
    def rows_table(self) -> str:
        """Holds every row of every table that can be taken."""
        return f"_adopt_{self.tag}_rows"

    @property
    def keys_table(self) -> str:
        """Holds the distinct keys and their prediction ids."""
        return f"_adopt_{self.tag}_keys"

    @property
    def date_literal(self) -> str:
        """The game date as the texts write it, so that partitions are pruned (B8)."""
        return f"DATE '{self.game_date.isoformat()}'"


def an_adoption(prefix: str, game_date: date | None, *, now: datetime) -> Adoption:
    """Check what is asked for and name its work tables, anew each time: a table that is made again under its old name
    may refuse appends for minutes.

    Raises:
        InvalidInput: the prefix could be of other tables, or nothing tells the game date.
    """
    if not _PREFIX.fullmatch(prefix):
        problem = f"{prefix!r} is no prefix of staging tables; give one like _staging_batch_2026_01_30"
        raise InvalidInput("--prefix", problem)
    dated = game_date or _date_in(prefix)
    if dated is None:
        raise InvalidInput("--game-date", f"missing, and {prefix!r} does not say it; give the games' date")
    tag = hashlib.sha256(f"{prefix} {dated} {now.isoformat()}".encode()).hexdigest()[:16]
    return Adoption(prefix, dated, tag)


def _date_in(prefix: str) -> date | None:
    for found in _DATE.findall(prefix):
        try:
            return date.fromisoformat("-".join(found))
        except ValueError:
            continue
    return None


# --- tables ---------------------------------------------------------------------------------------------------


def why_not(table: str, live: tuple[Column, ...] | None) -> str | None:
    """Say why a table cannot be taken; None when it can. Columns are compared by name, types exactly; what was left
    NULLABLE is looked at row by row."""
    if _OURS.fullmatch(table):
        return "it is this system's own; its batch's consolidation merges it"
    if not _TABLE.fullmatch(table):
        return "its name has characters other than letters, digits and underscores"
    if live is None:
        return "it is gone"
    drift = tables.compare(_relaxed(tables.load(names.PREDICTIONS_TABLE).columns), _relaxed(live))
    lacking = [
        f"{column.name} is missing"
        for column in tables.load(names.PREDICTIONS_TABLE, 1).columns
        if column.mode == "REQUIRED" and column.name not in {each.name for each in live}
    ]
    return "; ".join([*drift.refusals, *lacking]) or None


def _relaxed(columns: Iterable[Column]) -> tuple[Column, ...]:
    return tuple(replace(column, mode="NULLABLE") if column.mode == "REQUIRED" else column for column in columns)


def work_tables(adoption: Adoption, *, now: datetime) -> tuple[TableSpec, TableSpec]:
    """The tables of rows and of keys."""
    columns = _relaxed(tables.load(names.PREDICTIONS_TABLE).columns)
    ends, labels = now + _WORK_TABLES_LAST, {"app": "tipoff", "purpose": "adopt"}
    return (
        TableSpec(adoption.rows_table, (*columns, _SOURCE), expires_at=ends, labels=labels),
        TableSpec(adoption.keys_table, _KEYS, expires_at=ends, labels=labels),
    )


def chunks(foreign: Iterable[Foreign], size: int = TABLES_PER_QUERY) -> Iterator[Sequence[Foreign]]:
    """Cut the tables into what one query may name."""
    rest = iter(foreign)
    while chunk := tuple(islice(rest, size)):
        yield chunk


# --- texts ----------------------------------------------------------------------------------------------------


def gather(adoption: Adoption, chunk: Sequence[Foreign]) -> str:
    """Copy the rows of some tables, by column name (B2), each with the name of its table."""
    there = frozenset().union(*(table.live for table in chunk))
    columns = [column for column in tables.load(names.PREDICTIONS_TABLE).columns if column.name in there]
    selects = union(f"SELECT {_cells(columns, table)}, '{table.name}' FROM `{table.name}`" for table in chunk)
    return f"""\
INSERT INTO `{adoption.rows_table}` (
{listed([*(f"`{column.name}`" for column in columns), f"`{_SOURCE.name}`"])}
)
{selects}"""


def _cells(columns: Iterable[Column], table: Foreign) -> str:
    cells = (f"`{column.name}`" if column.name in table.live else merge.absent(column) for column in columns)
    return ", ".join(cells)


def row_counts(chunk: Sequence[Foreign]) -> str:
    """How many rows some tables hold now."""
    return union(f"SELECT '{table.name}' AS `_source`, COUNT(*) AS `row_count` FROM `{table.name}`" for table in chunk)


def findings(adoption: Adoption) -> str:
    """Rows of each table by what keeps them from being adopted; NULL where nothing does."""
    return f"""\
SELECT `_source`, `reason`, COUNT(*) AS `row_count`
FROM (
  SELECT
    `_source`,
{indent(_reason(adoption), 4)} AS `reason`
  FROM `{adoption.rows_table}`
)
GROUP BY `_source`, `reason`"""


def distinct_keys(adoption: Adoption) -> str:
    """What the rows that can be adopted are about, each once."""
    return f"""\
SELECT DISTINCT `game_id`, `player_lookup`, `system_id`, `current_points_line`
FROM `{adoption.rows_table}`
WHERE (
{indent(_reason(adoption))}
) IS NULL"""


def _reason(adoption: Adoption) -> str:
    """The first thing that is wrong with a row."""
    schema = tables.load(names.PREDICTIONS_TABLE)
    cases = [
        ("`game_id` IS NULL OR TRIM(`game_id`) = ''", "no game id"),
        ("`player_lookup` IS NULL OR TRIM(`player_lookup`) = ''", "no player"),
        (f"`game_date` IS NULL OR `game_date` != {adoption.date_literal}", "another game date"),
        ("`current_points_line` IS NULL AND COALESCE(`recommendation`, '') != 'NO_LINE'", "no line"),
        ("`current_points_line` < 0", "invalid: current_points_line is below 0"),
    ]
    cases += [(f"`{c.name}` IS NULL", f"invalid: {c.name} is null") for c in schema.columns if c.mode == "REQUIRED"]
    for limit in schema.limits:
        allowed = ", ".join(f"'{text}'" for text in limit.allowed)
        beyond = f"NOT IN ({allowed})" if allowed else f"NOT BETWEEN {limit.minimum} AND {limit.maximum}"
        cases.append((f"`{limit.column}` {beyond}", f"invalid: {limit.column} is not {limit.words}"))
    whens = "\n".join(f"  WHEN {condition} THEN '{reason}'" for condition, reason in cases)
    return f"CASE\n{whens}\nEND"


def source(adoption: Adoption) -> str:
    """The newest copy of each key, among what was left behind and active rows of the target under other ids; and those
    rows of the target, which are retired."""
    columns = tables.load(names.PREDICTIONS_TABLE).columns
    taken = union(
        f"""\
SELECT
{listed([*(_keyed(column) for column in columns), "R.`prediction_id` AS `_former`"])}
FROM (
  SELECT * FROM `{table}` WHERE {condition}
) AS R
INNER JOIN `{adoption.keys_table}` AS K
ON {_same_key("R")}{twin}"""
        for table, condition, twin in (
            (adoption.rows_table, f"(\n{indent(_reason(adoption), 4)}\n  ) IS NULL", ""),
            (names.PREDICTIONS_TABLE, _active(adoption), " AND R.`prediction_id` != K.`prediction_id`"),
        )
    )
    kept = listed(f"`{column.name}`" for column in columns)
    retired = listed(f"T.`{column.name}`" for column in columns)
    return f"""\
SELECT
  FALSE AS `retire`,
  FALSE AS `overtaken`,
{kept}
FROM (
{indent(taken)}
)
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY `prediction_id` ORDER BY `updated_at` DESC, `created_at` DESC, `_former`
) = 1
UNION ALL
SELECT
  TRUE AS `retire`,
  FALSE AS `overtaken`,
{retired}
FROM `{names.PREDICTIONS_TABLE}` AS T
INNER JOIN `{adoption.keys_table}` AS K
ON {_same_key("T")} AND T.`prediction_id` != K.`prediction_id`
WHERE T.`game_date` = {adoption.date_literal} AND T.`is_active`"""


def _keyed(column: Column) -> str:
    if column.name == "prediction_id":
        return "K.`prediction_id`"
    if column.name == "updated_at":
        return "COALESCE(R.`updated_at`, R.`created_at`) AS `updated_at`"
    return f"R.`{column.name}`"


def _same_key(alias: str) -> str:
    same = " AND ".join(f"{alias}.`{name}` = K.`{name}`" for name in ("game_id", "player_lookup", "system_id"))
    line = f"COALESCE({alias}.`current_points_line`, {_NO_LINE}) = COALESCE(K.`points_line`, {_NO_LINE})"
    return f"{same} AND {line}"


def _active(adoption: Adoption) -> str:
    return f"`game_date` = {adoption.date_literal} AND `is_active`"


def count(adoption: Adoption) -> str:
    """What the MERGE would do."""
    return merge.count_statement(source(adoption), date_literal=adoption.date_literal)


def merge_text(adoption: Adoption) -> str:
    """The MERGE; @batch_id names the adoption in the rows that it retires."""
    columns = tables.load(names.PREDICTIONS_TABLE).columns
    return merge.merge_statement(source(adoption), columns=columns, date_literal=adoption.date_literal)


# --- answers --------------------------------------------------------------------------------------------------


def key_rows(adoption: Adoption, found: Iterable[Row]) -> list[Row]:
    """Give each distinct key its prediction id."""
    return [_key_row(adoption, row) for row in found]


def _key_row(adoption: Adoption, row: Row) -> Row:
    key = {name: str(row[name]) for name in ("game_id", "player_lookup", "system_id")}
    line = row["current_points_line"]
    exact = None if line is None else Decimal(str(line))
    prediction_id = names.prediction_id(game_date=adoption.game_date, **key, points_line=exact)
    return {"prediction_id": prediction_id, **key, "points_line": line}


def judge(counted: merge.Counted, *, keys: int, is_done: bool) -> None:
    """Check the counts before the MERGE, or after it.

    Raises:
        VerificationRefused: a key is lost or doubled, or after the MERGE something is left to do.
    """
    rows = counted.rows
    if counted.distinct_ids != rows.staged:
        raise VerificationRefused(
            f"the predictions table holds some of the {keys} prediction ids more than once; delete the copies there"
        )
    if rows.staged != keys or rows.staged != rows.inserted + rows.updated + rows.unchanged:
        raise VerificationRefused(
            f"{keys} distinct predictions were found, {rows.staged} would be merged: "
            f"{rows.inserted} inserted, {rows.updated} updated, {rows.unchanged} unchanged"
        )
    if is_done and (rows.inserted or rows.updated or rows.superseded):
        raise VerificationRefused(
            f"after the MERGE {rows.inserted} predictions are missing, {rows.updated} are older than those left behind, "
            f"{rows.superseded} rows of other ids are still active"
        )


def may_drop(
    foreign: Iterable[Foreign], left_out: Mapping[str, int], gathered: Mapping[str, int], now: Mapping[str, int]
) -> list[str]:
    """The tables that hold nothing which is not in the predictions table: every row was gathered, none was left out,
    and none has come since."""
    return [
        table.name
        for table in foreign
        if not left_out.get(table.name) and gathered.get(table.name, 0) == now.get(table.name)
    ]
