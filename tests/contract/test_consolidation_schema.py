"""What a consolidation promises when columns differ: schema versions mixed, and live tables that are not as declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from coordinator.rules.lifecycle import Status
from coordinator.usecases.consolidate import Report
from schemas import names, tables
from schemas.tables import DELIVERY_COLUMN, Column
from shared.ports import TableSpec
from tests.stand.bench import COLUMNS, PREDICTIONS, BatchRow, Bench, open_bench, predicted
from tests.warehouse_kit import WAREHOUSES, on_every_warehouse

V1 = tables.load(PREDICTIONS, 1).columns
V2_ONLY = COLUMNS[len(V1) :]
ALIEN = Column("shoe_size", "INT64")


@pytest.fixture(params=WAREHOUSES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(request, tmp_path) as bench:
        yield bench


def nothing(column: Column) -> object:
    return [] if column.mode == "REPEATED" else None


def in_target(staged: list[BatchRow], columns: tuple[Column, ...] = COLUMNS) -> list[BatchRow]:
    """Staged rows as they must stand in a table of these columns."""
    return [{column.name: row.get(column.name, nothing(column)) for column in columns} for row in staged]


def changed(columns: tuple[Column, ...], name: str, **changes: str) -> tuple[Column, ...]:
    """The columns, one of them otherwise than declared."""
    return tuple(replace(column, **changes) if column.name == name else column for column in columns)  # type: ignore[arg-type]  # type and mode are text


def without(columns: tuple[Column, ...], *left_out: str) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.name not in left_out)


# --- two schema versions in one batch -------------------------------------------------------------------------


@on_every_warehouse
def test_rows_of_two_schema_versions_merge_in_one_batch(bench: Bench) -> None:
    batch_id = bench.plan("old", "new")
    bench.predict(batch_id, "old", version=1, revision="worker-1")
    bench.predict(batch_id, "new", version=2, revision="worker-2")

    assert bench.consolidate(batch_id) is Report.MERGED

    staged = sorted(bench.staged(batch_id, 1) + bench.staged(batch_id, 2), key=lambda row: str(row["prediction_id"]))
    assert bench.table() == in_target(staged)
    assert bench.batch(batch_id).merged_rows.inserted == 4
    unfilled = {name for row in bench.table() if row["player_lookup"] == "old" for name in row if row[name] is None}
    assert unfilled == {column.name for column in V2_ONLY} | {"superseded_by"}


@pytest.mark.parametrize("counting", [1, 2])
def test_a_delivery_that_stands_in_two_tables_counts_in_the_one_that_the_ledger_names(
    bench: Bench, counting: int
) -> None:
    batch_id = bench.plan("ann")
    for version in (3 - counting, counting):
        bench.predict(batch_id, "ann", version=version)

    assert bench.consolidate(batch_id) is Report.MERGED

    assert bench.table() == in_target(bench.staged(batch_id, counting))


def test_an_older_versions_rows_leave_nothing_of_a_newer_versions_behind(bench: Bench) -> None:
    bench.merged("ann", version=2)
    (created_at,) = {row["created_at"] for row in bench.table()}

    batch_id = bench.merged("ann", version=1)

    expected = in_target(bench.staged(batch_id, 1))
    assert bench.table() == [row | {"created_at": created_at, "prediction_version": 2} for row in expected]


# --- staging is not as declared -------------------------------------------------------------------------------


def consolidated_over(bench: Bench, staging: tuple[Column, ...], **cells: str) -> str:
    """Stage a player's rows into a v1 table of these columns and try to merge them; returns the batch's id."""
    batch_id = bench.plan("ann")
    bench.warehouse.create(TableSpec(names.staging_table(1), staging))
    fitting = {column.name for column in staging}
    full = bench.rows(batch_id, "ann", version=1, **cells)
    bench.stage(batch_id, [{n: cell for n, cell in row.items() if n in fitting} for row in full], version=1)
    bench.record(predicted(batch_id, "ann", full, version=1))
    bench.consolidate(batch_id)
    return batch_id


def is_refused(bench: Bench, batch_id: str, *, saying: str) -> bool:
    """Whether the batch failed for a reason with these words, before anything was merged."""
    assert bench.batch(batch_id).status is Status.FAILED
    assert bench.result_code(batch_id) == "verification_refused"
    assert saying in bench.reason(batch_id), bench.reason(batch_id)
    assert bench.warehouse.submitted == []
    return True


STAGING = tables.staging_columns(1)

UNFIT: Mapping[str, tuple[tuple[Column, ...], str]] = {
    "undeclared": ((*STAGING, ALIEN), "shoe_size (INT64, NULLABLE) is in the live table but not declared"),
    "array as text": (
        changed(STAGING, "data_quality_issues", mode="NULLABLE"),
        "data_quality_issues is declared ARRAY<STRING>, REPEATED but live it is STRING, NULLABLE",
    ),
    "key that may be null": (
        changed(STAGING, "prediction_id", mode="NULLABLE"),
        "prediction_id is declared STRING, REQUIRED but live it is STRING, NULLABLE",
    ),
    "required is missing": (without(STAGING, "game_id"), "game_id is declared STRING, REQUIRED, but is missing"),
}


@pytest.mark.parametrize(("columns", "problem"), UNFIT.values(), ids=UNFIT)
def test_staging_that_is_not_as_declared_is_refused(bench: Bench, columns: tuple[Column, ...], problem: str) -> None:
    is_text = any(column.name == "data_quality_issues" and column.mode == "NULLABLE" for column in columns)
    cells = {"data_quality_issues": "an issue"} if is_text else {}

    batch_id = consolidated_over(bench, columns, **cells)

    assert is_refused(bench, batch_id, saying=problem)
    assert f"`{names.staging_table(1)}` differs" in bench.reason(batch_id)
    assert len(bench.staged(batch_id, 1)) == 2, "staging is kept"


def test_a_column_that_staging_lacks_becomes_null_or_the_empty_list(bench: Bench) -> None:
    batch_id = consolidated_over(bench, without(STAGING, "scoring_tier", "feature_importance", "data_quality_issues"))

    assert bench.batch(batch_id).status is Status.COMPLETE
    assert bench.table() == in_target(bench.staged(batch_id, 1))
    assert {(row["scoring_tier"], str(row["data_quality_issues"])) for row in bench.table()} == {(None, "[]")}


def test_staging_in_another_column_order_puts_every_value_in_its_own_column(bench: Bench) -> None:
    batch_id = consolidated_over(bench, tuple(reversed(STAGING)))

    assert bench.batch(batch_id).status is Status.COMPLETE
    assert bench.table() == in_target(bench.staged(batch_id, 1))


def test_rows_of_a_version_that_this_coordinator_does_not_know_are_refused(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    bench.record(predicted(batch_id, "ann", bench.rows(batch_id, "ann"), version=3))

    bench.consolidate(batch_id)

    assert is_refused(bench, batch_id, saying="knows versions up to 2: deploy a coordinator of the workers' revision")


# --- the target is not as declared ----------------------------------------------------------------------------


def test_a_target_of_the_older_version_gets_the_new_columns_by_one_alter_and_they_are_filled(bench: Bench) -> None:
    altered = []

    def note(operation: str, table: str) -> None:
        if operation == "add_columns":
            altered.append(table)

    bench.warehouse.before = note
    bench.create_target(V1)
    batch_id = bench.plan("ann")
    (before,) = bench.rows(batch_id, "legacy", ("20.5",), version=1)
    bench.warehouse.append(PREDICTIONS, [{n: cell for n, cell in before.items() if n != DELIVERY_COLUMN}])
    legacy = bench.table()
    bench.predict(batch_id, "ann")

    assert bench.consolidate(batch_id) is Report.MERGED

    assert altered == [PREDICTIONS]
    live = bench.warehouse.columns(PREDICTIONS)
    assert live is not None
    assert tables.compare(COLUMNS, live) == tables.Drift()
    of = {player: [row for row in bench.table() if row["player_lookup"] == player] for player in ("ann", "legacy")}
    assert of["ann"] == in_target(bench.staged(batch_id))
    assert of["legacy"] == in_target(legacy)


def test_a_target_column_of_another_type_is_refused_and_nothing_is_altered(bench: Bench) -> None:
    bench.create_target(changed(V1, "feature_importance", type="STRING"))
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")

    assert bench.consolidate(batch_id) is Report.REFUSED

    assert is_refused(
        bench, batch_id, saying="feature_importance is declared JSON, NULLABLE but live it is STRING, NULLABLE"
    )
    assert "`predictions` differs from its declaration" in bench.reason(batch_id)
    live = bench.warehouse.columns(PREDICTIONS)
    assert live is not None
    assert len(live) == len(V1)


def test_a_target_key_that_may_be_null_is_refused(bench: Bench) -> None:
    bench.create_target(changed(COLUMNS, "prediction_id", mode="NULLABLE"))
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")

    assert bench.consolidate(batch_id) is Report.REFUSED

    assert is_refused(bench, batch_id, saying="prediction_id is declared STRING, REQUIRED but live it is STRING, NULL")


def test_an_undeclared_column_of_the_target_is_left_alone(bench: Bench) -> None:
    bench.create_target((*COLUMNS, ALIEN))
    batch_id = bench.plan("ann")
    (there,) = bench.rows(batch_id, "ann", ("20.5",), updated_at=None, shoe_size=47)
    bench.warehouse.append(PREDICTIONS, [{n: cell for n, cell in there.items() if n != DELIVERY_COLUMN}])
    bench.predict(batch_id, "ann")

    assert bench.consolidate(batch_id) is Report.MERGED

    assert {row["current_points_line"]: row["shoe_size"] for row in bench.table()} == {
        Decimal("20.5"): 47,
        Decimal(21): None,
    }
    assert bench.batch(batch_id).merged_rows.updated == 1


SHUFFLES: Mapping[str, Callable[[tuple[Column, ...]], tuple[Column, ...]]] = {
    "reversed": lambda columns: tuple(reversed(columns)),
    "by name": lambda columns: tuple(sorted(columns, key=lambda column: column.name)),
}


@pytest.mark.parametrize("shuffle", SHUFFLES.values(), ids=SHUFFLES)
def test_a_target_in_another_column_order_gets_every_value_in_its_own_column(
    bench: Bench, shuffle: Callable[[tuple[Column, ...]], tuple[Column, ...]]
) -> None:
    bench.create_target(shuffle(COLUMNS))

    first = bench.merged("ann")
    inserted = bench.table()
    (created_at,) = {row["created_at"] for row in inserted}
    second = bench.merged("ann")

    assert inserted == in_target(bench.staged(first))
    assert bench.table() == [
        row | {"created_at": created_at, "prediction_version": 2} for row in in_target(bench.staged(second))
    ]


def test_a_target_that_is_not_there_is_refused(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")
    bench.warehouse.drop(PREDICTIONS)

    assert bench.consolidate(batch_id) is Report.REFUSED

    assert is_refused(bench, batch_id, saying="there is no table `predictions`")
