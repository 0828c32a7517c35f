"""A1, A4 and the worker's half of A19: no request ends without an outcome, and none is staged again for nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.messages import Failed, FailureCode, Predicted, PredictionRequest, SeasonToDate, Skipped
from tests.requests_factory import a_request, an_injury
from tests.stand.worker import WorkerStand, another_worker
from worker.service import _Unannounced
from worker.systems import SYSTEMS

EVERY_END = {
    "predicted": a_request(),
    "no line": a_request(lines=()),
    "listed out": a_request(injury=an_injury("OUT")),
    "no history": a_request(season_to_date=SeasonToDate(games=0, points=0, minutes=0), recent_games=()),
    "row refused": a_request(season_to_date=SeasonToDate(games=1, points=100, minutes=40)),
    "prediction error": a_request(season_to_date=SeasonToDate(games=1, points=10**40, minutes=40), lines=()),
    "bad request": a_request(recent_games_wanted=1),
}


@pytest.mark.parametrize("request_", EVERY_END.values(), ids=EVERY_END.keys())
def test_a1_every_request_ends_in_exactly_one_outcome(worker_stand: WorkerStand, request_: PredictionRequest) -> None:
    answer = worker_stand.push(request_)

    assert answer.status_code == 204
    (outcome,) = worker_stand.published()
    assert (outcome.batch_id, outcome.player_lookup) == (request_.batch_id, request_.player_lookup)


def test_a1_a_skip_is_an_outcome(worker_stand: WorkerStand) -> None:
    worker_stand.push(a_request(injury=an_injury("OUT")))

    (outcome,) = worker_stand.published()
    assert isinstance(outcome, Skipped)
    assert worker_stand.staged() == []


@pytest.mark.parametrize("request_", EVERY_END.values(), ids=EVERY_END.keys())
def test_a4_no_request_is_acknowledged_before_its_outcome_is_published(
    worker_stand: WorkerStand, request_: PredictionRequest
) -> None:
    worker_stand.outcomes.fail_next(1)

    assert worker_stand.push(request_).status_code == 503
    assert worker_stand.published() == []

    assert worker_stand.push(request_, attempt=2).status_code == 204
    assert len(worker_stand.published()) == 1


def test_a4_a_redelivery_after_a_failed_publish_publishes_without_staging_again(worker_stand: WorkerStand) -> None:
    worker_stand.outcomes.fail_next(2)
    worker_stand.push(a_request())
    worker_stand.push(a_request(), attempt=2)
    staged_before = worker_stand.staged()

    answer = worker_stand.push(a_request(), attempt=3)

    assert answer.status_code == 204
    assert len(staged_before) == len(SYSTEMS)
    assert worker_stand.staged() == staged_before
    (outcome,) = worker_stand.published()
    assert isinstance(outcome, Predicted)
    assert outcome.rows == len(SYSTEMS)


def test_a4_what_was_announced_is_not_remembered(worker_stand: WorkerStand) -> None:
    worker_stand.outcomes.fail_next(1)
    worker_stand.push(a_request())
    worker_stand.push(a_request(), attempt=2)

    worker_stand.push(a_request(), attempt=3)

    first, second = worker_stand.published()
    assert first == second
    assert len(worker_stand.staged()) == 2 * len(SYSTEMS)


def test_a4_what_is_remembered_is_bounded_and_the_oldest_gives_way() -> None:
    remembered = _Unannounced()

    for number in range(_Unannounced.CAPACITY + 1):
        remembered.add([f"d{number}"])

    assert "d0" not in remembered
    assert "d1" in remembered
    assert f"d{_Unannounced.CAPACITY}" in remembered


def test_a4_another_process_stages_copies_of_the_same_delivery(worker_stand: WorkerStand) -> None:
    worker_stand.outcomes.fail_next(1)
    worker_stand.push(a_request())

    with another_worker(worker_stand.warehouse, worker_stand.outcomes, revision="worker-00001") as other:
        assert other.push(a_request(), attempt=2).status_code == 204

    rows = worker_stand.staged()
    assert len(rows) == 2 * len(SYSTEMS)
    assert rows[0::2] == rows[1::2]
    (outcome,) = worker_stand.published()
    assert isinstance(outcome, Predicted)
    assert outcome.rows == len(SYSTEMS)
    assert {row["_delivery"] for row in rows} == {outcome.delivery}


def test_a4_another_revision_that_makes_the_same_rows_makes_copies_of_the_same_delivery(
    worker_stand: WorkerStand,
) -> None:
    worker_stand.push(a_request())

    with another_worker(worker_stand.warehouse, worker_stand.outcomes, revision="worker-00002") as other:
        other.push(a_request(), attempt=2)

    first, second = worker_stand.published()
    assert isinstance(first, Predicted)
    assert isinstance(second, Predicted)
    assert (first.worker_revision, second.worker_revision) == ("worker-00001", "worker-00002")
    assert first.delivery == second.delivery
    rows = worker_stand.staged()
    assert len(rows) == 2 * len(SYSTEMS)
    assert rows[0::2] == rows[1::2]


def test_a4_other_rows_of_the_same_ids_are_another_delivery(worker_stand: WorkerStand) -> None:
    worker_stand.push(a_request())

    worker_stand.push(a_request(injury=an_injury("QUESTIONABLE")), attempt=2)

    first, second = worker_stand.published()
    assert isinstance(first, Predicted)
    assert isinstance(second, Predicted)
    assert first.delivery != second.delivery
    assert first.digest == second.digest
    assert {row["_delivery"] for row in worker_stand.staged()} == {first.delivery, second.delivery}


def test_a19_a_request_that_comes_too_late_is_recorded_as_expired_and_not_staged(worker_stand: WorkerStand) -> None:
    request = a_request()
    worker_stand.now = request.late_until + timedelta(microseconds=1)

    answer = worker_stand.push(request)

    assert answer.status_code == 204
    (outcome,) = worker_stand.published()
    assert isinstance(outcome, Failed)
    assert outcome.code is FailureCode.EXPIRED
    assert request.late_until.isoformat() in outcome.detail
    assert worker_stand.staged() == []


def test_a19_a_request_at_its_last_moment_is_predicted(worker_stand: WorkerStand) -> None:
    request = a_request()
    worker_stand.now = request.late_until

    worker_stand.push(request)

    (outcome,) = worker_stand.published()
    assert isinstance(outcome, Predicted)
