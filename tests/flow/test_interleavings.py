"""The interleavings that break such designs, one test each, over the real ledger and warehouse rules."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from coordinator.documents import batch_path, date_path
from coordinator.rules.lifecycle import Status
from coordinator.usecases.consolidate import Report
from schemas import names
from schemas.messages import Failed, FailureCode, Predicted, Skipped, SkipReason
from shared.errors import Conflict, LeaseLost, Unavailable
from shared.ports import JobState, Update
from tests.plan_inputs import GAME_DATE
from tests.stand.world import LEASE, PLAYERS, Crash, Stand, by_player

ROWS = 7 * (2 + 1) + 5
"""Seven systems for three real lines; of them two say nothing without one."""
"""Five systems, over two lines, one line and one estimated line."""


def is_whole(stand: Stand, batch_id: str) -> bool:
    """Whether the batch is COMPLETE with every player's rows in the table once and told once."""
    batch = stand.batch(batch_id)
    rows = stand.predictions(active=None)
    assert batch.status is Status.COMPLETE, batch.result
    assert len(rows) == len({row["prediction_id"] for row in rows}) == ROWS
    assert {row["prediction_version"] for row in rows} == {1}
    assert len({event.event_id for event in stand.events()}) == 1
    assert batch.merged_rows.inserted == ROWS
    return True


def a_failure(batch_id: str, player: str) -> Failed:
    return Failed(
        batch_id=batch_id, player_lookup=player, worker_revision="worker-0", code=FailureCode.PREDICTION_ERROR
    )


def a_skip(batch_id: str, player: str) -> Skipped:
    return Skipped(batch_id=batch_id, player_lookup=player, worker_revision="worker-0", reason=SkipReason.NO_HISTORY)


def test_every_outcome_before_running_is_written(stand: Stand) -> None:
    class Eager:
        """Answers each request the moment it is published, before `/start` has moved the batch to RUNNING."""

        def publish(self, messages: object) -> None:
            stand.requests.publish(messages)  # type: ignore[arg-type]  # a pass-through
            for player in PLAYERS:
                stand.record(stand.answer(player))

        def check(self) -> None:
            return

    early = stand.new_coordinator("early", requests=Eager())

    batch = early.starter.start(GAME_DATE, key="a-key", policy=early.parts.policy).batch

    assert is_whole(stand, batch.batch_id)


@pytest.mark.parametrize("first", [a_failure, a_skip])
def test_a_prediction_that_arrives_while_consolidating_is_merged_by_a_further_round(
    stand: Stand, first: Callable[[str, str], Failed | Skipped]
) -> None:
    batch_id = stand.start(policy=stand.coordinator.parts.policy).batch.batch_id
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    late = stand.answer(PLAYERS[2])
    lenient = stand.batch(batch_id)
    stand.documents.commit([Update(batch_path(lenient.batch_id), {("policy", "tolerated_failed_share"): 0.5})])

    def arrive(_job_id: str) -> None:
        stand.in_job.clear()
        assert stand.batch(batch_id).status is Status.CONSOLIDATING
        stand.record(late)

    stand.in_job.append(arrive)

    stand.record(first(batch_id, PLAYERS[2]))

    assert stand.batch(batch_id).status is Status.COMPLETE
    assert stand.predicted_players() == set(PLAYERS)
    assert len(stand.predictions(active=None)) == ROWS
    assert [merge.number for merge in stand.batch(batch_id).merges] == [1, 2]
    assert not stand.coordinator.views.batch(batch_id).late


def test_a_compare_and_set_disturbed_by_a_blind_write_is_tried_again(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    disturbed = []

    class Disturbed:
        """Slips a blind write to the same documents in front of every first conditional commit."""

        def __getattr__(self, name: str) -> object:
            return getattr(stand.documents, name)

        def commit(self, writes: list[Update]) -> list[str]:
            for write in writes:
                if getattr(write, "if_version", None) and write.path not in disturbed:
                    disturbed.append(write.path)
                    stand.documents.commit([Update(write.path, {("disturbed",): True})])
            return stand.documents.commit(writes)

    stand.coordinator = stand.new_coordinator("disturbed", documents=Disturbed())

    for player in PLAYERS:
        stand.record(stand.answer(player))

    assert is_whole(stand, batch_id)
    assert date_path(GAME_DATE) in disturbed
    assert ("batches", batch_id) in disturbed


def test_of_two_revisions_that_answer_for_one_player_one_delivery_counts(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    old = stand.answer(PLAYERS[0], revision="worker-1", version=1)
    new = stand.answer(PLAYERS[0], revision="worker-2", version=2)

    stand.record(old, new, old)
    stand.record(stand.answer(PLAYERS[1]), stand.answer(PLAYERS[2]))

    assert is_whole(stand, batch_id)
    assert stand.coordinator.views.batch(batch_id).answered_twice == [PLAYERS[0]]
    assert by_player(stand.predictions(), "raw_confidence_score")[PLAYERS[0]] != {None}, "the newer schema's rows count"


def test_a_second_revisions_answer_after_the_merge_changes_nothing(stand: Stand) -> None:
    batch = stand.run()
    before = stand.predictions(active=None)

    stand.record(stand.answer(PLAYERS[0], revision="worker-2"))

    assert stand.predictions(active=None) == before
    assert len(stand.batch(batch.batch_id).merges) == 1


def test_force_while_a_merge_is_in_flight_is_refused_until_it_has_ended(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    refused: list[Conflict] = []

    def force(_job_id: str) -> None:
        stand.in_job.clear()
        with pytest.raises(Conflict) as caught:
            stand.start("another-key", force=batch_id)
        refused.append(caught.value)

    stand.in_job.append(force)

    for player in PLAYERS:
        stand.record(stand.answer(player))

    assert is_whole(stand, batch_id)
    assert "CONSOLIDATING" in str(refused[0])


def test_force_after_an_attempt_that_left_its_merge_in_flight_is_refused(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    release = threading.Event()
    stand.in_job.append(lambda _job_id: release.wait(10))
    impatient = stand.new_coordinator("impatient", renew_every=timedelta(milliseconds=1))
    hasty = replace(impatient.consolidator, patience=timedelta(milliseconds=2))
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    with pytest.raises(Unavailable, match="has not ended"):
        replace(stand.coordinator.recorder, consolidator=hasty).record([stand.answer(PLAYERS[2])])
    assert stand.batch(batch_id).status is Status.RUNNING

    with pytest.raises(Conflict, match="still runs"):
        stand.start("another-key", force=batch_id)

    release.set()
    stand.in_job.clear()
    assert stand.coordinator.consolidator.consolidate(batch_id) is Report.MERGED
    assert is_whole(stand, batch_id)


def test_a_lease_that_expires_during_the_merge_passes_on_with_the_same_job(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    answers = [stand.answer(player) for player in PLAYERS]
    stand.record(*answers[:2])
    in_job, release = threading.Event(), threading.Event()

    def block(_job_id: str) -> None:
        in_job.set()
        release.wait(20)

    stand.in_job.append(block)
    first = stand.new_coordinator("one", renew_every=timedelta(seconds=30))
    second = stand.new_coordinator("two", renew_every=timedelta(milliseconds=20))
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(first.recorder.record, [answers[2]])
        assert in_job.wait(20)
        stand.pass_time(LEASE * 2)
        taking_over = pool.submit(second.consolidator.consolidate, batch_id)
        while stand.coordinator.ledger.entry(batch_id).day.lease.holder != "two":
            assert not taking_over.done()
        release.set()

        assert taking_over.result() is Report.MERGED
        with pytest.raises(LeaseLost):
            slow.result()

    assert is_whole(stand, batch_id)
    assert [merge.number for merge in stand.batch(batch_id).merges] == [1]


def test_a_zombie_that_wakes_before_its_submission_cannot_run_a_second_merge(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    answers = [stand.answer(player) for player in PLAYERS]
    stand.record(*answers[:2])
    sleeping = SleepingWarehouse(stand)
    zombie = stand.new_coordinator("zombie", warehouse=sleeping)
    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(zombie.recorder.record, [answers[2]])
        assert sleeping.about_to_submit.wait(20)
        stand.pass_time(LEASE * 2)
        stand.coordinator = stand.new_coordinator("two")
        stand.coordinator.sweeper.sweep()
        assert is_whole(stand, batch_id)
        before = stand.predictions(active=None)

        sleeping.wake.set()

        with pytest.raises(LeaseLost):
            asleep.result()
    assert stand.predictions(active=None) == before
    assert is_whole(stand, batch_id)


def test_another_batchs_unsubmitted_merge_is_used_up_before_its_lease_is_taken_over(stand: Stand) -> None:
    first = stand.start("first").batch
    stand.record(a_skip(first.batch_id, PLAYERS[0]), *(stand.answer(player) for player in PLAYERS[1:]))
    late = stand.answer(PLAYERS[0])
    sleeping = SleepingWarehouse(stand)
    zombie = stand.new_coordinator("zombie", warehouse=sleeping)
    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(zombie.recorder.record, [late])
        assert sleeping.about_to_submit.wait(20)
        stand.pass_time(LEASE * 2)
        second = stand.run("second")
        assert second.status is Status.COMPLETE
        before = stand.predictions(active=None)

        sleeping.wake.set()

        with pytest.raises(LeaseLost):
            asleep.result()
    assert stand.predictions(active=None) == before
    assert stand.warehouse.job(names.merge_job_id(first.batch_id, 2)).state is JobState.FAILED


def test_a_delivery_that_a_merge_carries_counts_whatever_is_recorded_before_the_next_holder_looks(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    answers = [stand.answer(player, version=1) for player in PLAYERS]
    stand.record(*answers[:2])

    def die_after_the_job(_job_id: str) -> None:
        stand.in_job.clear()
        stand.countdown.left = 0

    stand.in_job.append(die_after_the_job)
    with pytest.raises(Crash):
        stand.record(answers[2])
    stand.countdown.left = None
    assert stand.warehouse.job(names.merge_job_id(batch_id, 1), wait=LEASE).state is JobState.DONE
    stand.pass_time(LEASE * 2)
    stand.coordinator = stand.new_coordinator("two")

    stand.record(stand.answer(PLAYERS[0], revision="worker-2", version=2))
    stand.coordinator.sweeper.sweep()

    assert is_whole(stand, batch_id)
    shard = stand.documents.get(("batches", batch_id, "shards", "0"))
    assert shard is not None
    carried = {one.player_lookup: one.delivery for one in answers if isinstance(one, Predicted)}
    assert shard.fields["merged"] == carried
    assert carried.keys() == set(PLAYERS)


class SleepingWarehouse:
    """A warehouse whose caller falls asleep just before it submits a job, until it is woken."""

    def __init__(self, stand: Stand) -> None:
        self._inner = stand.warehouse
        self.about_to_submit, self.wake = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def submit(self, sql: str, parameters: object, *, job_id: str) -> None:
        self.about_to_submit.set()
        self.wake.wait(20)
        self._inner.submit(sql, parameters, job_id=job_id)  # type: ignore[arg-type]  # a pass-through
