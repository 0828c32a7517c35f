"""Measure the predictions of a span by their grades, and watch the interval; changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import BaseModel

from coordinator.rules import accuracy, grading
from coordinator.rules.accuracy import By, SystemErrors
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
    mae: float
    lined: int
    mae_lined: float | None
    mae_line: float | None
    """The error of the sportsbooks' own line, as a prediction of the points."""


class Bin(BaseModel):
    """Probabilities of OVER that are alike: what was said, what came, and the 95% band of the latter."""

    said: float
    came: float
    low: float
    high: float
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
    share_won: float | None
    low: float
    high: float


class Lines(BaseModel):
    """The named system against sportsbooks' lines."""

    n: int = 0
    brier: float | None = None
    reliability: list[Bin] = []
    recommendations: list[Recommended] = []


class Watched(BaseModel):
    """The 80% interval over the newest games; `warning` where it drifts."""

    games: int = 0
    share: float = 0.0
    warning: str | None = None


class AccuracyView(Group):
    """The answer of `/accuracy`; of a span without grades it has nothing but the span."""

    first: date
    last: date
    by: By
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """The use case of those who look, over the warehouse."""

    warehouse: Warehouse
    today: Callable[[], date]

    def measure(
        self, first: date | None, last: date | None, *, by: By = By.SYSTEM, system: str | None = None
    ) -> AccuracyView:
        """Measure a span, to today and for 400 days without one.

        Args:
            system: show no other system's figures.

        Raises:
            InvalidInput: the span is upside down, or no grade is of that system.
            QueryRefused, Unavailable: the warehouse did not answer.
        """
        last = last or self.today()
        first = first or last - SEASON
        if last < first:
            raise InvalidInput("to", f"{last} is before {first}; give the later date")
        span = accuracy.span(first, last)
        if not has_grades(self.warehouse):
            return AccuracyView(first=first, last=last, by=by, ungraded=self._ungraded(span))
        found = [self.warehouse.query(accuracy.points(each), span) for each in dict.fromkeys((By.SYSTEM, by))]
        whole = _groups(found[0], system).get("", Group())
        known = sorted({str(row["system_id"]) for row in found[0]})
        if system is not None and system not in known:
            raise InvalidInput(
                "system", f"there is no grade of {system!r}; graded are: {', '.join(known) or 'none at all'}"
            )
        (totals,) = self.warehouse.query(accuracy.totals(), span)
        return AccuracyView(
            first=first,
            last=last,
            by=by,
            graded=accuracy.whole(totals, "graded"),
            ungraded=self._ungraded(span),
            void=accuracy.whole(totals, "void"),
            hindsight=accuracy.whole(totals, "hindsight"),
            after_tipoff=accuracy.whole(totals, "after_tipoff"),
            systems=whole.systems,
            intervals=whole.intervals,
            groups=_groups(found[-1], system) if by is not By.SYSTEM else {},
            days=[
                _day(row)
                for row in self.warehouse.query(accuracy.by_day(), span)
                if system in (None, str(row["system_id"]))
            ],
            lines=self._lines(span, system or accuracy.NAMED),
            drift=watch(self.warehouse, last),
        )

    def _lines(self, span: Parameters, system: str) -> Lines:
        of_system: Parameters = {**span, "system": system}
        bins = self.warehouse.query(accuracy.reliability(), of_system)
        made = self.warehouse.query(accuracy.recommendations(), of_system)
        n = sum(accuracy.whole(row, "n") for row in bins)
        brier = sum(accuracy.number(row, "brier") for row in bins)
        return Lines(
            n=n,
            brier=round(brier / n, 5) if n else None,
            reliability=[_bin(row) for row in bins],
            recommendations=[_recommended(row) for row in made],
        )

    def _ungraded(self, span: Parameters) -> int:
        if self.warehouse.columns(names.PREDICTIONS_TABLE) is None:
            return 0
        waiting = self.warehouse.query(grading.ungraded_games(), span)
        return sum(accuracy.whole(row, "predictions") for row in waiting)


def has_grades(warehouse: Tables) -> bool:
    """Whether anything was ever graded here; before that there is no such table."""
    return warehouse.columns(tables.GRADES) is not None


def watch(warehouse: Jobs, last: date) -> Watched:
    """How the interval did over the newest games up to a date. Raises `TableMissing` before the first grading."""
    drift = accuracy.drift_of(warehouse.query(accuracy.newest_intervals(), accuracy.newest_parameters(last)))
    return Watched(games=drift.games, share=round(drift.share, 4), warning=drift.warning)


def _groups(rows: Sequence[Row], system: str | None) -> dict[str, Group]:
    found: dict[str, Group] = {}
    for row in rows:
        group = found.setdefault(str(row["group"]), Group())
        system_id = str(row["system_id"])
        if system in (None, system_id):
            group.systems[system_id] = accuracy.errors_of(row)
        if system_id == (system or accuracy.NAMED):
            group.intervals.update(accuracy.coverage_of(row))
    return {name: found[name] for name in sorted(found, key=accuracy.place)}


def _day(row: Row) -> DayErrors:
    lined, n = accuracy.whole(row, "lined"), accuracy.whole(row, "n")
    return DayErrors.model_validate(
        {
            "game_date": row["game_date"],
            "system_id": row["system_id"],
            "n": n,
            "mae": round(accuracy.number(row, "absolute") / n, 4),
            "lined": lined,
            "mae_lined": round(accuracy.number(row, "lined_absolute") / lined, 4) if lined else None,
            "mae_line": round(accuracy.number(row, "line_absolute") / lined, 4) if lined else None,
        }
    )


def _bin(row: Row) -> Bin:
    n, games = accuracy.whole(row, "n"), accuracy.whole(row, "games")
    share = accuracy.whole(row, "over") / n
    low, high = accuracy.wilson(share * games, games)
    return Bin(
        said=round(accuracy.number(row, "said"), 4),
        came=round(share, 4),
        low=round(low, 4),
        high=round(high, 4),
        n=n,
        games=games,
    )


def _recommended(row: Row) -> Recommended:
    won, lost, games = (accuracy.whole(row, name) for name in ("won", "lost", "games"))
    share = won / (won + lost) if won + lost else None
    low, high = accuracy.wilson((share or 0.0) * games, games)
    counts = {name: accuracy.whole(row, name) for name in ("made", "won", "lost", "pushed", "void")}
    return Recommended(
        recommendation=str(row["recommendation"]),
        **counts,
        share_won=None if share is None else round(share, 4),
        low=round(low, 4),
        high=round(high, 4),
    )
