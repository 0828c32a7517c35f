"""The plan of real dates, against an independent script over the same CSV files. Skips without `TIPOFF_DATA`."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from coordinator.rules.planning import InputFinding, InputProblem, check_query, read_check
from schemas import names, tables
from schemas.messages import PredictionRequest
from schemas.tables import Cell, Column, Row
from shared.adapters.duckdb import DuckdbWarehouse
from shared.ports import TableSpec, check_field_path
from tests.independent_season_average import season_averages
from tests.plan_inputs import INPUT_TABLES, PLANNED_AT, freeze, requests_of

DATES = (date(2026, 1, 30), date(2025, 11, 7))

_CELLS: dict[str, Callable[[str], Cell]] = {
    "STRING": str,
    "INT64": int,
    "FLOAT64": float,
    "NUMERIC": Decimal,
    "BOOL": lambda text: text == "1",
    "DATE": date.fromisoformat,
    "TIMESTAMP": lambda text: datetime.fromisoformat(text).astimezone(UTC),
}


@pytest.fixture(scope="module")
def folder() -> Path:
    path = os.environ.get("TIPOFF_DATA")
    if not path:
        pytest.skip("TIPOFF_DATA names no folder of real CSV files")
    return Path(path)


@pytest.fixture(scope="module")
def logs(folder: Path) -> list[Row]:
    return list(_rows(folder, "player_game_logs"))


@pytest.fixture(scope="module")
def lines(folder: Path) -> list[Row]:
    return [row for row in _rows(folder, "points_lines") if row["game_date"] in DATES]


@pytest.fixture(scope="module")
def schedule(logs: list[Row]) -> list[Row]:
    return _games(logs)


@pytest.fixture(scope="module")
def warehouse(logs: list[Row], schedule: list[Row], lines: list[Row]) -> Iterator[DuckdbWarehouse]:
    filled = _filled(logs, schedule, lines)
    yield filled
    filled.close()


@pytest.fixture(scope="module", params=DATES, ids=str)
def game_date(request: pytest.FixtureRequest) -> date:
    chosen = request.param
    assert isinstance(chosen, date)
    return chosen


@pytest.fixture(scope="module")
def plan(warehouse: DuckdbWarehouse, game_date: date) -> dict[str, PredictionRequest]:
    return _plan(warehouse, game_date)


def test_every_player_line_and_season_average_is_the_independent_scripts(
    plan: dict[str, PredictionRequest], folder: Path, game_date: date
) -> None:
    expected = season_averages(folder, game_date.isoformat())

    planned = {
        (player, line.points_line): _season_average(request)
        for player, request in plan.items()
        for line in request.lines
        if request.season_to_date.games
    }

    assert planned == expected
    assert len(expected) > 200


def test_who_has_not_played_this_season_has_one_line_from_recent_games_unless_a_sportsbook_offers_one(
    plan: dict[str, PredictionRequest],
) -> None:
    without = [request for request in plan.values() if not request.season_to_date.games]

    methods = [line.estimation_method for request in without for line in request.lines if line.is_estimated]
    assert set(methods) <= {"recent_average"}
    assert all(request.lines for request in without if request.recent_games)


def test_no_request_holds_a_game_of_the_date_or_later(plan: dict[str, PredictionRequest], game_date: date) -> None:
    assert max(day for request in plan.values() for day in request.recent_games.game_date) < game_date


def test_deleting_the_rows_of_the_date_and_later_changes_nothing(
    plan: dict[str, PredictionRequest],
    logs: list[Row],
    schedule: list[Row],
    lines: list[Row],
    game_date: date,
) -> None:
    past = [row for row in logs if _date(row) < game_date]

    before = _filled(past, schedule, lines)

    assert _plan(before, game_date) == plan
    before.close()


def test_only_void_lines_are_found_and_each_is_counted(
    warehouse: DuckdbWarehouse, lines: list[Row], game_date: date
) -> None:
    findings = read_check(warehouse.query(check_query(), {"game_date": game_date}))

    void = [row for row in lines if row["game_date"] == game_date and row["player_id"] is None]
    assert {finding.problem for finding in findings} <= {InputProblem.VOID_LINE}
    assert sum(finding.rows for finding in findings) == len(void)
    assert all(isinstance(finding, InputFinding) for finding in findings)


def test_no_two_players_of_any_date_share_a_name_and_the_ledger_can_hold_each(logs: list[Row]) -> None:
    ids_of: dict[str, set[Cell]] = {}
    for row in logs:
        ids_of.setdefault(str(row["player_name"]).lower().replace(" ", "-"), set()).add(row["player_id"])

    assert {name: ids for name, ids in ids_of.items() if len(ids) > 1} == {}
    for name in ids_of:
        check_field_path(("predicted", name, "0123456789abcdef", "schema_version"))


def _plan(warehouse: DuckdbWarehouse, game_date: date) -> dict[str, PredictionRequest]:
    batch_id = names.batch_id(game_date, "real")
    freeze(warehouse, game_date=game_date, batch_id=batch_id)
    return requests_of(warehouse, batch_id=batch_id)


def _season_average(request: PredictionRequest) -> Decimal:
    totals = request.season_to_date
    return (Decimal(totals.points) / totals.games).quantize(Decimal("0.1"), ROUND_HALF_UP)


def _filled(logs: list[Row], schedule: list[Row], lines: list[Row]) -> DuckdbWarehouse:
    warehouse = DuckdbWarehouse(":memory:", clock=lambda: PLANNED_AT)
    no_reports: list[Row] = []
    for table, rows in zip(INPUT_TABLES, (logs, schedule, lines, no_reports), strict=True):
        warehouse.create(TableSpec(name=table, columns=tables.load(table).columns))
        warehouse.append(table, rows)
    return warehouse


def _rows(folder: Path, table: str) -> Iterator[Row]:
    columns = tables.load(table).columns
    for path in sorted(folder.glob(f"{table}*.csv.gz")):
        text = gzip.decompress(path.read_bytes()).decode("utf-8")
        for record in csv.DictReader(io.StringIO(text, newline="")):
            yield {column.name: _cell(column, record[column.name]) for column in columns if column.name in record}


def _cell(column: Column, text: str) -> Cell:
    return None if text == "" else _CELLS[column.type](text)


def _date(row: Row) -> date:
    day = row["game_date"]
    assert isinstance(day, date)
    return day


def _games(logs: list[Row]) -> list[Row]:
    """The schedule that the logs imply, for the dates under test."""
    games: dict[Cell, Row] = {}
    for row in logs:
        if row["game_date"] in DATES and row["is_home"]:
            home, away = row["team"], row["opponent"]
            shared = {name: row[name] for name in ("game_date", "game_id", "season")}
            games[str(row["game_id"])] = {**shared, "home_team": home, "away_team": away}
    return list(games.values())
