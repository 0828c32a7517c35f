"""What the template of accuracy calls: how figures become plots. Pure; knows no request and no query."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from coordinator.operator.accuracy import AccuracyView, DayErrors
from coordinator.operator.dashboard import plots
from coordinator.operator.dashboard.plots import Mark, Plot, PlotLine
from coordinator.rules import accuracy

ROLLING_DAYS = 7

Errors = list[tuple[int, float, int]]
"""Of each day a mean error, and of how many rows."""


def errors(view: AccuracyView) -> Plot | None:
    """Draw the errors by day beside the season average's; None without any."""
    ours, base = (
        [(day.game_date.toordinal(), day.mae, day.n) for day in days]
        for days in (_named(view), _of(view, accuracy.BASELINE))
    )
    return _plot({"ours": ("ensemble", ours), "base": ("season average", base)})


def beside_market(view: AccuracyView) -> Plot | None:
    """Draw the errors on rows with a line beside the line's own; None without any."""
    lined = [day for day in _named(view) if day.lined]
    ours, line = (
        [(day.game_date.toordinal(), getattr(day, name) or 0.0, day.lined) for day in lined]
        for name in ("mae_lined", "mae_line")
    )
    return _plot({"ours": ("ensemble, rows with a line", ours), "line": ("the sportsbooks’ line", line)})


def _named(view: AccuracyView) -> list[DayErrors]:
    return _of(view, accuracy.NAMED) or view.days


def _of(view: AccuracyView, system: str) -> list[DayErrors]:
    return [day for day in view.days if day.system_id == system]


def _plot(named: Mapping[str, tuple[str, Errors]]) -> Plot | None:
    """Dots for each day of ours, and for each name a line of the mean of the last days."""
    _, ours = named["ours"]
    if not ours:
        return None
    lines = [PlotLine(kind, plots.rolling(found, ROLLING_DAYS), name) for kind, (name, found) in named.items() if found]
    heights = [mae for _, mae, _ in ours] + [value for line in lines for _, value in line.points]
    return Plot(
        plots.across(ours[0][0], ours[-1][0]),
        plots.upward(max(0.0, min(heights) - 0.2), max(heights) + 0.2),
        [Mark("dot", day, mae, f"{date.fromordinal(day)}: {mae:.2f} points") for day, mae, _ in ours],
        lines,
    )


def reliability(view: AccuracyView) -> Plot | None:
    """Draw what was said against what came, and the line on which it should lie; None without any line."""
    bins = view.lines.reliability
    if not bins:
        return None
    low = min(0.4, *(one.said - 0.02 for one in bins), *(one.low for one in bins))
    high = max(0.6, *(one.said + 0.02 for one in bins), *(one.high for one in bins))
    marks = [
        Mark(
            "mark",
            one.said,
            one.came,
            f"said {one.said:.1%}, came {one.came:.1%} of {one.n:,} lines (95%: {one.low:.1%} to {one.high:.1%})",
            (one.low, one.high),
        )
        for one in bins
    ]
    ideal = PlotLine("ideal", [(low, low), (high, high)])
    return Plot(plots.across(low, high, ".0%"), plots.upward(low, high, ".0%"), marks, [ideal])
