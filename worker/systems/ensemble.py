"""ensemble: the other systems' own predictions by weights that were fitted walk-forward. Knows no inputs but theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from worker.players import Floats
from worker.systems import season_average
from worker.systems.forecast import Forecast, Situation, StandInCode, standing_in

SYSTEM_ID = "ensemble"

MIN_INPUTS = 2
"""Below this there is nothing to average: the system says so and names its stand-in (E7)."""


def predict(situation: Situation, earlier: Mapping[str, Forecast], /) -> Forecast:
    """Weigh the systems before this one that predicted by their own method; a stand-in is no input, and neither is a system
    that the model was trained without.

    With fewer than two inputs the number of season_average stands in.
    """
    fitted = situation.model.document.ensemble
    inputs = [forecast for forecast in earlier.values() if forecast.system_id in fitted]
    weights = [fitted[forecast.system_id] for forecast in inputs]
    own = np.stack([~forecast.is_stand_in for forecast in inputs])
    points, is_any = weighed(np.stack([forecast.points for forecast in inputs]), own, weights)

    def reason(player: int) -> str:
        parts = [
            f"{weight:.2f} {each.system_id}"
            for each, weight in zip(inputs, weights, strict=True)
            if weight and not each.is_stand_in[player]
        ]
        return f"weighted mean of {', '.join(parts)}"

    return standing_in(
        points,
        ~is_any | (own.sum(axis=0) < MIN_INPUTS),
        earlier[season_average.SYSTEM_ID],
        system_id=SYSTEM_ID,
        code=StandInCode.TOO_FEW_INPUTS,
        why=f"fewer than {MIN_INPUTS} of {len(inputs)} systems could predict",
        reason=reason,
    )


def weighed(said: Floats, is_own: NDArray[np.bool_], weights: Sequence[float]) -> tuple[Floats, NDArray[np.bool_]]:
    """Average `(systems, N)` numbers, of those that are a system's own, and tell where there is any."""
    shares = np.where(is_own, np.array(weights)[:, None], 0.0)
    total = shares.sum(axis=0)
    mean: Floats = (np.where(is_own, said, 0.0) * shares).sum(axis=0) / np.where(total > 0, total, 1.0)
    return mean, total > 0
