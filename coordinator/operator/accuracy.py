"""Measure the predictions of a span by their grades, and watch the interval; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from pydantic import BaseModel

from coordinator.rules import accuracy, grading
from coordinator.rules.accuracy import Figure, SplitBy, SystemErrors
from coordinator.usecases.grade import watched
from schemas import names, tables
from schemas.tables import Row
from shared.errors import InvalidInput
from shared.ports import Jobs, Parameters, Tables, Warehouse

SEASON = timedelta(days=400)


class Group(BaseModel):
    """The figures of a part of the rows."""

    systems: dict[str, SystemErrors] = {}
    intervals: dict[str, float] = {}


class DayErrors(BaseModel):
    """A system on one date; the figures of lines are of the rows on which a sportsbook offered one."""

    game_date: date
    system_id: str
    n: int
    mae: Figure
    lined: int
    mae_lined: Figure | None
    mae_line: Figure | None
    """The error of the sportsbooks' own line, as a prediction of the points."""


class Bin(BaseModel):
    """Probabilities of OVER that are alike: what was said, what came, and the 95% band of the latter."""

    said: Figure
    came: Figure
    low: Figure
    high: Figure
    n: int
    games: int


class Recommended(BaseModel):
    """Recommendations of one side, on sportsbooks' lines, that one could act on; the band is of the share won.

    Lines of one player's game end together, so the band counts games and not lines.
    """

    recommendation: str
    made: int
    won: int
    lost: int
    pushed: int
    void: int
    share_won: Figure | None
    low: Figure
    high: Figure


class Lines(BaseModel):
    """The named system against sportsbooks' lines."""

    n: int = 0
    brier: float | None = None
    reliability: list[Bin] = []
    recommendations: list[Recommended] = []


class Watched(BaseModel):
    """The 80% interval over the newest games; `warning` where it drifts."""

    games: int = 0
    share: Figure = 0.0
    warning: str | None = None


class AccuracyView(Group):
    """The answer of `/accuracy`; of a span without grades it has nothing but the span."""

    first: date
    last: date
    by: SplitBy
    graded: int = 0
    ungraded: int
    void: int = 0
    hindsight: int = 0
    """Graded rows whose model may have seen the answer."""
    after_tipoff: int = 0
    """Graded rows of batches that were started on the date when the game had begun: nothing was active at tip-off."""
    groups: dict[str, Group] = {}
    days: list[DayErrors] = []
    lines: Lines = Lines()
    drift: Watched = Watched()


def measure(
    warehouse: Warehouse,
    first: date | None,
    last: date | None,
    *,
    today: date,
    by: SplitBy = SplitBy.SYSTEM,
    system: str | None = None,
) -> AccuracyView:
    """Measure a span by its grades, to today and for 400 days without one.

    Args:
        system: show no other system's figures.

    Raises:
        InvalidInput: the span is upside down, or no grade is of that system.
        QueryRefused, Unavailable: the warehouse did not answer.
    """
    last = last or today
    first = first or last - SEASON
    if last < first:
        raise InvalidInput("to", f"{last} is before {first}; give the later date")
    span = accuracy.span(first, last)
    if not has_grades(warehouse):
        return AccuracyView(first=first, last=last, by=by, ungraded=_ungraded(warehouse, span))
    found = [warehouse.query(accuracy.points(each), span) for each in dict.fromkeys((SplitBy.SYSTEM, by))]
    whole = _groups(found[0], system).get("", Group())
    known = sorted({str(row["system_id"]) for row in found[0]})
    if system is not None and system not in known:
        raise InvalidInput(
            "system", f"there is no grade of {system!r}; graded are: {', '.join(known) or 'none at all'}"
        )
    (totals,) = warehouse.query(accuracy.totals(), span)
    days = [DayErrors.model_validate(row) for row in warehouse.query(accuracy.by_day(), span)]
    return AccuracyView.model_validate(
        {
            **totals,
            "first": first,
            "last": last,
            "by": by,
            "ungraded": _ungraded(warehouse, span),
            "systems": whole.systems,
            "intervals": whole.intervals,
            "groups": _groups(found[-1], system) if by is not SplitBy.SYSTEM else {},
            "days": [day for day in days if system in (None, day.system_id)],
            "lines": _lines(warehouse, span, system or accuracy.NAMED),
            "drift": watch(warehouse, last),
        }
    )


def _lines(warehouse: Warehouse, span: Parameters, system: str) -> Lines:
    of_system: Parameters = {**span, "system": system}
    bins = warehouse.query(accuracy.reliability(), of_system)
    made = warehouse.query(accuracy.recommendations(), of_system)
    n = sum(accuracy.whole(row, "n") for row in bins)
    brier = sum(accuracy.number(row, "brier") for row in bins)
    return Lines(
        n=n,
        brier=round(brier / n, 5) if n else None,
        reliability=[Bin.model_validate({**row, **_band(row, "came")}) for row in bins],
        recommendations=[Recommended.model_validate({**row, **_band(row, "share_won")}) for row in made],
    )


def _ungraded(warehouse: Warehouse, span: Parameters) -> int:
    if warehouse.columns(names.PREDICTIONS_TABLE) is None:
        return 0
    waiting = warehouse.query(grading.ungraded_games(), span)
    return sum(accuracy.whole(row, "predictions") for row in waiting)


def has_grades(warehouse: Tables) -> bool:
    """Whether anything was ever graded here; before that there is no such table."""
    return warehouse.columns(tables.GRADES) is not None


def watch(warehouse: Jobs, last: date) -> Watched:
    """How the interval did over the newest games up to a date. Raises `TableMissing` before the first grading."""
    drift = watched(warehouse, last)
    return Watched(games=drift.games, share=drift.share, warning=drift.warning)


def _groups(rows: Sequence[Row], system: str | None) -> dict[str, Group]:
    found: dict[str, Group] = {}
    for row in rows:
        group = found.setdefault(str(row["group"]), Group())
        system_id = str(row["system_id"])
        if system in (None, system_id):
            group.systems[system_id] = SystemErrors.model_validate(row)
        if system_id == (system or accuracy.NAMED):
            group.intervals.update(accuracy.coverage_of(row))
    return {name: found[name] for name in sorted(found, key=accuracy.place)}


def _band(row: Row, share: str) -> dict[str, float]:
    return accuracy.band(accuracy.number(row, share), accuracy.whole(row, "games"))
