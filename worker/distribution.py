"""How far a player's points scatter around their prediction, and what that says about a line. Uncalibrated.

The shape is empirical: quantiles of past errors in units of their usual size, which grows with the prediction. Low
scorers are skewed, stars are not, so each has quantiles of his level. Knows nothing of recommendations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worker.players import Floats
from worker.portable import settled

_TAIL_RATE = 3.0
"""Beyond the outermost quantiles the tails fall off as a normal distribution's do there, per unit of deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A fitted predictive distribution around any system's number.

    `quantiles[i, j]` is the deviation, in standard deviations, below which a share `levels[j]` of the errors lay for
    predictions around `centers[i]`; between two centers it is interpolated.
    """

    variance_at_zero: float
    variance_per_point: float
    prior_games: float
    """The usual variance weighs as much as this many games of the player's own."""
    levels: Floats
    centers: Floats
    quantiles: Floats

    def deviation(self, predicted: Floats, recent_points: Floats) -> Floats:
        """Give each player's standard deviation: what his prediction makes usual, and a little of his own games'."""
        usual = self.variance_at_zero + self.variance_per_point * np.maximum(predicted, 0.0)
        known = np.isfinite(recent_points)
        games = known.sum(axis=1)
        mean = np.where(known, recent_points, 0.0).sum(axis=1) / np.maximum(games, 1)
        squares = np.where(known, (recent_points - mean[:, None]) ** 2, 0.0).sum(axis=1)
        own, weight = squares / np.maximum(games - 1, 1), np.where(games > 1, games, 0)
        deviation: Floats = np.sqrt((self.prior_games * usual + weight * own) / (self.prior_games + weight))
        return deviation

    def quantile(self, level: Floats, *, predicted: Floats, deviation: Floats) -> Floats:
        """Give the points below which each player stays with a probability of his `level`."""
        place = np.interp(level, self.levels, np.arange(len(self.levels)))
        low, high = np.floor(place).astype(np.intp), np.ceil(place).astype(np.intp)
        shape, rows = self._shape(predicted), np.arange(len(predicted))
        below, above = shape[rows, low], shape[rows, high]
        return predicted + deviation * (below + (place - low) * (above - below))

    def central_share(self, points: Floats, *, predicted: Floats, deviation: Floats) -> Floats:
        """Give the share, 0 to 1, of the narrowest central interval that holds the points that came."""
        share: Floats = np.abs(2.0 * self._below((points - predicted) / deviation, self._shape(predicted)) - 1.0)
        return share

    def probability_over(self, line: Floats, *, predicted: Floats, deviation: Floats) -> Floats:
        """Give the probability, 0 to 1, that a player scores more than his line, given that he does not hit it exactly.

        Points are whole: above 24.5 and above 24.0 differ by half a point on either side of 24, which is a push.
        """
        push = np.where(line == np.floor(line), 0.5, 0.0)
        shape = self._shape(predicted)
        over = 1.0 - self._below((line + push - predicted) / deviation, shape)
        under = self._below((line - push - predicted) / deviation, shape)
        return settled(over / (over + under))

    def _shape(self, predicted: Floats) -> Floats:
        """The quantiles of each player's level, `(N, levels)`."""
        place = np.interp(predicted, self.centers, np.arange(len(self.centers)))
        low = np.floor(place).astype(np.intp)
        high = np.minimum(low + 1, len(self.centers) - 1)
        step = self.quantiles[high] - self.quantiles[low]
        shape: Floats = self.quantiles[low] + (place - low)[:, None] * step
        return shape

    def _below(self, deviations: Floats, shape: Floats) -> Floats:
        """The share of errors below each deviation."""
        last = shape.shape[1] - 1
        above = np.clip((shape <= deviations[:, None]).sum(axis=1), 1, last)
        rows = np.arange(len(shape))
        left, right = shape[rows, above - 1], shape[rows, above]
        share = np.clip((deviations - left) / np.maximum(right - left, 1e-9), 0.0, 1.0)
        inside = self.levels[above - 1] + share * (self.levels[above] - self.levels[above - 1])
        too_low = self.levels[0] * np.exp(_TAIL_RATE * np.minimum(deviations - shape[:, 0], 0.0))
        too_high = (1.0 - self.levels[-1]) * np.exp(_TAIL_RATE * np.minimum(shape[:, -1] - deviations, 0.0))
        outside = np.where(deviations < shape[:, 0], too_low, 1.0 - too_high)
        below: Floats = np.where((deviations < shape[:, 0]) | (deviations > shape[:, -1]), outside, inside)
        return below
