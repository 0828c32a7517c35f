"""A consolidation after a game began: what was active at tip-off stays, since it is what counts and is graded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.rules.lifecycle import Status
from coordinator.usecases.consolidate import Report
from schemas.tables import Row
from shared.settings import Policy
from tests.contract.test_consolidation import counts
from tests.plan_inputs import GAME_DATE
from tests.stand.bench import LINES, Bench, open_bench
from tests.warehouse_kit import WAREHOUSES, on_every_warehouse


@pytest.fixture(params=WAREHOUSES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(request, tmp_path) as bench:
        yield bench


def begin_the_game(bench: Bench, *, after: str) -> None:
    """Put the tip-off of everybody's game between a batch's planning and the next one's."""
    game: Row = {"game_date": GAME_DATE, "game_id": "OKC@HOU", "home_team": "HOU", "away_team": "OKC"}
    tipoff_at = bench.batch(after).planned_at + timedelta(seconds=30)
    bench.warehouse.append("scheduled_games", [{**game, "tipoff_at": tipoff_at}])


@on_every_warehouse
@pytest.mark.parametrize("kind", ["root", "redrive"])
def test_what_was_active_at_tip_off_is_neither_replaced_nor_retired(bench: Bench, kind: str) -> None:
    root = bench.merged("ann", "bob", "cid")
    begin_the_game(bench, after=root)
    before = bench.table()
    later = bench.plan("ann", "bob", "dee", parent=root if kind == "redrive" else None)
    bench.predict(later, "ann", "dee", lines=("20.5", "23.5"))
    bench.skip(later, "bob")

    assert bench.consolidate(later) is Report.MERGED

    assert [row for row in bench.table() if row["player_lookup"] != "dee"] == before
    assert bench.active() == {name: set(LINES) for name in ("ann", "bob", "cid")} | {"dee": {"20.5", "23.5"}}
    assert bench.batch(later).merged_rows == counts(staged=4, inserted=2, unchanged=2)
    assert bench.batch(later).status is Status.COMPLETE


def test_whoever_was_not_predicted_by_then_is_predicted_once_and_may_be_again(bench: Bench) -> None:
    root = bench.merged("ann")
    begin_the_game(bench, after=root)
    first = bench.merged("ann", "bob")

    second = bench.merged("ann", "bob")

    assert bench.batch(first).merged_rows == counts(staged=4, inserted=2, unchanged=2)
    assert bench.batch(second).merged_rows == counts(staged=4, updated=2, unchanged=2)


def test_late_rows_of_a_batch_that_was_planned_before_the_tip_off_count(bench: Bench) -> None:
    bench.merged("ann", "bob")
    newer = bench.plan("ann", "bob", policy=Policy(tolerated_failed_share=1))
    bench.predict(newer, "ann")
    bench.fail(newer, "bob")
    assert bench.consolidate(newer) is Report.MERGED
    begin_the_game(bench, after=newer)
    bench.predict(newer, "bob")

    assert bench.consolidate(newer) is Report.MERGED

    assert {row["updated_at"] for row in bench.table()} == {bench.batch(newer).planned_at}
