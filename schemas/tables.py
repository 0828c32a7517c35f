"""The declared tables: `schemas/<table>/v<n>.json` in BigQuery's own JSON form is the single truth about columns.

Knows how to read a declaration, whether a row fits one, and whether two lists of columns agree. Never asks for a live
table: whoever has one brings its columns.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any, NoReturn, TypeAlias

from schemas.cells import Check, Limit, Unfit, checker

Cell: TypeAlias = "None | bool | int | float | str | Decimal | date | datetime | list[Cell] | dict[str, Cell]"
Row: TypeAlias = Mapping[str, Cell]

PREDICTIONS = "predictions"
GRADES = "grades"
TABLES = (PREDICTIONS, GRADES, "player_game_logs", "scheduled_games", "points_lines", "injury_reports")
"""Every declared table."""

BATCH_COLUMN, PLANNED_ON_COLUMN, DELIVERY_COLUMN = "_batch_id", "_planned_on", "_delivery"
LINEAGE = (BATCH_COLUMN, PLANNED_ON_COLUMN, DELIVERY_COLUMN)
"""The columns that staging tables have beyond the predictions table."""

# The API still answers with these older names (https://cloud.google.com/bigquery/docs/reference/rest/v2/tables).
_GOOGLESQL_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "DECIMAL": "NUMERIC"}


class UnknownTable(ValueError):
    """No table, or no version of it, is declared under that name."""


class RowRefused(ValueError):
    """A row does not fit the declared table (E1); the text names the column, the value and what the column takes."""

    def __init__(self, column: str, value: object, problem: str, *, row: int = 0) -> None:
        super().__init__(f"column {column}: {problem}")
        self.column = column
        self.value = value
        self.problem = problem
        self.row = row
        """Its place among the rows that were checked together."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `type` in GoogleSQL's names (STRING, INT64, FLOAT64, BOOL, NUMERIC, DATE, TIMESTAMP, JSON),
    `mode` REQUIRED, NULLABLE or REPEATED; `precision` and `scale` for a bounded NUMERIC."""

    name: str
    type: str
    mode: str = "NULLABLE"
    precision: int | None = None
    scale: int | None = None
    description: str = ""

    @property
    def sql_type(self) -> str:
        """The type as GoogleSQL writes it, e.g. `NUMERIC(5, 1)`, `ARRAY<STRING>`."""
        bounded = self.type if self.precision is None else f"{self.type}({self.precision}, {self.scale or 0})"
        return f"ARRAY<{bounded}>" if self.mode == "REPEATED" else bounded

    @property
    def shape(self) -> str:
        """Type and mode, as a sentence names them."""
        return f"{self.sql_type}, {self.mode}"

    def api_repr(self) -> dict[str, str]:
        """The column as BigQuery's API and `bq` take it."""
        field = {"name": self.name, "type": self.type, "mode": self.mode, "description": self.description}
        if self.precision is not None:
            field |= {"precision": str(self.precision), "scale": str(self.scale or 0)}
        return field


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A released version of a table's columns, in order, and the limits on their values."""

    table: str
    version: int
    columns: tuple[Column, ...]
    limits: tuple[Limit, ...] = ()
    fingerprint: str = field(init=False, compare=False)
    """A short hash of names, types and modes, in order; descriptions are for people and leave it as it is."""
    _checks: dict[str, tuple[bool, Callable[[object], Cell]]] = field(init=False, repr=False, compare=False)
    """Of each column, in order, whether it may be null, and its check."""

    def __post_init__(self) -> None:
        limits = {limit.column: limit for limit in self.limits}
        checks = {c.name: (c.mode == "NULLABLE", _check_of(c, limits.get(c.name))) for c in self.columns}
        shapes = json.dumps([[column.name, column.sql_type, column.mode] for column in self.columns])
        object.__setattr__(self, "fingerprint", hashlib.sha256(shapes.encode()).hexdigest()[:16])
        object.__setattr__(self, "_checks", checks)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name. Raises `KeyError` when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def fit(self, cells: Mapping[str, Sequence[object]]) -> FittedRows:
        """Return rows, given by columns, as the table takes them: every declared column, in order, in plain Python values.

        Numpy scalars become plain ones; an absent NULLABLE column is None, an absent REPEATED one is []. Rows that were
        returned are returned unchanged.

        Args:
            cells: columns of one length each; with none there is one empty row.

        Raises:
            RowRefused: a column is unknown, missing, null or of the wrong type or range; the first such is named.
        """
        unknown = min(cells.keys() - self._checks.keys(), default=None)
        if unknown is not None:
            fix = f"leave {_shown(cells[unknown][0])} out or declare the column"
            raise RowRefused(unknown, cells[unknown][0], f"{self.table} v{self.version} has no such column; {fix}")
        count = len(next(iter(cells.values()), [None]))
        fitted = {
            name: self._fit_column(name, cells[name]) if name in cells else self._absent(name, count)
            for name in self._checks
        }
        return FittedRows(self.columns, fitted)

    def validate_row(self, row: Mapping[str, object]) -> dict[str, Cell]:
        """`fit` for one row."""
        (fitted,) = self.fit({name: [value] for name, value in row.items()}).rows()
        return fitted

    def _fit_column(self, name: str, values: Sequence[object]) -> list[Cell]:
        is_nullable, check = self._checks[name]
        fitted: list[Cell] = []
        former: object = _NOTHING
        cell: Cell = None
        for value in values:
            # Rows of one player share many a cell, and share the object.
            if value is not former:
                try:
                    cell = check(value) if value is not None else None
                except Unfit as unfit:
                    problem = f"{_shown(value)} does not fit; it takes {unfit}"
                    raise RowRefused(name, value, problem, row=len(fitted)) from None
                if cell is None and not is_nullable:
                    self._refuse_null(name, row=len(fitted))
                former = value
            fitted.append(cell)
        return fitted

    def _absent(self, name: str, count: int) -> list[Cell]:
        column = self.column(name)
        if column.mode == "REQUIRED":
            here = f"{self.table} v{self.version}"
            raise RowRefused(name, None, f"is missing; {here} requires it, it takes {column.sql_type}")
        return [[] if column.mode == "REPEATED" else None] * count

    def _refuse_null(self, name: str, *, row: int) -> NoReturn:
        column = self.column(name)
        if column.mode == "REPEATED":
            fix = f"None does not fit; it takes {column.sql_type}, [] where there is nothing"
        else:
            fix = f"None does not fit; {self.table} v{self.version} requires it, it takes {column.sql_type}"
        raise RowRefused(name, None, fix, row=row)


@dataclass(frozen=True, slots=True)
class FittedRows:
    """Rows by columns, checked: only `TableSchema.fit` makes them, from cells, and the methods here, from others."""

    columns: tuple[Column, ...]
    cells: Mapping[str, list[Cell]]
    """Every column's cells, all of one length."""

    def __len__(self) -> int:
        return len(next(iter(self.cells.values())))

    def rows(self) -> list[dict[str, Cell]]:
        """The same as one mapping for each row."""
        names = tuple(self.cells)
        return [dict(zip(names, row, strict=True)) for row in zip(*self.cells.values(), strict=True)]

    def part(self, *slices: slice) -> FittedRows:
        """Some of the rows."""
        return FittedRows(
            self.columns,
            {name: [cell for one in slices for cell in cells[one]] for name, cells in self.cells.items()},
        )

    def beside(self, other: FittedRows) -> FittedRows:
        """The columns of both; they are of the same rows."""
        return FittedRows((*self.columns, *other.columns), {**self.cells, **other.cells})

    def and_then(self, others: Sequence[FittedRows]) -> FittedRows:
        """The rows of all; they have the same columns."""
        return FittedRows(
            self.columns,
            {name: [*cells, *(c for other in others for c in other.cells[name])] for name, cells in self.cells.items()},
        )


_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Drift:
    """How live columns differ from the declared ones."""

    missing_in_live: tuple[Column, ...] = ()
    """Declared NULLABLE or REPEATED columns that the live table lacks: one additive ALTER mends them."""
    undeclared: tuple[Column, ...] = ()
    """Live columns that no declaration knows."""
    clashes: tuple[str, ...] = ()
    """One sentence for each column whose type, mode or precision differs, and each missing REQUIRED one."""

    @property
    def refusals(self) -> tuple[str, ...]:
        """One sentence for everything that no additive change mends; empty when the rest can be mended."""
        unknown = (f"{c.name} ({c.shape}) is in the live table but not declared" for c in self.undeclared)
        return (*self.clashes, *unknown)


def compare(declared: Sequence[Column], live: Sequence[Column]) -> Drift:
    """Compare columns by name, whatever their order and descriptions (E4, B2)."""
    if tuple(declared) == tuple(live):
        return Drift()
    expected = {column.name: column for column in declared}
    found = {column.name: column for column in live}
    missing = [column for name, column in expected.items() if name not in found]
    pairs = ((column, found[name]) for name, column in expected.items() if name in found)
    differing = ((one, other) for one, other in pairs if one.shape != other.shape)
    clashes = [f"{one.name} is declared {one.shape} but live it is {other.shape}" for one, other in differing]
    lacking = [f"{c.name} is declared {c.sql_type}, REQUIRED, but is missing" for c in missing if c.mode == "REQUIRED"]
    return Drift(
        missing_in_live=tuple(column for column in missing if column.mode != "REQUIRED"),
        undeclared=tuple(column for name, column in found.items() if name not in expected),
        clashes=(*clashes, *lacking),
    )


@functools.cache
def versions(table: str) -> tuple[int, ...]:
    """The released versions of a table, oldest first. Raises `UnknownTable`."""
    if table not in TABLES:
        raise UnknownTable(f"table {table!r} is not declared; declared are {', '.join(TABLES)}")
    names = (re.fullmatch(r"v(\d+)\.json", entry.name) for entry in files("schemas").joinpath(table).iterdir())
    return tuple(sorted(int(name[1]) for name in names if name))


def latest_version(table: str) -> int:
    """The newest released version of a table. Raises `UnknownTable`."""
    return versions(table)[-1]


@functools.cache
def load(table: str, version: int | None = None) -> TableSchema:
    """Read a released version, the latest by default, with the limits on its values (`ranges.json` beside it).

    Raises:
        UnknownTable: there is no such table or version.
    """
    released = versions(table)
    wanted = released[-1] if version is None else version
    if wanted not in released:
        known = ", ".join(f"v{number}" for number in released)
        raise UnknownTable(f"table {table!r} has no version {wanted}; released are {known}")
    folder = files("schemas").joinpath(table)
    columns = columns_from_json(json.loads(folder.joinpath(f"v{wanted}.json").read_text(encoding="utf-8")))
    ranges = folder.joinpath("ranges.json")
    limits = json.loads(ranges.read_text(encoding="utf-8")) if ranges.is_file() else {}
    names = {column.name for column in columns}
    return TableSchema(table, wanted, columns, tuple(_limit(n, of) for n, of in limits.items() if n in names))


@functools.cache
def staging_schema(version: int) -> TableSchema:
    """The staging table of a predictions version: its columns and limits, and the lineage. Raises `UnknownTable`."""
    predictions = load(PREDICTIONS, version)
    return TableSchema("staging", version, (*predictions.columns, *LINEAGE_SCHEMA.columns), predictions.limits)


def staging_columns(version: int) -> tuple[Column, ...]:
    """The columns of a staging table of a predictions version, in order. Raises `UnknownTable`."""
    return staging_schema(version).columns


def lineage(batch_id: str, planned_at: datetime, delivery: str) -> dict[str, Cell]:
    """The cells that a staged row has beyond its prediction."""
    return {
        BATCH_COLUMN: batch_id,
        PLANNED_ON_COLUMN: planned_at.astimezone(UTC).date(),
        DELIVERY_COLUMN: delivery,
    }


def columns_from_json(fields: Sequence[Mapping[str, str]]) -> tuple[Column, ...]:
    """Read columns in BigQuery's JSON form, as declared here or as its API answers; types get GoogleSQL's names."""
    return tuple(
        Column(
            name=field["name"],
            type=_GOOGLESQL_NAMES.get(field["type"], field["type"]),
            mode=field.get("mode") or "NULLABLE",
            precision=int(field["precision"]) if field.get("precision") else None,
            scale=int(field["scale"]) if field.get("scale") else None,
            description=field.get("description") or "",
        )
        for field in fields
    )


def _check_of(column: Column, limit: Limit | None) -> Callable[[object], Cell]:
    check = checker(column.type, column.precision, column.scale, limit)
    return _check_each(check, column.sql_type) if column.mode == "REPEATED" else check


def _check_each(check: Check, sql_type: str) -> Callable[[object], Cell]:
    def check_elements(value: object) -> list[Cell]:
        if not isinstance(value, list | tuple):
            raise Unfit(f"{sql_type} (a list)")
        return [check(element) for element in value]

    return check_elements


def _limit(name: str, of: Mapping[str, Any]) -> Limit:
    return Limit(name, allowed=tuple(of["allowed"])) if "allowed" in of else Limit(name, of["minimum"], of["maximum"])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


LINEAGE_SCHEMA = TableSchema(
    "lineage",
    1,
    (
        Column(BATCH_COLUMN, "STRING", "REQUIRED", description="the batch whose player the row is about"),
        Column(PLANNED_ON_COLUMN, "DATE", "REQUIRED", description="UTC date of the batch's planned_at"),
        Column(DELIVERY_COLUMN, "STRING", "REQUIRED", description="rows that share it are identical copies"),
    ),
)
