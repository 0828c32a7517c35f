"""What `tipoff schema plan` and `apply` promise over every warehouse: only what is lacking, seen before they return."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from coordinator.usecases import migrate as migration
from schemas import names, tables
from schemas.tables import Column
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import every_spec
from shared.errors import SchemaClash, Unavailable
from shared.ports import TableSpec, Warehouse
from tests.warehouse_kit import PEERS, WatchedWarehouse, open_warehouse

PREDICTIONS = names.PREDICTIONS_TABLE
V1, V2 = (tables.load(PREDICTIONS, version).columns for version in (1, 2))


@pytest.fixture(params=PEERS)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    with open_warehouse(request, tmp_path) as peer:
        yield peer.warehouse


def never() -> NoReturn:
    pytest.fail("nothing had to be waited for")


def test_apply_creates_what_is_absent_adds_what_is_lacking_and_a_repeat_does_nothing(warehouse: Warehouse) -> None:
    warehouse.create(TableSpec(PREDICTIONS, V1, partition_by="game_date"))

    planned = migration.plan(warehouse)
    migration.apply(warehouse, planned, pause=never)

    kinds = {change.spec.name: (change.statement or "").split("\n", maxsplit=1)[0] for change in planned}
    others = (spec.name for spec in every_spec() if spec.name != PREDICTIONS)
    assert kinds == {PREDICTIONS: "ALTER TABLE `predictions`"} | {
        table: f"CREATE TABLE IF NOT EXISTS `{table}` (" for table in others
    }
    for spec in every_spec():
        live = warehouse.columns(spec.name)
        assert live is not None
        # local-bigquery keeps no precision of an added column.
        drift = tables.compare(spec.columns, live)
        assert not drift.missing_in_live
        assert all("NUMERIC" in clash for clash in drift.clashes)


class Slow(WatchedWarehouse):
    """A warehouse that shows an added column some looks later."""

    def __init__(self, inner: Warehouse, *, looks: int) -> None:
        super().__init__(inner)
        self.looks = looks
        self.added: list[tuple[str, object]] = []

    def add_columns(self, table: str, columns: object) -> None:
        self.added.append((table, columns))

    def columns(self, table: str) -> tuple[Column, ...] | None:
        if table != PREDICTIONS:
            return None
        if self.added:
            self.looks -= 1
        return V2 if self.added and self.looks < 0 else V1


def slow(tmp_path: Path, *, looks: int) -> tuple[Slow, tuple[migration.TableChange, ...]]:
    warehouse = Slow(DuckdbWarehouse(tmp_path / "warehouse.duckdb"), looks=looks)
    return warehouse, tuple(one for one in migration.plan(warehouse) if one.spec.name == PREDICTIONS)


def test_apply_waits_until_the_columns_are_seen(tmp_path: Path) -> None:
    warehouse, planned = slow(tmp_path, looks=3)
    pauses: list[None] = []

    migration.apply(warehouse, planned, pause=lambda: pauses.append(None))

    assert len(pauses) == 3
    assert warehouse.added == [(PREDICTIONS, V2[len(V1) :])]


def test_apply_gives_up_after_its_looks_and_says_to_repeat(tmp_path: Path) -> None:
    warehouse, planned = slow(tmp_path, looks=100)

    with pytest.raises(Unavailable, match="does not show its new columns after 5 checks; apply again"):
        migration.apply(warehouse, planned, pause=lambda: None, looks=5)


def test_one_table_that_cannot_be_mended_keeps_every_other_from_being_touched(tmp_path: Path) -> None:
    warehouse, _planned = slow(tmp_path, looks=0)
    inner = warehouse.inner
    inner.create(TableSpec("injury_reports", (Column("game_date", "STRING"),)))

    with pytest.raises(SchemaClash, match="nothing was applied; `injury_reports`: game_date is declared DATE"):
        migration.apply(inner, migration.plan(inner), pause=never)

    assert inner.list_tables("") == inner.list_tables("injury")
