"""When a consolidation refuses, leaving the table as it is and staging where it is, and what a person's word changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from coordinator.rules.lifecycle import Status
from coordinator.usecases.consolidate import Report
from schemas import digest, names
from schemas.messages import RowCounts
from schemas.tables import DELIVERY_COLUMN, Cell
from tests.stand.bench import NOON, Bench, an_id, open_bench, predicted
from tests.warehouse_kit import WAREHOUSES, on_every_warehouse


@pytest.fixture(params=WAREHOUSES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(request, tmp_path) as bench:
        yield bench


# --- refused: staging is not what the ledger says -------------------------------------------------------------


def is_refused(bench: Bench, batch_id: str, *, saying: str) -> bool:
    """Whether consolidating fails the batch for a reason with these words, changing no row and dropping no table."""
    before, tables_before = bench.table(), bench.warehouse.list_tables("")
    assert bench.consolidate(batch_id) is Report.REFUSED
    assert bench.table() == before
    assert bench.warehouse.list_tables("") == tables_before
    assert bench.batch(batch_id).status is Status.FAILED
    assert bench.result_code(batch_id) == "verification_refused"
    assert saying in bench.reason(batch_id), bench.reason(batch_id)
    assert [event.state for event in bench.events()][-1:] == ["FAILED"]
    return True


def test_staged_rows_of_another_game_date_are_refused(bench: Bench) -> None:
    batch_id = bench.plan("ann", "bob")
    bench.predict(batch_id, "ann")
    bench.predict(batch_id, "bob", game_date=date(2026, 1, 29))

    assert is_refused(bench, batch_id, saying="bob: 2 rows of another game date")


@pytest.mark.parametrize("stamp", [NOON, None])
def test_staged_rows_without_the_batchs_stamp_are_refused(bench: Bench, stamp: Cell) -> None:
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann", updated_at=stamp)

    assert is_refused(bench, batch_id, saying="ann: 2 rows not stamped with this batch's planned_at")


def test_a_delivery_that_is_not_staged_is_refused(bench: Bench) -> None:
    batch_id = bench.plan("ann", "bob")
    bench.predict(batch_id, "ann")
    bench.record(predicted(batch_id, "bob", bench.rows(batch_id, "bob")))

    assert is_refused(bench, batch_id, saying="bob: no rows of delivery")


def test_a_staging_table_that_is_not_there_is_refused(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    bench.record(predicted(batch_id, "ann", bench.rows(batch_id, "ann", version=1), version=1))

    assert is_refused(bench, batch_id, saying="there is no table `_staging_v1`")


@on_every_warehouse
def test_an_incomplete_delivery_is_refused(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    rows = bench.rows(batch_id, "ann")
    bench.stage(batch_id, rows[:1] * 2)
    bench.record(predicted(batch_id, "ann", rows))

    assert is_refused(bench, batch_id, saying="ann: 1 distinct rows staged, 2 in the ledger")


def test_staged_ids_that_are_not_the_ledgers_are_refused(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    rows = bench.rows(batch_id, "ann")
    bench.stage(batch_id, rows)
    bench.record(predicted(batch_id, "ann", rows, digest=digest.of_ids([an_id("ann", "20.5"), an_id("ann", "22.5")])))

    assert is_refused(bench, batch_id, saying="ann: the staged prediction ids are not the ledger's")


def test_one_prediction_staged_by_two_deliveries_is_refused(bench: Bench) -> None:
    batch_id = bench.plan("ann", "bob")
    bench.predict(batch_id, "ann")
    bench.predict(batch_id, "bob", lines=("20.5",), prediction_id=an_id("ann", "20.5"))

    assert is_refused(bench, batch_id, saying="1 prediction ids are staged by more than one delivery")


def test_a_staged_prediction_that_the_table_holds_twice_is_refused(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")
    (there,) = bench.rows(batch_id, "ann", ("20.5",), updated_at=None)
    cells = {name: cell for name, cell in there.items() if name != DELIVERY_COLUMN}
    bench.warehouse.append(names.PREDICTIONS_TABLE, [cells, cells])

    assert is_refused(bench, batch_id, saying="the predictions table holds staged prediction ids more than once")


def test_what_was_refused_merges_once_it_is_mended_and_a_person_says_so(bench: Bench) -> None:
    batch_id = bench.plan("ann")
    rows = bench.rows(batch_id, "ann")
    bench.stage(batch_id, rows[:1])
    bench.record(predicted(batch_id, "ann", rows))
    assert is_refused(bench, batch_id, saying="1 distinct rows staged")
    bench.stage(batch_id, rows[1:])

    assert bench.consolidate(batch_id) is Report.NOTHING_TO_DO
    assert bench.consolidate(batch_id, forced=True) is Report.MERGED

    assert bench.active() == {"ann": {"20.5", "21.0"}}
    assert bench.batch(batch_id).status is Status.COMPLETE


# --- refused: more would be retired than the policy allows ----------------------------------------------------


def test_retiring_more_than_the_policys_share_waits_for_a_persons_word(bench: Bench) -> None:
    bench.merged("ann", "bob", "cid", "dan")
    before = bench.table()
    batch_id = bench.plan("ann")
    bench.predict(batch_id, "ann")

    assert bench.consolidate(batch_id) is Report.REFUSED

    assert bench.table() == before
    assert bench.batch(batch_id).status is Status.FAILED
    assert bench.result_code(batch_id) == "confirmation_needed"
    assert "retire 6 of 8 active rows of the date (75%; the policy allows 50%)" in bench.reason(batch_id)
    assert len(bench.staged(batch_id)) == 2
    assert bench.batch(batch_id).merges == ()

    assert bench.consolidate(batch_id, forced=True) is Report.MERGED
    assert bench.active() == {"ann": {"20.5", "21.0"}}
    assert bench.batch(batch_id).merged_rows == RowCounts(staged=2, inserted=0, updated=2, unchanged=0, superseded=6)


def test_retiring_just_the_policys_share_needs_nobody(bench: Bench) -> None:
    bench.merged("ann", "bob", "cid", "dan")
    batch_id = bench.plan("ann", "bob")
    bench.predict(batch_id, "ann", "bob")

    assert bench.consolidate(batch_id) is Report.MERGED
