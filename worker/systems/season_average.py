"""season_average: the player's mean points over all his games of this season. The baseline that others must beat."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from worker.systems.forecast import Forecast, Situation, StandInCode

SYSTEM_ID = "season_average"


def predict(situation: Situation, _earlier: Mapping[str, Forecast], /) -> Forecast:
    """Divide the season's points by its games.

    Before a player's first game of the season, the mean of his recent games (of earlier seasons) stands in; a player
    without any past game gets no number (NaN).
    """
    players = situation.players
    is_stand_in = players.season_games == 0
    with np.errstate(invalid="ignore"):
        recent = np.nan_to_num(players.points).sum(axis=1) / players.games

    def reason(player: int) -> str:
        if is_stand_in[player]:
            games = f"{players.games[player]:.0f} games of earlier seasons"
            return f"no game of this season yet; stand-in: mean points of the last {games}"
        return f"mean points over {players.season_games[player]:.0f} games of this season"

    return Forecast(
        system_id=SYSTEM_ID,
        points=np.where(is_stand_in, recent, situation.season_mean),
        is_stand_in=is_stand_in,
        code=StandInCode.NO_SEASON_GAMES,
        reason=reason,
    )
