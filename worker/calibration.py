"""What an uncalibrated probability against a real line is worth, and what to recommend because of it.

The market's line is the best single predictor there is: knowing it, our own opinion adds very little, and the
calibration says how little. Most rows are therefore PASS. Knows nothing of systems or requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from worker.players import Floats
from worker.portable import DIGITS, settled


class Recommendation(StrEnum):
    """What a row advises."""

    OVER = "OVER"
    UNDER = "UNDER"
    PASS = "PASS"  # noqa: S105 - a recommendation, no password
    NO_LINE = "NO_LINE"


@dataclass(frozen=True, slots=True)
class PlattScaling:
    """Calibrated log-odds = slope × raw log-odds, for any side.

    The intercept is held at 0, so that OVER and UNDER are judged alike and neither side is favoured at a raw 0.5.
    """

    method: str
    slope: float

    def calibrate(self, raw: float) -> float:
        """Turn a raw probability, 0 to 1 and both included, into a calibrated one."""
        bounded = min(max(raw, _NEAR_ZERO), 1.0 - _NEAR_ZERO)
        return round(1.0 / (1.0 + math.exp(-self.slope * math.log(bounded / (1.0 - bounded)))), DIGITS)

    def calibrate_all(self, raw: Floats) -> Floats:
        """Turn many raw probabilities into calibrated ones."""
        return settled(1.0 / (1.0 + np.exp(-self.slope * log_odds(raw))))


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

PLATT_V1 = PlattScaling(method="platt_v1", slope=0.058)
"""For a model whose training data have too few real lines to fit its own. Fitted by maximum likelihood on the distinct real lines of PrizePicks and Underdog from 2024-10-22 to 2025-01-12:
6,739 lines, each judged by season_average, moving_average and ensemble (n = 20,217, pushes left out, standard error
of the slope 0.027 as if they were independent). There the Brier score fell from 0.2615 to 0.2499 and the expected
calibration error from 0.080 to 0.015. Held out, on eight sportsbooks from 2025-10-21 to 2025-11-23 (n = 15,735):
Brier 0.2605 to 0.2497, calibration error 0.077 to 0.018. The market's own fair probability scores 0.2487 there."""

BREAK_EVEN = 0.5238
"""The probability at which a bet at the usual price of -110 neither gains nor loses: 110 / 210."""

THRESHOLD = 0.55
"""A side is recommended from here on: break-even and a margin above the held-out calibration error."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A recommendation on a line and its reasons; probabilities are those of `side`, 0 to 1.

    `side` is the recommended side, and for PASS the likelier one.
    """

    recommendation: Recommendation
    side: Recommendation
    raw: float
    calibrated: float

    @property
    def over(self) -> float:
        """The calibrated probability of OVER, whichever side is the likelier."""
        return self.calibrated if self.side is Recommendation.OVER else round(1.0 - self.calibrated, DIGITS)


def judge(raw_over: float, calibration: PlattScaling) -> Verdict:
    """Recommend the likelier side of a line if its calibrated probability reaches the threshold, else PASS."""
    over = calibration.calibrate(raw_over)
    if over >= 0.5:
        side, raw, calibrated = Recommendation.OVER, raw_over, over
    else:
        side, raw, calibrated = Recommendation.UNDER, 1.0 - raw_over, 1.0 - over
    return Verdict(side if calibrated >= THRESHOLD else Recommendation.PASS, side, raw, calibrated)
