"""What the template of accuracy calls: how figures become plots. Pure; knows no request and no query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.operator.accuracy import AccuracyView, DayErrors
from coordinator.operator.dashboard import plots
from coordinator.operator.dashboard.plots import Tick
from coordinator.rules import accuracy

ROLLING_DAYS = 7


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot: its name, how it looks, its points, and in words what its last value is."""

    name: str
    kind: str
    path: str
    last: str


@dataclass(frozen=True, slots=True)
class ErrorPlot:
    """Errors by day: dots for each day, lines for the mean of the last days."""

    dots: tuple[tuple[float, float, str], ...]
    lines: tuple[Line, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class ReliabilityPlot:
    """What was said against what came: points with their bands, and the line on which they should lie."""

    marks: tuple[tuple[float, float, float, float, str], ...]
    """x, y, top and bottom of the band, and the point in words."""
    ideal: str
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]


def errors(view: AccuracyView) -> ErrorPlot | None:
    """Draw the errors by day beside the season average's; None without any."""
    named = _of(view.days, accuracy.NAMED) or view.days
    lines = {
        "ours": ("ensemble", _sums(named)),
        "base": ("season average", _sums(_of(view.days, accuracy.BASELINE))),
    }
    return _error_plot([day for day in named if day.n], lines)


def beside_market(view: AccuracyView) -> ErrorPlot | None:
    """Draw the errors on rows with a line beside the line's own; None without any."""
    lined = [day for day in _of(view.days, accuracy.NAMED) or view.days if day.lined]
    lines = {
        "ours": ("ensemble, rows with a line", _lined_sums(lined, is_line=False)),
        "line": ("the sportsbooks’ line", _lined_sums(lined, is_line=True)),
    }
    return _error_plot(lined, lines, is_lined=True)


def _of(days: Sequence[DayErrors], system: str) -> list[DayErrors]:
    return [day for day in days if day.system_id == system]


def _sums(days: Sequence[DayErrors]) -> list[tuple[int, float, float]]:
    return [(day.game_date.toordinal(), day.mae * day.n, day.n) for day in days]


def _lined_sums(days: Sequence[DayErrors], *, is_line: bool) -> list[tuple[int, float, float]]:
    figures = ((day, day.mae_line if is_line else day.mae_lined) for day in days)
    return [(day.game_date.toordinal(), (mae or 0.0) * day.lined, day.lined) for day, mae in figures]


def _error_plot(
    days: Sequence[DayErrors],
    named: dict[str, tuple[str, list[tuple[int, float, float]]]],
    *,
    is_lined: bool = False,
) -> ErrorPlot | None:
    if not days:
        return None
    shown = [(day, (day.mae_lined if is_lined else day.mae) or 0.0) for day in days]
    means = {kind: (name, plots.rolling(sums, ROLLING_DAYS)) for kind, (name, sums) in named.items() if sums}
    heights = [mae for _, mae in shown] + [value for _, line in means.values() for _, value in line]
    x = plots.across(days[0].game_date.toordinal(), days[-1].game_date.toordinal())
    y = plots.upward(max(0.0, min(heights) - 0.2), max(heights) + 0.2)
    return ErrorPlot(
        dots=tuple(
            (x.at(day.game_date.toordinal()), y.at(mae), f"{day.game_date}: {mae:.2f} points") for day, mae in shown
        ),
        lines=tuple(
            Line(name, kind, plots.path(line, x, y), f"{line[-1][1]:.2f}") for kind, (name, line) in means.items()
        ),
        x=plots.date_ticks(x),
        y=plots.number_ticks(y),
    )


def reliability(view: AccuracyView) -> ReliabilityPlot | None:
    """Draw what was said against what came; None without any line."""
    bins = view.lines.reliability
    if not bins:
        return None
    low = min(0.4, *(one.said - 0.02 for one in bins), *(one.low for one in bins))
    high = max(0.6, *(one.said + 0.02 for one in bins), *(one.high for one in bins))
    x, y = plots.across(low, high), plots.upward(low, high)
    return ReliabilityPlot(
        marks=tuple(
            (
                x.at(one.said),
                y.at(one.came),
                y.at(one.high),
                y.at(one.low),
                f"said {one.said:.1%}, came {one.came:.1%} of {one.n:,} lines (95%: {one.low:.1%} to {one.high:.1%})",
            )
            for one in bins
        ),
        ideal=plots.path(((low, low), (high, high)), x, y),
        x=plots.number_ticks(x, ".0%"),
        y=plots.number_ticks(y, ".0%"),
    )
