"""A date's active predictions as one file: decides the columns' order and how each value is written; DuckDB writes it."""

from __future__ import annotations

import tempfile
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb

from schemas.names import PREDICTIONS_TABLE
from schemas.tables import Column, load
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import InvalidInput, TableMissing

_FORMULA_STARTS = r"^[=+\-@\t\r\n]"
"""What makes a spreadsheet take text for a formula (OWASP, "CSV Injection"); a number is no text."""


def export(warehouse: DuckdbWarehouse, game_date: date, path: Path, *, spreadsheet_safe: bool = False) -> int:
    """Write the date's active predictions to a `.csv` or `.parquet` file and return their number.

    All declared columns of the newest version in their order, rows ordered by player, system and line; the same table
    gives the same rows and, as CSV, the same bytes. The file appears whole or not at all, and replaces one of that name.
    In CSV null is empty, and empty text is two quotes; times are ISO 8601 in UTC, NUMERIC has its declared decimals and
    lists are JSON.

    Args:
        spreadsheet_safe: put an apostrophe before text in CSV that a spreadsheet would take for a formula. Numbers stay, and
            so does Parquet, whose cells say what they are.

    Raises:
        InvalidInput: the path has another ending, or cannot be written.
        TableMissing: there are no predictions.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("csv", "parquet"):
        raise InvalidInput("export", f"{path.name} must end in .csv or .parquet")
    if warehouse.columns(PREDICTIONS_TABLE) is None:
        raise TableMissing(PREDICTIONS_TABLE)
    how = "FORMAT csv, HEADER" if kind == "csv" else "FORMAT parquet"
    sql = f"COPY ({_select(is_text=kind == 'csv', is_safe=spreadsheet_safe)}) TO $path ({how})"
    try:
        with tempfile.TemporaryDirectory(prefix=".tipoff-export-", dir=path.parent) as scratch:
            written = Path(scratch) / path.name
            with closing(warehouse.cursor()) as cursor:
                ((rows,),) = cursor.execute(sql, {"game_date": game_date, "path": str(written)}).fetchall()
            written.replace(path)
    except OSError as error:
        raise InvalidInput("export", f"{path} cannot be written ({error.strerror}); name another file") from error
    except duckdb.IOException as error:
        raise InvalidInput("export", f"{path} cannot be written ({error}); name another file") from error
    return int(rows)


def _select(*, is_text: bool, is_safe: bool) -> str:
    columns = load(PREDICTIONS_TABLE).columns
    cells = ", ".join(
        f"{_text(column, is_safe=is_safe) if is_text else _typed(column)} AS {column.name}" for column in columns
    )
    return (
        f"SELECT {cells} FROM {PREDICTIONS_TABLE} AS p WHERE p.game_date = $game_date AND p.is_active "
        "ORDER BY p.player_lookup, p.system_id, p.current_points_line NULLS FIRST, p.prediction_id"
    )


def _typed(column: Column) -> str:
    return f"CAST(p.{column.name} AS VARCHAR)" if column.type == "JSON" else f"p.{column.name}"


def _text(column: Column, *, is_safe: bool) -> str:
    cell = f"p.{column.name}"
    if column.mode == "REPEATED":
        return f"to_json({cell})"
    if column.type == "TIMESTAMP":
        return f"strftime({cell} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    if column.type == "STRING" and is_safe:
        return f"IF(regexp_matches({cell}, '{_FORMULA_STARTS}'), '''' || {cell}, {cell})"
    return cell
