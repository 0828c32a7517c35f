"""How far a player's points scatter around their prediction, and what that says about a line. Uncalibrated.

A normal distribution: points are sums of many small scores, and the market has priced the rest of the shape. What
little skew remains is far below what the calibration takes away. Knows nothing of recommendations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

VARIANCE_AT_ZERO = 8.0
VARIANCE_PER_POINT = 2.7
"""The prior: squared errors of the ensemble on the season 2023-24 (25,816 player-games), least squares, grow with its mean."""

PRIOR_GAMES = 160.0
"""The prior weighs as much as this many games: with 20 recent ones the player's own variance adds a ninth, as fitted."""


def variance(predicted: float, recent_points: Sequence[int]) -> float:
    """The variance of a player's points: his own over the recent games, shrunk to what his prediction makes usual."""
    prior = VARIANCE_AT_ZERO + VARIANCE_PER_POINT * max(predicted, 0.0)
    games = len(recent_points)
    if games < 2:  # a single game has no spread
        return prior
    mean = sum(recent_points) / games
    own = sum((points - mean) ** 2 for points in recent_points) / (games - 1)
    return (PRIOR_GAMES * prior + games * own) / (PRIOR_GAMES + games)


def probability_over(points_line: Decimal, *, predicted: Decimal, recent_points: Sequence[int]) -> float:
    """The probability, 0 to 1, that the player scores more than the line, given that he does not hit it exactly.

    Points are whole: above 24.5 and above 24.0 differ by half a point on either side of 24, which is a push.
    """
    center, spread = float(predicted), math.sqrt(variance(float(predicted), recent_points))
    line = float(points_line)
    push = 0.5 if line.is_integer() else 0.0
    over = _tail((line + push - center) / spread)
    under = _tail((center - line + push) / spread)
    return over / (over + under)


def _tail(deviations: float) -> float:
    return 0.5 * math.erfc(deviations / math.sqrt(2.0))
