"""How wide an interval must be to hold what it promises, learned day by day from the errors that are known by then.

Where a group's intervals held too few games so far they widen, else they narrow (adaptive conformal inference, Gibbs
and Candes 2021). Knows nothing of players or points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worker.players import Floats

STEP = 0.1
"""By so much of its surprise a day of many games moves the share that is asked for. On 2024-25 all of 0.02 to 0.4 serve."""
_LEAST, _MOST = 0.5, 0.98


def adapted_shares(rank: Floats, *, share: float, day: NDArray[np.intp], group: NDArray[np.intp]) -> Floats:
    """Give, for each game, the share to ask the fitted distribution for so that `share` of the games are held.

    Args:
        rank: where the game's outcome lies in its distribution: the least share of a central interval that holds it.
        share: what the intervals shall hold, 0 to 1.
        day: only the games of earlier days decide.
        group: each group learns for itself.
    """
    asked = np.full(len(rank), share)
    for each in np.unique(group):
        level = share
        rows = np.flatnonzero(group == each)
        for today in np.unique(day[rows]):
            games = rows[day[rows] == today]
            asked[games] = level
            missed = float((rank[games] > level).mean())
            level = min(max(level + STEP * _weight(len(games)) * (missed - (1.0 - share)), _LEAST), _MOST)
    return asked


def _weight(games: int) -> float:
    """A day of few games says little."""
    return min(games / 20.0, 1.0)
