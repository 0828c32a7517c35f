"""Places figures on the ground of a plot: what is where, and which ticks there are. Pure; draws nothing itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 640, 230
LEFT, RIGHT, TOP, BOTTOM = 44, 22, 10, 24


@dataclass(frozen=True, slots=True)
class Scale:
    """A stretch of values on a stretch of the ground."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies; one beyond the stretch lies at its end."""
        width = self.high - self.low or 1.0
        share = min(max((value - self.low) / width, 0.0), 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, count: int = 5) -> tuple[float, ...]:
        """Round values within the stretch, about so many."""
        width = self.high - self.low or 1.0
        rough = width / count
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * each for each in (1, 2, 5, 10) if unit * each >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return tuple(round(step * each, 10) for each in range(first, last + 1))


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis."""

    at: float
    label: str


def across(low: float, high: float) -> Scale:
    """The scale from left to right."""
    return Scale(low, high, LEFT, WIDTH - RIGHT)


def upward(low: float, high: float) -> Scale:
    """The scale from bottom to top."""
    return Scale(low, high, HEIGHT - BOTTOM, TOP)


def path(points: Iterable[tuple[float, float]], x: Scale, y: Scale) -> str:
    """The points of a polyline."""
    return " ".join(f"{x.at(one)},{y.at(other)}" for one, other in points)


def number_ticks(scale: Scale, form: str = "g") -> tuple[Tick, ...]:
    """Ticks with numbers."""
    return tuple(Tick(scale.at(value), format(value, form)) for value in scale.ticks())


def date_ticks(scale: Scale, count: int = 6) -> tuple[Tick, ...]:
    """Ticks with dates, of a scale of `date.toordinal`."""
    first, last = int(scale.low), int(scale.high)
    step = max(1, math.ceil((last - first) / count))
    return tuple(
        Tick(scale.at(day), f"{date.fromordinal(day):%b} {date.fromordinal(day).day}")
        for day in range(first, last + 1, step)
    )


def rolling(values: Sequence[tuple[int, float, float]], days: int) -> list[tuple[int, float]]:
    """The mean of the last `days` days up to each: of (day, sum, count) in order of days."""
    found = []
    for day, _, _ in values:
        window = [(total, count) for at, total, count in values if day - days < at <= day]
        found.append((day, sum(total for total, _ in window) / sum(count for _, count in window)))
    return found
