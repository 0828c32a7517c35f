"""What the simulation found in the product, each as the shortest story that shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from coordinator.rules.lifecycle import Status
from coordinator.usecases.cancel import cancel
from coordinator.usecases.change_policy import change_policy
from coordinator.usecases.consolidate import Report
from schemas import names
from schemas.messages import Failed, FailureCode
from shared.errors import Conflict, Unavailable
from shared.ports import JobState, Parameters, Update, Write
from shared.settings import Policy
from tests.plan_inputs import GAME_DATE
from tests.stand.world import LEASE, PLAYERS, Crash, Stand, a_league

A_WHILE = timedelta(seconds=30)
FAILS = "SELECT * FROM `no_such_table`"


def a_failure(batch_id: str, player: str) -> Failed:
    return Failed(
        batch_id=batch_id, player_lookup=player, worker_revision="worker-1", code=FailureCode.PREDICTION_ERROR
    )


def die_in_job(stand: Stand) -> None:
    """Kill the coordinator at its next effect after its MERGE has run."""

    def die(_job_id: str) -> None:
        stand.in_job.clear()
        stand.countdown.left = 0

    stand.in_job.append(die)


def another_coordinator(stand: Stand, name: str) -> None:
    stand.countdown.left = None
    stand.pass_time(LEASE * 2)
    stand.coordinator = stand.new_coordinator(name)


def test_a_takeover_carries_out_the_landed_merge_though_the_policy_has_become_stricter(stand: Stand) -> None:
    batch_id = stand.start(policy=Policy(tolerated_failed_share=1)).batch.batch_id
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    die_in_job(stand)
    with pytest.raises(Crash):
        stand.record(a_failure(batch_id, PLAYERS[2]))
    another_coordinator(stand, "two")
    change_policy(
        stand.coordinator.ledger, batch_id, lambda policy: policy.model_copy(update={"tolerated_failed_share": 0.0})
    )

    stand.coordinator.sweeper.sweep()

    assert stand.batch(batch_id).status is Status.PARTIAL, "the table holds the rows, so nobody may hear FAILED"
    assert [event.state for event in stand.events()] == ["PARTIAL"]
    assert stand.events()[0].rows.inserted == len(stand.predictions())


def test_a_takeover_of_a_forced_consolidation_carries_out_its_landed_merge(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    stand.record(stand.answer(PLAYERS[0]))
    die_in_job(stand)
    with pytest.raises(Crash):
        stand.coordinator.consolidator.consolidate(batch_id, forced=True)
    another_coordinator(stand, "two")
    stand.now = stand.batch(batch_id).deadline_at

    stand.coordinator.sweeper.sweep()

    assert stand.batch(batch_id).status is Status.PARTIAL
    assert stand.predicted_players() == {PLAYERS[0]}


def test_a_batch_of_which_an_earlier_merge_has_landed_is_not_cancelled(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    die_in_job(stand)
    with pytest.raises(Crash):
        stand.record(stand.answer(PLAYERS[2]))
    another_coordinator(stand, "two")
    stand.record(stand.answer(PLAYERS[0], version=1))  # so that a takeover has more to merge than has landed
    batch = stand.batch(batch_id)
    landed = replace(batch.merges[0], state="done")
    failed = replace(landed, number=2, job_id=names.merge_job_id(batch_id, 2), state="failed", error="lost")
    stand.coordinator.ledger.change_batch(
        batch_id, lambda found: replace(found, merges=(landed, failed), status=Status.RUNNING)
    )

    with pytest.raises(Conflict, match="has landed"):
        cancel(stand.coordinator.ledger, stand.warehouse, batch_id)

    assert stand.batch(batch_id).status is Status.RUNNING


def test_a_merge_that_is_recorded_as_done_is_not_run_again(stand: Stand) -> None:
    batch_id = stand.start(policy=Policy(max_merge_attempts=1)).batch.batch_id
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    late = stand.answer(PLAYERS[2])

    class Refusing:
        """Refuses service when the batch is to be marked as ended."""

        def __getattr__(self, name: str) -> object:
            return getattr(stand.documents, name)

        def commit(self, writes: Sequence[Write]) -> list[str]:
            if any(write.fields.get(("status",)) == "COMPLETE" for write in writes if isinstance(write, Update)):
                raise Unavailable("no answer")
            return stand.documents.commit(writes)

    stand.coordinator = stand.new_coordinator("one", documents=Refusing())
    with pytest.raises(Unavailable):
        stand.record(late)
    stand.coordinator = stand.new_coordinator("two")
    assert stand.batch(batch_id).status is Status.RUNNING
    assert stand.batch(batch_id).merges[-1].state == "done"
    before = [merge.number for merge in stand.batch(batch_id).merges]
    stand.warehouse.submit(FAILS, {}, job_id=names.merge_job_id(batch_id, before[-1] + 1))

    stand.coordinator.sweeper.sweep()

    assert stand.batch(batch_id).status is Status.COMPLETE
    assert [merge.number for merge in stand.batch(batch_id).merges] == before


class LateWarehouse:
    """A warehouse whose first submission of a MERGE gets no answer, and lands when a test says so."""

    def __init__(self, stand: Stand) -> None:
        self._inner = stand.warehouse
        self.lost: list[tuple[str, Parameters, str]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def submit(self, sql: str, parameters: Parameters, *, job_id: str) -> None:
        if not self.lost:
            self.lost.append((sql, parameters, job_id))
            raise Unavailable("no answer")
        self._inner.submit(sql, parameters, job_id=job_id)

    def land(self) -> None:
        (sql, parameters, job_id) = self.lost[0]
        self._inner.submit(sql, parameters, job_id=job_id)
        self._inner.job(job_id, wait=A_WHILE)


def lost_submission(stand: Stand) -> LateWarehouse:
    """Have the last player answer, and the MERGE that this brings be submitted without a word of what became of it."""
    late = LateWarehouse(stand)
    stand.coordinator = stand.new_coordinator("one", warehouse=late)
    with pytest.raises(Unavailable):
        stand.record(stand.answer(PLAYERS[2]))
    return late


def test_a_submission_that_lands_after_a_takeover_looked_for_it_changes_nothing(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    late = lost_submission(stand)
    stand.coordinator = stand.new_coordinator("two")

    assert stand.coordinator.consolidator.consolidate(batch_id) is Report.MERGED
    before = stand.predictions(active=None)
    late.land()

    assert stand.predictions(active=None) == before
    assert stand.batch(batch_id).merged_rows.inserted == len(before)
    assert [merge.state for merge in stand.batch(batch_id).merges] == ["failed", "done"]


def test_a_late_rounds_lost_submission_cannot_land_after_a_newer_root(stand: Stand) -> None:
    first = stand.start("first", policy=Policy(tolerated_failed_share=1)).batch
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]), a_failure(first.batch_id, PLAYERS[2]))
    assert stand.batch(first.batch_id).status is Status.PARTIAL
    late = lost_submission(stand)
    stand.coordinator = stand.new_coordinator("two")
    stand.load(a_league(2))  # the newer root does not expect the late player, so that no newer row of his is in the way
    stand.run("second")
    before = stand.predictions(active=None)

    late.land()

    assert stand.predictions(active=None) == before


def test_cancelling_twice_around_a_lost_submission_is_no_conflict(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    late = lost_submission(stand)
    job_id = names.merge_job_id(batch_id, 1)

    class Disturbed:
        """Slips another write in front of the first change of the batch, so that it is decided on twice."""

        was_disturbed = False

        def __getattr__(self, name: str) -> object:
            return getattr(stand.documents, name)

        def commit(self, writes: Sequence[Write]) -> list[str]:
            if not self.was_disturbed:
                self.was_disturbed = True
                stand.coordinator.ledger.change_batch(batch_id, lambda found: replace(found, revision="other"))
            return stand.documents.commit(writes)

    disturbed = stand.new_coordinator("two", documents=Disturbed())

    assert cancel(disturbed.ledger, stand.warehouse, batch_id).status is Status.CANCELLED
    late.land()

    assert stand.warehouse.job(job_id).state is JobState.FAILED
    assert stand.predictions(active=None) == []


def test_a_failed_batch_is_not_forced_beside_a_newer_one_that_lives(stand: Stand) -> None:
    failed = stand.run(players=PLAYERS[:1], policy=Policy(deadline_minutes=30, tolerated_silent_share=0))
    stand.pass_time(timedelta(minutes=31))
    stand.coordinator.sweeper.sweep()
    newer = stand.start("another-key").batch
    consolidate = stand.coordinator.consolidator.consolidate

    with pytest.raises(Conflict, match=f"batch {newer.batch_id} of the date has not ended"):
        consolidate(failed.batch_id, forced=True)

    assert stand.batch(failed.batch_id).status is Status.FAILED
    explained = stand.coordinator.diagnosis.explain(failed.batch_id)
    assert not any("--force" in action.command for action in explained.actions)
    assert any("until it ends this one cannot be consolidated by force" in one.text for one in explained.sentences)
    cancel(stand.coordinator.ledger, stand.warehouse, newer.batch_id)
    assert consolidate(failed.batch_id, forced=True) is Report.MERGED
    assert stand.predicted_players() == {PLAYERS[0]}


def test_an_old_batch_that_is_forced_holds_up_every_other_of_its_date_while_it_lives(stand: Stand) -> None:
    failed = []
    for key in ("first", "second"):
        policy = Policy(deadline_minutes=30, tolerated_silent_share=0)
        failed.append(stand.run(key, players=PLAYERS[:1], policy=policy).batch_id)
        stand.pass_time(timedelta(minutes=31))
        stand.coordinator.sweeper.sweep()
    die_in_job(stand)
    with pytest.raises(Crash):
        stand.coordinator.consolidator.consolidate(failed[0], forced=True)
    another_coordinator(stand, "two")

    asked: list[Callable[[], object]] = [
        lambda: stand.start("third"),
        lambda: stand.coordinator.consolidator.consolidate(failed[1], forced=True),
        lambda: stand.coordinator.redriver.redrive(failed[1], key="redrive"),
    ]
    for ask in asked:
        with pytest.raises(Conflict, match=failed[0]):
            ask()

    batches = stand.coordinator.ledger.batches_of(GAME_DATE)
    assert [one.batch_id for one in batches if one.is_live] == [failed[0]]
    stand.coordinator.sweeper.sweep()
    assert stand.batch(failed[0]).status is Status.PARTIAL
    assert stand.start("third").is_new
