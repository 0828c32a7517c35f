"""A day as the former system left it behind, simulated: 823 staging tables of 63 columns, a table a request, random
prediction ids, the same predictions in nine batches, and a 72-column target that somebody merged into by hand."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from schemas import names, tables
from schemas.tables import Cell, Column
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import table_spec
from shared.ports import TableSpec

GAME_DATE = date(2026, 1, 30)
PREFIX = "_staging_batch_2026_01_30"
TABLES = 823
BATCHES = 9
FIRST = datetime(2026, 1, 30, 12, tzinfo=UTC)
SYSTEMS = ("moving_average", "ensemble")
LINES = ("24.5", "25.0")

V1 = tuple(
    Column(c.name, c.type, "NULLABLE" if c.mode == "REQUIRED" else c.mode, c.precision, c.scale)
    for c in tables.load(tables.PREDICTIONS, 1).columns
)
"""The 63 columns; nothing was required."""

Key = tuple[str, str, str, str | None]
"""Game, player, system, line."""
BatchRow = dict[str, Cell]


def an_id(key: Key) -> str:
    """The prediction id that a key must get."""
    game_id, player, system, line = key
    return names.prediction_id(
        game_date=GAME_DATE,
        game_id=game_id,
        player_lookup=player,
        system_id=system,
        points_line=None if line is None else Decimal(line),
    )


def points(batch: int, player: int) -> Decimal:
    """What a batch predicted for a player: tells batches and players apart."""
    return Decimal(f"{10 + batch}.{player % 10}")


def at(batch: int) -> datetime:
    """When a batch ran; the later, the newer."""
    return FIRST + timedelta(minutes=10 * batch)


@dataclass
class LeftBehind:
    """What was made, and what must come of it."""

    tables: dict[str, list[BatchRow]] = field(default_factory=dict)
    expected: dict[Key, Decimal] = field(default_factory=dict)
    """Prediction → points of its newest copy."""
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(map(len, self.tables.values()))


def a_day(count: int = TABLES) -> LeftBehind:
    """The staging tables' rows, the same at every call."""
    chance, day = random.Random(20260130), LeftBehind()  # noqa: S311 - makes examples, guards nothing
    for number in range(count):
        player, batch = divmod(number, BATCHES)
        rows = [_a_row(chance, player, batch, system, line) for system in SYSTEMS for line in LINES]
        rows.append(_a_row(chance, player, batch, "ensemble", None, recommendation="NO_LINE"))
        for row in rows:
            day.expected[_key(row)] = points(batch, player)
        rows += _unusable(chance, day, number, player, batch)
        day.tables[f"{PREFIX}_{1769796732 + 600 * batch}_{chance.getrandbits(32):08x}"] = rows
    return day


def _unusable(chance: random.Random, day: LeftBehind, number: int, player: int, batch: int) -> Iterable[BatchRow]:
    flaws: Mapping[str, tuple[int, BatchRow]] = {
        "no game id": (50, {"game_id": None}),
        "no line": (60, {"current_points_line": None}),
        "another game date": (70, {"game_date": date(2026, 1, 29)}),
        "invalid: predicted_points is not from 0 to 99": (80, {"predicted_points": Decimal("120.0")}),
        "invalid: system_id is null": (90, {"system_id": None}),
    }
    for reason, (every, flaw) in flaws.items():
        if number % every == 0:
            day.left_out[reason] = day.left_out.get(reason, 0) + 1
            yield _a_row(chance, player, batch, "ensemble", "24.5", **flaw)


def _a_row(chance: random.Random, player: int, batch: int, system: str, line: str | None, **cells: Cell) -> BatchRow:
    row: BatchRow = {
        "prediction_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "system_id": system,
        "player_lookup": f"player-{player}",
        "game_date": GAME_DATE,
        "game_id": f"game-{player % 7}",
        "prediction_version": 1,
        "predicted_points": points(batch, player),
        "confidence_score": Decimal("55.25"),
        "recommendation": "PASS",
        "has_prop_line": line is not None,
        "current_points_line": None if line is None else Decimal(line),
        "is_active": True,
        "created_at": at(batch),
        "updated_at": at(batch) if batch % 2 else None,
        "feature_importance": '{"points": 1}',
        "data_quality_issues": ["issue"] if batch % 2 else [],
    }
    return row | cells


def _key(row: BatchRow) -> Key:
    line = row["current_points_line"]
    return str(row["game_id"]), str(row["player_lookup"]), str(row["system_id"]), None if line is None else str(line)


# --- in a warehouse -------------------------------------------------------------------------------------------


def leave(warehouse: DuckdbWarehouse, day: LeftBehind) -> None:
    """Make the tables, in one transaction since there are so many, and the 72-column target."""
    source = Column("_source", "STRING", "REQUIRED")
    warehouse.create(TableSpec("all_rows", (*V1, source)))
    warehouse.append("all_rows", [row | {"_source": table} for table, rows in day.tables.items() for row in rows])
    with warehouse.cursor() as cursor:
        cursor.begin()
        for table in day.tables:
            cursor.execute(
                f'CREATE TABLE "{table}" AS SELECT * EXCLUDE (_source) FROM all_rows WHERE _source = ?', [table]
            )
            cursor.execute("INSERT INTO catalogue.tables VALUES (?, now(), NULL, NULL, [], '{}', NULL)", [table])
        cursor.commit()
    warehouse.drop("all_rows")
    warehouse.create(table_spec(names.PREDICTIONS_TABLE))


def in_target(key: Key, *, batch: int, prediction_id: str, **cells: Cell) -> BatchRow:
    """A row of the target that somebody brought there by hand, in v2."""
    game_id, player, system, line = key
    made = _a_row(random.Random(prediction_id), 0, batch, system, line)  # noqa: S311 - makes examples
    return made | {"game_id": game_id, "player_lookup": player, "prediction_id": prediction_id} | cells
