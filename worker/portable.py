"""Arithmetic whose results are the same on every processor: what numpy and BLAS leave to vector units is done here (F1).

Single additions, multiplications, divisions and square roots are exact to the last bit everywhere, and numpy's sums
keep one order. A matrix product's order, and the last bits of exp, log and powers, are the machine's own.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from worker.players import Floats

DIGITS = 12
"""To so many places a probability is kept: far more than is published, far fewer than machines differ in."""


def settled(probabilities: Floats) -> Floats:
    """Round away the last bits, in which exp and log differ, so that every later comparison ends alike."""
    return np.round(probabilities, DIGITS)


def halvings(half_life: float, count: int) -> Floats:
    """0.5 to the power of (0, 1, 2, ...) / half_life, by decimal arithmetic."""
    return np.array([float(Decimal("0.5") ** (Decimal(place) / Decimal(half_life))) for place in range(count)])


def least_squares(design: Floats, values: Floats, *, penalty: float = 0.0) -> Floats:
    """Solve (X'X + penalty) b = X'y for the few columns of X, which must not depend on one another."""
    columns = range(design.shape[1])
    matrix = np.array([(design * design[:, [column]]).sum(axis=0) for column in columns]) + penalty * np.eye(
        len(columns)
    )
    return _solve(np.column_stack([matrix, (design * values[:, None]).sum(axis=0)]))


def _solve(system: Floats) -> Floats:
    """Eliminate row by row; X'X needs no pivots, since it is symmetric and positive."""
    for row in range(len(system)):
        system[row] /= system[row, row]
        others = np.arange(len(system)) != row
        system[others] -= system[others, row][:, None] * system[row]
    return system[:, -1]
