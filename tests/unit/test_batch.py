"""A batch, and what a date's batches share, are documents and come back from them unchanged."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from coordinator.documents import BATCH, DATE, batch_path
from coordinator.rules.batch import Batch, BatchMark, DateRecord, Lease, Merge
from coordinator.rules.lifecycle import Status
from schemas import names
from schemas.messages import RowCounts
from shared.ports import Document
from shared.settings import Policy
from tests.plan_inputs import PLANNED_AT
from tests.stand.ledger import a_batch, a_result

LATER = PLANNED_AT + timedelta(minutes=5)


def rows(**counts: int) -> RowCounts:
    none = {"staged": 0, "inserted": 0, "updated": 0, "unchanged": 0, "superseded": 0}
    return RowCounts.model_validate(none | counts)


def a_merge(number: int = 1, **overrides: Any) -> Merge:
    fields: dict[str, Any] = {
        "number": number,
        "job_id": f"job-{number}",
        "state": "done",
        "counts": rows(staged=10, inserted=7, updated=3, superseded=2),
    }
    return Merge(**(fields | overrides))


def reread(batch: Batch, **changes: Any) -> Batch:
    """What comes back when the document holds these changes."""
    return BATCH.read(Document(batch_path(batch.batch_id), {**BATCH.fields(batch), **changes}, "7"))


# --- there and back -------------------------------------------------------------------------------------------


def test_a_new_batch_comes_back_from_its_document_unchanged() -> None:
    batch = a_batch(["a", "b"], policy=Policy(deadline_minutes=7, tolerated_failed_share=0.5), revision="r1")

    assert reread(batch) == batch
    assert reread(batch).version == "7"


def test_a_redrive_names_its_parent() -> None:
    batch = a_batch(kind="redrive", parent="20260130_0123456789abcdef")

    assert reread(batch) == batch


def test_an_ended_batch_comes_back_with_merges_marks_and_result() -> None:
    new = a_batch(["a", "b"])
    ended = replace(
        new,
        status=Status.PARTIAL,
        settled_shards=frozenset({0, 3}),
        merges=(a_merge(1, state="failed", error="out of memory"), a_merge(2)),
        result=a_result(reason="1 of 2 players are missing: b", at=LATER),
        notified="an-event",
        overtaken_by="20260130_ffffffffffffffff",
        late_refusal="not the ledger's",
    )

    back = reread(
        new,
        status="PARTIAL",
        settled_shards={"0": True, "3": True},
        merges={
            str(merge.number): {
                "job_id": merge.job_id,
                "state": merge.state,
                "counts": merge.counts.model_dump(),
                "error": merge.error,
            }
            for merge in ended.merges
        },
        result=BATCH.fields(ended)["result"],
        notified=ended.notified,
        overtaken_by=ended.overtaken_by,
        late_refusal=ended.late_refusal,
    )

    assert back == ended


def test_merges_come_back_in_the_order_of_their_numbers_not_of_their_texts() -> None:
    batch = reread(a_batch(merges=tuple(a_merge(number) for number in (10, 9, 1, 2))))

    assert [merge.number for merge in batch.merges] == [1, 2, 9, 10]
    assert batch.last_merge == a_merge(10)


def test_the_document_says_when_it_may_go() -> None:
    fields = BATCH.fields(a_batch(["a"], shard_starts=("a", "k")))

    assert fields["expires_at"] == PLANNED_AT + timedelta(days=180)


def test_a_change_stores_what_differs_between_the_documents_and_nothing_else() -> None:
    before = a_batch(["a"], merges=(a_merge(),))
    after = replace(before, status=Status.PARTIAL, result=a_result(), merges=(a_merge(), a_merge(2)), notified="x")

    changes = BATCH.changes(before, after)

    assert changes.keys() == {"status", "result", "merges", "notified"}
    assert {**BATCH.fields(before), **changes} == BATCH.fields(after)
    assert BATCH.changes(before, before) == {}


def test_a_newer_batch_makes_the_document_of_its_date_stay_longer() -> None:
    before = DateRecord(BatchMark("a", PLANNED_AT), BatchMark("a", PLANNED_AT))
    after = replace(before, newest=BatchMark("b", LATER))

    changes = DATE.changes(before, after)

    assert changes.keys() == {"newest", "expires_at"}
    assert {**DATE.fields(before), **changes} == DATE.fields(after)


def test_what_a_date_shares_comes_back_unchanged() -> None:
    lease = Lease(epoch=3, holder="one", batch_id="b", merge_no=2, expires_at=LATER)
    mark, merged = BatchMark("b", LATER), BatchMark("a", PLANNED_AT)
    fields = {"newest": asdict(mark), "merged": asdict(merged), "lease": asdict(lease)}

    assert DATE.read(Document(("dates", "2026-01-30"), fields, "1")) == DateRecord(mark, merged, lease)


def test_a_new_date_has_a_newest_batch_and_nothing_else() -> None:
    fields = {"newest": asdict(BatchMark("b", LATER))}

    assert DATE.read(Document(("dates", "2026-01-30"), fields, "1")) == DateRecord(BatchMark("b", LATER), None, Lease())


# --- state, rows, news ----------------------------------------------------------------------------------------


def test_a_complete_of_nobody_is_empty_and_no_other_is() -> None:
    nobody, somebody = a_batch([]), a_batch(["a"])

    assert replace(nobody, status=Status.COMPLETE).state == "EMPTY"
    assert replace(nobody, status=Status.RUNNING).state == "RUNNING"
    assert replace(somebody, status=Status.COMPLETE).state == "COMPLETE"


def test_rows_are_what_all_finished_merges_did_together() -> None:
    failed = a_merge(2, state="failed", counts=rows(staged=10, inserted=10, superseded=4))
    second = a_merge(3, counts=rows(staged=14, inserted=4, unchanged=10, superseded=1))
    submitted = a_merge(4, state="submitted", counts=rows(staged=20, inserted=6))

    batch = replace(a_batch(), merges=(a_merge(1), failed, second, submitted))

    assert batch.merged_rows == rows(staged=14, inserted=11, updated=3, unchanged=0, superseded=3)


def test_the_same_news_has_the_same_id_and_other_news_another() -> None:
    batch = replace(a_batch(), status=Status.PARTIAL, merges=(a_merge(1),))

    assert batch.event_id == names.event_id(batch.batch_id, "PARTIAL", 1)
    assert replace(batch, notified="x", overtaken_by="y").event_id == batch.event_id
    assert replace(batch, merges=(a_merge(1), a_merge(2, state="submitted"))).event_id == batch.event_id
    assert replace(batch, merges=(a_merge(1), a_merge(2))).event_id != batch.event_id
    assert replace(batch, status=Status.COMPLETE).event_id != batch.event_id


def test_only_a_newer_merged_root_overtakes_a_batch() -> None:
    batch = a_batch()
    day = DateRecord(BatchMark("b", LATER))
    newer = BatchMark("b", LATER)

    assert day.overtakes(batch) is None
    assert replace(day, merged=BatchMark(batch.batch_id, batch.planned_at)).overtakes(batch) is None
    assert replace(day, merged=BatchMark("a", PLANNED_AT - timedelta(days=1))).overtakes(batch) is None
    assert replace(day, merged=newer).overtakes(batch) == newer


# --- lease ----------------------------------------------------------------------------------------------------


def test_a_lease_is_held_until_the_moment_it_expires() -> None:
    lease = Lease().taken_by("one", "b", until=LATER)

    assert lease.is_held(LATER - timedelta(microseconds=1))
    assert not lease.is_held(LATER)
    assert not lease.released().is_held(PLANNED_AT)
    assert not Lease().is_held(PLANNED_AT)


def test_each_taking_is_a_new_epoch_and_keeps_only_the_same_batchs_merge_in_mind() -> None:
    lease = replace(Lease().taken_by("one", "b", until=LATER), merge_no=4)

    again, other = lease.taken_by("two", "b", until=LATER), lease.released().taken_by("two", "c", until=LATER)

    assert [lease.epoch, again.epoch, other.epoch] == [1, 2, 2]
    assert (again.merge_no, other.merge_no) == (4, None)
    assert lease.released().merge_no == 4


# --- policy ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("tolerated_failed_share", "tolerated_silent_share", "max_retired_share")
            for value in (-0.01, 1.01, 5, float("nan"), float("inf"))
        ),
        *((name, value) for name in ("deadline_minutes", "max_merge_attempts") for value in (0, -1)),
        *((name, -1) for name in ("republish_after_minutes", "max_republishes")),
    ],
)
def test_a_bad_value_of_a_policy_is_named(name: str, value: float) -> None:
    with pytest.raises(ValidationError) as refused:
        Policy.model_validate({name: value})

    assert [one["loc"] for one in refused.value.errors()] == [(name,)]


def test_the_borders_of_a_policy_are_allowed() -> None:
    smallest = Policy(
        deadline_minutes=1,
        republish_after_minutes=0,
        max_republishes=0,
        tolerated_failed_share=0,
        tolerated_silent_share=0,
        max_retired_share=0,
        max_merge_attempts=1,
    )
    shares = Policy(tolerated_failed_share=1, tolerated_silent_share=1, max_retired_share=1)

    assert Policy.model_validate(smallest.model_dump()) == smallest
    assert shares.tolerated_failed_share == 1
    assert Policy(republish_after_minutes=90).republish_after == timedelta(hours=1, minutes=30)


def test_who_was_missing_at_its_end_is_what_its_result_says() -> None:
    batch = a_batch()

    assert batch.missing_at_end == 0
    assert replace(batch, result=a_result(expected=9, predicted=3, skipped=1, failed=2, silent=3)).missing_at_end == 5
