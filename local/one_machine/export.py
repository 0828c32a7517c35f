"""A date's active predictions as one file: decides the columns' order and how each value is written.

Knows the declared columns of the newest version; reads through the port, so it serves any warehouse.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TextIO

import duckdb

from schemas.names import PREDICTIONS_TABLE
from schemas.tables import Cell, Column, Row, load
from shared.errors import InvalidInput
from shared.ports import Jobs

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take text for a formula (OWASP, "CSV Injection"); a number is no text."""

_PARQUET_TYPES = {
    "STRING": "VARCHAR",
    "JSON": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOL": "BOOLEAN",
    "NUMERIC": "DECIMAL(38, 9)",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
}


def export(warehouse: Jobs, game_date: date, path: Path, *, spreadsheet_safe: bool = False) -> int:
    """Write the date's active predictions to a `.csv` or `.parquet` file and return their number.

    All declared columns of the newest version in their order, rows ordered by player, system and line; the same table
    gives the same rows and, as CSV, the same bytes. The file appears whole or not at all, and replaces one of that name.
    In CSV null is empty, times are ISO 8601 in UTC, NUMERIC has its declared decimals and lists are JSON.

    Args:
        spreadsheet_safe: put an apostrophe before text in CSV that a spreadsheet would take for a formula. Numbers stay, and
            so does Parquet, whose cells say what they are.

    Raises:
        InvalidInput: the path has another ending, or cannot be written.
        TableMissing, QueryRefused, Unavailable: as `Jobs.query`.
    """
    write = writer_for(path)
    columns = load(PREDICTIONS_TABLE).columns
    rows = warehouse.query(active_predictions_sql(), {"game_date": game_date})
    if spreadsheet_safe and write is _write_csv:
        rows = [{name: _inert(cell) for name, cell in row.items()} for row in rows]
    try:
        with tempfile.TemporaryDirectory(prefix=".tipoff-export-", dir=path.parent) as scratch:
            written = Path(scratch) / path.name
            write(written, columns, rows)
            written.replace(path)
    except OSError as error:
        raise InvalidInput("export", f"{path} cannot be written ({error.strerror}); name another file") from error
    except duckdb.IOException as error:
        raise InvalidInput("export", f"{path} cannot be written ({error}); name another file") from error
    return len(rows)


Writer = Callable[[Path, Sequence[Column], Sequence[Row]], None]


def writer_for(path: Path) -> Writer:
    """The way to write a file of that ending.

    Raises:
        InvalidInput: the ending is neither `.csv` nor `.parquet`.
    """
    match path.suffix.lower():
        case ".csv":
            return _write_csv
        case ".parquet":
            return _write_parquet
        case _:
            raise InvalidInput("export", f"{path.name} must end in .csv or .parquet")


def active_predictions_sql() -> str:
    """BigQuery SQL for the active predictions of `@game_date`, every declared column by name, in a fixed order."""
    names = ", ".join(f"`{name}`" for name in load(PREDICTIONS_TABLE).names)
    return (
        f"SELECT {names} FROM `{PREDICTIONS_TABLE}` WHERE `game_date` = @game_date AND `is_active` "
        "ORDER BY `player_lookup`, `system_id`, `current_points_line`, `prediction_id`"
    )


class _Lines:
    """Ends rows by a newline. The writer is told of a carriage return too, since it quotes only what may end a row."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str, /) -> object:
        """Write one row."""
        return self._file.write(row.removesuffix("\r\n") + "\n")


def _inert(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def _write_csv(path: Path, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(_Lines(file), lineterminator="\r\n")
        writer.writerow(column.name for column in columns)
        writer.writerows([_csv_text(column, row[column.name]) for column in columns] for row in rows)


def _csv_text(column: Column, value: Cell) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:.{column.scale or 0}f}" if column.precision else f"{value.normalize():f}"
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case int() | float() | str():
            return str(value)


def _write_parquet(path: Path, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    # Lines of JSON carry every value as exact text, with null apart from empty text; DuckDB gives them their types.
    lines = path.with_suffix(".ndjson")
    with lines.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({column.name: _json_text(column, row[column.name]) for column in columns}) + "\n")
    read = ", ".join(f"'{column.name}': '{_text_type(column)}'" for column in columns)
    typed = ", ".join(f"CAST({column.name} AS {_parquet_type(column)}) AS {column.name}" for column in columns)
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"COPY (SELECT {typed} FROM read_json($lines, format='newline_delimited', columns={{{read}}})) "
            "TO $path (FORMAT parquet)",
            {"lines": str(lines), "path": str(path)},
        )


def _json_text(column: Column, value: Cell) -> str | list[str] | None:
    if isinstance(value, list) and column.mode == "REPEATED":
        return [_csv_text(column, element) for element in value]
    return None if value is None else _csv_text(column, value)


def _text_type(column: Column) -> str:
    return "VARCHAR[]" if column.mode == "REPEATED" else "VARCHAR"


def _parquet_type(column: Column) -> str:
    one = _PARQUET_TYPES[column.type]
    if column.precision is not None:
        one = f"DECIMAL({column.precision}, {column.scale or 0})"
    return f"{one}[]" if column.mode == "REPEATED" else one
