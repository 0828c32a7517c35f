"""What the templates of predictions call: how rows become bars and plots. Pure; knows no request and no query."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from urllib.parse import urlencode

from coordinator.operator.dashboard import plots
from coordinator.operator.dashboard.plots import Tick
from coordinator.operator.players import PlayerPage
from coordinator.rules import accuracy
from coordinator.rules.player_queries import Search
from schemas.tables import Row

GREATEST = 50.0
"""The points at which an interval's bar ends."""
TONES = {"WIN": "good", "LOSS": "bad", "PUSH": "idle", "VOID": "idle", "PASS": "idle", "NO_LINE": "idle"}


@dataclass(frozen=True, slots=True)
class Interval:
    """The 80% interval as a bar of 100, with the prediction and the line on it."""

    start: float
    width: float
    points: float
    line: float | None
    text: str


@dataclass(frozen=True, slots=True)
class HistoryPlot:
    """Predictions with their intervals, and the points that came."""

    said: tuple[tuple[float, float, float | None, float | None, str], ...]
    """x, y, top and bottom of the interval, and all of it in words."""
    came: tuple[tuple[float, float, str], ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Term:
    """A term as a bar around 0, on a ground of 100."""

    name: str
    text: str
    start: float
    width: float


def address(search: Search, **changes: object) -> str:
    """The address of a date's page like this one but for the changes."""
    given = {**asdict(search), **changes}
    kept = {name: value for name, value in given.items() if name != "game_date" and value not in ("", 1)}
    return f"/dashboard/dates/{search.game_date}?{urlencode(kept)}"


def link_of(player: str) -> str:
    """The address of a player's page."""
    return f"/dashboard/player?{urlencode({'name': player})}"


def interval(row: Row) -> Interval | None:
    """Draw a row's 80% interval; None where it has none."""
    low, high, line = row["low"], row["high"], row["current_points_line"]
    if low is None or high is None:
        return None
    start, end = (_percent(accuracy.number(row, name)) for name in ("low", "high"))
    text = f"80% between {max(0.0, accuracy.number(row, 'low')):.0f} and {accuracy.number(row, 'high'):.0f} points"
    return Interval(
        start=start,
        width=round(max(end - start, 0.5), 1),
        points=_percent(accuracy.number(row, "predicted_points")),
        line=None if line is None else _percent(accuracy.number(row, "current_points_line")),
        text=text if line is None else f"{text}, line {line}",
    )


def _percent(points: float) -> float:
    return round(100 * min(max(points / GREATEST, 0.0), 1.0), 1)


def history(found: PlayerPage) -> HistoryPlot | None:
    """Draw what was predicted of a player and what came; None of nothing."""
    # One row a date: the first is that of the line that counts.
    by_date: dict[date, Row] = {}
    for row in found.predictions:
        if isinstance(row["game_date"], date):
            by_date.setdefault(row["game_date"], row)
    actual = {day: row for (day, _), row in found.results.items() if row["actual_points"] is not None}
    if not by_date:
        return None
    days = sorted(by_date)
    tops = [accuracy.number(row, "high") for row in by_date.values()]
    tops += [accuracy.number(row, "actual_points") for row in actual.values()]
    x = plots.across(days[0].toordinal() - 1, days[-1].toordinal() + 1)
    y = plots.upward(0.0, max([10.0, *tops]) + 2)
    said = []
    for day in days:
        row = by_date[day]
        points, at = accuracy.number(row, "predicted_points"), x.at(day.toordinal())
        top, bottom = (None if row[name] is None else y.at(accuracy.number(row, name)) for name in ("high", "low"))
        said.append((at, y.at(points), top, bottom, f"{day}: {points:.1f} predicted"))
    came = tuple(
        (x.at(day.toordinal()), y.at(accuracy.number(row, "actual_points")), f"{day}: {row['actual_points']} scored")
        for day, row in sorted(actual.items())
    )
    text = "; ".join([words for *_, words in said[-10:]] + [words for *_, words in came[-10:]])
    return HistoryPlot(tuple(said), came, plots.date_ticks(x), plots.number_ticks(y), text)


def terms(found: PlayerPage) -> tuple[Term, ...]:
    """Draw what the newest prediction is made of."""
    size = max((abs(points) for _, points in found.terms), default=0.0) or 1.0
    drawn = []
    for name, points in found.terms:
        width = 50 * abs(points) / size
        start = 50.0 if points >= 0 else 50 - width
        drawn.append(Term(name.replace("_", " "), f"{points:+.2f}", round(start, 1), round(width, 1)))
    return tuple(drawn)
