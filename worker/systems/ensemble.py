"""ensemble: the plain mean of the other systems' own predictions. Knows no inputs but theirs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from worker.systems import season_average
from worker.systems.forecast import Forecast, Situation, StandInCode, standing_in

SYSTEM_ID = "ensemble"

MIN_INPUTS = 2
"""Below this there is nothing to average: the system says so and names its stand-in (E7)."""


def predict(_situation: Situation, earlier: Mapping[str, Forecast], /) -> Forecast:
    """Average the systems before this one that predicted by their own method; a stand-in is no input.

    Equal weights: fitted ones gain next to nothing. With fewer than two inputs the number of season_average stands in.
    """
    inputs = list(earlier.values())
    own = np.stack([~forecast.is_stand_in for forecast in inputs])
    said = np.stack([np.where(forecast.is_stand_in, 0.0, forecast.points) for forecast in inputs])
    count = own.sum(axis=0)

    def reason(player: int) -> str:
        return f"mean of {', '.join(each.system_id for each in inputs if not each.is_stand_in[player])}"

    return standing_in(
        said.sum(axis=0) / np.maximum(count, 1),
        count < MIN_INPUTS,
        earlier[season_average.SYSTEM_ID],
        system_id=SYSTEM_ID,
        code=StandInCode.TOO_FEW_INPUTS,
        why=f"fewer than {MIN_INPUTS} of {len(inputs)} systems could predict",
        reason=reason,
    )
