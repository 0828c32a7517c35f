"""The rows that every side loads and merges: real ones of the sample season's day, copied, in two Parquet files.

The second file has the same predictions, an hour newer and with other points. Also tells whether two tables hold the same.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from local.sample.season import SAMPLE_GAME_DATE, write
from schemas import tables

NEW_AT = datetime(2026, 1, 30, 17, tzinfo=UTC)
MATCHED_AT = NEW_AT + timedelta(hours=1)
COLUMNS = tables.load(tables.PREDICTIONS).columns
_OURS = ("created_at", "prediction_version")
"""Tipoff's MERGE keeps the one and counts the other up; a peer's takes what the newer row says."""


def write_rows(folder: Path, count: int) -> tuple[Path, Path]:
    """Write the two files: `count` rows that are new, and the same rows to match."""
    season, day = folder / "season", folder / "day.duckdb"
    write(season)
    floor = [sys.executable, "-m", "bench.floor", str(season), SAMPLE_GAME_DATE.isoformat(), str(day)]
    subprocess.run(floor, check=True)  # noqa: S603 - our own words
    new, matched = folder / "new.parquet", folder / "matched.parquet"
    with duckdb.connect(str(day)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        copied = (
            "SELECT predictions.* REPLACE ("
            "CAST(md5(prediction_id || copy) AS VARCHAR) AS prediction_id, player_lookup || '-' || copy AS player_lookup, "
            "CAST(feature_importance AS VARCHAR) AS feature_importance, "
            f"TIMESTAMPTZ '{NEW_AT.isoformat()}' AS created_at, TIMESTAMPTZ '{NEW_AT.isoformat()}' AS updated_at) "
            f"FROM predictions, range({count}) AS copies(copy) ORDER BY copy, predictions.prediction_id LIMIT {count}"
        )
        connection.execute(f"COPY ({copied}) TO '{new}' (FORMAT parquet)")
        newer = (
            f"SELECT * REPLACE (predicted_points + 0.1 AS predicted_points, TIMESTAMPTZ '{MATCHED_AT.isoformat()}' AS updated_at) "
            f"FROM '{new}'"
        )
        connection.execute(f"COPY ({newer}) TO '{matched}' (FORMAT parquet)")
    return new, matched


def contents(database: Path, *, schema: str = "main") -> tuple[int, str]:
    """How many predictions a DuckDB file holds, and a hash of every cell but `created_at` and `prediction_version`."""
    return _hashed(database, f"{schema}.predictions")


def contents_of_file(parquet: Path) -> tuple[int, str]:
    """The same of a Parquet file: what every side must hold after it."""
    return _hashed(None, f"'{parquet}'")


def _hashed(database: Path | None, relation: str) -> tuple[int, str]:
    cells = ", ".join(_as_text(column) for column in COLUMNS if column.name not in _OURS)
    with duckdb.connect(str(database) if database else ":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        (found,) = connection.execute(
            f"SELECT COUNT(*), md5(string_agg(md5(concat_ws('|', {cells})), '' ORDER BY prediction_id)) FROM {relation}"
        ).fetchall()
    return int(found[0]), str(found[1])


def _as_text(column: tables.Column) -> str:
    """A cell in words that do not depend on how a side chose to type it."""
    name = f'"{column.name}"'
    if column.mode == "REPEATED":
        words = f"to_json({name}) ->> '$'"
        return f"coalesce(replace(replace({words}, ' ', ''), '\\\"', '\"'), '[]')"
    match column.type:
        case "NUMERIC":
            return f"coalesce(CAST(CAST({name} AS DECIMAL(38, 9)) AS VARCHAR), '')"
        case "TIMESTAMP":
            return f"coalesce(CAST(epoch_us({name}) AS VARCHAR), '')"
        case "JSON":
            return f"coalesce(replace(CAST({name} AS VARCHAR), ' ', ''), '')"
        case _:
            return f"coalesce(CAST({name} AS VARCHAR), '')"
