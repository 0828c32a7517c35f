"""Arithmetic whose results are the same on every processor: what numpy and BLAS leave to vector units is done here (F1).

Single additions, multiplications, divisions and square roots are exact to the last bit everywhere, and numpy's sums
keep one order. A matrix product's order, and the last bits of exp, log and powers, are the machine's own.
"""

from __future__ import annotations

import math
from decimal import Decimal
from statistics import NormalDist

import numpy as np

from worker.players import Floats

DIGITS = 12
"""To so many places a probability is kept: far more than is published, far fewer than machines differ in."""


def settled(probabilities: Floats) -> Floats:
    """Round away the last bits, in which exp and log differ, so that every later comparison ends alike."""
    return np.round(probabilities, DIGITS)


def normal_below(deviations: Floats) -> Floats:
    """Give the share of a normal distribution that lies below each number of standard deviations."""
    shares = [0.5 * (1.0 + math.erf(each / math.sqrt(2.0))) for each in deviations.ravel().tolist()]
    return settled(np.array(shares).reshape(deviations.shape))


def normal_quantiles(shares: Floats) -> Floats:
    """Give the standard deviations below which so large shares lie; NaN stays."""
    found = [
        NormalDist().inv_cdf(min(max(each, _LEAST), 1.0 - _LEAST)) if each == each else each
        for each in shares.ravel().tolist()
    ]
    return settled(np.array(found).reshape(shares.shape))


_LEAST = 1e-6


def halvings(half_life: float, count: int) -> Floats:
    """0.5 to the power of (0, 1, 2, ...) / half_life, by decimal arithmetic."""
    return np.array([float(Decimal("0.5") ** (Decimal(place) / Decimal(half_life))) for place in range(count)])


def least_squares(design: Floats, values: Floats, *, penalty: float = 0.0, weights: Floats | None = None) -> Floats:
    """Solve (X'WX + penalty) b = X'Wy for the few columns of X, which must not depend on one another."""
    count = design.shape[1]
    system = np.zeros((count, count + 1))
    for start in range(0, len(design), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        columns = np.vstack([design[part].T, values[part]])
        weighted = columns if weights is None else columns * weights[part]
        for column in range(count):
            # One by one: a matrix product adds in the order that suits the processor.
            system[column, column:] += (weighted[column] * columns[column:]).sum(axis=1)
    for column in range(count):
        system[column:, column] = system[column, column:count]
    system[:, :count] += penalty * np.eye(count)
    return _solve(system)


_AT_ONCE = 2_048
"""So many rows fit the cache."""

ROUNDS = 12
"""After so many the sixth digit of what is fitted no longer changes the error."""
SMOOTHING = 1.0
"""An error that is small against this counts by its square, so that no weight is endless."""


def least_absolute(design: Floats, values: Floats, *, penalty: float) -> Floats:
    """Fit the median of the values: least absolute errors, by least squares that weigh each error by its inverse."""
    solution = least_squares(design, values, penalty=penalty)
    for _ in range(ROUNDS):
        errors = values - (design * solution).sum(axis=1)
        weights = 1.0 / np.sqrt(errors * errors + SMOOTHING * SMOOTHING)
        solution = least_squares(design, values, penalty=penalty * float(weights.mean()), weights=weights)
    return solution


def _solve(system: Floats) -> Floats:
    """Eliminate row by row; X'X needs no pivots, since it is symmetric and positive."""
    for row in range(len(system)):
        system[row] /= system[row, row]
        others = np.arange(len(system)) != row
        system[others] -= system[others, row][:, None] * system[row]
    return system[:, -1]
