"""A folder of CSV files becomes the warehouse's input tables: decides which files count and what they must agree on.

The form of the files is that of the declared input tables (`schemas/`). What a cell may hold is `local.one_machine.csv_source`'s.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from local.one_machine.csv_source import StagedFile, stage, typed_select
from local.one_machine.input_bound import MAX_INPUT_MB, MIB
from schemas.tables import Column, TableSchema, load
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import InvalidInput, Unavailable
from shared.ports import TableSpec

_LOGS = "player_game_logs"
_GAMES = "scheduled_games"
_LINES = "points_lines"
_INJURIES = "injury_reports"
INPUT_TABLES = (_LOGS, _GAMES, _LINES, _INJURIES)

_KEYS = {_LOGS: ("game_id", "player_id"), _GAMES: ("game_date", "game_id")}
"""Columns that no two rows of a table may share: twice the same would count twice in every average."""


@dataclass(frozen=True, slots=True)
class InputSummary:
    """What was loaded: rows per table, and what a person should know."""

    rows: Mapping[str, int]
    warnings: tuple[str, ...]


def load_folder(
    warehouse: DuckdbWarehouse,
    *,
    folder: Path,
    game_date: date,
    last: date | None = None,
    max_bytes: int = MAX_INPUT_MB * MIB,
) -> InputSummary:
    """Replace the four input tables by what the folder's CSV files hold.

    Reads `player_game_logs*`, `scheduled_games*`, `points_lines*` and `injury_reports*`, each `.csv` or `.csv.gz`, and
    no other file. Everything is checked before anything is replaced: a refused folder leaves the tables as they were.
    Without a schedule, the games from `game_date` to `last` are those in the logs. Repeating it gives the same tables.

    Args:
        last: the last date whose games are wanted; `game_date` without it.
        max_bytes: the most that all files may hold together, unpacked; what is beyond it is not read.

    Raises:
        InvalidInput: a folder, file, column or value is unusable; the text says where and what is expected.
        Unavailable: the warehouse did not take the tables.
    """
    files = _find_files(folder)
    if not files[_LOGS]:
        raise InvalidInput(
            "data folder", f"{folder} holds no {_LOGS}*.csv or {_LOGS}*.csv.gz; put the box scores there"
        )
    with _reading(warehouse) as cursor:
        staged = _read(warehouse, cursor, files, _KEYS, max_bytes)
        if not staged[_GAMES]:
            _derive_games(cursor, game_date, last or game_date)
        return _summary(cursor, staged, game_date)


def read_folder(
    warehouse: DuckdbWarehouse, *, folder: Path, keys: Mapping[str, Sequence[str]], max_bytes: int
) -> Mapping[str, tuple[str, ...]]:
    """Make the input tables of which the folder has files, checked as `load_folder` does; any one kind of file will do.

    Args:
        keys: columns of a table that no two of its rows may share.

    Returns:
        Those tables, each with the columns that its files have.

    Raises:
        InvalidInput: as `load_folder`; or there is no file at all.
    """
    files = _find_files(folder)
    if not any(files.values()):
        wanted = ", ".join(f"{table}*.csv" for table in INPUT_TABLES)
        raise InvalidInput("data folder", f"{folder} holds none of {wanted} (or .csv.gz); name a folder that does")
    with _reading(warehouse) as cursor:
        staged = _read(warehouse, cursor, files, keys, max_bytes)
    return {
        table: tuple(name for name in load(table).names if any(name in file.present for file in found))
        for table, found in staged.items()
        if found
    }


def copy_in(warehouse: DuckdbWarehouse, table: str, columns: Sequence[Column], file: Path) -> None:
    """Make a table out of a Parquet file that has its columns in their order."""
    warehouse.create(TableSpec(table, tuple(columns)))
    with _reading(warehouse) as cursor:
        cursor.execute(f"INSERT INTO {table} SELECT * FROM read_parquet('{file}')")


@contextmanager
def _reading(warehouse: DuckdbWarehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    cursor = warehouse.cursor()
    try:
        yield cursor
    except duckdb.Error as error:
        raise Unavailable(f"the warehouse did not take the input tables: {error}") from error
    finally:
        cursor.close()


def _read(
    warehouse: DuckdbWarehouse,
    cursor: duckdb.DuckDBPyConnection,
    files: Mapping[str, Sequence[Path]],
    keys: Mapping[str, Sequence[str]],
    max_bytes: int,
) -> dict[str, list[StagedFile]]:
    """Check every file before any table is replaced."""
    with tempfile.TemporaryDirectory(prefix="tipoff-") as scratch:
        staged = _stage_all(cursor, files, Path(scratch), max_bytes)
    if staged[_LOGS] and not sum(file.rows for file in staged[_LOGS]):
        raise InvalidInput(staged[_LOGS][0].name, "has no rows; the logs must hold at least one game")
    for table, key in keys.items():
        _refuse_duplicates(cursor, staged[table], key)
    for table in INPUT_TABLES:
        _replace(warehouse, cursor, load(table), staged[table])
    return staged


def _find_files(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise InvalidInput("data folder", f"{folder} is not a folder; name one that holds {_LOGS}*.csv or .csv.gz")
    return {table: sorted([*folder.glob(f"{table}*.csv"), *folder.glob(f"{table}*.csv.gz")]) for table in INPUT_TABLES}


def _stage_all(
    cursor: duckdb.DuckDBPyConnection, files: Mapping[str, Sequence[Path]], scratch: Path, max_bytes: int
) -> dict[str, list[StagedFile]]:
    staged: dict[str, list[StagedFile]] = {table: [] for table in INPUT_TABLES}
    left_bytes = max_bytes
    for table in INPUT_TABLES:
        schema = load(table)
        for number, path in enumerate(files[table]):
            raw = f"raw_{table}_{number}"
            file = stage(cursor, path=path, schema=schema, scratch=scratch, raw=raw, max_bytes=left_bytes)
            left_bytes -= file.size_bytes
            staged[table].append(file)
    return staged


def _refuse_duplicates(cursor: duckdb.DuckDBPyConnection, staged: Sequence[StagedFile], key: Sequence[str]) -> None:
    if not staged:
        return
    names = ", ".join(key)
    rows = " UNION ALL ".join(
        f"SELECT {number} AS file_no, rowid AS row_no, {names} FROM {file.raw}" for number, file in enumerate(staged)
    )
    values = cursor.execute(
        f"SELECT {names} FROM ({rows}) GROUP BY {names} HAVING COUNT(*) > 1 ORDER BY {names} LIMIT 1"
    ).fetchone()
    if values is None:
        return
    is_same = " AND ".join(f"{name} = ?" for name in key)
    (other_file, other_row), (file, row) = cursor.execute(
        f"SELECT file_no, row_no FROM ({rows}) WHERE {is_same} ORDER BY file_no, row_no LIMIT 2", list(values)
    ).fetchall()
    shown = " and ".join(f"{name} {value}" for name, value in zip(key, values, strict=True))
    other = f"data row {other_row + 1} of {staged[other_file].name}"
    raise InvalidInput(staged[file].name, f"data row {row + 1} and {other} are both of {shown}; remove one")


def _replace(
    warehouse: DuckdbWarehouse, cursor: duckdb.DuckDBPyConnection, schema: TableSchema, staged: Sequence[StagedFile]
) -> None:
    warehouse.drop(schema.table)
    warehouse.create(TableSpec(schema.table, schema.columns, partition_by="game_date"))
    names = ", ".join(schema.names)
    for file in staged:
        cursor.execute(f"INSERT INTO {schema.table} ({names}) {typed_select(file, schema.columns)}")


def _derive_games(cursor: duckdb.DuckDBPyConnection, first: date, last: date) -> None:
    # On neutral ground nobody is at home; the schedule has to name one all the same, and the first by name is as good.
    rows = (
        "SELECT *, NOT BOOL_OR(is_home) OVER (PARTITION BY game_date, game_id) AS is_neutral "
        f"FROM {_LOGS} WHERE game_date BETWEEN ? AND ?"
    )
    first_named = f"SELECT *, IF(is_neutral, team < opponent, is_home) AS is_first FROM ({rows})"
    games = (
        "SELECT game_date, game_id, IF(is_first, team, opponent) AS home_team, IF(is_first, opponent, team) AS away_team, "
        f"is_neutral, MIN(season) AS season, MIN(season_type) AS season_type FROM ({first_named}) GROUP BY ALL"
    )
    clash = cursor.execute(
        f"SELECT game_id, MIN(game_date) FROM ({games}) GROUP BY game_id HAVING COUNT(*) > 1 ORDER BY game_id LIMIT 1",
        [first, last],
    ).fetchone()
    if clash is not None:
        problem = "its rows disagree on team, opponent or is_home; mend them, or give a scheduled_games.csv"
        raise InvalidInput(f"{_LOGS}, game {clash[0]} of {clash[1]}", problem)
    columns = "game_date, game_id, home_team, away_team, is_neutral, season, season_type"
    cursor.execute(f"INSERT INTO {_GAMES} ({columns}) SELECT {columns} FROM ({games}) ORDER BY game_id", [first, last])


def _summary(
    cursor: duckdb.DuckDBPyConnection, staged: Mapping[str, Sequence[StagedFile]], game_date: date
) -> InputSummary:
    files = [file for table in INPUT_TABLES for file in staged[table]]
    warnings = [f"{file.name}: columns not read: {', '.join(file.extra)}" for file in files if file.extra]
    of_nobody = "player_id IS NULL AND player_lookup IS NULL"
    void_on_date = _count(cursor, f"{_LINES} WHERE {of_nobody} AND game_date = ?", game_date)
    if void_on_date:
        warnings.append(
            f"{void_on_date} lines on {game_date} name no player (no player_id, no player_lookup) and are not used"
        )
    if not _count(cursor, f"{_GAMES} WHERE game_date = ?", game_date):
        warnings.append(_no_games(cursor, game_date, has_schedule=bool(staged[_GAMES])))
    return InputSummary({table: _count(cursor, table) for table in INPUT_TABLES}, tuple(warnings))


def _no_games(cursor: duckdb.DuckDBPyConnection, game_date: date, *, has_schedule: bool) -> str:
    source = _GAMES if has_schedule else _LOGS
    ((first, last),) = cursor.execute(f"SELECT MIN(game_date), MAX(game_date) FROM {source}").fetchall()
    remedy = "" if has_schedule else f"; a {_GAMES}.csv can name games that are not played yet"
    return f"no games on {game_date}: {source} covers {first} to {last}{remedy}"


def _count(cursor: duckdb.DuckDBPyConnection, of: str, *parameters: date) -> int:
    ((rows,),) = cursor.execute(f"SELECT COUNT(*) FROM {of}", list(parameters)).fetchall()
    return int(rows)
