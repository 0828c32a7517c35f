"""What the pages of predictions show: rows turned into bars, plots and words. Pure; knows no request and no query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from urllib.parse import urlencode

from coordinator.operator.dashboard import plots
from coordinator.operator.dashboard.plots import Tick
from coordinator.operator.looking import DatePage, PlayerPage, Said
from coordinator.rules import accuracy
from coordinator.rules.looking import Sort
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
class PlayerRow:
    """A player in a date's list."""

    name: str
    link: str
    team: str
    game: str
    line: str
    points: str
    systems: tuple[str, ...]
    interval: Interval | None
    recommendation: str
    confidence: str
    why_not: str


@dataclass(frozen=True, slots=True)
class ListPage:
    """A date's page."""

    found: DatePage
    rows: tuple[PlayerRow, ...]
    systems: tuple[str, ...]
    """Those beside the one whose points and interval are shown."""
    sorts: tuple[tuple[str, str], ...]
    """What can be sorted by, each with its address."""
    earlier: str | None
    later: str | None


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
class Past:
    """One prediction of a player and how it ended."""

    game_date: date
    line: str
    points: str
    recommendation: str
    actual: str
    result: str
    tone: str


@dataclass(frozen=True, slots=True)
class Term:
    """A term as a bar around 0, on a ground of 100."""

    name: str
    text: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Page:
    """A player's page."""

    found: PlayerPage
    plot: HistoryPlot | None
    past: tuple[Past, ...]
    terms: tuple[Term, ...]


def list_page(found: DatePage) -> ListPage:
    """Lay a date's page out."""
    search = found.search

    def address(**changes: object) -> str:
        given = {
            "name": search.name,
            "team": search.team,
            "recommendation": search.recommendation,
            "sort": search.sort.value,
            "page": search.page,
        } | changes
        kept = {name: value for name, value in given.items() if value not in ("", 1)}
        return f"/dashboard/dates/{search.game_date}?{urlencode(kept)}"

    others = tuple(name for name in found.systems if name != accuracy.NAMED)
    return ListPage(
        found=found,
        rows=tuple(_row(one, others) for one in found.players),
        systems=others,
        sorts=tuple((sort.value, address(sort=sort.value, page=1)) for sort in Sort),
        earlier=address(page=search.page - 1) if search.page > 1 else None,
        later=address(page=search.page + 1) if search.page < found.pages else None,
    )


def player_page(found: PlayerPage) -> Page:
    """Lay a player's page out."""
    return Page(
        found=found,
        plot=_plot(found),
        past=tuple(_past(found, row) for row in found.predictions),
        terms=_terms(found.terms),
    )


def link_of(player: str) -> str:
    """The address of a player's page."""
    return f"/dashboard/player?{urlencode({'name': player})}"


def _row(said: Said, systems: tuple[str, ...]) -> PlayerRow:
    row = said.row
    name, line = str(row["player_lookup"]), row["current_points_line"]
    game = f"{row['away_team']} at {row['home_team']}" if row["home_team"] else str(row["game_id"])
    source = {"ACTUAL_PROP": row["sportsbook"] or "sportsbook", "ESTIMATED_AVG": "estimated"}
    has_side = row["recommendation"] in ("OVER", "UNDER")
    return PlayerRow(
        name=name,
        link=link_of(name),
        team=str(row["team"] or "–"),
        game=game,
        line="–" if line is None else f"{line} {source.get(str(row['line_source']), '')}".strip(),
        points=str(row["predicted_points"]),
        systems=tuple(f"{said.systems[name]:.1f}" if name in said.systems else "–" for name in systems),
        interval=_interval(row),
        recommendation=str(row["recommendation"]),
        confidence="–" if line is None else f"{row['confidence_score']}%",
        why_not="" if row["is_actionable"] or not has_side else str(row["filter_reason"] or ""),
    )


def _interval(row: Row) -> Interval | None:
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


def _plot(found: PlayerPage) -> HistoryPlot | None:
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


def _past(found: PlayerPage, row: Row) -> Past:
    day, line = row["game_date"], row["current_points_line"]
    assert isinstance(day, date)  # noqa: S101 - the column is a REQUIRED DATE
    ended = found.results.get((day, line))
    result = str(ended["result"]) if ended else ""
    return Past(
        game_date=day,
        line=str(line) if isinstance(line, Decimal) else "–",
        points=str(row["predicted_points"]),
        recommendation=str(row["recommendation"]),
        actual="" if ended is None or ended["actual_points"] is None else str(ended["actual_points"]),
        result=result or "ungraded",
        tone=TONES.get(result, "busy"),
    )


def _terms(terms: tuple[tuple[str, float], ...]) -> tuple[Term, ...]:
    size = max((abs(points) for _, points in terms), default=0.0) or 1.0
    found = []
    for name, points in terms:
        width = 50 * abs(points) / size
        start = 50.0 if points >= 0 else 50 - width
        found.append(Term(name.replace("_", " "), f"{points:+.2f}", round(start, 1), round(width, 1)))
    return tuple(found)
