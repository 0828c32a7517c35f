"""The prediction systems, one list, in the order in which they run: a later one may use what an earlier one said (E6)."""

from __future__ import annotations

from worker.model import Model
from worker.players import Players
from worker.systems import ensemble, market, moving_average, ridge, season_average, similarity
from worker.systems.forecast import Forecast, Situation, System

SYSTEMS: dict[str, System] = {
    season_average.SYSTEM_ID: season_average.predict,
    moving_average.SYSTEM_ID: moving_average.predict,
    similarity.SYSTEM_ID: similarity.predict,
    ridge.SYSTEM_ID: ridge.predict,
    ensemble.SYSTEM_ID: ensemble.predict,
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
