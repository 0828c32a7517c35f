"""What a person changes over HTTP: a batch's policy, its end by cancelling, by force or by a redrive."""

from __future__ import annotations

from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from coordinator.rules.lifecycle import Status
from schemas import names
from shared.settings import Policy
from tests.plan_inputs import GAME_DATE
from tests.stand.front import Front, assert_problem
from tests.stand.world import PLAYERS, Stand

BATCH_ID = names.batch_id(GAME_DATE, "key:a-key")
UNKNOWN = names.batch_id(GAME_DATE, "never started")


@pytest.fixture
def front(stand: Stand) -> Front:
    front = Front(stand)
    assert front.start().get_json()["batch_id"] == BATCH_ID
    return front


def patch(front: Front, body: object, batch_id: str = BATCH_ID) -> TestResponse:
    return front.client.patch(f"/batches/{batch_id}/policy", json=body)


# --- policy ---------------------------------------------------------------------------------------------------


def test_a_live_batchs_policy_can_be_changed_and_its_deadline_follows(stand: Stand, front: Front) -> None:
    before = stand.batch(BATCH_ID)

    answer = patch(front, {"deadline_minutes": 30, "tolerated_silent_share": 0.5})

    assert answer.status_code == 200
    assert answer.get_json()["policy"] == {
        **Policy().model_dump(),
        "deadline_minutes": 30,
        "tolerated_silent_share": 0.5,
    }
    after = stand.batch(BATCH_ID)
    assert after.deadline_at == before.planned_at + timedelta(minutes=30)
    assert front.get(f"/batches/{BATCH_ID}").get_json() == answer.get_json()
    again = patch(front, {"deadline_minutes": 30}).get_json()
    asked_again = {"actions", "timeline"}  # who asks again has asked twice
    assert {name: again[name] for name in again.keys() - asked_again} == {
        name: value for name, value in answer.get_json().items() if name not in asked_again
    }


def test_the_sweep_decides_by_the_changed_policy(stand: Stand, front: Front) -> None:
    stand.record(stand.answer(PLAYERS[0]))
    patch(front, {"deadline_minutes": 1, "tolerated_silent_share": 1.0})
    stand.pass_time(timedelta(minutes=1))

    stand.coordinator.sweeper.sweep()

    assert stand.batch(BATCH_ID).status is Status.PARTIAL


def test_a_start_may_set_the_policy(stand: Stand) -> None:
    answer = Front(stand).start({"game_date": GAME_DATE.isoformat(), "policy": {"max_republishes": 9}})

    assert stand.batch(answer.get_json()["batch_id"]).policy == Policy(max_republishes=9)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"deadline_minutes": 0}, "deadline_minutes"),
        ({"deadline_minutes": 10**30}, "deadline_minutes"),
        ({"republish_after_minutes": -1}, "republish_after_minutes"),
        ({"tolerated_failed_share": 1.01}, "tolerated_failed_share"),
        ({"max_retired_share": "most"}, "max_retired_share"),
        ({"patience": 3}, "patience"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name_and_changes_nothing(
    stand: Stand, front: Front, body: object, field: str
) -> None:
    before = stand.batch(BATCH_ID)

    document = assert_problem(patch(front, body), 422, field)

    assert field in document["field"]
    assert stand.batch(BATCH_ID) == before


def test_an_ended_batchs_policy_decides_nothing_any_more(stand: Stand, front: Front) -> None:
    stand.record(*[stand.answer(player) for player in PLAYERS])

    assert_problem(patch(front, {"tolerated_silent_share": 1.0}), 409, "COMPLETE", "force")

    assert stand.batch(BATCH_ID).policy == Policy()


# --- cancel ---------------------------------------------------------------------------------------------------


def test_a_live_batch_can_be_cancelled_and_downstream_is_told(stand: Stand, front: Front) -> None:
    answers = [front.post(f"/batches/{BATCH_ID}/cancel") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].get_json()["state"] == "CANCELLED"
    assert [event.state for event in stand.events()] == ["CANCELLED"]
    stand.record(*[stand.answer(player) for player in PLAYERS])
    assert stand.predictions(active=None) == []


def test_a_batch_whose_merge_may_still_land_cannot(stand: Stand, front: Front) -> None:
    refused = []

    def cancel(_job_id: str) -> None:
        stand.in_job.clear()
        refused.append(front.post(f"/batches/{BATCH_ID}/cancel"))

    stand.in_job.append(cancel)
    stand.record(*[stand.answer(player) for player in PLAYERS])

    assert_problem(refused[0], 409, "CONSOLIDATING")
    assert stand.batch(BATCH_ID).status is Status.COMPLETE


def test_an_ended_batch_cannot_be_cancelled(stand: Stand, front: Front) -> None:
    stand.record(*[stand.answer(player) for player in PLAYERS])

    assert_problem(front.post(f"/batches/{BATCH_ID}/cancel"), 409, "COMPLETE")


# --- consolidate by force, redrive ----------------------------------------------------------------------------


def test_consolidating_by_force_says_who_is_left_out(stand: Stand, front: Front) -> None:
    stand.record(stand.answer(PLAYERS[1]))

    refused = front.post(f"/batches/{BATCH_ID}/consolidate", {})
    forced = front.post(f"/batches/{BATCH_ID}/consolidate", {"force": True})

    assert_problem(refused, 409, PLAYERS[0], PLAYERS[2], "force")
    assert forced.get_json()["left_out"] == [PLAYERS[0], PLAYERS[2]]
    assert forced.get_json()["batch"]["state"] == "PARTIAL"


def test_a_redrive_is_202_then_200_for_the_same_key(stand: Stand, front: Front) -> None:
    stand.record(stand.answer(PLAYERS[0]))
    front.post(f"/batches/{BATCH_ID}/consolidate", {"force": True})

    first, again = (
        front.post(f"/batches/{BATCH_ID}/redrive", {}, headers={"Idempotency-Key": "once more"}) for _ in range(2)
    )

    assert (first.status_code, again.status_code) == (202, 200)
    assert first.get_json() == {
        "batch_id": stand.coordinator.views.batches()[0].batch_id,
        "parent": BATCH_ID,
        "state": "RUNNING",
        "expected": 2,
        "started": True,
        "not_expected": [],
    }
    assert again.get_json() == first.get_json() | {"started": False}


def test_a_redrive_of_a_live_batch_is_refused(front: Front) -> None:
    assert_problem(front.post(f"/batches/{BATCH_ID}/redrive"), 409, "RUNNING")


@pytest.mark.parametrize("verb", ["cancel", "redrive", "consolidate", "policy"])
def test_an_unknown_batch_is_404(front: Front, verb: str) -> None:
    answer = patch(front, {}, UNKNOWN) if verb == "policy" else front.post(f"/batches/{UNKNOWN}/{verb}")

    assert_problem(answer, 404, UNKNOWN)
