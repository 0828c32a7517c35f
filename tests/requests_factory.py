"""One obvious, valid request and its parts; a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from schemas import names
from schemas.messages import (
    Absences,
    Game,
    Injury,
    Left,
    Line,
    Matchup,
    PositionDefence,
    PredictionRequest,
    RecentGames,
    SeasonToDate,
    TeamForm,
)

GAME_DATE = date(2026, 1, 30)
PastGame: TypeAlias = Mapping[str, Any]
"""One past game: an entry of each column of `RecentGames`."""
PLANNED_AT = datetime(2026, 1, 30, 15, 0, tzinfo=UTC)
BATCH_ID = names.batch_id(GAME_DATE, "a-key")


def a_request(**overrides: Any) -> PredictionRequest:
    """A player of ten recent games, all of this season, with one real line. Fields given by name replace the usual ones.

    `recent_games` may be given game by game.
    """
    fields: dict[str, Any] = {
        "batch_id": BATCH_ID,
        "game_date": GAME_DATE,
        "planned_at": PLANNED_AT,
        "late_until": PLANNED_AT + timedelta(days=8),
        "player_lookup": "nikola-jokić",
        "universal_player_id": "203999",
        "game": a_game(),
        "rest_days": 1,
        "injury": None,
        "lines": (a_line(),),
        "season_to_date": SeasonToDate(games=40, points=1_000, minutes=1_400),
        "scoring_tier": "25_and_more",
        "is_regular": True,
        "recent_games": some_games([24, 31, 18, 27, 22, 35, 12, 26, 29, 20]),
        "recent_games_wanted": 10,
    }
    fields |= overrides
    return PredictionRequest(**(fields | {"recent_games": by_columns(fields["recent_games"])}))


def by_columns(games: Sequence[PastGame] | RecentGames) -> RecentGames:
    """Past games as a request has them."""
    if isinstance(games, RecentGames):
        return games
    return RecentGames(**{name: tuple(game[name] for game in games) for name in RecentGames.model_fields})


def a_line(points_line: str | Decimal = "24.5", **overrides: Any) -> Line:
    """A line of the preferred sportsbook."""
    fields: dict[str, Any] = {
        "points_line": Decimal(points_line),
        "sportsbook": "fanduel",
        "source_api": "odds_api",
        "is_fallback": False,
        "minutes_before_game": 480,
        "fair_over": 0.5,
    }
    return Line(**(fields | overrides))


def an_estimated_line(points_line: str | Decimal = "25.0") -> Line:
    """The line that stands in where no sportsbook offered one."""
    return Line(points_line=Decimal(points_line), is_estimated=True, estimation_method="season_average")


def a_game(**overrides: Any) -> Game:
    """The game to predict."""
    fields: dict[str, Any] = {
        "game_id": "0022500700",
        "season": "2025-26",
        "team": "DEN",
        "opponent": "LAC",
        "is_home": True,
    }
    return Game(**(fields | overrides))


def a_past_game(**overrides: Any) -> PastGame:
    """A complete past game, two days before the one to predict, that nobody missed."""
    fields: dict[str, Any] = {
        "game_date": GAME_DATE - timedelta(days=2),
        "season": "2025-26",
        "points": 24,
        "minutes": 34,
        "fga": 18,
        "fg3a": 4,
        "fta": 6,
        "left_shots": 0,
        "left_points": 0,
        "left_position_shots": 0,
        "left_by_the_same": 0,
    }
    return fields | overrides


def some_games(points: Sequence[int], *, minutes: int = 34, before: date = GAME_DATE) -> tuple[PastGame, ...]:
    """Past games of these points, newest first, every second day back from `before`."""
    return tuple(
        a_past_game(game_date=before - timedelta(days=2 * (back + 1)), points=scored, minutes=minutes)
        for back, scored in enumerate(points)
    )


def a_matchup(**overrides: Any) -> Matchup:
    """An opponent that allows five per cent more than the league, to centers as to everybody."""
    fields: dict[str, Any] = {
        "team": TeamForm(games=30, points=3_500, points_allowed=3_400),
        "opponent": TeamForm(games=30, points=3_450, points_allowed=3_623),
        "league_games": 900,
        "league_points": 103_500,
        "position": PositionDefence(points=750, minutes=1_500, league_points=21_000, league_minutes=44_100),
    }
    return Matchup(**(fields | overrides))


def an_injury(status: str = "QUESTIONABLE", **overrides: Any) -> Injury:
    """A report that was read an hour before the batch was planned."""
    fields: dict[str, Any] = {
        "status": status,
        "reason": "Left ankle sprain",
        "checked_at": PLANNED_AT - timedelta(hours=1),
    }
    return Injury(**(fields | overrides))


def full_team(**overrides: Any) -> Absences:
    """A report of the date that lists nobody of the rotation as out."""
    fields: dict[str, Any] = {"team_shots": 0, "is_reported": True, "left": Left(shots=0, points=0, position_shots=0)}
    return Absences(**(fields | overrides))
