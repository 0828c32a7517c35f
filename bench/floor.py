"""The floor under a day on one machine: the same CSV files to the same rows in one table, and nothing else.

No services, messages, ledger, staging, MERGE or verification; no repeat is safe and no trouble is survived. DuckDB
reads the files with the declared types, the house's own plan query, systems and row maker do the work, and one bulk load
writes the rows. `bench/run_day.py` runs it beside `tipoff run`: python -m bench.floor DIR DATE FILE.duckdb
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence, Set
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import duckdb

from coordinator.rules.planning import PlannedPlayer, plan_parameters, request_of
from schemas import names, tables
from schemas.tables import Cell
from shared.adapters.duckdb_schema import definition
from shared.adapters.duckdb_sql import translate
from shared.settings import PlanningRules
from worker import inputs
from worker.model import shipped_model
from worker.rows import staged_rows

_INPUTS = ("player_game_logs", "scheduled_games", "points_lines", "injury_reports")
_GAMES_FROM_LOGS = """
INSERT INTO scheduled_games BY NAME
SELECT DISTINCT game_date, game_id, season, team AS home_team, opponent AS away_team
FROM player_game_logs WHERE is_home AND game_date = ?
"""


def main(folder: str, game_date: str, out: str) -> None:
    """Predict one date into a new DuckDB file."""
    day, now = date.fromisoformat(game_date), datetime.now(UTC)
    with duckdb.connect(out) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _load(connection, Path(folder), day)
        _write(connection, list(_rows(_plan(connection, day, now), day, now)))


def _load(connection: duckdb.DuckDBPyConnection, folder: Path, day: date) -> None:
    for table in (*_INPUTS, tables.GRADES):
        columns = tables.load(table).columns
        connection.execute(f"CREATE TABLE {table} ({', '.join(map(definition, columns))})")
        paths = sorted([*folder.glob(f"{table}*.csv"), *folder.glob(f"{table}*.csv.gz")])
        for path in paths:
            connection.execute(_insert(table, _header(path), {column.name for column in columns}), [str(path)])
        if table == "scheduled_games" and not paths:
            connection.execute(_GAMES_FROM_LOGS, [day])


def _header(path: Path) -> list[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return next(csv.reader(file))


def _insert(table: str, header: Sequence[str], declared: Set[str]) -> str:
    """Guessing the files' form and types would take DuckDB three times as long as reading them."""
    read = ", ".join(f"'{name}': 'VARCHAR'" for name in header)
    kept = ", ".join(name for name in header if name in declared)
    return (
        f"INSERT INTO {table} ({kept}) SELECT {kept} FROM read_csv(?, header=true, auto_detect=false, delim=',', "
        f"quote='\"', escape='\"', columns={{{read}}})"
    )


def _plan(connection: duckdb.DuckDBPyConnection, day: date, now: datetime) -> list[PlannedPlayer]:
    parameters = plan_parameters(day, planned_at=now, rules=PlanningRules())
    sql = files("coordinator.rules").joinpath("plan.sql").read_text(encoding="utf-8")
    plan = translate(f"SELECT player_lookup, request FROM ({sql})", parameters)
    return [PlannedPlayer(*row) for row in connection.execute(plan.text, dict(parameters)).fetchall()]


def _rows(plan: Sequence[PlannedPlayer], day: date, now: datetime) -> Iterator[dict[str, Cell]]:
    batch_id, late_until = names.batch_id(day, "floor"), now + timedelta(hours=192)
    model = shipped_model()
    for player in plan:
        request = request_of(player, batch_id=batch_id, planned_at=now, late_until=late_until)
        if inputs.has_history(request):
            yield from staged_rows([request], model, schema_version=2).rows.rows()


def _write(connection: duckdb.DuckDBPyConnection, rows: Sequence[dict[str, Cell]]) -> None:
    columns = tables.load(tables.PREDICTIONS).columns
    connection.execute(f"CREATE TABLE predictions ({', '.join(map(definition, columns))})")
    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([_text(row.get(column.name)) for column in columns] for row in rows)
        file.flush()
        connection.execute("COPY predictions FROM $path (HEADER false, AUTO_DETECT false)", {"path": file.name})


def _text(cell: Cell) -> str | int | float | Decimal | None:
    match cell:
        case list() | dict():
            return json.dumps(cell, ensure_ascii=False)
        case datetime() | date():
            return cell.isoformat()
        case _:
            return cell


if __name__ == "__main__":
    main(*sys.argv[1:])
