"""What the coordinator's routes for people and for Cloud Scheduler answer, to good requests and to bad ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coordinator.rules.lifecycle import Status
from schemas import names
from tests.plan_inputs import GAME_DATE, PLANNED_AT
from tests.stand.front import START, Front, Outage, assert_problem
from tests.stand.ledger import a_failure
from tests.stand.world import PLAYERS, Stand

BATCH_ID = names.batch_id(GAME_DATE, "key:a-key")
UNKNOWN = "20260130_0123456789abcdef"
SCHEDULER = {"X_CloudScheduler": "true", "X_CloudScheduler_JobName": "daily-start"}


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A front that no test may make a batch with, so that all may share it."""
    with closing(Stand(tmp_path_factory.mktemp("idle"))) as stand:
        yield Front(stand)
        assert stand.documents.query(("batches",)) == []


def complete_all(stand: Stand, front: Front, batch_id: str = BATCH_ID) -> None:
    for player in PLAYERS:
        assert front.complete(stand.answer(player, batch_id=batch_id)).status_code == 204


# --- /start ---------------------------------------------------------------------------------------------------


def test_a_start_answers_202_with_the_batch_that_it_made(stand: Stand, front: Front) -> None:
    answer = front.start()

    assert answer.status_code == 202
    assert answer.get_json() == {"batch_id": BATCH_ID, "state": "RUNNING", "expected": 3, "started": True}
    assert [message.attributes["slice"] for message in stand.requests.messages] == ["0:3"]


def test_a_start_repeated_with_its_key_answers_200_with_the_same_batch_and_publishes_nothing(
    stand: Stand, front: Front
) -> None:
    front.start()
    published = list(stand.requests.messages)

    answer = front.start()

    assert answer.status_code == 200
    assert answer.get_json() == {"batch_id": BATCH_ID, "state": "RUNNING", "expected": 3, "started": False}
    assert stand.requests.messages == published


def test_a_key_answers_with_its_batch_even_after_a_newer_one(stand: Stand, front: Front) -> None:
    front.start()
    complete_all(stand, front)
    front.start(key="another-key")

    answer = front.start()

    assert answer.status_code == 200
    assert answer.get_json() == {"batch_id": BATCH_ID, "state": "COMPLETE", "expected": 3, "started": False}


def test_while_a_batch_lives_another_start_answers_409_with_its_id(stand: Stand, front: Front) -> None:
    front.start()

    document = assert_problem(front.start(key="another-key"), 409, BATCH_ID, "RUNNING", '{"force": ')

    assert document["batch_id"] == BATCH_ID
    assert len(stand.requests.messages) == 1


def test_cloud_scheduler_is_told_200_while_a_batch_lives(front: Front) -> None:
    front.start()

    answer = front.start(key=None, **SCHEDULER)

    assert answer.status_code == 200
    assert answer.get_json()["batch_id"] == BATCH_ID
    assert answer.get_json()["started"] is False
    assert "RUNNING" in answer.get_json()["reason"]


def test_cloud_schedulers_job_name_is_its_key(stand: Stand, front: Front) -> None:
    first = front.start(key=None, **SCHEDULER)
    again = front.start(key=None, **SCHEDULER)
    complete_all(stand, front, first.get_json()["batch_id"])
    another_job = front.start(key=None, **{**SCHEDULER, "X_CloudScheduler_JobName": "evening-start"})

    assert [first.status_code, again.status_code, another_job.status_code] == [202, 200, 202]
    assert first.get_json()["batch_id"] == names.batch_id(GAME_DATE, "job:daily-start")
    assert again.get_json()["batch_id"] == first.get_json()["batch_id"]
    assert another_job.get_json()["batch_id"] != first.get_json()["batch_id"]


def test_a_key_that_looks_like_a_job_name_is_another_key(stand: Stand, front: Front) -> None:
    by_job = front.start(key=None, **SCHEDULER).get_json()["batch_id"]
    complete_all(stand, front, by_job)

    by_key = front.start(key="daily-start")

    assert by_key.status_code == 202
    assert by_key.get_json()["batch_id"] != by_job


@pytest.mark.parametrize("key", [None, "", "   "])
def test_a_start_without_a_key_is_a_start_of_its_own(stand: Stand, front: Front, key: str | None) -> None:
    first = front.start(key=key)
    complete_all(stand, front, first.get_json()["batch_id"])

    second = front.start(key=key)

    assert [first.status_code, second.status_code] == [202, 202]
    assert first.get_json()["batch_id"] != second.get_json()["batch_id"]


def test_force_cancels_the_batch_that_it_names(stand: Stand, front: Front) -> None:
    front.start()

    answer = front.start({**START, "force": BATCH_ID}, key="another-key")

    assert answer.status_code == 202
    assert stand.batch(BATCH_ID).status is Status.CANCELLED
    assert stand.batch(answer.get_json()["batch_id"]).status is Status.RUNNING


def test_force_that_names_another_batch_cancels_nothing(stand: Stand, front: Front) -> None:
    front.start()

    assert_problem(front.start({**START, "force": UNKNOWN}, key="another-key"), 409, BATCH_ID)

    assert stand.batch(BATCH_ID).status is Status.RUNNING


def test_a_start_may_change_the_policy(stand: Stand, front: Front) -> None:
    front.start({**START, "policy": {"deadline_minutes": 7, "tolerated_failed_share": 0}})

    batch = stand.batch(BATCH_ID)
    assert batch.deadline_at == PLANNED_AT + timedelta(minutes=7)
    assert (batch.policy.tolerated_failed_share, batch.policy.tolerated_silent_share) == (0, 0.05)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"policy": {"tolerated_failed_share": 1.5}}, "policy.tolerated_failed_share"),
        ({"policy": {"deadline_minutes": 0}}, "policy.deadline_minutes"),
        ({"policy": {"deadline_minutes": "soon"}}, "policy.deadline_minutes"),
        ({"policy": {"patience": 3}}, "policy.patience"),
        ({"date": "2026-01-30"}, "date"),
        ({"force": True}, "force"),
    ],
)
def test_a_value_of_a_start_that_is_unusable_is_named(idle: Front, changes: dict[str, Any], field: str) -> None:
    assert assert_problem(idle.start(START | changes), 422)["field"] == field


@pytest.mark.parametrize(
    "game_date", ["2026-13-45", "2026-02-30", "yesterday", "20260130", "1769731200", "2026-01-30T00:00:00", 0, True, ""]
)
def test_a_date_that_is_none_is_named(idle: Front, game_date: object) -> None:
    document = assert_problem(idle.start({"game_date": game_date}), 422)

    assert document["field"] == "game_date"
    assert document["type"] == "urn:tipoff:problem:invalid-input"
    assert repr(game_date) in document["detail"]


@pytest.mark.parametrize("body", [b"game_date=2026-01-30", b"{", b'["2026-01-30"]', b'"2026-01-30"', b"\xff", b"null"])
def test_a_start_whose_body_is_no_json_object_is_refused(idle: Front, body: bytes) -> None:
    assert assert_problem(idle.start(body), 422)["field"] == "body"


def test_a_key_without_end_is_refused(front: Front) -> None:
    assert front.start(key="k" * 200).status_code == 202

    assert assert_problem(front.start(key="k" * 201), 422)["field"] == "Idempotency-Key"


def test_a_body_of_blanks_is_no_json_and_is_refused(front: Front) -> None:
    assert front.post("/start", b"  \n").status_code == 422


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_start_without_a_body_means_today_in_us_eastern(stand: Stand, front: Front, body: bytes) -> None:
    stand.now = datetime(2026, 1, 31, 1, 0, tzinfo=UTC)

    answer = front.start(body)

    assert answer.get_json() == {"batch_id": BATCH_ID, "state": "RUNNING", "expected": 3, "started": True}


def test_a_date_without_games_is_empty_and_finished_at_once(stand: Stand, front: Front) -> None:
    answer = front.start({"game_date": "2026-07-04"})

    assert answer.status_code == 202
    assert (answer.get_json()["state"], answer.get_json()["expected"]) == ("EMPTY", 0)
    assert [(event.state, event.players.expected) for event in stand.events()] == [("EMPTY", 0)]
    assert stand.requests.messages == []


def test_after_an_empty_batch_the_date_may_be_started_again(front: Front) -> None:
    front.start({"game_date": "2026-07-04"})

    again = front.start({"game_date": "2026-07-04"}, key="another-key")

    assert (again.status_code, again.get_json()["state"]) == (202, "EMPTY")


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_a_warehouse_that_is_down_is_503_and_never_an_empty_day(stand: Stand, answered: int) -> None:
    warehouse = Outage(stand.warehouse)
    front = Front(stand, stand.new_coordinator("one", warehouse=warehouse))
    warehouse.goes_down(after=answered)

    refused = front.start()

    assert_problem(refused, 503, "does not answer")
    assert refused.headers["Retry-After"] == "10"
    assert stand.documents.query(("batches",)) == []
    assert stand.events() == []

    warehouse.comes_back()
    assert front.start().get_json() == {"batch_id": BATCH_ID, "state": "RUNNING", "expected": 3, "started": True}


def test_a_document_store_that_is_down_is_503(stand: Stand) -> None:
    documents = Outage(stand.documents)
    front = Front(stand, stand.new_coordinator("one", documents=documents))
    documents.goes_down()

    assert_problem(front.start(), 503, "does not answer")


def test_a_topic_that_is_down_is_503_and_a_repeat_publishes(stand: Stand, front: Front) -> None:
    stand.requests.fail_next(1)

    assert_problem(front.start(), 503)
    assert stand.batch(BATCH_ID).status is Status.PLANNED

    answer = front.start()
    assert (answer.status_code, answer.get_json()["state"]) == (200, "RUNNING")
    assert len(stand.requests.messages) == 1


# --- /batches -------------------------------------------------------------------------------------------------


def test_batches_are_listed_newest_first_and_by_date(stand: Stand, front: Front) -> None:
    front.start()
    complete_all(stand, front)
    second = front.start(key="another-key").get_json()["batch_id"]
    third = front.start({"game_date": "2026-07-04"}).get_json()["batch_id"]

    def listed(query: str) -> list[str]:
        return [one["batch_id"] for one in front.get(f"/batches{query}").get_json()["batches"]]

    assert sorted(listed("")) == sorted([third, second, BATCH_ID])
    assert listed("?game_date=2026-01-30") == [second, BATCH_ID]
    assert listed("?game_date=2026-01-30&limit=1") == [second]
    assert len(listed("?limit=2")) == 2
    assert listed("?game_date=2025-01-30") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=many", "limit"),
        ("game_date=2026-13-45", "game_date"),
        ("game_date=0", "game_date"),
        ("game_date=", "game_date"),
    ],
)
def test_a_query_value_that_is_unusable_is_named(idle: Front, query: str, field: str) -> None:
    assert assert_problem(idle.get(f"/batches?{query}"), 422)["field"] == field


def test_a_batch_names_its_silent_players(stand: Stand, front: Front) -> None:
    front.start()
    front.complete(stand.answer(PLAYERS[1]))
    front.complete(a_failure(BATCH_ID, PLAYERS[2]))

    view = front.get(f"/batches/{BATCH_ID}").get_json()

    assert (view["state"], view["silent"]) == ("RUNNING", [PLAYERS[0]])
    assert view["failed"] == {PLAYERS[2]: "prediction_error"}
    assert view["players"] == {"expected": 3, "predicted": 1, "skipped": 0, "failed": 1, "silent": 1}


@pytest.mark.parametrize("batch_id", [UNKNOWN, "latest", "20260130_0123456789ABCDEF", "a" * 300, "predictions`; --"])
def test_an_unknown_or_malformed_batch_id_is_404(idle: Front, batch_id: str) -> None:
    document = assert_problem(idle.get(f"/batches/{batch_id}"), 404)
    forced = assert_problem(idle.post(f"/batches/{batch_id}/consolidate", {"force": True}), 404)

    assert document["type"] == forced["type"] == "urn:tipoff:problem:unknown-batch"


# --- /batches/{id}/consolidate --------------------------------------------------------------------------------


def test_consolidate_waits_for_silent_players_and_names_them(stand: Stand, front: Front) -> None:
    front.start()
    front.complete(stand.answer(PLAYERS[0]))

    document = assert_problem(front.post(f"/batches/{BATCH_ID}/consolidate"), 409, *PLAYERS[1:], '{"force": true}')

    assert document["batch_id"] == BATCH_ID
    assert stand.batch(BATCH_ID).status is Status.RUNNING


def test_forced_it_goes_on_without_them(stand: Stand, front: Front) -> None:
    front.start()
    front.complete(stand.answer(PLAYERS[0]))

    answer = front.post(f"/batches/{BATCH_ID}/consolidate", {"force": True})

    assert answer.status_code == 200
    assert answer.get_json()["report"] == "merged"
    assert answer.get_json()["batch"]["state"] == "PARTIAL"
    assert answer.get_json()["batch"]["silent"] == list(PLAYERS[1:])
    assert stand.predicted_players() == {PLAYERS[0]}


def test_consolidating_what_is_merged_changes_nothing_and_says_so(stand: Stand, front: Front) -> None:
    front.start()
    complete_all(stand, front)
    before, events = stand.predictions(), stand.events()

    answer = front.post(f"/batches/{BATCH_ID}/consolidate", {"force": True})

    assert (answer.status_code, answer.get_json()["report"]) == (200, "nothing_to_do")
    assert answer.get_json()["batch"]["state"] == "COMPLETE"
    assert (stand.predictions(), stand.events()) == (before, events)


def test_a_failed_batch_is_no_success_until_it_is_forced(stand: Stand, front: Front) -> None:
    front.start()
    front.complete(stand.answer(PLAYERS[0]))
    for player in PLAYERS[1:]:
        front.complete(a_failure(BATCH_ID, player))
    assert stand.batch(BATCH_ID).status is Status.FAILED

    assert_problem(front.post(f"/batches/{BATCH_ID}/consolidate"), 409, "2 of 3 players are failed", '{"force": true}')
    forced = front.post(f"/batches/{BATCH_ID}/consolidate", {"force": True})

    assert (forced.status_code, forced.get_json()["batch"]["state"]) == (200, "PARTIAL")


def test_a_cancelled_batch_is_not_consolidated(stand: Stand, front: Front) -> None:
    front.start()
    front.start({**START, "force": BATCH_ID}, key="another-key")

    assert_problem(front.post(f"/batches/{BATCH_ID}/consolidate", {"force": True}), 409, "cancelled")

    assert stand.batch(BATCH_ID).status is Status.CANCELLED


def test_while_another_instance_consolidates_one_is_told_so(stand: Stand, front: Front) -> None:
    front.start()
    assert stand.coordinator.consolidator.leases.take(BATCH_ID) is not None

    assert_problem(front.post(f"/batches/{BATCH_ID}/consolidate", {"force": True}), 409, "another instance")


def test_consolidate_refuses_a_field_that_it_does_not_know(front: Front) -> None:
    front.start()

    document = assert_problem(front.post(f"/batches/{BATCH_ID}/consolidate", {"forced": True}), 422)

    assert document["field"] == "forced"
