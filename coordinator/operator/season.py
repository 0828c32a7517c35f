"""A season as a matrix: every date with games, how its newest batch stands, and what of it is graded; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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


def look(ledger: Ledger, warehouse: Warehouse, first: date | None, last: date | None, *, today: date) -> SeasonView:
    """Show the dates of a span; without one the 30 days to today, or where they have no batch, to the newest batch.

    Raises:
        InvalidInput: the span is upside down or over 400 days.
        Unavailable: ledger or warehouse did not answer.
    """
    last = last or max(_latest(ledger, today), first or date.min)
    first = first or last - LAST_DAYS
    if last < first:
        raise InvalidInput("to", f"{last} is before {first}; give the later date")
    if (last - first).days >= MAX_DAYS:
        raise InvalidInput("from", f"{first} to {last} is over {MAX_DAYS} days; ask for a season at a time")
    span = accuracy.span(first, last)
    games = _by_date(warehouse, "scheduled_games", season.games(), span)
    predicted = _by_date(warehouse, names.PREDICTIONS_TABLE, season.predicted(), span)
    graded = _by_date(warehouse, tables.GRADES, season.graded(), span)
    found = []
    for day in sorted({*games, *predicted}):
        newest = _newest(ledger, day)
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
    return SeasonView(first=first, last=last, states=Counter(one.state or "NONE" for one in found), dates=found)


def _latest(ledger: Ledger, today: date) -> date:
    """The last day to show unasked: a state folder of a past season is looked at where its batches are."""
    newest = max((batch.game_date for batch in ledger.newest_batches(1)), default=today)
    return newest if newest < today - LAST_DAYS else today


def _newest(ledger: Ledger, day: date) -> Batch | None:
    roots = [batch for batch in ledger.batches_of(day) if batch.kind == "root"]
    return max(roots, key=lambda batch: batch.planned_at, default=None)


def _by_date(warehouse: Warehouse, table: str, sql: str, span: Parameters) -> Mapping[date, Row]:
    """The answer's row of each date; none where there is no such table yet."""
    if warehouse.columns(table) is None:
        return {}
    return {row["game_date"]: row for row in warehouse.query(sql, span) if isinstance(row["game_date"], date)}


def _count(by_date: Mapping[date, Row], day: date, column: str) -> int:
    return accuracy.whole(by_date[day], column) if day in by_date else 0
