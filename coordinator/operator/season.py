"""A season as a matrix: every date with games, how its newest batch stands, and what of it is graded; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import BaseModel

from coordinator.ledger import Ledger
from coordinator.rules import accuracy, season
from coordinator.rules.batch import Batch
from schemas import names, tables
from schemas.tables import Row
from shared.errors import InvalidInput
from shared.ports import Parameters, Warehouse

LAST_DAYS = timedelta(days=30)
MAX_DAYS = 400


class SeasonDate(BaseModel):
    """One date with games or with a batch."""

    game_date: date
    games: int
    batch_id: str | None
    """The newest root batch."""
    state: str | None
    reason: str
    expected: int
    players: int
    """Players with active predictions."""
    rows: int
    graded: int
    ungraded: int


class SeasonView(BaseModel):
    """The answer of `/season`."""

    first: date
    last: date
    states: dict[str, int]
    """Dates by the state of their batch; NONE where there is none."""
    dates: list[SeasonDate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """The use case of those who look, over its ports."""

    ledger: Ledger
    warehouse: Warehouse
    today: Callable[[], date]

    def look(self, first: date | None, last: date | None) -> SeasonView:
        """Show the dates of a span; without one the 30 days to today, or where they have no batch, to the newest batch.

        Raises:
            InvalidInput: the span is upside down or over 400 days.
            Unavailable: ledger or warehouse did not answer.
        """
        last = last or max(self._latest(), first or date.min)
        first = first or last - LAST_DAYS
        if last < first:
            raise InvalidInput("to", f"{last} is before {first}; give the later date")
        if (last - first).days >= MAX_DAYS:
            raise InvalidInput("from", f"{first} to {last} is over {MAX_DAYS} days; ask for a season at a time")
        span = accuracy.span(first, last)
        games = self._by_date("scheduled_games", season.games(), span)
        predicted = self._by_date(names.PREDICTIONS_TABLE, season.predicted(), span)
        graded = self._by_date(tables.GRADES, season.graded(), span)
        found = []
        for day in sorted({*games, *predicted}):
            newest = self._newest(day)
            rows, grades = _count(predicted, day, "rows"), _count(graded, day, "rows")
            found.append(
                SeasonDate(
                    game_date=day,
                    games=_count(games, day, "games"),
                    players=_count(predicted, day, "players"),
                    rows=rows,
                    graded=grades,
                    ungraded=max(0, rows - grades),
                    batch_id=newest.batch_id if newest else None,
                    state=newest.state if newest else None,
                    reason=newest.reason if newest else "",
                    expected=newest.expected_count if newest else 0,
                )
            )
        states = Counter(one.state or "NONE" for one in found)
        return SeasonView(first=first, last=last, states=states, dates=found)

    def _latest(self) -> date:
        """The last day to show unasked: a state folder of a past season is looked at where its batches are."""
        today = self.today()
        newest = max((batch.game_date for batch in self.ledger.newest_batches(1)), default=today)
        return newest if newest < today - LAST_DAYS else today

    def _newest(self, day: date) -> Batch | None:
        roots = [batch for batch in self.ledger.batches_of(day) if batch.kind == "root"]
        return max(roots, key=lambda batch: batch.planned_at, default=None)

    def _by_date(self, table: str, sql: str, span: Parameters) -> Mapping[date, Row]:
        """The answer's row of each date; none where there is no such table yet."""
        if self.warehouse.columns(table) is None:
            return {}
        return {row["game_date"]: row for row in self.warehouse.query(sql, span) if isinstance(row["game_date"], date)}


def _count(by_date: Mapping[date, Row], day: date, column: str) -> int:
    return accuracy.whole(by_date[day], column) if day in by_date else 0
