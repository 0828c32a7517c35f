"""How figures of several rounds are written."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def spread(figures: Sequence[float], digits: int | None = None) -> str:
    """Least / median / greatest; one figure is written alone. Without `digits` as many as are told apart."""
    written = [_written(one, digits) for one in (min(figures), median(figures), max(figures))]
    return written[0] if len(figures) == 1 else " / ".join(written)


def _written(figure: float, digits: int | None) -> str:
    fitting = 0 if figure >= 100 else 1 if figure >= 10 else 2 if figure >= 0.1 else 3
    return f"{figure:,.{fitting if digits is None else digits}f}"
