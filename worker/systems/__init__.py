"""The prediction systems, in the order in which they run: a later one may use what an earlier one said (E6).

Whatever other module of this folder has a `SYSTEM_ID` and a `predict` is a system too, by its file alone: it runs before the
ensemble, which weighs it once a model is trained with it.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from worker.model import Model
from worker.players import Players
from worker.systems import ensemble, market, moving_average, ridge, season_average, similarity
from worker.systems.forecast import Forecast, Situation, System

_FIRST = (season_average, moving_average, similarity, ridge)
_FOUND = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
_ADDED = tuple(module for module in _FOUND if hasattr(module, "SYSTEM_ID") and module not in (*_FIRST, ensemble))

SYSTEMS: dict[str, System] = {
    **{module.SYSTEM_ID: module.predict for module in (*_FIRST, *_ADDED, ensemble)},
    market.MARKET_ID: market.market,
    market.ANCHORED_ID: market.anchored,
}

OWN_SYSTEMS = tuple(system_id for system_id in SYSTEMS if system_id not in (market.MARKET_ID, market.ANCHORED_ID))
"""Those that predict from games alone, line or no line."""


def predict_all(players: Players, model: Model) -> tuple[Forecast, ...]:
    """Ask every system about players of at least one past game each."""
    return forecasts(Situation.of(players, model))


def forecasts(situation: Situation) -> tuple[Forecast, ...]:
    """Ask every system about a situation."""
    said: dict[str, Forecast] = {}
    for system_id, system in SYSTEMS.items():
        said[system_id] = system(situation, said)
    return tuple(said.values())
