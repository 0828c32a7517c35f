"""What a consolidation promises of the predictions table: which rows count, which are kept and which are retired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from coordinator.rules.lifecycle import Status
from coordinator.usecases.consolidate import Report
from schemas import names
from schemas.messages import RowCounts
from schemas.tables import LINEAGE
from shared.settings import Policy
from tests.plan_inputs import GAME_DATE
from tests.stand.bench import NOON, BatchRow, Bench, an_id, open_bench
from tests.warehouse_kit import WAREHOUSES, on_every_warehouse


@pytest.fixture(params=WAREHOUSES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(request, tmp_path) as bench:
        yield bench


def counts(staged: int = 0, inserted: int = 0, updated: int = 0, unchanged: int = 0, superseded: int = 0) -> RowCounts:
    return RowCounts(staged=staged, inserted=inserted, updated=updated, unchanged=unchanged, superseded=superseded)


def without_lineage(rows: list[BatchRow]) -> list[BatchRow]:
    return [{name: cell for name, cell in row.items() if name not in LINEAGE} for row in rows]


def of_player(rows: list[BatchRow], player: str) -> list[BatchRow]:
    return [row for row in rows if row["player_lookup"] == player]


TOLERANT = Policy(tolerated_failed_share=1, tolerated_silent_share=1)


# --- which rows count -----------------------------------------------------------------------------------------


def test_every_cell_of_the_staged_rows_stands_in_the_table(bench: Bench) -> None:
    batch_id = bench.plan("ann", "bob")
    bench.predict(batch_id, "ann", "bob")

    assert bench.consolidate(batch_id) is Report.MERGED

    assert bench.table() == without_lineage(bench.staged(batch_id))
    assert len(bench.table()) == 4
    assert bench.batch(batch_id).status is Status.COMPLETE
    assert bench.batch(batch_id).merged_rows == counts(staged=4, inserted=4)


def test_a_repeated_append_counts_once(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")
    for _ in range(2):
        bench.stage(batch_id, bench.rows(batch_id, "ann"))

    assert bench.consolidate(batch_id) is Report.MERGED

    assert len(bench.staged(batch_id)) == 6
    assert [row["prediction_id"] for row in bench.table()] == sorted([an_id("ann", "20.5"), an_id("ann", "21.0")])
    assert bench.batch(batch_id).merged_rows == counts(staged=2, inserted=2)


def test_of_two_deliveries_for_one_player_only_the_ledgers_one_counts(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann", lines=("20.5", "30.5"), revision="worker-1", version=1, model_version="old")
    bench.predict(batch_id, "ann", lines=("20.5", "21.0"), revision="worker-2", version=2, model_version="new")

    assert bench.consolidate(batch_id) is Report.MERGED

    assert bench.active() == {"ann": {"20.5", "21.0"}}
    assert {row["model_version"] for row in bench.table()} == {"new"}
    assert bench.batch(batch_id).merged_rows == counts(staged=2, inserted=2)


def test_rows_of_which_no_outcome_tells_do_not_count(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann", revision="worker-1")
    bench.stage(batch_id, bench.rows(batch_id, "ann", lines=("30.5",), revision="worker-2"))
    bench.stage(batch_id, bench.rows(batch_id, "nobody"))

    assert bench.consolidate(batch_id) is Report.MERGED

    assert bench.active() == {"ann": {"20.5", "21.0"}}


def test_lines_half_a_point_apart_are_rows_of_their_own(bench: Bench) -> None:
    bench.merged("ann", lines=("24.5", "25.0", "25.5"))

    assert bench.active() == {"ann": {"24.5", "25.0", "25.5"}}


# --- a repeat and a newer batch -------------------------------------------------------------------------------


def test_a_second_merge_of_the_same_snapshot_changes_no_cell(bench: Bench) -> None:
    bench.merged("ann", "bob", "gone")
    batch_id = bench.merged("ann", "bob")
    before = bench.table()
    sql, parameters = bench.warehouse.submitted[-1]

    bench.warehouse.query(sql, parameters)
    bench.forget_merged(batch_id)
    assert bench.consolidate(batch_id, forced=True) is Report.MERGED

    assert bench.table() == before
    assert [merge.number for merge in bench.batch(batch_id).merges] == [1], "it has brought the whole snapshot already"
    assert bench.batch(batch_id).merged_rows == counts(staged=4, updated=4, superseded=2)


def test_a_repeated_consolidation_runs_no_second_merge(bench: Bench) -> None:
    batch_id = bench.merged("ann")

    assert bench.consolidate(batch_id) is Report.NOTHING_TO_DO

    assert len(bench.warehouse.submitted) == 1


def test_an_update_replaces_every_cell_but_the_key_and_created_at_and_counts_the_version(bench: Bench) -> None:
    bench.merged("ann")
    before = bench.table()

    batch_id = bench.merged("ann")

    expected = [
        new | {"created_at": old["created_at"], "prediction_version": 2}
        for old, new in zip(before, without_lineage(bench.staged(batch_id)), strict=True)
    ]
    assert bench.table() == expected
    same = {name for name in before[0] if before[0][name] == expected[0][name]}
    assert same == {
        *("prediction_id", "system_id", "player_lookup", "game_date", "game_id", "current_points_line"),
        *("created_at", "is_active", "superseded_by"),
    }
    assert bench.batch(batch_id).merged_rows == counts(staged=2, updated=2)


def test_a_third_batch_counts_on_and_a_new_line_starts_at_one(bench: Bench) -> None:
    bench.merged("ann", lines=("20.5",))
    bench.merged("ann", lines=("20.5",))

    bench.merged("ann", lines=("20.5", "21.0"))

    assert {row["current_points_line"]: row["prediction_version"] for row in bench.table()} == {
        Decimal("20.5"): 3,
        Decimal(21): 1,
    }


def test_a_retired_row_that_is_predicted_again_is_active_again(bench: Bench) -> None:
    bench.merged("ann", "bob")
    bench.merged("bob")

    bench.merged("ann", "bob")

    assert bench.active() == {"ann": {"20.5", "21.0"}, "bob": {"20.5", "21.0"}}
    assert {row["superseded_by"] for row in bench.table()} == {None}


# --- superseding ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_skipped", [False, True])
def test_a_root_retires_the_rows_of_who_is_absent_or_skipped_and_nothing_else_of_them(
    bench: Bench, is_skipped: bool
) -> None:
    bench.merged("ann", "out")
    before = of_player(bench.table(), "out")

    newer = bench.merged("ann", skipped=("out",) if is_skipped else ())

    assert of_player(bench.table(), "out") == [row | {"is_active": False, "superseded_by": newer} for row in before]
    assert bench.active() == {"ann": {"20.5", "21.0"}}
    assert bench.batch(newer).merged_rows == counts(staged=2, updated=2, superseded=2)


@on_every_warehouse
def test_a_root_retires_a_players_lines_that_are_offered_no_more(bench: Bench) -> None:
    bench.merged("ann", lines=("20.5", "21.0"))

    bench.merged("ann", lines=("21.0", "22.5"))

    assert bench.active() == {"ann": {"21.0", "22.5"}}


def test_a_root_leaves_the_rows_of_failed_and_silent_players_alone(bench: Bench) -> None:
    bench.merged("ann", "failed", "silent")
    before = bench.table()
    newer = bench.plan("ann", "failed", "silent", policy=TOLERANT)
    bench.predict(newer, "ann")
    bench.fail(newer, "failed")

    assert bench.consolidate(newer, forced=True) is Report.MERGED

    for player in ("failed", "silent"):
        assert of_player(bench.table(), player) == of_player(before, player)
    assert bench.batch(newer).status is Status.PARTIAL


def test_a_redrive_speaks_for_its_own_players_only(bench: Bench) -> None:
    root = bench.merged("ann", "bob", "out")
    before = bench.table()
    redrive = bench.plan("ann", "out", parent=root)
    bench.predict(redrive, "ann", lines=("21.0", "22.5"))
    bench.skip(redrive, "out")

    assert bench.consolidate(redrive) is Report.MERGED

    assert bench.active() == {"ann": {"21.0", "22.5"}, "bob": {"20.5", "21.0"}}
    assert of_player(bench.table(), "bob") == of_player(before, "bob")
    assert of_player(bench.table(), "out") == [
        row | {"is_active": False, "superseded_by": redrive} for row in of_player(before, "out")
    ]
    assert bench.batch(redrive).merged_rows == counts(staged=2, inserted=1, updated=1, superseded=3)


def test_a_redrive_leaves_its_own_failed_players_rows_alone(bench: Bench) -> None:
    root = bench.merged("ann", "bob")
    before = bench.table()
    redrive = bench.plan("ann", "bob", parent=root, policy=TOLERANT)
    bench.predict(redrive, "ann")
    bench.fail(redrive, "bob")

    assert bench.consolidate(redrive) is Report.MERGED

    assert of_player(bench.table(), "bob") == of_player(before, "bob")


def test_rows_of_another_game_date_are_not_touched(bench: Bench) -> None:
    bench.create_target()
    yesterday = GAME_DATE - timedelta(days=1)
    batch_id = bench.plan("ann")
    (row,) = bench.rows(batch_id, "gone", ("20.5",), game_date=yesterday, updated_at=NOON - timedelta(days=1))
    bench.warehouse.append(names.PREDICTIONS_TABLE, [{k: v for k, v in row.items() if k not in LINEAGE}])
    bench.predict(batch_id, "ann")

    assert bench.consolidate(batch_id) is Report.MERGED

    assert bench.active() == {"ann": {"20.5", "21.0"}, "gone": {"20.5"}}
    assert bench.batch(batch_id).merged_rows == counts(staged=2, inserted=2)


# --- older batches --------------------------------------------------------------------------------------------


def test_an_older_batch_never_merges_after_a_newer_root(bench: Bench) -> None:
    older = bench.plan("ann", "bob", policy=TOLERANT)
    bench.predict(older, "ann")
    bench.fail(older, "bob")
    assert bench.consolidate(older) is Report.MERGED
    newer = bench.merged("ann")
    before = bench.table()
    bench.predict(older, "bob")

    assert bench.consolidate(older) is Report.SUPERSEDED
    assert bench.consolidate(older, forced=True) is Report.SUPERSEDED

    assert bench.table() == before
    assert bench.batch(older).overtaken_by == newer
    assert bench.batch(older).status is Status.PARTIAL
    assert len(bench.batch(older).merges) == 1


def test_an_older_redrive_never_merges_after_a_newer_root(bench: Bench) -> None:
    redrive = bench.plan("ann", parent=bench.merged("ann"))
    bench.predict(redrive, "ann")
    newer = bench.merged("ann")
    before = bench.table()

    assert bench.consolidate(redrive) is Report.SUPERSEDED

    assert bench.table() == before
    assert bench.batch(redrive).overtaken_by == newer


def test_an_older_redrives_rows_do_not_overwrite_a_newer_ones(bench: Bench) -> None:
    root = bench.merged("ann", "bob")
    older, newer = bench.plan("ann", "bob", parent=root), bench.plan("ann", parent=root)
    bench.predict(newer, "ann")
    assert bench.consolidate(newer) is Report.MERGED
    before = bench.table()
    bench.predict(older, "ann", "bob")

    assert bench.consolidate(older) is Report.MERGED

    assert of_player(bench.table(), "ann") == of_player(before, "ann")
    assert {row["prediction_version"] for row in of_player(bench.table(), "bob")} == {2}
    assert bench.batch(older).merged_rows == counts(staged=4, updated=2, unchanged=2)


def test_a_redrive_is_no_mark_that_keeps_its_root_from_merging_late_rows(bench: Bench) -> None:
    root = bench.plan("ann", "bob", policy=TOLERANT)
    bench.predict(root, "ann")
    bench.fail(root, "bob")
    assert bench.consolidate(root) is Report.MERGED
    redrive = bench.plan("bob", parent=root, policy=TOLERANT)
    bench.fail(redrive, "bob")
    assert bench.consolidate(redrive) is Report.MERGED
    bench.predict(root, "bob")

    assert bench.consolidate(root) is Report.MERGED

    assert bench.active().keys() == {"ann", "bob"}
    assert bench.batch(root).status is Status.COMPLETE


# --- late rows ------------------------------------------------------------------------------------------------


def test_rows_that_come_after_the_close_get_a_further_round(bench: Bench) -> None:
    bench.merged("ann", "bob", lines=("19.5",))
    batch_id = bench.plan("ann", "bob", policy=TOLERANT)
    bench.predict(batch_id, "ann")
    bench.now += timedelta(hours=4)
    assert bench.consolidate(batch_id) is Report.MERGED
    assert bench.batch(batch_id).status is Status.PARTIAL
    assert bench.active() == {"ann": {"20.5", "21.0"}, "bob": {"19.5"}}
    anns = of_player(bench.table(), "ann")
    bench.predict(batch_id, "bob")

    assert bench.consolidate(batch_id) is Report.MERGED

    assert bench.active() == {"ann": {"20.5", "21.0"}, "bob": {"20.5", "21.0"}}
    assert of_player(bench.table(), "ann") == anns
    batch = bench.batch(batch_id)
    assert batch.status is Status.COMPLETE
    assert [merge.counts for merge in batch.merges] == [
        counts(staged=2, inserted=2, superseded=1),
        counts(staged=4, inserted=2, unchanged=2, superseded=1),
    ]
    assert batch.merged_rows == counts(staged=4, inserted=4, superseded=2)


def test_a_batch_of_nobody_merges_nothing_and_retires_by_a_persons_word_only(bench: Bench) -> None:
    bench.merged("ann")
    empty = bench.plan()

    assert bench.consolidate(empty) is Report.REFUSED
    assert bench.result_code(empty) == "confirmation_needed"
    assert bench.consolidate(empty, forced=True) is Report.MERGED

    assert bench.active() == {}
    assert bench.batch(empty).state == "EMPTY"


# --- nothing is dropped ---------------------------------------------------------------------------------------


def test_a_consolidation_drops_no_table(bench: Bench) -> None:
    def no_drop(operation: str, what: str) -> None:
        assert operation != "drop", what

    bench.warehouse.before = no_drop
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")
    there = bench.warehouse.list_tables("")

    assert bench.consolidate(batch_id) is Report.MERGED

    assert bench.warehouse.list_tables("") == there
    assert len(bench.staged(batch_id)) == 2
