"""The prediction systems, one list, in the order in which they run: a later one may use what an earlier one said (E6)."""

from __future__ import annotations

from schemas.messages import PredictionRequest
from worker.systems import ensemble, moving_average, season_average
from worker.systems.prediction import System, SystemPrediction

SYSTEMS: tuple[System, ...] = (season_average.predict, moving_average.predict, ensemble.predict)


def predict_all(request: PredictionRequest) -> tuple[SystemPrediction, ...]:
    """Ask every system about the request's player, who has at least one past game.

    Raises:
        ArithmeticError: a system's inputs make no number.
    """
    predictions: dict[str, SystemPrediction] = {}
    for system in SYSTEMS:
        prediction = system(request, predictions)
        predictions[prediction.system_id] = prediction
    return tuple(predictions.values())
