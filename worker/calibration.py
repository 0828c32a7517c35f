"""What an uncalibrated probability against a real line is worth, and what to recommend because of it.

The market's line is the best single predictor there is: knowing it, our own opinion adds very little, and the
calibration says how little. Most rows are therefore PASS. Knows nothing of systems or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from worker.players import Floats
from worker.portable import settled


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

    def calibrate_all(self, raw: Floats) -> Floats:
        """Turn raw probabilities, 0 to 1 and both included, into calibrated ones."""
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

MARKET_V1 = "market_v1"
"""Names the calibration of rows with a real line: the market's probability, moved a little by the row's own."""

OWN_SLOPE = 0.1
"""How far a system's own log-odds move the market's: a tenth of the way. A raw opinion is overconfident by about ten to one."""


def beside_market(raw: Floats, market: Floats) -> Floats:
    """Turn raw probabilities of OVER into calibrated ones, given the market's."""
    odds = log_odds(market)
    return settled(1.0 / (1.0 + np.exp(-(odds + OWN_SLOPE * (log_odds(raw) - odds)))))


USUAL_PRICE = -110
"""American odds where a line comes without: break-even is 0.524 there."""

MARGIN = 0.02
"""A side is recommended whose expected value exceeds this share of the stake: about twice what the books differ by."""


@dataclass(frozen=True, slots=True)
class Odds:
    """The best American odds at a line, and who offers them; None where no book tells any."""

    over_price: int | None = None
    under_price: int | None = None
    over_book: str | None = None
    under_book: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A recommendation on a line and its reasons; probabilities are those of `side`, 0 to 1.

    `side` is the recommended side, and for PASS the likelier one; `book` offers the recommended side at the best odds.
    """

    recommendation: Recommendation
    side: Recommendation
    raw: float
    calibrated: float
    book: str | None = None


def expected_value(probability: Floats, price: Floats) -> Floats:
    """Give the expected gain of a stake of 1 at American odds; a push gives it back and counts for neither."""
    return probability * gain(price) - (1.0 - probability)


def gain(price: Floats) -> Floats:
    """Give what a stake of 1 wins at American odds: 150 wins 1.5, -150 wins two thirds."""
    won: Floats = np.where(price > 0, price, 100.0) / np.where(price > 0, 100.0, -price)
    return won


def judge(raw_over: Floats, over: Floats, odds: Sequence[Odds]) -> list[Verdict]:
    """Recommend of each line the side that is worth more than its price by the margin, else PASS.

    Args:
        raw_over: the uncalibrated probabilities of OVER.
        over: the calibrated ones.
        odds: the best at each line.
    """
    over_prices = np.array([each.over_price or USUAL_PRICE for each in odds])
    under_prices = np.array([each.under_price or USUAL_PRICE for each in odds])
    of_over, of_under = expected_value(over, over_prices), expected_value(1.0 - over, under_prices)
    is_worth_it = np.maximum(of_over, of_under) > MARGIN
    is_over = np.where(is_worth_it, of_over >= of_under, over >= 0.5)
    every = (raw_over.tolist(), over.tolist(), odds, is_worth_it.tolist(), is_over.tolist())
    return [_verdict(*each) for each in zip(*every, strict=True)]


def _verdict(raw_over: float, over: float, odds: Odds, is_worth_it: bool, is_over: bool) -> Verdict:
    side = Recommendation.OVER if is_over else Recommendation.UNDER
    raw, calibrated = (raw_over, over) if is_over else (1.0 - raw_over, 1.0 - over)
    if not is_worth_it:
        return Verdict(Recommendation.PASS, side, raw, calibrated)
    return Verdict(side, side, raw, calibrated, odds.over_book if is_over else odds.under_book)
