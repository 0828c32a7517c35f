"""What a consolidation promises of its MERGE job: one job per number, found again whatever became of it, and no check
that passes because it could not run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.documents import date_path
from coordinator.rules.lifecycle import Status
from coordinator.usecases.consolidate import Report
from schemas import names
from schemas.tables import DELIVERY_COLUMN
from shared.errors import Unavailable
from shared.ports import JobState
from shared.settings import Policy
from tests.plan_inputs import GAME_DATE
from tests.stand.bench import Bench, an_id, open_bench
from tests.stand.world import LEASE, Crash
from tests.warehouse_kit import WAREHOUSES, on_every_warehouse

A_WHILE = timedelta(seconds=30)
A_MOMENT = timedelta(milliseconds=20)

FAILS = "SELECT COUNT(*) AS n FROM `no_such_table`"


@pytest.fixture(params=WAREHOUSES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with open_bench(request, tmp_path) as bench:
        yield bench


def a_settled_batch(bench: Bench, policy: Policy | None = None) -> str:
    batch_id = bench.plan("ann", "bob", policy=policy)
    bench.predict(batch_id, "ann", "bob")
    return batch_id


def numbers(bench: Bench, batch_id: str) -> list[tuple[int, str]]:
    return [(numbered.number, numbered.state) for numbered in bench.batch(batch_id).merges]


def is_whole(bench: Bench, batch_id: str) -> bool:
    """Whether the batch is COMPLETE and each of its rows was merged exactly once."""
    assert bench.batch(batch_id).status is Status.COMPLETE
    assert bench.active() == {"ann": {"20.5", "21.0"}, "bob": {"20.5", "21.0"}}
    assert {row["prediction_version"] for row in bench.table()} == {1}
    assert bench.batch(batch_id).merged_rows.inserted == 4
    return True


@contextmanager
def dying(bench: Bench, *, after_submission: bool) -> Iterator[None]:
    """Kill the coordinator inside the block just before, or just after, it submits a MERGE."""

    def die(operation: str, _what: str) -> None:
        if operation == "submit":
            raise Crash

    if after_submission:
        bench.warehouse.after = die
    else:
        bench.warehouse.before = die
    with pytest.raises(Crash):
        yield
    bench.warehouse.before = bench.warehouse.after = lambda _operation, _what: None


def take_over(bench: Bench, batch_id: str, *, patience: timedelta = A_WHILE) -> Report:
    """Have another instance consolidate after the dead one's lease has expired."""
    bench.now += LEASE * 2
    return bench.new_consolidator("two", patience=patience).consolidate(batch_id)


# --- a takeover -----------------------------------------------------------------------------------------------


@on_every_warehouse
def test_a_takeover_that_finds_the_job_absent_uses_its_id_up_and_runs_the_next(bench: Bench) -> None:
    batch_id = a_settled_batch(bench)
    with dying(bench, after_submission=False):
        bench.consolidate(batch_id)
    assert numbers(bench, batch_id) == [(1, "submitted")]
    assert bench.warehouse.job(names.merge_job_id(batch_id, 1)).state is JobState.ABSENT

    assert take_over(bench, batch_id) is Report.MERGED

    assert is_whole(bench, batch_id)
    assert numbers(bench, batch_id) == [(1, "failed"), (2, "done")]
    assert bench.warehouse.job(names.merge_job_id(batch_id, 1)).state is JobState.FAILED
    assert bench.warehouse.job(names.merge_job_id(batch_id, 2)).state is JobState.DONE


def test_a_takeover_that_finds_the_job_running_waits_for_it(bench: Bench) -> None:
    batch_id = a_settled_batch(bench)
    with ThreadPoolExecutor(1) as pool, bench.peer.holding_jobs():
        with dying(bench, after_submission=True):
            bench.consolidate(batch_id)
        assert bench.warehouse.job(names.merge_job_id(batch_id, 1)).state is JobState.RUNNING
        bench.now += LEASE * 2
        waiting = pool.submit(bench.new_consolidator("two").consolidate, batch_id)
        while bench.consolidator.ledger.entry(batch_id).day.lease.holder != "two":
            assert not waiting.done()
        assert not waiting.done()
    assert waiting.result() is Report.MERGED

    assert is_whole(bench, batch_id)
    assert numbers(bench, batch_id) == [(1, "done")]
    assert len(bench.warehouse.submitted) == 1


def test_a_takeover_whose_patience_ends_before_the_job_leaves_it_to_the_next(bench: Bench) -> None:
    batch_id = a_settled_batch(bench)
    with bench.peer.holding_jobs():
        with dying(bench, after_submission=True):
            bench.consolidate(batch_id)
        with pytest.raises(Unavailable, match="has not ended"):
            take_over(bench, batch_id, patience=A_MOMENT)
        assert bench.batch(batch_id).status is Status.RUNNING
        assert numbers(bench, batch_id) == [(1, "submitted")]
        assert bench.table() == []

    assert bench.consolidate(batch_id) is Report.MERGED

    assert is_whole(bench, batch_id)
    assert numbers(bench, batch_id) == [(1, "done")]
    assert len(bench.warehouse.submitted) == 1


def test_another_batch_of_the_date_waits_for_a_merge_that_outlasted_its_holders_patience(bench: Bench) -> None:
    batch_id = a_settled_batch(bench)
    redrive = bench.plan("zoe", parent=batch_id)
    bench.predict(redrive, "zoe")
    with bench.peer.holding_jobs():
        with pytest.raises(Unavailable, match="has not ended"):
            bench.new_consolidator("two", patience=A_MOMENT).consolidate(batch_id)

        lease = bench.consolidator.ledger.entry(batch_id).day.lease
        assert (lease.holder, lease.batch_id, lease.merge_no) == (None, batch_id, 1)
        assert bench.consolidate(redrive) is Report.BUSY
    assert bench.warehouse.job(names.merge_job_id(batch_id, 1), wait=A_WHILE).state is JobState.DONE

    assert bench.consolidate(redrive) is Report.MERGED


def test_a_takeover_that_finds_the_job_done_verifies_what_it_did(bench: Bench) -> None:
    batch_id = a_settled_batch(bench)
    with dying(bench, after_submission=True):
        bench.consolidate(batch_id)
    assert bench.warehouse.job(names.merge_job_id(batch_id, 1), wait=A_WHILE).state is JobState.DONE
    assert numbers(bench, batch_id) == [(1, "submitted")]

    assert take_over(bench, batch_id) is Report.MERGED

    assert is_whole(bench, batch_id)
    assert numbers(bench, batch_id) == [(1, "done")]
    assert len(bench.warehouse.submitted) == 1


def test_a_takeover_that_finds_the_job_done_for_fewer_players_runs_the_next(bench: Bench) -> None:
    lenient = Policy(tolerated_failed_share=1)
    batch_id = bench.plan("ann", "bob", policy=lenient)
    bench.predict(batch_id, "ann")
    bench.fail(batch_id, "bob")
    with dying(bench, after_submission=True):
        bench.consolidate(batch_id)
    assert bench.warehouse.job(names.merge_job_id(batch_id, 1), wait=A_WHILE).state is JobState.DONE
    bench.predict(batch_id, "bob")

    assert take_over(bench, batch_id) is Report.MERGED

    assert is_whole(bench, batch_id)
    assert numbers(bench, batch_id) == [(1, "done"), (2, "done")]


def test_a_takeover_that_finds_the_job_failed_runs_the_next(bench: Bench) -> None:
    batch_id = a_settled_batch(bench)
    with dying(bench, after_submission=False):
        bench.consolidate(batch_id)
    failed = names.merge_job_id(batch_id, 1)
    bench.warehouse.inner.submit(FAILS, {}, job_id=failed)
    assert bench.warehouse.job(failed, wait=A_WHILE).state is JobState.FAILED

    assert take_over(bench, batch_id) is Report.MERGED

    assert is_whole(bench, batch_id)
    assert numbers(bench, batch_id) == [(1, "failed"), (2, "done")]
    assert "no_such_table" in str(bench.batch(batch_id).merges[0].error)


def test_a_crash_after_the_job_was_seen_done_is_finished_without_a_row_doubled(bench: Bench) -> None:
    batch_id = a_settled_batch(bench)

    def die(operation: str, _what: str) -> None:
        if operation == "query" and numbers(bench, batch_id) == [(1, "submitted")]:
            raise Crash

    bench.warehouse.before = die
    with pytest.raises(Crash):
        bench.consolidate(batch_id)
    bench.warehouse.before = lambda _operation, _what: None

    assert take_over(bench, batch_id) is Report.MERGED

    assert is_whole(bench, batch_id)


# --- a MERGE that fails ---------------------------------------------------------------------------------------


def doubled(bench: Bench, batch_id: str, player: str) -> None:
    """Put a player's row into the predictions table twice, so that retiring it gives two source rows for each."""
    (row,) = bench.rows(batch_id, player, ("20.5",))
    cells = {name: cell for name, cell in row.items() if name != DELIVERY_COLUMN}
    bench.warehouse.append(names.PREDICTIONS_TABLE, [cells, cells])


def test_a_merge_that_keeps_failing_ends_the_batch_with_the_jobs_own_words(bench: Bench) -> None:
    doubled(bench, bench.merged("cid", "dan", "eve", "fay"), "gone")
    batch_id = bench.plan("cid", "dan", "eve", "fay", policy=Policy(max_merge_attempts=2))
    bench.predict(batch_id, "cid", "dan", "eve", "fay")
    before = bench.table()
    for attempt in (1, 2):
        with pytest.raises(Unavailable, match="failed and will be tried again"):
            bench.consolidate(batch_id)
        assert bench.batch(batch_id).status is Status.RUNNING
        assert numbers(bench, batch_id) == [(n, "failed") for n in range(1, attempt + 1)]

    assert bench.consolidate(batch_id) is Report.REFUSED

    batch = bench.batch(batch_id)
    assert batch.status is Status.FAILED
    assert bench.result_code(batch_id) == "verification_refused"
    assert "2 MERGE jobs failed in a row" in bench.reason(batch_id)
    assert str(batch.merges[-1].error) in bench.reason(batch_id)
    assert bench.table() == before
    assert len(bench.staged(batch_id)) == 8


def test_a_batch_whose_merges_failed_merges_once_the_cause_is_gone_and_a_person_says_so(bench: Bench) -> None:
    doubled(bench, bench.merged("cid", "dan", "eve", "fay"), "gone")
    batch_id = bench.plan("cid", "dan", "eve", "fay", policy=Policy(max_merge_attempts=1))
    bench.predict(batch_id, "cid", "dan", "eve", "fay")
    with pytest.raises(Unavailable):
        bench.consolidate(batch_id)
    assert bench.consolidate(batch_id) is Report.REFUSED
    gone = an_id("gone", "20.5")
    bench.warehouse.query(f"DELETE FROM `{names.PREDICTIONS_TABLE}` WHERE `prediction_id` = '{gone}'")

    assert bench.consolidate(batch_id, forced=True) is Report.MERGED

    assert bench.batch(batch_id).status is Status.COMPLETE
    assert numbers(bench, batch_id) == [(1, "failed"), (2, "done")]
    assert bench.batch(batch_id).merged_rows.updated == 8


# --- a check that could not run -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["`of_another_batch`", "`distinct_ids`"], ids=["staging check", "count"])
def test_a_check_that_could_not_run_before_the_merge_is_a_failure(bench: Bench, text: str) -> None:
    batch_id = a_settled_batch(bench)

    def trouble(operation: str, what: str) -> None:
        if operation == "query" and text in what:
            raise Unavailable("the warehouse does not answer")

    bench.warehouse.before = trouble

    with pytest.raises(Unavailable, match="does not answer"):
        bench.consolidate(batch_id)

    assert bench.batch(batch_id).status is Status.RUNNING
    assert bench.warehouse.submitted == []
    assert bench.table() == []
    assert bench.finished.messages == []
    bench.warehouse.before = lambda _operation, _what: None
    assert bench.consolidate(batch_id) is Report.MERGED, "the lease is free and staging is kept"
    assert is_whole(bench, batch_id)


def test_a_check_that_could_not_run_after_the_merge_is_a_failure(bench: Bench) -> None:
    batch_id = a_settled_batch(bench)

    def trouble(operation: str, _what: str) -> None:
        if operation == "query" and bench.warehouse.submitted:
            raise Unavailable("the warehouse does not answer")

    bench.warehouse.before = trouble

    with pytest.raises(Unavailable, match="does not answer"):
        bench.consolidate(batch_id)

    assert bench.batch(batch_id).status is Status.RUNNING
    assert bench.finished.messages == []
    assert "merged" not in bench.fields(date_path(GAME_DATE))
    bench.warehouse.before = lambda _operation, _what: None
    assert bench.consolidate(batch_id) is Report.MERGED
    assert is_whole(bench, batch_id)


def test_a_merge_that_did_not_bring_the_rows_is_refused_afterwards(bench: Bench) -> None:
    batch_id = a_settled_batch(bench)

    def undo(operation: str, _what: str) -> None:
        if operation == "query" and bench.warehouse.submitted:
            bench.warehouse.inner.query(
                f"DELETE FROM `{names.PREDICTIONS_TABLE}` WHERE `prediction_id` = '{an_id('ann', '20.5')}'"
            )

    bench.warehouse.before = undo

    assert bench.consolidate(batch_id) is Report.REFUSED

    assert bench.batch(batch_id).status is Status.FAILED
    assert "after the MERGE 1 staged rows are not in the predictions table" in bench.reason(batch_id)
    assert "merged" not in bench.fields(date_path(GAME_DATE))


def test_a_merge_that_would_read_more_than_allowed_is_refused(bench: Bench) -> None:
    batch_id = a_settled_batch(bench)
    bench.max_bytes = 10

    assert bench.new_consolidator("two").consolidate(batch_id) is Report.REFUSED

    assert "TIPOFF_MAX_BYTES_PER_QUERY allows 10" in bench.reason(batch_id)
    assert bench.table() == []


# --- conservation ---------------------------------------------------------------------------------------------


def test_inserted_updated_and_unchanged_rows_add_up_to_the_staged_ones(bench: Bench) -> None:
    root = bench.merged("ann", "bob")
    older, newer = bench.plan("ann", "bob", "cid", parent=root), bench.plan("ann", parent=root)
    bench.predict(newer, "ann")
    assert bench.consolidate(newer) is Report.MERGED
    bench.predict(older, "ann", "bob", "cid")

    assert bench.consolidate(older) is Report.MERGED

    rows = bench.batch(older).merged_rows
    assert (rows.staged, rows.inserted, rows.updated, rows.unchanged) == (6, 2, 2, 2)


def test_the_counts_before_a_merge_are_what_it_did(bench: Bench) -> None:
    bench.merged("ann", "bob", "out")
    batch_id = bench.plan("ann", "cid")
    bench.predict(batch_id, "ann", "cid")
    before = {row["prediction_id"]: row for row in bench.table()}

    assert bench.consolidate(batch_id) is Report.REFUSED, "most rows would be retired"
    assert bench.consolidate(batch_id, forced=True) is Report.MERGED

    after = {row["prediction_id"]: row for row in bench.table()}
    counted = bench.batch(batch_id).merged_rows
    retired = [row for row in after.values() if row["superseded_by"] == batch_id]
    changed = [key for key in before if before[key] != after[key]]
    assert counted.inserted == len(after.keys() - before.keys()) == 2
    assert counted.superseded == len(retired) == 4
    assert counted.updated == len(changed) - len(retired) == 2
