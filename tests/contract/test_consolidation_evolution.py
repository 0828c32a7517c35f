"""What a consolidation promises while the schema moves on: every pair of staging and target versions, with and without
the coordinator's own migration, and a target that changes under a MERGE."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.documents import batch_path
from coordinator.usecases.consolidate import Report
from schemas import names, tables
from schemas.tables import Column
from shared.ports import TableSpec, Update
from tests.stand.bench import COLUMNS, PREDICTIONS, BatchRow, Bench, open_bench
from tests.warehouse_kit import WAREHOUSES, on_every_warehouse

V1 = tables.load(PREDICTIONS, 1).columns
V2_ONLY = COLUMNS[len(V1) :]
ALIEN = Column("shoe_size", "INT64")


@pytest.fixture(params=WAREHOUSES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(request, tmp_path) as bench:
        yield bench


def in_target(staged: list[BatchRow], columns: tuple[Column, ...] = COLUMNS) -> list[BatchRow]:
    """Staged rows as they must stand in a table of these columns."""
    return [{column.name: row.get(column.name) for column in columns} for row in staged]


def planned_with_v1(bench: Bench, *players: str) -> str:
    """A batch whose coordinator writes v1."""
    batch_id = bench.plan(*players)
    bench.documents.commit([Update(batch_path(batch_id), {("schema_version",): 1})])
    bench.warehouse.drop(names.staging_table(2))
    return batch_id


def without_migration(bench: Bench) -> None:
    bench.consolidator = replace(bench.consolidator, auto_migrate=False)


def target(bench: Bench) -> tuple[Column, ...]:
    live = bench.warehouse.columns(PREDICTIONS)
    assert live is not None
    return live


@on_every_warehouse
def test_v1_rows_merge_into_a_v1_target_which_stays_v1(bench: Bench) -> None:
    bench.create_target(V1)
    batch_id = planned_with_v1(bench, "ann")
    bench.predict(batch_id, "ann", version=1)

    assert bench.consolidate(batch_id) is Report.MERGED

    assert [column.name for column in target(bench)] == [column.name for column in V1]
    assert bench.table() == in_target(bench.staged(batch_id, 1), V1)


def test_v1_rows_merge_into_a_v1_target_without_the_right_to_migrate(bench: Bench) -> None:
    without_migration(bench)
    bench.create_target(V1)
    batch_id = planned_with_v1(bench, "ann")
    bench.predict(batch_id, "ann", version=1)

    assert bench.consolidate(batch_id) is Report.MERGED

    assert bench.table() == in_target(bench.staged(batch_id, 1), V1)


def test_v1_rows_merge_into_a_v2_target_with_null_in_the_new_columns(bench: Bench) -> None:
    batch_id = planned_with_v1(bench, "ann")
    bench.predict(batch_id, "ann", version=1)

    assert bench.consolidate(batch_id) is Report.MERGED

    assert bench.table() == in_target(bench.staged(batch_id, 1))
    assert {row[column.name] for row in bench.table() for column in V2_ONLY} == {None}


def test_v1_and_v2_rows_in_one_batch_bring_a_v1_target_to_v2(bench: Bench) -> None:
    bench.create_target(V1)
    batch_id = planned_with_v1(bench, "old", "new")
    bench.predict(batch_id, "old", version=1, revision="worker-1")
    bench.predict(batch_id, "new", version=2, revision="worker-2")

    assert bench.consolidate(batch_id) is Report.MERGED

    assert tables.compare(COLUMNS, target(bench)) == tables.Drift()
    of = {player: [row for row in bench.table() if row["player_lookup"] == player] for player in ("old", "new")}
    assert of["old"] == in_target(bench.staged(batch_id, 1))
    assert of["new"] == in_target(bench.staged(batch_id, 2))


@on_every_warehouse
def test_v2_rows_are_refused_by_a_v1_target_without_the_right_to_migrate_naming_the_columns(bench: Bench) -> None:
    without_migration(bench)
    bench.create_target(V1)
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")

    assert bench.consolidate(batch_id) is Report.REFUSED

    named = ", ".join(column.name for column in V2_ONLY)
    assert f"`predictions` lacks the columns {named}, and TIPOFF_AUTO_MIGRATE is false" in bench.reason(batch_id)
    assert [column.name for column in target(bench)] == [column.name for column in V1]
    assert bench.warehouse.submitted == []
    assert len(bench.staged(batch_id)) == 2, "staging is kept"


def test_a_batch_that_was_refused_for_its_columns_merges_once_they_are_there(bench: Bench) -> None:
    without_migration(bench)
    bench.create_target(V1)
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")
    bench.consolidate(batch_id)

    bench.warehouse.add_columns(PREDICTIONS, V2_ONLY)
    assert bench.consolidate(batch_id, forced=True) is Report.MERGED

    assert bench.table() == in_target(bench.staged(batch_id))


def test_an_alter_that_brings_nothing_about_is_refused_and_not_merged_over(bench: Bench) -> None:
    bench.create_target(V1)
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")
    bench.warehouse.add_columns = lambda _table, _columns: None  # type: ignore[method-assign, assignment]  # an ALTER without effect

    assert bench.consolidate(batch_id) is Report.REFUSED

    assert "they were added but are not visible yet" in bench.reason(batch_id)


@on_every_warehouse
def test_a_column_added_between_the_counts_and_the_merge_changes_nothing(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")

    def add(operation: str, _what: str) -> None:
        if operation == "submit":
            bench.warehouse.inner.add_columns(PREDICTIONS, [ALIEN])

    bench.warehouse.before = add
    assert bench.consolidate(batch_id) is Report.MERGED

    staged = in_target(bench.staged(batch_id))
    assert bench.table() == [{**row, ALIEN.name: None} for row in staged]


def test_a_column_added_while_a_merge_runs_loses_and_doubles_nothing(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")
    adding = threading.Thread(target=bench.warehouse.inner.add_columns, args=(PREDICTIONS, [ALIEN]))
    reports: list[Report] = []

    with bench.peer.holding_jobs():
        merging = threading.Thread(target=lambda: reports.append(bench.consolidate(batch_id)))
        submitted = threading.Event()
        bench.warehouse.after = lambda operation, _what: submitted.set() if operation == "submit" else None
        merging.start()
        assert submitted.wait(30)
        adding.start()
    merging.join(60)
    adding.join(60)

    assert reports == [Report.MERGED]
    assert ALIEN in target(bench)
    assert bench.table() == [{**row, ALIEN.name: None} for row in in_target(bench.staged(batch_id))]
    assert bench.batch(batch_id).merged_rows.inserted == 2


def test_staging_that_lost_a_required_column_of_v1_is_refused_though_the_target_is_v2(bench: Bench) -> None:
    batch_id = planned_with_v1(bench, "ann")
    rows = bench.rows(batch_id, "ann", version=1)
    columns = tuple(column for column in tables.staging_columns(1) if column.name != "recommendation")
    bench.warehouse.drop(names.staging_table(1))
    bench.warehouse.create(TableSpec(names.staging_table(1), columns))
    bench.stage(batch_id, [{n: c for n, c in row.items() if n != "recommendation"} for row in rows], version=1)

    assert bench.consolidate(batch_id, forced=True) is Report.REFUSED

    assert "recommendation is declared STRING, REQUIRED, but is missing" in bench.reason(batch_id)
