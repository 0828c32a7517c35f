"""Decides whether rows fit a table's live columns, and of what type a parameter is, before either warehouse sees them, so
that both refuse the same.

The checks are those of the declared tables; rows that passed them already are not looked at again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from schemas.cells import TYPES
from schemas.tables import Cell, Column, FittedRows, Row, RowRefused, TableSchema
from shared.errors import QueryRefused


def fitted_columns(
    table: str, columns: Sequence[Column], rows: Sequence[Row] | FittedRows
) -> list[tuple[Column, list[Cell]]]:
    """Turn rows into columns, in table order, leaving out columns that no row fills (but one, so that empty rows count).

    Raises:
        QueryRefused: a row names a column that the table lacks, leaves a REQUIRED one empty, or holds a value that
            does not fit; names the row (from 1), the column and the value.
    """
    known = {column.name: column for column in columns}
    if isinstance(rows, FittedRows) and all(_is_same(column, known.get(column.name)) for column in rows.columns):
        cells: Mapping[str, list[Cell]] = rows.cells
    else:
        cells = _fitted(table, tuple(columns), rows.rows() if isinstance(rows, FittedRows) else rows)
    filled = [column for column in columns if column.name in cells and any(map(_is_filled, cells[column.name]))]
    return [(column, cells[column.name]) for column in filled or columns[-1:]]


def joined(batches: Sequence[Sequence[Row] | FittedRows]) -> Sequence[Row] | FittedRows:
    """All rows together, as checked as they were where all are of the same columns."""
    checked = [rows for rows in batches if isinstance(rows, FittedRows)]
    if len(checked) == len(batches) and len({rows.columns for rows in checked}) == 1:
        return checked[0].and_then(checked[1:])
    return [row for rows in batches for row in (rows.rows() if isinstance(rows, FittedRows) else rows)]


def _is_filled(cell: Cell) -> bool:
    return cell is not None and cell != []


def _is_same(fitted: Column, live: Column | None) -> bool:
    return live is not None and fitted.shape == live.shape


def _fitted(table: str, columns: tuple[Column, ...], rows: Sequence[Row]) -> Mapping[str, list[Cell]]:
    schema, repeated = _schema(table, columns), {column.name for column in columns if column.mode == "REPEATED"}
    cells: dict[str, list[Cell]] = {}
    for name in dict.fromkeys(name for row in rows for name in row) or [columns[-1].name]:
        given = (row.get(name) for row in rows)
        cells[name] = [[] if cell is None else cell for cell in given] if name in repeated else list(given)
    for column in columns:
        if column.type == "NUMERIC":
            _refuse_floats(table, column, cells.get(column.name, ()))
    try:
        return schema.fit(cells).cells
    except RowRefused as refused:
        raise QueryRefused(f"{table}, row {refused.row + 1}: {refused}"[:500]) from refused


def _refuse_floats(table: str, column: Column, cells: Sequence[Cell]) -> None:
    """A declared table takes a float that is written as the number it means; here nobody can tell what it means."""
    for number, cell in enumerate(cells, start=1):
        if isinstance(cell, float):
            kind = f"{column.mode} {column.sql_type}"
            raise QueryRefused(f"{table}, row {number}: column {column.name} ({kind}) cannot hold {cell!r}")


@lru_cache(maxsize=64)
def _schema(table: str, columns: tuple[Column, ...]) -> TableSchema:
    """Columns of types that no declaration uses take nothing from here; a foreign table may have some."""
    return TableSchema(table, 0, tuple(column for column in columns if column.type in TYPES))


NO_TYPE = "NULL"


def parameter_type(name: str, value: object) -> str:
    """Name the BigQuery type of a query parameter's value; `NO_TYPE` for None, whose type follows from its use.

    Raises:
        QueryRefused: no BigQuery type belongs to the value, or a time lacks its zone.
    """
    match value:
        case None:
            return NO_TYPE
        case bool():
            return "BOOL"
        case int():
            return "INT64"
        case float():
            return "FLOAT64"
        case Decimal():
            return "NUMERIC"
        case str():
            return "STRING"
        case datetime() if value.tzinfo is not None:
            return "TIMESTAMP"
        case datetime():
            raise QueryRefused(f"parameter @{name}: {value!r} has no time zone; pass an aware time")
        case date():
            return "DATE"
        case list() | tuple() if all(isinstance(element, str) for element in value):
            return "ARRAY<STRING>"
        case _:
            raise QueryRefused(f"parameter @{name}: {type(value).__name__} is no type a parameter may have")
