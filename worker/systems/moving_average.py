"""moving_average: recent points per minute times recent minutes, both exponentially weighted towards the newest game.

Minutes change faster than the scoring rate, so they forget faster. The number itself is a feature of the trained
systems too (`form_points` of `worker.features`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from worker.systems import season_average
from worker.systems.forecast import Forecast, Situation, StandInCode, standing_in

SYSTEM_ID = "moving_average"


def predict(situation: Situation, earlier: Mapping[str, Forecast], /) -> Forecast:
    """Multiply the weighted scoring rate by the weighted minutes.

    Where no recent game has a minute (or there is none), the number of season_average stands in.
    """
    games = situation.players.games
    return standing_in(
        situation.form,
        np.isnan(situation.form),
        earlier[season_average.SYSTEM_ID],
        system_id=SYSTEM_ID,
        code=StandInCode.NO_RECENT_MINUTES,
        why="no minutes in recent games",
        reason=lambda player: (
            f"weighted points per minute times weighted minutes over the last {games[player]:.0f} games"
        ),
    )
