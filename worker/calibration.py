"""What an uncalibrated probability against a real line is worth.

The market's line is the best single predictor there is: knowing it, our own opinion adds very little, and the
calibration says how little. Knows nothing of systems or requests.
"""

from __future__ import annotations

import numpy as np

from worker.players import Floats
from worker.portable import settled


def calibrated(raw: Floats, slope: float) -> Floats:
    """Turn raw probabilities, 0 to 1 and both included, into calibrated ones: log-odds = slope × raw log-odds, for any side.

    The intercept is held at 0, so that OVER and UNDER are judged alike and neither side is favoured at a raw 0.5.
    """
    return settled(1.0 / (1.0 + np.exp(-slope * log_odds(raw))))


_NEAR_ZERO = 1e-12


def log_odds(probability: Floats) -> Floats:
    """Turn probabilities, 0 and 1 included, into finite log-odds."""
    bounded = np.clip(probability, _NEAR_ZERO, 1.0 - _NEAR_ZERO)
    return np.log(bounded / (1.0 - bounded))


def fit_slope(raw: Floats, is_over: Floats) -> float:
    """Fit the slope by maximum likelihood (Newton's method) on raw probabilities of OVER and what came, 1 or 0."""
    odds, slope = log_odds(raw), 0.0
    for _ in range(_NEWTON_STEPS):
        over = 1.0 / (1.0 + np.exp(-slope * odds))
        slope += float(((is_over - over) * odds).sum() / (over * (1.0 - over) * odds**2).sum())
    return slope


_NEWTON_STEPS = 20

PLATT_V1, PLATT_V1_SLOPE = "platt_v1", 0.058
"""For a model whose training data have too few real lines to fit its own. Fitted by maximum likelihood on the distinct real lines of PrizePicks and Underdog from 2024-10-22 to 2025-01-12:
6,739 lines, each judged by season_average, moving_average and ensemble (n = 20,217, pushes left out, standard error
of the slope 0.027 as if they were independent). There the Brier score fell from 0.2615 to 0.2499 and the expected
calibration error from 0.080 to 0.015. Held out, on eight sportsbooks from 2025-10-21 to 2025-11-23 (n = 15,735):
Brier 0.2605 to 0.2497, calibration error 0.077 to 0.018. The market's own fair probability scores 0.2487 there."""

MARKET_V1 = "market_v1"
"""Names the calibration of rows with a real line: the market's probability, moved a little by the row's own."""

OWN_SLOPE = 0.1
"""How far a system's own log-odds move the market's: a tenth of the way. A raw opinion is overconfident by about ten to one."""


def beside_market(raw: Floats, market: Floats) -> Floats:
    """Turn raw probabilities of OVER into calibrated ones, given the market's."""
    odds = log_odds(market)
    return settled(1.0 / (1.0 + np.exp(-(odds + OWN_SLOPE * (log_odds(raw) - odds)))))
