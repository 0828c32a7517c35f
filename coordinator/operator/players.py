"""Look up predictions for people: a date's players page by page, one player over a season; changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from coordinator.ledger import Ledger
from coordinator.rules import accuracy, planning, player_queries
from coordinator.rules.player_queries import PAGE_PLAYERS, Search
from schemas import names, tables
from schemas.tables import Row
from shared.errors import TableMissing, UnknownPlayer
from shared.ports import Warehouse

SEASON = timedelta(days=400)
DATES_OF_BATCHES = 40
"""The batches of so many of a player's dates are looked through."""


@dataclass(frozen=True, slots=True)
class PlayerRow:
    """What stands in one row for people, and every system's points."""

    row: Row
    systems: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DatePage:
    """A page of a date's players."""

    search: Search
    players: tuple[PlayerRow, ...]
    total: int
    teams: tuple[str, ...]
    systems: tuple[str, ...]

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // PAGE_PLAYERS))


@dataclass(frozen=True, slots=True)
class SpokenOf:
    """A batch that expected a player, and what became of him in it."""

    batch_id: str
    game_date: date
    planned_at: datetime
    state: str
    became: str


@dataclass(frozen=True, slots=True)
class PlayerPage:
    """One player: predictions newest first, how they ended, what the newest is made of, and the batches that expected him."""

    player: str
    predictions: tuple[Row, ...]
    results: Mapping[tuple[date, object], Row]
    terms: tuple[tuple[str, float], ...]
    request: str | None
    """The newest request as frozen in its batch's plan; None where that plan has ended."""
    batches: tuple[SpokenOf, ...] = field(default=())


def players(warehouse: Warehouse, search: Search) -> DatePage:
    """A page of a date's players. Raises `Unavailable`."""
    if not _has(warehouse, names.PREDICTIONS_TABLE):
        return DatePage(search, (), 0, (), ())
    found = warehouse.query(player_queries.players(search), search.parameters)
    shown = [str(row["player_lookup"]) for row in found]
    points: dict[str, dict[str, float]] = {}
    for row in warehouse.query(player_queries.systems(search.game_date), {"players": shown}) if shown else ():
        points.setdefault(str(row["player_lookup"]), {})[str(row["system_id"])] = accuracy.number(row, "points")
    return DatePage(
        search=search,
        players=tuple(PlayerRow(row, points.get(str(row["player_lookup"]), {})) for row in found),
        total=accuracy.whole(found[0], "total") if found else 0,
        teams=tuple(str(row["team"]) for row in warehouse.query(player_queries.teams(search.game_date))),
        systems=tuple(sorted({name for each in points.values() for name in each})),
    )


def player(ledger: Ledger, warehouse: Warehouse, name: str, *, today: date) -> PlayerPage:
    """Everything about one player over the last 400 days.

    Raises:
        UnknownPlayer: nobody of that name was predicted.
        Unavailable: ledger or warehouse did not answer.
    """
    last = today + timedelta(days=7)
    parameters = player_queries.history_parameters(name, last - SEASON, last)
    found = warehouse.query(player_queries.history(), parameters) if _has(warehouse, names.PREDICTIONS_TABLE) else []
    if not found:
        raise UnknownPlayer(f"nobody called {name[:80]!r} was predicted; look for the name on a date's page")
    ended = warehouse.query(player_queries.results(), parameters) if _has(warehouse, tables.GRADES) else []
    batches = _batches(ledger, name, [row["game_date"] for row in found if isinstance(row["game_date"], date)])
    return PlayerPage(
        player=name,
        predictions=tuple(found),
        results={(_date(row), row["points_line"]): row for row in ended},
        terms=_terms(warehouse, name, _date(found[0])),
        request=_request(warehouse, name, batches),
        batches=batches,
    )


def _terms(warehouse: Warehouse, player: str, day: date) -> tuple[tuple[str, float], ...]:
    """The largest terms of the trained model's newest prediction, which are points against an average game."""
    parameters = player_queries.history_parameters(player, day, day, system="ridge")
    for row in warehouse.query(player_queries.history(), parameters):
        importance = json.loads(str(row["importance"]))
        terms = importance.get("terms", {}) if isinstance(importance, dict) else {}
        return tuple((str(name), float(points)) for name, points in terms.items())
    return ()


def _batches(ledger: Ledger, player: str, days: Sequence[date]) -> tuple[SpokenOf, ...]:
    found = []
    for day in sorted(set(days), reverse=True)[:DATES_OF_BATCHES]:
        for batch in sorted(ledger.batches_of(day), key=lambda each: each.planned_at, reverse=True):
            if not batch.shard_starts:
                continue
            shard = ledger.shard(batch.batch_id, planning.shard_of(player, batch.shard_starts))
            if player not in shard.expected:
                continue
            fates = (("predicted", shard.predicted), ("skipped", shard.skipped), ("failed", shard.failed))
            became = next((name for name, players in fates if player in players), "silent")
            found.append(SpokenOf(batch.batch_id, day, batch.planned_at, batch.state, became))
    return tuple(found)


def _request(warehouse: Warehouse, player: str, batches: Sequence[SpokenOf]) -> str | None:
    for batch in batches[:1]:
        try:
            found = warehouse.query(planning.requests_statement(batch.batch_id), {"players": [player]})
        except TableMissing:
            return None
        for planned in planning.read_plan(found):
            return json.dumps(json.loads(planned.request_json), indent=1, ensure_ascii=False)
    return None


def _has(warehouse: Warehouse, table: str) -> bool:
    return warehouse.columns(table) is not None


def _date(row: Row) -> date:
    day = row["game_date"]
    assert isinstance(day, date)  # noqa: S101 - the column is a REQUIRED DATE
    return day
