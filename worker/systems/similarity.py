"""similarity: what players in the most similar past situations scored. Looks in the model's library of situations.

A situation is a handful of the features; the points that came of it are all that is remembered, never who it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from numpy.typing import NDArray

from schemas.tables import Cell
from worker.model import Model
from worker.players import Floats
from worker.systems import season_average
from worker.systems.forecast import Forecast, Situation, StandInCode, standing_in

SYSTEM_ID = "similarity"

_AT_ONCE = 256
"""Players compared with the library at once: enough to be fast, few enough to fit the cache."""


def predict(situation: Situation, earlier: Mapping[str, Forecast], /) -> Forecast:
    """Average the points of the nearest past situations.

    Where no recent game has a minute (or there is none), the number of season_average stands in.
    """
    model = situation.model
    places = located(situation.features, model)
    points, similarities = np.empty(len(situation)), np.empty((len(situation), 2))
    for start in range(0, len(situation), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        nearest, distances = nearest_situations(places[part], model.situations, model.document.similarity.neighbours)
        points[part] = model.situation_points[nearest].mean(axis=1)
        alike = 100.0 / (1.0 + np.sqrt(distances))
        similarities[part] = np.column_stack([alike.mean(axis=1), alike.min(axis=1)])
    neighbours = model.document.similarity.neighbours

    def cells(player: int) -> dict[str, Cell]:
        mean, least = similarities[player]
        return {
            "similarity_baseline": _rounded(points[player], "0.1"),
            "similar_games_count": neighbours,
            "avg_similarity_score": _rounded(mean, "0.01"),
            "min_similarity_score": _rounded(least, "0.01"),
        }

    return standing_in(
        points,
        np.isnan(situation.form),
        earlier[season_average.SYSTEM_ID],
        system_id=SYSTEM_ID,
        code=StandInCode.NO_RECENT_MINUTES,
        why="no minutes in recent games",
        reason=lambda _player: f"mean points of the {neighbours} most similar of {len(model.situations)} past games",
        cells=cells,
    )


def located(features: Floats, model: Model) -> Floats:
    """Place players among the library's situations."""
    columns, weights = model.metric
    return model.standardized(features)[:, columns] * weights


def nearest_situations(places: Floats, situations: Floats, neighbours: int) -> tuple[NDArray[np.intp], Floats]:
    """Find the nearest situations of each place, in the library's order, and their squared distances.

    Of equally distant ones the first in the library are taken, and distances are equal that differ by less than a
    billionth: which ones are found depends on no processor (F1).
    """
    squared = np.zeros((len(places), len(situations)))
    # Column by column: a matrix product adds in the order that suits the processor.
    for place, situation in zip(places.T, situations.T, strict=True):
        squared += (place[:, None] - situation) ** 2
    squared = np.round(squared, 9)
    farthest = np.partition(squared, neighbours - 1, axis=1)[:, neighbours - 1 : neighbours]
    is_nearer, is_tied = squared < farthest, squared == farthest
    places_left = neighbours - is_nearer.sum(axis=1, keepdims=True)
    is_taken = is_nearer | (is_tied & (is_tied.cumsum(axis=1) <= places_left))
    nearest = np.nonzero(is_taken)[1].reshape(len(places), neighbours)
    return nearest, np.take_along_axis(squared, nearest, axis=1)


def _rounded(number: float, unit: str) -> Decimal:
    return Decimal(float(number)).quantize(Decimal(unit), ROUND_HALF_UP)
