"""Of two batches that speak for one player the newer one's word stands, in whatever order their rows come."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from coordinator.rules.lifecycle import Status
from coordinator.usecases.consolidate import Report
from schemas.messages import RowCounts
from shared.settings import Policy
from tests.stand.bench import Bench, open_bench
from tests.warehouse_kit import WAREHOUSES, on_every_warehouse

TOLERANT = Policy(tolerated_failed_share=1, tolerated_silent_share=1, max_retired_share=1)


@pytest.fixture(params=WAREHOUSES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(request, tmp_path) as bench:
        yield bench


def a_root_without_bob(bench: Bench) -> str:
    """Expects ann and bob, and was merged by force while bob was silent."""
    root = bench.plan("ann", "bob", policy=TOLERANT)
    bench.predict(root, "ann")
    assert bench.consolidate(root, forced=True) is Report.MERGED
    return root


@on_every_warehouse
def test_late_rows_of_a_root_do_not_stand_beside_a_newer_redrives_on_other_lines(bench: Bench) -> None:
    root = a_root_without_bob(bench)
    redrive = bench.plan("bob", parent=root)
    bench.predict(redrive, "bob", lines=("22.5",))
    assert bench.consolidate(redrive) is Report.MERGED
    before = bench.table()

    bench.predict(root, "bob", lines=("20.5", "22.5"))

    assert bench.consolidate(root) is Report.MERGED
    assert bench.table() == before
    assert bench.active()["bob"] == {"22.5"}
    assert bench.batch(root).status is Status.COMPLETE
    assert bench.batch(root).merged_rows == RowCounts(staged=4, inserted=2, updated=0, unchanged=2, superseded=0)
    assert bench.consolidate(root) is Report.NOTHING_TO_DO


def test_late_rows_of_a_root_do_not_bring_back_what_a_newer_redrive_retired(bench: Bench) -> None:
    bench.merged("ann", "bob")
    root = a_root_without_bob(bench)
    redrive = bench.plan("bob", parent=root, policy=TOLERANT)
    bench.predict(redrive, "bob", lines=("22.5",))
    assert bench.consolidate(redrive, forced=True) is Report.MERGED
    before = bench.table()

    bench.predict(root, "bob", lines=("20.5", "21.0"))

    assert bench.consolidate(root) is Report.MERGED
    assert bench.table() == before


def test_late_rows_of_a_root_stay_out_where_a_newer_redrive_skipped_the_player(bench: Bench) -> None:
    root = a_root_without_bob(bench)
    redrive = bench.plan("bob", parent=root)
    bench.skip(redrive, "bob")
    assert bench.consolidate(redrive) is Report.MERGED

    bench.predict(root, "bob")

    assert bench.consolidate(root) is Report.MERGED
    assert "bob" not in bench.active()
    assert bench.batch(root).status is Status.COMPLETE


@pytest.mark.parametrize("what", ["fail", "silent", "unmerged"])
def test_late_rows_of_a_root_go_in_where_the_newer_redrive_has_said_nothing(bench: Bench, what: str) -> None:
    root = a_root_without_bob(bench)
    redrive = bench.plan("bob", "cid", parent=root, policy=TOLERANT)
    bench.predict(redrive, "cid")
    if what == "fail":
        bench.fail(redrive, "bob")
    if what == "unmerged":
        bench.skip(redrive, "bob")
    else:
        assert bench.consolidate(redrive, forced=True) is Report.MERGED

    bench.predict(root, "bob")

    assert bench.consolidate(root) is Report.MERGED
    assert bench.active()["bob"] == {"20.5", "21.0"}


@pytest.mark.parametrize("order", list(permutations(["root", "first redrive", "second redrive"])))
@pytest.mark.parametrize("last", ["predicts", "skips"])
def test_whatever_the_order_of_merging_the_newest_word_on_a_player_stands(
    bench: Bench, order: tuple[str, ...], last: str
) -> None:
    root = a_root_without_bob(bench)
    batches = {
        "root": root,
        "first redrive": bench.plan("bob", parent=root, policy=TOLERANT),
        "second redrive": bench.plan("bob", parent=root, policy=TOLERANT),
    }
    lines = {"root": ("20.5", "21.0"), "first redrive": ("21.0", "22.5"), "second redrive": ("22.5", "23.0")}

    for name in (*order, *order):
        if name == "second redrive" and last == "skips":
            bench.skip(batches[name], "bob")
        elif not bench.batch(batches[name]).merges or name == "root":
            bench.predict(batches[name], "bob", lines=lines[name])
        bench.consolidate(batches[name], forced=True)

    assert bench.active().get("bob", set()) == ({"22.5", "23.0"} if last == "predicts" else set())
    assert bench.active()["ann"] == {"20.5", "21.0"}
    for batch_id in batches.values():
        assert bench.batch(batch_id).status is Status.COMPLETE
        assert bench.consolidate(batch_id) is Report.NOTHING_TO_DO
