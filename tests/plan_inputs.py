"""A small league for planning tests: one factory per input row, and a warehouse that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from coordinator.rules.planning import (
    InputFinding,
    check_query,
    names_statement,
    plan_parameters,
    plan_statement,
    read_check,
    read_names,
    read_plan,
    request_of,
    requests_statement,
)
from schemas import names, tables
from schemas.messages import PredictionRequest
from schemas.tables import Cell, Row
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import table_spec
from shared.ports import TableSpec, Warehouse
from shared.settings import PlanningRules

GAME_DATE = date(2026, 1, 30)
PLANNED_AT = datetime(2026, 1, 30, 15, 0, tzinfo=UTC)
TIPOFF_AT = datetime(2026, 1, 31, 0, 30, tzinfo=UTC)
BATCH_ID = names.batch_id(GAME_DATE, "a-key")

INPUT_TABLES = ("player_game_logs", "scheduled_games", "points_lines", "injury_reports")


def a_log(player_id: str = "1", *, days_ago: int = 2, **overrides: Cell) -> Row:
    """A home game of HOU against DAL; the game id follows from day and team, the player's name from his id."""
    game_date = GAME_DATE - timedelta(days=days_ago)
    team = overrides.get("team", "HOU")
    fields: dict[str, Cell] = {
        "game_date": game_date,
        "season": "2025-26",
        "game_id": f"{game_date:%Y%m%d}-{team}",
        "player_id": player_id,
        "player_name": f"Player {player_id}",
        "team": "HOU",
        "opponent": "DAL",
        "is_home": True,
        "minutes": 30,
        "points": 20,
    }
    return fields | overrides


def a_scheduled_game(home_team: str = "HOU", away_team: str = "OKC", **overrides: Cell) -> Row:
    """A game of the date, whose id names its teams."""
    fields: dict[str, Cell] = {
        "game_date": GAME_DATE,
        "game_id": f"{away_team}@{home_team}",
        "home_team": home_team,
        "away_team": away_team,
        "season": "2025-26",
    }
    return fields | overrides


def an_offer(player_id: str | None = "1", points_line: str = "20.5", **overrides: Cell) -> Row:
    """A line of draftkings on a HOU player in the date's game."""
    fields: dict[str, Cell] = {
        "game_date": GAME_DATE,
        "game_id": "OKC@HOU",
        "player_id": player_id,
        "player_name": None if player_id is None else f"Player {player_id}",
        "player_name_book": f"Player {player_id}",
        "team": "HOU",
        "sportsbook": "draftkings",
        "points_line": Decimal(points_line),
        "commence_time_utc": TIPOFF_AT,
    }
    return fields | overrides


def a_report(player_id: str | None = "1", status: str = "Out", **overrides: Cell) -> Row:
    """A report of the date from before planning."""
    fields: dict[str, Cell] = {
        "game_date": GAME_DATE,
        "player_id": player_id,
        "status": status,
        "reported_at": PLANNED_AT - timedelta(hours=2),
    }
    return fields | overrides


@dataclass(frozen=True)
class League:
    """All input rows; by default one player of HOU with one past game, and a game of HOU on the date."""

    logs: Sequence[Row] = (a_log(),)
    games: Sequence[Row] = (a_scheduled_game(),)
    lines: Sequence[Row] = ()
    reports: Sequence[Row] = ()
    grades: Sequence[Row] = ()

    def warehouse(self) -> DuckdbWarehouse:
        """An embedded warehouse that holds these rows; its own clock stands at planning time."""
        warehouse = DuckdbWarehouse(":memory:", clock=lambda: PLANNED_AT)
        given = (self.logs, self.games, self.lines, self.reports, self.grades)
        for table, rows in zip((*INPUT_TABLES, tables.GRADES), given, strict=True):
            warehouse.create(TableSpec(name=table, columns=tables.load(table).columns, partition_by="game_date"))
            warehouse.append(table, rows)
        return warehouse

    def plan(
        self, *, roster_games: int = 10, recent_games: int = 25, preferred_sportsbook: str = "draftkings"
    ) -> dict[str, PredictionRequest]:
        """Plan the date as `/start` does; player_lookup → request."""
        warehouse = self.warehouse()
        try:
            freeze(
                warehouse,
                roster_games=roster_games,
                recent_games=recent_games,
                preferred_sportsbook=preferred_sportsbook,
            )
            return requests_of(warehouse)
        finally:
            warehouse.close()

    def findings(self) -> tuple[InputFinding, ...]:
        """Check the inputs of the date as `/start` does."""
        warehouse = self.warehouse()
        try:
            return read_check(warehouse.query(check_query(), {"game_date": GAME_DATE}))
        finally:
            warehouse.close()


def freeze(
    warehouse: Warehouse,
    *,
    game_date: date = GAME_DATE,
    planned_at: datetime = PLANNED_AT,
    roster_games: int = 10,
    recent_games: int = 25,
    preferred_sportsbook: str = "draftkings",
    batch_id: str = BATCH_ID,
) -> None:
    """Write the batch's plan table, unless it is there; where nothing was ever graded, the grades are an empty table."""
    warehouse.create(table_spec(tables.GRADES))
    rules = PlanningRules(
        roster_games=roster_games, recent_games=recent_games, preferred_sportsbook=preferred_sportsbook
    )
    parameters = plan_parameters(game_date, planned_at=planned_at, rules=rules)
    warehouse.query(plan_statement(batch_id, expires_at=PLANNED_AT + timedelta(days=10)), parameters)


def requests_of(warehouse: Warehouse, *, batch_id: str = BATCH_ID) -> dict[str, PredictionRequest]:
    """Read a frozen plan as the coordinator does, the names first; player_lookup → request."""
    wanted = read_names(warehouse.query(names_statement(batch_id)))
    return {
        player.player_lookup: request_of(
            player, batch_id=batch_id, planned_at=PLANNED_AT, late_until=PLANNED_AT + timedelta(days=8)
        )
        for player in read_plan(warehouse.query(requests_statement(batch_id), {"players": wanted}))
    }


def values(request: PredictionRequest) -> list[str]:
    """The points lines of a request, in order."""
    return [f"{line.points_line:.1f}" for line in request.lines]
