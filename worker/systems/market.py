"""market and anchored: what all sportsbooks together say, and that, moved a little by the ensemble.

A line is no mean: a book may hold one and ask unequal odds. So each book's number is its line, moved by what its fair
probability of OVER says in units of the usual error. No fit. Both are silent on players without a real line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from worker.players import Floats, Players
from worker.portable import normal_below, normal_quantiles
from worker.systems import ensemble
from worker.systems.forecast import Forecast, Situation, StandInCode

MARKET_ID = "market"
ANCHORED_ID = "anchored"

OWN_SHARE = 0.1
"""Of the ensemble in `anchored`; the market knows nearly all of it already."""


def market(situation: Situation, _earlier: Mapping[str, Forecast], /) -> Forecast:
    """Average what the books imply."""
    points, _ = implied(situation)
    books = _is_said(situation.players).sum(axis=1)
    return _made(MARKET_ID, points, lambda player: f"implied by {books[player]} offers")


def anchored(_situation: Situation, earlier: Mapping[str, Forecast], /) -> Forecast:
    """Move the market's number by a tenth of the way to the ensemble's."""
    points = (1.0 - OWN_SHARE) * earlier[MARKET_ID].points + OWN_SHARE * earlier[ensemble.SYSTEM_ID].points
    return _made(ANCHORED_ID, points, lambda _player: f"{1 - OWN_SHARE:.1f} market and {OWN_SHARE:.1f} ensemble")


def implied(situation: Situation) -> tuple[Floats, Floats]:
    """Give the mean that all of a player's offers imply, NaN without any that can be, and the deviation around it."""
    players = situation.players
    is_there = _is_said(players)
    count = is_there.sum(axis=1)
    books = np.where(count > 0, count, np.nan)
    line = np.where(is_there, players.offered_lines, 0.0).sum(axis=1) / books
    lean = np.where(is_there, normal_quantiles(np.where(is_there, players.fair_over, 0.5)), 0.0).sum(axis=1) / books
    deviation = situation.model.spread.deviation(line, players.points)
    mean = np.maximum(line + deviation * lean, 0.0)
    return np.where(mean <= _MOST_POINTS, mean, np.nan), deviation


_MOST_POINTS = 99.0
"""Whatever implies more is a mistake of a feed, and no word of the market."""
_SURE = 0.02
"""A fair probability nearer to 0 or 1 is of a game that is decided, or a mistake of a feed: nobody offers a line like that."""


def _is_said(players: Players) -> NDArray[np.bool_]:
    """Which offers are a word of the market."""
    offered = np.isfinite(players.offered_lines)
    is_open: NDArray[np.bool_] = offered & (np.abs(players.fair_over - 0.5) <= 0.5 - _SURE)
    return is_open


def probability_over(lines: Floats, *, points: Floats, deviation: Floats) -> Floats:
    """Give the probability, 0 to 1, that a player scores more than his line, by a number of the market's kind."""
    return normal_below((points - lines) / deviation)


def _made(system_id: str, points: Floats, reason: Callable[[int], str]) -> Forecast:
    return Forecast(
        system_id=system_id,
        points=points,
        is_stand_in=np.zeros(len(points), dtype=np.bool_),
        code=StandInCode.TOO_FEW_INPUTS,
        reason=reason,
        needs_line=True,
    )
