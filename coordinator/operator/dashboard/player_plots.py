"""What the templates of predictions call: how rows become bars and plots. Pure; knows no request and no query."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from urllib.parse import urlencode

from coordinator.operator.dashboard import plots
from coordinator.operator.dashboard.plots import Mark, Plot, Scale
from coordinator.operator.players import PlayerPage
from coordinator.rules import accuracy
from coordinator.rules.player_queries import Search
from schemas.tables import Row

INTERVALS = Scale(0.0, 50.0, 0.0, 100.0)
"""Points on the bar of an interval."""
TONES = {"WIN": "good", "LOSS": "bad", "PUSH": "idle", "VOID": "idle", "PASS": "idle", "NO_LINE": "idle"}


def address(search: Search, **changes: object) -> str:
    """The address of a date's page like this one but for the changes."""
    given = {**asdict(search), **changes}
    kept = {name: value for name, value in given.items() if name != "game_date" and value not in ("", 1)}
    return f"/dashboard/dates/{search.game_date}?{urlencode(kept)}"


def link_of(player: str) -> str:
    """The address of a player's page."""
    return f"/dashboard/player?{urlencode({'name': player})}"


def history(found: PlayerPage) -> Plot | None:
    """Draw what was predicted of a player, with its 80% intervals, and what came; None of nothing."""
    # One row a date: the first is that of the line that counts.
    by_date: dict[date, Row] = {}
    for row in found.predictions:
        if isinstance(row["game_date"], date):
            by_date.setdefault(row["game_date"], row)
    if not by_date:
        return None
    said, came = [], []
    for day, row in sorted(by_date.items()):
        points, low, high = (accuracy.number(row, name) for name in ("predicted_points", "low", "high"))
        band = None if row["low"] is None or row["high"] is None else (low, high)
        said.append(Mark("mark", day.toordinal(), points, f"{day}: {points:.1f} predicted", band))
    scored = {day: row for (day, _), row in found.results.items() if row["actual_points"] is not None}
    for day, row in sorted(scored.items()):
        points = accuracy.number(row, "actual_points")
        came.append(Mark("came", day.toordinal(), points, f"{day}: {row['actual_points']} scored"))
    tops = [mark.band[1] for mark in said if mark.band] + [mark.y for mark in came]
    x, y = plots.across(said[0].x - 1, said[-1].x + 1), plots.upward(0.0, max([10.0, *tops]) + 2)
    return Plot(x, y, [*said, *came])


def around_zero(found: PlayerPage) -> Scale:
    """The ground of the bars of terms, which lie around 0 in its middle."""
    size = max((abs(points) for _, points in found.terms), default=0.0) or 1.0
    return Scale(-size, size, 0.0, 100.0)
