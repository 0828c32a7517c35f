"""What is due for a ledger, when, and who may do it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from coordinator.rules.batch import Batch, BatchMark, DateRecord, Lease
from coordinator.rules.due import By, Look, Step, closing, due, due_now
from coordinator.rules.entries import Shard
from coordinator.rules.lifecycle import Status
from tests.plan_inputs import PLANNED_AT
from tests.stand.ledger import a_batch, a_look, a_result, a_shard, failed, predicted

MINUTE = timedelta(minutes=1)
PLAYERS = ["player-1", "player-2"]
BATCH = a_batch(PLAYERS, status=Status.RUNNING)
DAY = DateRecord(BatchMark(BATCH.batch_id, PLANNED_AT))
WAITING = replace(a_shard(PLAYERS, [predicted("player-1")]), published_at=PLANNED_AT, publishes=1)
SETTLED = replace(a_shard(PLAYERS, [predicted("player-1"), failed("player-2")]), published_at=PLANNED_AT, publishes=1)


def test_silent_players_hold_a_batch_open_until_its_deadline() -> None:
    before, after = (a_look(BATCH, [WAITING], DAY, now=BATCH.deadline_at + away) for away in (-MINUTE, timedelta(0)))

    decided = closing(before)

    assert decided is not None
    assert (decided.step, decided.at) == (Step.DECIDE, BATCH.deadline_at)
    assert Step.DECIDE not in {one.step for one in due_now(before, By.SWEEP)}
    assert Step.DECIDE in {one.step for one in due_now(after, By.SWEEP)}
    assert due_now(after, By.EVENT) == (), "a deadline is no event; the sweep keeps time"


def test_whoever_records_the_last_outcome_consolidates() -> None:
    look = a_look(BATCH, [SETTLED], DAY, now=PLANNED_AT + MINUTE)

    assert [one.step for one in due_now(look, By.EVENT)] == [Step.CONSOLIDATE]


def test_a_consolidation_waits_for_the_lease_of_another() -> None:
    until = PLANNED_AT + 3 * MINUTE
    day = replace(DAY, lease=Lease(epoch=1, holder="other", batch_id="another", expires_at=until))

    decided = closing(a_look(BATCH, [SETTLED], day, now=PLANNED_AT + MINUTE))

    assert decided is not None
    assert decided.at == until


@pytest.mark.parametrize(
    ("minutes", "publishes", "at"), [(5, 1, 15), (20, 1, 15), (5, 0, 0)], ids=["later", "now", "never published"]
)
def test_a_silent_request_is_published_again_when_its_time_has_come(minutes: int, publishes: int, at: int) -> None:
    published_at = PLANNED_AT if publishes else None
    shard = replace(WAITING, published_at=published_at, publishes=publishes)

    (again,) = (
        one
        for one in due(a_look(BATCH, [shard], DAY, now=PLANNED_AT + minutes * MINUTE))
        if one.step is Step.PUBLISH_AGAIN
    )

    assert again.at == PLANNED_AT + at * MINUTE
    assert again.players == {"player-2"}


def test_shards_that_were_published_one_after_the_other_are_promised_together() -> None:
    seconds = (0, 20, 600)
    shards = [
        replace(
            WAITING, number=n, expected=frozenset({f"silent-{n}"}), published_at=PLANNED_AT + timedelta(seconds=after)
        )
        for n, after in enumerate(seconds)
    ]
    batch = replace(BATCH, shard_starts=tuple(f"silent-{n}" for n in range(len(seconds))))

    (again,) = (one for one in due(a_look(batch, shards, DAY, now=PLANNED_AT)) if one.step is Step.PUBLISH_AGAIN)

    assert again.players == {"silent-0", "silent-1"}
    assert again.at == PLANNED_AT + 15 * MINUTE + timedelta(seconds=20)


def test_nothing_is_due_past_its_late_until() -> None:
    assert due(a_look(BATCH, [SETTLED], DAY, now=BATCH.late_until + MINUTE)) == ()


def test_a_refusal_is_for_a_person_and_no_sweep_repeats_it() -> None:
    refused = replace(
        BATCH,
        status=Status.FAILED,
        result=a_result("verification_refused", reason="rows are missing", failed=1),
    )
    refused = replace(refused, notified=refused.event_id, staging_looked_at=PLANNED_AT)

    (asked,) = (
        one for one in due(a_look(refused, [SETTLED], DAY, now=PLANNED_AT + MINUTE)) if one.at <= PLANNED_AT + MINUTE
    )

    assert (asked.step, asked.by, asked.to_do) == (Step.ASK, frozenset({By.PERSON}), "rows are missing")


def test_of_a_batch_that_ended_whole_no_shard_need_be_read() -> None:
    def not_read() -> list[Shard]:
        raise AssertionError("a shard was read")

    def no_other() -> Batch | None:
        raise AssertionError("another batch was read")

    whole = replace(BATCH, status=Status.COMPLETE, result=a_result(predicted=BATCH.expected_count))
    whole = replace(whole, notified=whole.event_id)

    look = Look(batch=whole, read_shards=not_read, read_day=lambda: DAY, read_living=no_other, now=PLANNED_AT + MINUTE)
    assert due(look) == ()
