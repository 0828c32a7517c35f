"""moving_average: recent points per minute times recent minutes, both exponentially weighted towards the newest game.

Minutes change faster than the scoring rate, so they forget faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from schemas.messages import PredictionRequest, RecentGame
from worker.systems import season_average
from worker.systems.prediction import StandInCode, SystemPrediction

SYSTEM_ID = "moving_average"

RATE_HALF_LIFE_GAMES = 12.0
MINUTES_HALF_LIFE_GAMES = 3.5
"""Least mean absolute error of a grid over the seasons 2024-25 and 2025-26 (players of 10 or more games and 15 or more
minutes, 20 recent games). The optimum is flat: rate 10 to 20 and minutes 3 to 5 lie within 0.003 points of it."""


def predict(request: PredictionRequest, earlier: Mapping[str, SystemPrediction], /) -> SystemPrediction:
    """Multiply the weighted scoring rate by the weighted minutes.

    Games without a whole minute played count for the minutes and, weighing nothing, not for the rate. Where no recent
    game has a minute (or there is none), the number of season_average stands in.
    """
    recent = request.recent_games
    if not any(game.minutes > 0 for game in recent):
        baseline = earlier[season_average.SYSTEM_ID]
        return SystemPrediction(
            system_id=SYSTEM_ID,
            points=baseline.points,
            games_used=baseline.games_used,
            reason=f"no minutes in {len(recent)} recent games; stand-in: {baseline.system_id} ({baseline.reason})",
            error_code=StandInCode.NO_RECENT_MINUTES,
        )
    return SystemPrediction(
        system_id=SYSTEM_ID,
        points=Decimal(_points_per_minute(recent) * _minutes(recent)),
        games_used=len(recent),
        reason=f"weighted points per minute times weighted minutes over the last {len(recent)} games",
    )


def _points_per_minute(newest_first: Sequence[RecentGame]) -> float:
    weights = _weights(len(newest_first), RATE_HALF_LIFE_GAMES)
    points = sum(weight * game.points for weight, game in zip(weights, newest_first, strict=True))
    minutes = sum(weight * game.minutes for weight, game in zip(weights, newest_first, strict=True))
    return points / minutes


def _minutes(newest_first: Sequence[RecentGame]) -> float:
    weights = _weights(len(newest_first), MINUTES_HALF_LIFE_GAMES)
    return sum(weight * game.minutes for weight, game in zip(weights, newest_first, strict=True)) / sum(weights)


def _weights(count: int, half_life_games: float) -> list[float]:
    return [0.5 ** (back / half_life_games) for back in range(count)]
