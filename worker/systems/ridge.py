"""ridge: a linear function of all features, fitted to the median with a penalty on large coefficients.

Every term is some points more or fewer than an average player's, so the terms say where a prediction comes from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from schemas.tables import Cell
from worker.features import FEATURES
from worker.systems import season_average
from worker.systems.forecast import Forecast, Situation, StandInCode, standing_in

SYSTEM_ID = "ridge"

_COLUMN_OF = {
    "rest": "fatigue_adjustment",
    "opponent": "shot_zone_adjustment",
    "pace": "pace_adjustment",
    "role": "usage_spike_adjustment",
    "home": "home_away_adjustment",
}
"""The column of each component; the form's terms are the prediction itself."""

_LARGEST = 5


def predict(situation: Situation, earlier: Mapping[str, Forecast], /) -> Forecast:
    """Add up the terms; nobody scores less than 0.

    Where no recent game has a minute (or there is none), the number of season_average stands in.
    """
    model = situation.model
    terms = model.standardized(situation.features) * model.coefficients
    points = np.maximum(model.document.ridge.intercept + terms.sum(axis=1), 0.0)

    def cells(player: int) -> dict[str, Cell]:
        is_known = np.isfinite(situation.features[player])
        named = {
            name: float(term) for name, term, known in zip(FEATURES, terms[player], is_known, strict=True) if known
        }
        largest = sorted(named, key=lambda name: -abs(named[name]))[:_LARGEST]
        return {
            "feature_importance": json.dumps({name: round(named[name], 3) for name in largest}),
            **{column: _component(component, named) for component, column in _COLUMN_OF.items()},
            "teammate_usage_boost": _as_float(_component("absences", named)),
        }

    return standing_in(
        points,
        np.isnan(situation.form),
        earlier[season_average.SYSTEM_ID],
        system_id=SYSTEM_ID,
        code=StandInCode.NO_RECENT_MINUTES,
        why="no minutes in recent games",
        reason=lambda player: (
            f"linear model {model.version} of {np.isfinite(situation.features[player]).sum()} known features"
        ),
        cells=cells,
    )


def _component(component: str, terms: Mapping[str, float]) -> Decimal | None:
    """The points of a component's terms against an average game; None where all of them are unknown."""
    parts = [term for name, term in terms.items() if FEATURES[name] == component]
    return Decimal(math.fsum(parts)).quantize(Decimal("0.01"), ROUND_HALF_UP) if parts else None


def _as_float(number: Decimal | None) -> float | None:
    return None if number is None else float(number)
