"""A small table, its rows, and a warehouse whose server a contract test can hold up and set forward."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from schemas.tables import Cell, Column, Row
from shared.ports import TableSpec, Warehouse

NOW = datetime(2026, 1, 30, 17, 0, 0, 123456, tzinfo=UTC)
DAY = date(2026, 1, 30)
A_WHILE = timedelta(seconds=30)

COLUMNS = (
    Column("id", "STRING", "REQUIRED", description="the key; it's quoted"),
    Column("game_date", "DATE", "REQUIRED"),
    Column("line", "NUMERIC", precision=4, scale=1),
    Column("amount", "NUMERIC"),
    Column("n", "INT64"),
    Column("share", "FLOAT64"),
    Column("active", "BOOL"),
    Column("seen_at", "TIMESTAMP"),
    Column("detail", "JSON"),
    Column("issues", "STRING", "REPEATED"),
)

MERGE = """
MERGE INTO `target` AS T USING `source` AS S ON T.game_date = DATE '2026-01-30' AND T.id = S.id
WHEN MATCHED THEN UPDATE SET n = S.n
WHEN NOT MATCHED THEN INSERT (`id`, `game_date`, `n`) VALUES (S.id, S.game_date, S.n)
"""


@dataclass
class Bench:
    """A warehouse with the means to move its server's clock and to keep its jobs from ending."""

    warehouse: Warehouse
    now: datetime
    """The server's time when the test began."""
    clock: Callable[[timedelta], None]
    holding_jobs: Callable[[], AbstractContextManager[threading.Event]]


@dataclass
class DuckdbServer:
    """The seams of the embedded warehouse."""

    now: datetime = NOW
    gate: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def before_commit(self, _job_id: str) -> None:
        self.reached.set()
        assert self.gate.wait(60)

    def move(self, by: timedelta) -> None:
        self.now += by

    @contextmanager
    def holding_jobs(self) -> Iterator[threading.Event]:
        """Keep jobs running inside the block; the event tells that one got there."""
        self.reached.clear()
        self.gate.clear()
        try:
            yield self.reached
        finally:
            self.gate.set()


def spec(name: str = "readings", **changes: object) -> TableSpec:
    return TableSpec(**{"name": name, "columns": COLUMNS, "partition_by": "game_date", **changes})  # type: ignore[arg-type]  # a test gives each field its type


def row(key: str = "a", **changes: Cell) -> Row:
    return {"id": key, "game_date": DAY, **changes}


def made(warehouse: Warehouse, name: str, *rows: Row) -> None:
    warehouse.create(spec(name))
    warehouse.append(name, rows)


def count(warehouse: Warehouse, table: str = "readings") -> int:
    (found,) = warehouse.query(f"SELECT COUNT(*) AS n FROM `{table}`")
    assert isinstance(found["n"], int)
    return found["n"]
