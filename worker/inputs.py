"""What a request must be to be predicted at all, and how good its inputs are. Never learns of systems or rows."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from schemas.messages import PredictionRequest
from shared.errors import InvalidInput

FEW_GAMES = 5
"""Fewer games than this are too few for a recent form (of the window) or an average (of the season)."""

STALE_AFTER = timedelta(days=30)

_US_EASTERN = ZoneInfo("America/New_York")
_TENTH, _GREATEST_LINE = Decimal("0.1"), Decimal("999.9")


class QualityRule(StrEnum):
    """The quality rules; a row lists those that its inputs fail, in this order."""

    FEW_GAMES = "few_games"
    STALE_HISTORY = "stale_history"
    MISSING_SHOTS = "missing_shots"


def check(request: PredictionRequest) -> None:
    """Refuse a request that contradicts itself; what passes may be predicted.

    Raises:
        InvalidInput: a line is twice there or not in tenths, the history holds the game itself or a later one, is not
            newest first or longer than asked for, or the season's sums have points without games.
    """
    lines = [line.points_line for line in request.lines]
    days = list(request.recent_games.game_date)
    if not all(0 <= line <= _GREATEST_LINE and line % _TENTH == 0 for line in lines):
        raise InvalidInput(
            "lines", f"{_shown(lines)} must be multiples of 0.1 from 0 to 999.9; a line is part of a key"
        )
    if len(set(lines)) < len(lines):
        raise InvalidInput("lines", f"{_shown(lines)} must be distinct; send each line once")
    if any(day >= request.game_date for day in days):
        raise InvalidInput("recent_games", f"{max(days)} is not before {request.game_date}; the future must not leak")
    if days != sorted(days, reverse=True):
        raise InvalidInput("recent_games", "the games must come newest first")
    if len(days) > request.recent_games_wanted:
        raise InvalidInput("recent_games", f"{len(days)} games came, {request.recent_games_wanted} were asked for")
    if request.season_to_date.games == 0 and request.season_to_date.points > 0:
        raise InvalidInput("season_to_date", f"{request.season_to_date.points} points in no games; send both sums")


def has_history(request: PredictionRequest) -> bool:
    """Whether there is any past game to predict from; a player without one is skipped, never guessed (E7)."""
    return request.season_to_date.games > 0 or len(request.recent_games) > 0


def failed_rules(request: PredictionRequest) -> tuple[QualityRule, ...]:
    """Name the quality rules that the request's inputs fail; an unknown statistic is unknown, a 0 is a value (E3, E8)."""
    recent = request.recent_games
    failed = {
        QualityRule.FEW_GAMES: len(recent) < FEW_GAMES,
        QualityRule.STALE_HISTORY: len(recent) > 0 and request.game_date - recent.game_date[0] > STALE_AFTER,
        QualityRule.MISSING_SHOTS: None in recent.fga or None in recent.fta,
    }
    return tuple(rule for rule in QualityRule if failed[rule])


class AbsenceNote(StrEnum):
    """What was not known of who is absent. A row says so among its issues; it is no failing, and holds nothing back."""

    UNKNOWN = "absences_unknown"
    AS_IN_LAST_GAME = "absences_as_in_last_game"


def absence_notes(request: PredictionRequest) -> tuple[AbsenceNote, ...]:
    """Tell what was assumed of absent teammates; nothing where a report of the date speaks of the team."""
    if request.absences is None or request.absences.left is None:
        return (AbsenceNote.UNKNOWN,)
    return () if request.absences.is_reported else (AbsenceNote.AS_IN_LAST_GAME,)


def learned_millionths(request: PredictionRequest) -> tuple[float, float, float]:
    """Tell what the 50, 80 and 90% intervals are asked to hold; NaN where nothing is learned."""
    asked = request.asked
    return (math.nan,) * 3 if asked is None else (asked.share_50, asked.share_80, asked.share_90)


def crosses_season_start(request: PredictionRequest) -> bool:
    """Whether the recent games reach back into an earlier season."""
    return any(season != request.game.season for season in request.recent_games.season)


def is_early_in_season(request: PredictionRequest) -> bool:
    """Whether this is one of the player's first games of the season."""
    return request.season_to_date.games < FEW_GAMES


def is_for_past_date(request: PredictionRequest) -> bool:
    """Whether the batch was planned after its game date had ended in US Eastern, in which game dates are given (D6)."""
    return request.planned_at.astimezone(_US_EASTERN).date() > request.game_date


def _shown(lines: list[Decimal]) -> str:
    return ", ".join(str(line) for line in lines)[:200]
