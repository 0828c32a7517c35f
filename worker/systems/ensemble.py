"""ensemble: the plain mean of the other systems' own predictions. Knows no inputs but theirs."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.messages import PredictionRequest
from worker.systems import season_average
from worker.systems.prediction import StandInCode, SystemPrediction, mean

SYSTEM_ID = "ensemble"

MIN_INPUTS = 2
"""Below this there is nothing to average: the system says so and names its stand-in (E7)."""


def predict(_request: PredictionRequest, earlier: Mapping[str, SystemPrediction], /) -> SystemPrediction:
    """Average the systems before this one that predicted by their own method; a stand-in is no input.

    Equal weights: tuned ones gain less than 0.001 points of mean absolute error. With fewer than two inputs the number
    of season_average stands in.
    """
    inputs = [prediction for prediction in earlier.values() if not prediction.is_stand_in]
    if len(inputs) < MIN_INPUTS:
        baseline = earlier[season_average.SYSTEM_ID]
        return SystemPrediction(
            system_id=SYSTEM_ID,
            points=baseline.points,
            games_used=baseline.games_used,
            reason=f"{len(inputs)} of {len(earlier)} systems could predict; "
            f"stand-in: {baseline.system_id} ({baseline.reason})",
            error_code=StandInCode.TOO_FEW_INPUTS,
        )
    return SystemPrediction(
        system_id=SYSTEM_ID,
        points=mean(prediction.points for prediction in inputs),
        games_used=max(prediction.games_used for prediction in inputs),
        reason=f"mean of {', '.join(prediction.system_id for prediction in inputs)}",
    )
