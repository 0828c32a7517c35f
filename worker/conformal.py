"""How wide an interval must be to hold what it promises, learned day by day from the errors that are known by then.

Where a group's intervals held too few games so far they widen, else they narrow (adaptive conformal inference, Gibbs
and Candes 2021). Mirrors what `coordinator/rules/plan.sql` learns from grades, and a test holds the two together. Knows
nothing of players or points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.messages import LEARNING_LAG_DAYS, LEARNING_LEAST_GAMES, LEARNING_MILLIONTHS
from worker.players import Floats

INTERVALS = (50, 80, 90)
"""The intervals that every row tells, in percent of what may come."""
_FITTED = np.array(INTERVALS) * 10_000
_LEAST, _MOST = 0.1, 0.98


def asked_shares(millionths: Floats) -> Floats:
    """Turn what was learned, `(N, 3)` for the three intervals, into the shares to ask the fitted distribution for.

    NaN is nothing learned. A wider interval always holds the narrower one.
    """
    learned = np.where(np.isnan(millionths), _FITTED, millionths)
    asked: Floats = np.maximum.accumulate(np.clip(learned / 1e6, _LEAST, _MOST), axis=1)
    return asked


def adapted_shares(rank: Floats, *, day: NDArray[np.intp], group: NDArray[np.intp]) -> Floats:
    """Give, for each game, the shares to ask for, `(N, 3)`, as a season that is run and graded day by day learns them.

    Args:
        rank: where the game's outcome lies in its distribution: the least share of a central interval that holds it.
        day: only the games of `LEARNING_LAG_DAYS` days before and earlier decide.
        group: each group, of one season, learns for itself.
    """
    asked = np.empty((len(rank), len(INTERVALS)))
    for each in np.unique(group):
        rows = np.flatnonzero(group == each)
        days = np.unique(day[rows])
        taught = np.zeros((len(days), len(INTERVALS)))
        for place, today in enumerate(days):
            known = np.searchsorted(days, today - LEARNING_LAG_DAYS, side="right")
            games = rows[day[rows] == today]
            asked[games] = asked_shares(_FITTED + taught[:known].sum(axis=0, keepdims=True))
            taught[place] = _lesson((rank[games, None] > asked[games]).sum(axis=0), len(games))
    return asked


def _lesson(outside: NDArray[np.intp], games: int) -> Floats:
    """What a day adds, in whole millionths: the games outside beyond those that the intervals leave out."""
    beyond = 100 * outside - (100 - np.array(INTERVALS)) * games
    lesson: Floats = np.trunc(LEARNING_MILLIONTHS * beyond / (100 * max(games, LEARNING_LEAST_GAMES)))
    return lesson
