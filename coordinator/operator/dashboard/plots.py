"""What a plot shows, and where its values lie on the ground that templates draw on. Pure; draws nothing itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 640, 230
LEFT, RIGHT, TOP, BOTTOM = 44, 22, 10, 24


@dataclass(frozen=True, slots=True)
class Scale:
    """A stretch of values on a stretch of the ground; `form` is how its ticks are written, empty for `date.toordinal`."""

    low: float
    high: float
    start: float
    end: float
    form: str = "g"

    def at(self, value: float) -> float:
        """Where a value lies; one beyond the stretch lies at its end."""
        width = self.high - self.low or 1.0
        share = min(max((float(value) - self.low) / width, 0.0), 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where the axis is marked, and with what: round values, or dates."""
        if not self.form:
            first, last = int(self.low), int(self.high)
            days = map(date.fromordinal, range(first, last + 1, max(1, math.ceil((last - first) / 6))))
            return [(self.at(day.toordinal()), f"{day:%b} {day.day}") for day in days]
        rough = (self.high - self.low or 1.0) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * each for each in (1, 2, 5, 10) if unit * each >= rough * 0.999)
        places = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return [(self.at(step * each), format(round(step * each, 10), self.form)) for each in places]


def across(low: float, high: float, form: str = "") -> Scale:
    """The scale from left to right."""
    return Scale(low, high, LEFT, WIDTH - RIGHT, form)


def upward(low: float, high: float, form: str = "g") -> Scale:
    """The scale from bottom to top."""
    return Scale(low, high, HEIGHT - BOTTOM, TOP, form)


@dataclass(frozen=True, slots=True)
class Mark:
    """A point and what it says in words; `band` is between what its value may as well lie."""

    kind: str
    x: float
    y: float
    words: str
    band: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class PlotLine:
    """A line through points, and what the legend calls it."""

    kind: str
    points: Sequence[tuple[float, float]]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """Marks and lines, in the units of their values."""

    x: Scale
    y: Scale
    marks: Sequence[Mark]
    lines: Sequence[PlotLine] = ()


def rolling(values: Sequence[tuple[int, float, int]], days: int) -> list[tuple[int, float]]:
    """The mean of the last `days` days up to each: of (day, mean, count) in order of days."""
    found = []
    for day, _, _ in values:
        window = [(mean * count, count) for at, mean, count in values if day - days < at <= day]
        found.append((day, sum(total for total, _ in window) / sum(count for _, count in window)))
    return found
