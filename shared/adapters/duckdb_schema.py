"""How BigQuery's columns and cells look in DuckDB: types both ways, definitions, the arrays that an append passes, the rows
that a query gives.

Every cell travels as a number, a bool or text that DuckDB casts by column; a Decimal never becomes a float.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import duckdb
import numpy as np

from schemas.tables import Cell, Column, Row
from shared.errors import QueryRefused

_DUCKDB_TYPES = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "JSON": "JSON",
    "NUMERIC": "DECIMAL(38,9)",
}
_BIGQUERY_TYPES = {name: bigquery for bigquery, name in _DUCKDB_TYPES.items()} | {
    "INTEGER": "INT64",
    "HUGEINT": "INT64",
    "TIMESTAMP": "DATETIME",
    "BLOB": "BYTES",
}
_ZONED = "TIMESTAMP WITH TIME ZONE"
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_WIDTHS = {"STRING": 32, "JSON": 256, "NUMERIC": 16, "BOOL": 1}
"""Bytes of a cell as BigQuery counts them (https://cloud.google.com/bigquery/pricing#data), text by a guess; else 8."""


def quoted(name: str) -> str:
    """Write a name as a DuckDB identifier, or as nothing else."""
    return '"' + name.replace('"', '""') + '"'


def table_exists(cursor: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Tell whether the dataset has a table."""
    sql = "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'main' AND lower(table_name) = lower(?)"
    found = cursor.execute(sql, [table]).fetchone()
    return found is not None and found[0] > 0


DESCRIPTIONS = "CREATE TABLE IF NOT EXISTS catalogue.descriptions (table_name TEXT, column_name TEXT, text TEXT)"
"""Where descriptions are kept: DuckDB's own comments are found only by reading every column of every table."""


def live_columns(cursor: duckdb.DuckDBPyConnection, table: str) -> tuple[Column, ...]:
    """Read a table's columns as BigQuery would tell them.

    Raises:
        duckdb.CatalogException: there is no such table; the transaction is of no use any more.
    """
    columns = append_columns(cursor, table)
    sql = "SELECT column_name, text FROM catalogue.descriptions WHERE table_name = lower(?)"
    described = dict(cursor.execute(sql, [table]).fetchall())
    return tuple(replace(column, description=described.get(column.name, "")) for column in columns)


def append_columns(cursor: duckdb.DuckDBPyConnection, table: str) -> tuple[Column, ...]:
    """Read what an append needs of a table's columns: no descriptions.

    Raises:
        duckdb.CatalogException: there is no such table.
    """
    rows = cursor.execute('SELECT name, type, NOT "notnull" FROM pragma_table_info(?)', [quoted(table)]).fetchall()
    return tuple(_column(*row) for row in rows)


def _column(name: str, data_type: str, is_nullable: bool) -> Column:
    mode = "NULLABLE" if is_nullable else "REQUIRED"
    if data_type.endswith("[]"):
        data_type, mode = data_type.removesuffix("[]"), "REPEATED"
    bounds = _DECIMAL.fullmatch(data_type)
    if data_type in _BIGQUERY_TYPES or bounds is None:
        return Column(name, _BIGQUERY_TYPES.get(data_type, data_type), mode)
    return Column(name, "NUMERIC", mode, int(bounds[1]), int(bounds[2]))


def _type(column: Column) -> str:
    bounded = _DUCKDB_TYPES[column.type]
    if column.precision is not None:
        bounded = f"DECIMAL({column.precision},{column.scale or 0})"
    return f"{bounded}[]" if column.mode == "REPEATED" else bounded


def definition(column: Column) -> str:
    """Write a column as CREATE TABLE takes it; a REPEATED one is empty when absent and never NULL."""
    constraint = {"REQUIRED": " NOT NULL", "REPEATED": " NOT NULL DEFAULT []"}.get(column.mode, "")
    return f"{quoted(column.name)} {_type(column)}{constraint}"


def describe(cursor: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column]) -> None:
    """Store the columns' descriptions."""
    texts = [[table, column.name, column.description] for column in columns if column.description]
    if texts:
        cursor.executemany("INSERT INTO catalogue.descriptions VALUES (lower(?), ?, ?)", texts)


def forget(cursor: duckdb.DuckDBPyConnection, table: str) -> None:
    """Remove the descriptions of a table that is gone."""
    cursor.execute("DELETE FROM catalogue.descriptions WHERE table_name = lower(?)", [table])


def add_column(cursor: duckdb.DuckDBPyConnection, table: str, column: Column) -> None:
    """Add one column to a table; existing rows hold NULL, or the empty array in a REPEATED one."""
    default = " DEFAULT []" if column.mode == "REPEATED" else ""
    cursor.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column.name)} {_type(column)}{default}")
    if column.mode == "REPEATED":
        cursor.execute(f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(column.name)} SET NOT NULL")


def declared_bytes(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    """A table's rows times the widths of its columns; 0 for a table that is not there (a CREATE's target)."""
    sql = "SELECT estimated_size FROM duckdb_tables() WHERE schema_name = 'main' AND lower(table_name) = lower(?)"
    size = cursor.execute(sql, [table]).fetchone()
    if size is None:
        return 0
    return int(size[0]) * sum(_WIDTHS.get(column.type, 8) for column in append_columns(cursor, table))


# --- an append's cells ----------------------------------------------------------------------------------------


def cell_array(column: Column, cells: Sequence[Cell]) -> Any:
    """Put a column's cells, already checked, into an array that DuckDB scans; `cell_cast` reads it."""
    numeric = {"INT64": np.int64, "FLOAT64": np.float64, "BOOL": np.bool_}.get(column.type)
    if numeric is not None and column.mode != "REPEATED":
        filled: np.ndarray[Any, np.dtype[Any]] = np.array(
            [0 if cell is None else cell for cell in cells], dtype=numeric
        )
        return np.ma.masked_array(filled, mask=[cell is None for cell in cells])
    array = np.empty(len(cells), dtype=object)
    text = _TEXT.get("REPEATED" if column.mode == "REPEATED" else column.type, str)
    array[:] = [None if cell is None else text(cell) for cell in cells]
    return array


def cell_cast(name: str, column: Column) -> str:
    """Write the expression that turns an array's elements into the column's type."""
    if column.mode == "REPEATED":
        return f"""CAST(from_json(CAST({name} AS JSON), '["VARCHAR"]') AS {_type(column)})"""
    return name if column.type in ("STRING", "INT64", "FLOAT64", "BOOL") else f"CAST({name} AS {_type(column)})"


def _utc_text(cell: Any) -> str:
    return cast(datetime, cell).astimezone(UTC).isoformat()


def _list_text(cell: Any) -> str:
    return json.dumps([_utc_text(each) if isinstance(each, datetime) else str(each) for each in cell])


_TEXT: Mapping[str, Callable[[Any], str]] = {"TIMESTAMP": _utc_text, "REPEATED": _list_text}


def result_rows(cursor: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Any]) -> list[Row]:
    """Run a query and read its rows, with times in UTC.

    Raises:
        QueryRefused: two columns of the result have the same name.
    """
    result = cursor.sql(query, params=dict(parameters))
    names = [str(name) for name in result.columns]
    if len(set(names)) < len(names):
        raise QueryRefused(f"duplicate column names in the result: {', '.join(names)}")
    types = [str(kind) for kind in result.types]
    zoned = [index for index, kind in enumerate(types) if _ZONED in kind]
    if not zoned:
        return [dict(zip(names, cells, strict=True)) for cells in result.fetchall()]
    # DuckDB hands out zoned times only with pytz installed; the session's zone is UTC, so nothing is lost without.
    plain = ", ".join(
        f"CAST({quoted(n)} AS {t.replace(_ZONED, 'TIMESTAMP')}) AS {quoted(n)}" if _ZONED in t else quoted(n)
        for n, t in zip(names, types, strict=True)
    )
    rows: list[Row] = []
    for values in result.project(plain).fetchall():
        cells = list(values)
        for index in zoned:
            cells[index] = _in_utc(cells[index])
        rows.append(dict(zip(names, cells, strict=True)))
    return rows


def _in_utc(cell: Cell) -> Cell:
    match cell:
        case datetime():
            return cell.replace(tzinfo=UTC)
        case list():
            return [_in_utc(element) for element in cell]
        case dict():
            return {name: _in_utc(value) for name, value in cell.items()}
        case _:
            return cell
