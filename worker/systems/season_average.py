"""season_average: the player's mean points over all his games of this season. The baseline that others must beat."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from schemas.messages import PredictionRequest
from worker.systems.prediction import StandInCode, SystemPrediction, mean

SYSTEM_ID = "season_average"


def predict(request: PredictionRequest, _earlier: Mapping[str, SystemPrediction], /) -> SystemPrediction:
    """Divide the season's points by its games, exactly.

    Before the player's first game of the season, the mean of his recent games (of earlier seasons) stands in.

    Raises:
        ArithmeticError: the player has no past game at all.
    """
    so_far, season = request.season_to_date, request.game.season
    if so_far.games > 0:
        return SystemPrediction(
            system_id=SYSTEM_ID,
            points=Decimal(so_far.points) / so_far.games,
            games_used=so_far.games,
            reason=f"mean points over {so_far.games} games of {season}",
        )
    recent = request.recent_games
    return SystemPrediction(
        system_id=SYSTEM_ID,
        points=mean(game.points for game in recent),
        games_used=len(recent),
        reason=f"no game of {season} yet; stand-in: mean points of the last {len(recent)} games of earlier seasons",
        error_code=StandInCode.NO_SEASON_GAMES,
    )
