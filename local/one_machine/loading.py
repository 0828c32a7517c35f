"""A folder of CSV files brought into input tables that hold rows already: one MERGE a table, by what a row is about.

Decides which columns name a row and what the statements say. Where the tables are, and how a file gets there, is the caller's.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from local.one_machine.csv_inputs import read_folder
from schemas import tables
from schemas.tables import Column
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import table_spec
from shared.ports import Warehouse

KEYS: Mapping[str, tuple[str, ...]] = {
    "player_game_logs": ("game_id", "player_id"),
    "scheduled_games": ("game_id",),
    "points_lines": (
        *("game_date", "game_id", "player_id", "player_lookup", "player_name_book", "sportsbook", "points_line"),
        *("snapshot_local", "captured_at"),
    ),
    "injury_reports": ("game_date", "player_id", "player_lookup", "player_name", "reported_at"),
}
"""The columns of which a row says what it is about; the others are what it says, and may be corrected."""

StageFile = Callable[[str, Sequence[Column], Path], None]
"""Makes a table of a name and columns out of a Parquet file; it ends by itself within a day."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one table: its rows in the files, and how many of them were new, corrected or there already."""

    table: str
    rows: int
    inserted: int
    updated: int

    @property
    def unchanged(self) -> int:
        """Rows that the table had as they are."""
        return self.rows - self.inserted - self.updated


def load_into(warehouse: Warehouse, stage: StageFile, *, folder: Path, max_bytes: int) -> list[Loaded]:
    """Merge a folder's files into the input tables, which are made where absent; tables without a file stay as they are.

    The files are checked as `tipoff run` checks them, all of them before anything is written. Each table changes by one
    atomic MERGE. A repeat changes nothing; a row that says something else of the same thing replaces what was there, in
    the columns that the files have.

    Raises:
        InvalidInput: a folder, file, column or value is unusable; the text says where and what is expected.
        Unavailable: the warehouse did not answer; a repeat goes on.
    """
    with closing(DuckdbWarehouse(":memory:")) as checked, tempfile.TemporaryDirectory(prefix="tipoff-") as scratch:
        present = read_folder(checked, folder=folder, keys=_UNIQUE, max_bytes=max_bytes)
        files = {table: Path(scratch) / f"{table}.parquet" for table in present}
        with closing(checked.cursor()) as cursor:
            for table, file in files.items():
                cursor.execute(f"COPY (SELECT {', '.join(present[table])} FROM {table}) TO '{file}' (FORMAT parquet)")
        return list(_merge(warehouse, stage, files, present))


_UNIQUE = {table: KEYS[table] for table in ("player_game_logs", "scheduled_games")}
"""Where two rows of one key contradict each other; a line or report that is there twice is the same word said twice."""


def _merge(
    warehouse: Warehouse, stage: StageFile, files: Mapping[str, Path], present: Mapping[str, Sequence[str]]
) -> Iterator[Loaded]:
    for table, file in files.items():
        warehouse.create(table_spec(table))
        columns = [column for column in tables.load(table).columns if column.name in present[table]]
        staged = f"_load_{table}_{uuid.uuid4().hex[:12]}"
        stage(staged, columns, file)
        try:
            names = [column.name for column in columns]
            (counts,) = warehouse.query(count_text(table, staged, names))
            warehouse.query(merge_text(table, staged, names))
        finally:
            warehouse.drop(staged)
        yield Loaded(table, *(cast("int", counts[name]) for name in ("rows", "inserted", "updated")))


def merge_text(table: str, staged: str, columns: Sequence[str]) -> str:
    """Write the MERGE of a staged table's columns into an input table."""
    said = [name for name in columns if name not in KEYS[table]]
    listed = ", ".join(f"`{name}`" for name in columns)
    update = ", ".join(f"`{name}` = S.`{name}`" for name in said)
    corrected = f"WHEN MATCHED AND ({_differs(said)}) THEN UPDATE SET {update}\n" if said else ""
    return (
        f"MERGE `{table}` AS T\nUSING (\n{_source(table, staged, columns)}\n) AS S\nON {_same(table, columns)}\n{corrected}"
        f"WHEN NOT MATCHED THEN INSERT ({listed}) VALUES ({', '.join(f'S.`{name}`' for name in columns)})"
    )


def count_text(table: str, staged: str, columns: Sequence[str]) -> str:
    """Write the query for what the MERGE will do: `rows`, `inserted` and `updated` in one row."""
    said = [name for name in columns if name not in KEYS[table]]
    is_new = "T.`game_date` IS NULL"  # every input table requires one
    return (
        f"SELECT COUNT(*) AS `rows`, COUNTIF({is_new}) AS `inserted`,\n"
        f"  COUNTIF(NOT ({is_new}) AND ({_differs(said) or 'FALSE'})) AS `updated`\n"
        f"FROM (\n{_source(table, staged, columns)}\n) AS S\nLEFT JOIN `{table}` AS T ON {_same(table, columns)}"
    )


def _source(table: str, staged: str, columns: Sequence[str]) -> str:
    keys = [f"`{name}`" for name in KEYS[table] if name in columns]
    order = [f"`{name}`" for name in columns if name not in KEYS[table]] or keys
    return (
        f"  SELECT {', '.join(f'`{name}`' for name in columns)} FROM `{staged}` WHERE TRUE\n"
        f"  QUALIFY ROW_NUMBER() OVER (PARTITION BY {', '.join(keys)} ORDER BY {', '.join(order)}) = 1"
    )


def _same(table: str, columns: Sequence[str]) -> str:
    """Plain equality of both sides, which BigQuery can hash; an unknown part of a name is the same as an unknown one."""
    required = {column.name for column in tables.load(table).columns if column.mode == "REQUIRED"}
    return " AND ".join(
        f"T.`{name}` = S.`{name}`"
        if name in required
        else f"COALESCE(CAST(T.`{name}` AS STRING), '') = {_text_of(name) if name in columns else repr('')}"
        for name in KEYS[table]
    )


def _text_of(name: str) -> str:
    return f"COALESCE(CAST(S.`{name}` AS STRING), '')"


def _differs(said: Sequence[str]) -> str:
    return " OR ".join(f"T.`{name}` IS DISTINCT FROM S.`{name}`" for name in said)
