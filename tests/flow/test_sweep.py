"""The sweep repairs or finishes whatever events did not: one test for each thing that it looks for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from coordinator.rules.batch import MergedResult
from coordinator.rules.lifecycle import Status
from coordinator.usecases.sweep_report import Swept, Verdict
from shared.errors import Transient, Unavailable
from shared.ports import Update
from shared.settings import Policy
from tests.stand.front import Outage
from tests.stand.ledger import a_skip
from tests.stand.world import LEASE, PLAYERS, Crash, Stand

POLICY = Policy(deadline_minutes=60, republish_after_minutes=10, max_republishes=2, tolerated_silent_share=0.34)
SILENCE = timedelta(minutes=10)
DEADLINE = timedelta(minutes=60)
A_MOMENT = timedelta(microseconds=1)


def sweep(stand: Stand) -> Swept:
    """Sweep, when there is one batch."""
    (swept,) = stand.coordinator.sweeper.sweep()
    return swept


def started(stand: Stand, policy: Policy = POLICY) -> str:
    return stand.start(policy=policy).batch.batch_id


def published(stand: Stand) -> list[str]:
    """Whose requests were published so far, in order."""
    return stand.sent()


# --- publishing -----------------------------------------------------------------------------------------------


def test_nothing_is_done_where_nothing_is_due(stand: Stand) -> None:
    assert stand.coordinator.sweeper.sweep() == []
    batch_id = started(stand)
    before = stand.batch(batch_id)

    swept = sweep(stand)

    assert swept == Swept(batch_id, Verdict.NOTHING, "RUNNING")
    assert stand.batch(batch_id) == before
    assert published(stand) == list(PLAYERS)


def test_what_was_never_published_is_published(stand: Stand) -> None:
    stand.requests.fail_next(1)
    with pytest.raises(Unavailable):
        started(stand)
    assert published(stand) == []

    swept = sweep(stand)

    assert swept.did == ["published what was never published"]
    assert swept.state == "RUNNING"
    assert published(stand) == list(PLAYERS)


def test_silent_players_are_published_again_the_same_bytes(stand: Stand) -> None:
    batch_id = started(stand)
    before = {player: stand.request(player) for player in PLAYERS}
    stand.record(stand.answer(PLAYERS[1]))
    stand.pass_time(SILENCE)

    swept = sweep(stand)

    assert swept.did == ["published 2 silent players again"]
    assert published(stand) == [*PLAYERS, PLAYERS[0], PLAYERS[2]]
    assert {player: stand.request(player) for player in PLAYERS} == before
    assert [message.attributes["slice"] for message in stand.requests.messages] == ["0:3", "0:1", "2:3"]
    assert stand.batch(batch_id).status is Status.RUNNING


def test_before_that_silence_nobody_is_published_again(stand: Stand) -> None:
    started(stand)
    stand.pass_time(SILENCE - A_MOMENT)

    assert sweep(stand).did == []
    assert len(published(stand)) == 3


def test_a_sweeps_own_look_does_not_make_silence_younger(stand: Stand) -> None:
    started(stand)
    for _ in range(4):
        stand.pass_time(SILENCE / 4)
        last = sweep(stand)

    assert last.did == ["published 3 silent players again"]


def test_silence_counts_anew_from_the_last_publishing(stand: Stand) -> None:
    started(stand)
    stand.pass_time(SILENCE)
    sweep(stand)
    stand.pass_time(SILENCE - A_MOMENT)
    assert sweep(stand).did == []

    stand.pass_time(A_MOMENT)

    assert sweep(stand).did == ["published 3 silent players again"]


def test_nobody_is_published_again_more_often_than_the_policy_allows(stand: Stand) -> None:
    started(stand)

    for _ in range(5):
        stand.pass_time(SILENCE)
        sweep(stand)

    assert published(stand) == list(PLAYERS) * (1 + POLICY.max_republishes)


def test_a_publishing_that_failed_is_tried_again_by_the_next_sweep(stand: Stand) -> None:
    started(stand)
    stand.pass_time(SILENCE)
    stand.requests.fail_next(1)

    assert sweep(stand).verdict is Verdict.TRY_AGAIN
    assert sweep(stand).did == ["published 3 silent players again"]


# --- finishing ------------------------------------------------------------------------------------------------


def test_a_settled_batch_whose_last_event_could_not_consolidate_is_finished(stand: Stand) -> None:
    batch_id = started(stand)
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    last = stand.answer(PLAYERS[2])
    with pytest.raises(Crash), stand.crash_at(1):
        stand.record(last)
    assert stand.batch(batch_id).status is Status.RUNNING

    swept = sweep(stand)

    assert (swept.state, swept.verdict) == ("COMPLETE", Verdict.REPAIRED)
    assert swept.did == ["consolidation: merged"]
    assert stand.predicted_players() == set(PLAYERS)


def test_a_lease_is_taken_over_once_it_has_expired_and_not_before(stand: Stand) -> None:
    batch_id = started(stand)
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    last = stand.answer(PLAYERS[2])
    with pytest.raises(Crash), stand.crash_at(6):
        stand.record(last)
    assert stand.batch(batch_id).status is Status.CONSOLIDATING
    stand.coordinator = stand.new_coordinator("two")

    early = sweep(stand)
    stand.pass_time(LEASE)
    late = sweep(stand)

    assert (early.state, early.did) == ("CONSOLIDATING", [])
    assert (late.state, late.did) == ("COMPLETE", ["consolidation: merged"])
    assert [merge.number for merge in stand.batch(batch_id).merges] == [1]


def test_at_the_deadline_a_batch_within_the_tolerance_is_partial(stand: Stand) -> None:
    batch_id = started(stand)
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    stand.pass_time(DEADLINE - A_MOMENT)
    assert sweep(stand).state == "RUNNING"

    stand.pass_time(A_MOMENT)
    swept = sweep(stand)

    assert (swept.state, swept.verdict) == ("PARTIAL", Verdict.REPAIRED)
    assert stand.predicted_players() == set(PLAYERS[:2])
    assert [event.state for event in stand.events()] == ["PARTIAL"]
    assert stand.events()[0].reason == f"1 of 3 players are missing: {PLAYERS[2]}"
    assert stand.coordinator.views.batch(batch_id).silent == [PLAYERS[2]]


def test_at_the_deadline_a_batch_beyond_it_is_failed_and_says_why(stand: Stand) -> None:
    batch_id = started(stand)
    stand.record(stand.answer(PLAYERS[0]))
    stand.pass_time(DEADLINE)

    swept = sweep(stand)

    why = "2 of 3 players are silent; the policy tolerates 34.0%"
    assert (swept.state, swept.verdict) == ("FAILED", Verdict.NEEDS_A_PERSON)
    assert why in swept.why
    assert swept.command == f"tipoff consolidate {batch_id} --force"
    assert [(event.state, event.reason) for event in stand.events()] == [("FAILED", why)]
    assert stand.coordinator.views.batch(batch_id).silent == list(PLAYERS[1:])
    assert stand.predictions(active=None) == []


# --- improving ------------------------------------------------------------------------------------------------


def test_late_rows_after_partial_make_a_further_round_and_a_complete(stand: Stand) -> None:
    batch_id = started(stand)
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    stand.pass_time(DEADLINE)
    sweep(stand)
    late = stand.answer(PLAYERS[2])
    with pytest.raises(Crash), stand.crash_at(1):
        stand.record(late)

    swept = sweep(stand)

    assert (swept.state, swept.did[0]) == ("COMPLETE", "consolidation: merged")
    assert stand.predicted_players() == set(PLAYERS)
    assert [merge.number for merge in stand.batch(batch_id).merges] == [1, 2]
    assert [event.state for event in stand.events()] == ["PARTIAL", "COMPLETE"]
    assert sweep(stand).verdict is Verdict.NOTHING


def test_a_late_skip_after_partial_completes_the_batch_and_retires_the_players_old_rows(stand: Stand) -> None:
    stand.run("morning")
    assert stand.predicted_players() == set(PLAYERS)
    stand.pass_time(SILENCE)
    batch_id = stand.start("evening", policy=POLICY).batch.batch_id
    stand.record(*[stand.answer(player, batch_id=batch_id) for player in PLAYERS[:2]])
    stand.pass_time(DEADLINE)
    stand.coordinator.sweeper.sweep()
    assert stand.batch(batch_id).status is Status.PARTIAL
    assert stand.predicted_players() == set(PLAYERS), "the batch has nothing to say of the silent one"
    stand.record(a_skip(batch_id, PLAYERS[2]))
    assert stand.batch(batch_id).status is Status.PARTIAL, "who records it reads too little to know that it is news"

    stand.coordinator.sweeper.sweep()

    assert stand.batch(batch_id).status is Status.COMPLETE
    assert stand.predicted_players() == set(PLAYERS[:2])
    assert stand.events()[-1].state == "COMPLETE"
    merges = stand.batch(batch_id).merges
    stand.coordinator.sweeper.sweep()
    assert stand.batch(batch_id).merges == merges


@pytest.mark.parametrize(("arriving", "state"), [(1, "PARTIAL"), (2, "COMPLETE")])
def test_a_batch_failed_for_its_missing_players_improves_when_they_come(
    stand: Stand, arriving: int, state: str
) -> None:
    batch_id = started(stand)
    stand.record(stand.answer(PLAYERS[0]))
    stand.pass_time(DEADLINE)
    assert sweep(stand).state == "FAILED"

    stand.record(*[stand.answer(player) for player in PLAYERS[1 : 1 + arriving]])
    swept = sweep(stand)

    assert swept.state == state
    assert stand.predicted_players() == set(PLAYERS[: 1 + arriving])
    assert stand.events()[-1].state == state
    assert isinstance(stand.batch(batch_id).result, MergedResult)


def test_a_batch_failed_for_a_refusal_waits_for_a_person_whatever_comes(stand: Stand) -> None:
    batch_id = started(stand)
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    right = stand.answer(PLAYERS[2])
    stand.record(right.model_copy(update={"digest": "another"}))
    assert stand.batch(batch_id).status is Status.FAILED

    stand.record(right)
    swept = [sweep(stand) for _ in range(2)]

    assert {(one.state, one.verdict) for one in swept} == {("FAILED", Verdict.NEEDS_A_PERSON)}
    assert "the staged prediction ids are not the ledger's" in swept[1].why
    assert stand.predictions(active=None) == []
    assert [event.state for event in stand.events()] == ["FAILED"]


# --- telling --------------------------------------------------------------------------------------------------


def test_news_that_was_not_published_is_published_with_the_same_id(stand: Stand) -> None:
    batch_id = started(stand)
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    last = stand.answer(PLAYERS[2])
    stand.finished.fail_next(1)
    with pytest.raises(Unavailable):
        stand.record(last)
    assert stand.batch(batch_id).status is Status.COMPLETE
    assert stand.events() == []

    swept = sweep(stand)

    assert swept.did == ["published batch-finished"]
    assert [event.event_id for event in stand.events()] == [stand.batch(batch_id).event_id]
    assert sweep(stand).verdict is Verdict.NOTHING


def test_news_published_before_a_crash_is_published_again_with_the_same_id(stand: Stand) -> None:
    batch_id = stand.run(policy=POLICY).batch_id
    (told,) = stand.finished.messages
    stand.documents.commit([Update(("batches", batch_id), {("notified",): None})])

    sweep(stand)

    assert stand.finished.messages == [told, told]


def test_a_cancelled_batch_is_told_once_and_left_alone(stand: Stand) -> None:
    first = started(stand)
    outcome = stand.answer(PLAYERS[0])
    stand.start("another-key", policy=POLICY, force=first)
    stand.record(outcome)
    stand.pass_time(DEADLINE)

    swept = {one.batch_id: one for one in stand.coordinator.sweeper.sweep()}
    stand.coordinator.sweeper.sweep()

    assert (swept[first].state, swept[first].did) == ("CANCELLED", ["published batch-finished"])
    assert [event.state for event in stand.events() if event.batch_id == first] == ["CANCELLED"]
    assert (stand.batch(first).status, stand.batch(first).merges) == (Status.CANCELLED, ())


# --- the sweep itself -----------------------------------------------------------------------------------------


def test_two_sweeps_at_once_are_harmless(stand: Stand) -> None:
    batch_id = started(stand)
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    last = stand.answer(PLAYERS[2])
    with pytest.raises(Crash), stand.crash_at(1):
        stand.record(last)
    others = [stand.new_coordinator(holder) for holder in ("two", "three", "four")]

    with ThreadPoolExecutor(3) as pool:
        swept = [one for found in pool.map(lambda other: other.sweeper.sweep(), others) for one in found]

    assert {one.batch_id for one in swept} == {batch_id}
    assert sweep(stand).state == "COMPLETE"
    assert [merge.number for merge in stand.batch(batch_id).merges] == [1]
    assert {row["prediction_version"] for row in stand.predictions(active=None)} == {1}
    assert len({event.event_id for event in stand.events()}) == 1


@pytest.mark.parametrize("trouble", ["passing", "lasting"])
def test_one_broken_batch_does_not_stop_the_others(stand: Stand, trouble: str) -> None:
    broken = started(stand)
    starter = stand.coordinator.starter
    healthy = starter.start(date(2026, 7, 4), key="k", policy=POLICY).batch.batch_id
    stand.documents.commit([Update(("batches", healthy), {("notified",): None})])
    if trouble == "passing":
        stand.pass_time(SILENCE)
        stand.requests.fail_next(1)
    else:
        stand.record(a_skip(broken, PLAYERS[0]), a_skip(broken, PLAYERS[1]))
        stand.warehouse.drop(f"_plan_{broken}")
        stand.pass_time(SILENCE)

    swept = {one.batch_id: one for one in stand.coordinator.sweeper.sweep()}

    verdict = Verdict.TRY_AGAIN if trouble == "passing" else Verdict.NEEDS_A_PERSON
    assert (swept[broken].verdict, bool(swept[broken].why)) == (verdict, True)
    assert swept[healthy].did == ["published batch-finished"]


def test_batches_are_selected_by_age_and_not_by_status(stand: Stand) -> None:
    batch_id = stand.run(policy=POLICY).batch_id
    assert [one.batch_id for one in stand.coordinator.sweeper.sweep()] == [batch_id]
    late_until = stand.batch(batch_id).late_until

    stand.now = late_until
    assert [one.batch_id for one in stand.coordinator.sweeper.sweep()] == [batch_id]
    stand.now = late_until + A_MOMENT
    assert stand.coordinator.sweeper.sweep() == []


def test_a_store_that_is_down_is_an_error_and_never_nothing_to_sweep(stand: Stand) -> None:
    documents = Outage(stand.documents)
    documents.goes_down()

    with pytest.raises(Transient):
        stand.new_coordinator("two", documents=documents).sweeper.sweep()
