"""How good predictions and probabilities were, once the games are played. Pure; knows no model and no system."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worker.players import Floats

CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True)
class PastLines:
    """Distinct lines on past games, one entry a player, game and value; voids are not among them.

    `game` is the row of the game in the logs. `fair_over` is the market's own probability, and the prices are the best
    American odds of all books there; NaN where it is unknown.
    """

    game: NDArray[np.intp]
    line: Floats
    fair_over: Floats
    over_price: Floats
    under_price: Floats

    def __len__(self) -> int:
        return len(self.line)

    def take(self, rows: NDArray[np.bool_]) -> PastLines:
        """Some of the lines."""
        return PastLines(*(getattr(self, name)[rows] for name in self.__slots__))

    def moved(self, new_place: NDArray[np.intp]) -> PastLines:
        """The lines on the games that have a place (not below 0) in another order, with their places in it."""
        moved = replace(self, game=new_place[self.game])
        return moved.take(moved.game >= 0)


@dataclass(frozen=True, slots=True)
class PointScores:
    """Errors in points; bias is above 0 where predictions were too high. None where there was nothing to compare."""

    n: int
    mae: float | None
    rmse: float | None
    bias: float | None


@dataclass(frozen=True, slots=True)
class ProbabilityScores:
    """How good probabilities of OVER were; smaller is better. Always saying 0.5 has a Brier score of 0.25.

    `ece` weighs ten bins of equal width, the usual definition; `ece_equal_count` ten bins of equally many
    probabilities, which tells more where nearly all are close to 0.5. None where there was nothing to judge.
    """

    n: int
    brier: float | None
    log_loss: float | None
    ece: float | None
    ece_equal_count: float | None


def point_scores(predicted: Floats, points: Floats) -> PointScores:
    """Compare predictions with the points that came."""
    errors = predicted - points
    if not len(errors):
        return PointScores(0, None, None, None)
    return PointScores(
        n=len(errors),
        mae=_figure(np.abs(errors).mean()),
        rmse=_figure(np.sqrt((errors**2).mean())),
        bias=_figure(errors.mean()),
    )


def probability_scores(over: Floats, is_over: Floats) -> ProbabilityScores:
    """Compare probabilities of OVER with what came, 1 or 0; pushes are left out beforehand."""
    if not len(over):
        return ProbabilityScores(0, None, None, None, None)
    bounded = np.clip(over, 1e-12, 1 - 1e-12)
    width = np.minimum((over * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    return ProbabilityScores(
        n=len(over),
        brier=_figure(((over - is_over) ** 2).mean(), 5),
        log_loss=_figure(-(is_over * np.log(bounded) + (1 - is_over) * np.log(1 - bounded)).mean(), 5),
        ece=_figure(_calibration_error(over, is_over, width), 5),
        ece_equal_count=_figure(_calibration_error(over, is_over, _by_count(over)), 5),
    )


def mean_by_days(values: Floats, day: NDArray[np.intp]) -> tuple[float, float, float] | None:
    """The mean, and its 95% interval where all of a day's values may err together; None without any."""
    if not len(values):
        return None
    mean = float(values.mean())
    by_day = np.bincount(np.unique(day, return_inverse=True)[1], values - mean)
    half = 1.96 * float(np.sqrt((by_day**2).sum())) / len(values)
    return _figure(mean, 5), _figure(mean - half, 5), _figure(mean + half, 5)


def chance_error(over: Floats) -> float | None:
    """The calibration error in equal bins that a perfectly calibrated forecaster of these probabilities would show."""
    if not len(over):
        return None
    chance, bins = np.random.default_rng(0), _by_count(over)
    drawn = [_calibration_error(over, (chance.random(len(over)) < over).astype(np.float64), bins) for _ in range(200)]
    return _figure(float(np.mean(drawn)), 5)


def calibration_curve(over: Floats, is_over: Floats) -> list[tuple[float, float, int]]:
    """Mean probability, share that went over, and number, of ten bins of equally many probabilities."""
    bins = _by_count(over)
    return [
        (_figure(over[bins == each].mean()), _figure(is_over[bins == each].mean()), int((bins == each).sum()))
        for each in np.unique(bins)
    ]


def _by_count(over: Floats) -> NDArray[np.intp]:
    ranks = np.argsort(np.argsort(over, kind="stable"), kind="stable")
    return ranks * CALIBRATION_BINS // max(len(over), 1)


def _calibration_error(over: Floats, is_over: Floats, bins: NDArray[np.intp]) -> float:
    differences = np.bincount(bins, over - is_over)
    return float(np.abs(differences).sum() / len(over))


def _figure(value: float, digits: int = 4) -> float:
    return round(float(value), digits)
