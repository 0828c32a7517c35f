"""A plan of a past date sees what a plan of its morning would have seen: the future is deleted, and nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from coordinator.rules.grading import literal
from coordinator.rules.planning import plan_parameters, plan_statement
from local.one_machine.csv_inputs import load_folder
from local.sample.season import write
from schemas import names, tables
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import table_spec
from shared.settings import PlanningRules
from tests.plan_inputs import GAME_DATE, PLANNED_AT, TIPOFF_AT, League, a_log, a_report, a_scheduled_game, an_offer

DAYS = (date(2026, 1, 12), date(2026, 1, 22), date(2026, 1, 30))
MONTHS_LATER = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("season")
    write(folder)
    return folder


@pytest.fixture
def warehouse(season: Path) -> Iterator[DuckdbWarehouse]:
    with closing(DuckdbWarehouse(":memory:")) as warehouse:
        load_folder(warehouse, folder=season, game_date=DAYS[0])
        warehouse.create(table_spec(tables.GRADES))
        yield warehouse


def plan(warehouse: DuckdbWarehouse, day: date, planned_at: datetime) -> dict[object, object]:
    batch_id = names.batch_id(day, planned_at.isoformat())
    rules = PlanningRules(preferred_sportsbook="simbook-east")
    parameters = plan_parameters(day, planned_at=planned_at, rules=rules)
    expires_at = datetime(2100, 1, 1, tzinfo=UTC)
    warehouse.query(plan_statement(batch_id, expires_at=expires_at), parameters)
    rows = warehouse.query(f"SELECT player_lookup, request FROM `{names.plan_table(batch_id)}`")
    return {row["player_lookup"]: row["request"] for row in rows}


@pytest.mark.parametrize("day", DAYS)
def test_deleting_the_future_changes_no_request(warehouse: DuckdbWarehouse, day: date) -> None:
    later = plan(warehouse, day, MONTHS_LATER)

    warehouse.query(f"DELETE FROM `player_game_logs` WHERE game_date >= {literal(day)}")
    for table in ("scheduled_games", "points_lines", "injury_reports"):
        warehouse.query(f"DELETE FROM `{table}` WHERE game_date > {literal(day)}")
    noon = datetime(day.year, day.month, day.day, 23, tzinfo=UTC)
    in_time = plan(warehouse, day, noon)

    assert len(later) > 50
    assert later == in_time


@pytest.mark.parametrize(
    ("tipoff_at", "reported_at", "is_seen"),
    [
        (TIPOFF_AT, TIPOFF_AT - timedelta(minutes=5), True),
        (TIPOFF_AT, TIPOFF_AT + timedelta(minutes=5), False),
        (None, PLANNED_AT, True),
        (None, PLANNED_AT + timedelta(hours=8), False),
    ],
)
def test_what_a_days_games_brought_about_is_unknown_to_a_later_plan_of_it(
    tipoff_at: datetime | None, reported_at: datetime, is_seen: bool
) -> None:
    league = League(
        logs=[a_log("1"), a_log("2")],
        games=[a_scheduled_game(tipoff_at=tipoff_at)],
        lines=[an_offer("1")],
        reports=[a_report("2", "Out", reported_at=reported_at)],
    )
    with closing(league.warehouse()) as warehouse:
        planned = plan(warehouse, GAME_DATE, MONTHS_LATER)

    # One who is listed OUT and has no line is not expected.
    assert ("player-2" not in planned) is is_seen
