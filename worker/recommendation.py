"""What to recommend on a line: the side that is worth more than its price by a margin, else PASS.

Knows a probability and the odds; must never learn how the probability came to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from worker.players import Floats

USUAL_PRICE = -110
"""American odds where a line comes without: break-even is 0.524 there."""

MARGIN = 0.02
"""A side is recommended whose expected value exceeds this share of the stake: about twice what the books differ by."""


class Recommendation(StrEnum):
    """What a row advises."""

    OVER = "OVER"
    UNDER = "UNDER"
    PASS = "PASS"  # noqa: S105 - a recommendation, no password
    NO_LINE = "NO_LINE"


@dataclass(frozen=True, slots=True)
class Odds:
    """The best American odds at a line, and who offers them; None where no book tells any."""

    over_price: int | None = None
    under_price: int | None = None
    over_book: str | None = None
    under_book: str | None = None


@dataclass(frozen=True, slots=True)
class Pick:
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


def judge(raw_over: Floats, over: Floats, odds: Sequence[Odds]) -> list[Pick]:
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


def _verdict(raw_over: float, over: float, odds: Odds, is_worth_it: bool, is_over: bool) -> Pick:
    side = Recommendation.OVER if is_over else Recommendation.UNDER
    raw, calibrated = (raw_over, over) if is_over else (1.0 - raw_over, 1.0 - over)
    if not is_worth_it:
        return Pick(Recommendation.PASS, side, raw, calibrated)
    return Pick(side, side, raw, calibrated, odds.over_book if is_over else odds.under_book)
