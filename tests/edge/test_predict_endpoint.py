"""What the worker's HTTP edge answers, stages, publishes and logs for each kind of push."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas import digest, names, tables
from schemas.messages import (
    Failed,
    FailureCode,
    Predicted,
    SeasonToDate,
    Skipped,
    SkipReason,
    Slice,
)
from shared.errors import NotAuthorised
from tests.requests_factory import BATCH_ID, PastGame, a_line, a_past_game, a_request, an_injury, by_columns, some_games
from tests.stand.worker import MESSAGE_ID, TRACEPARENT, LoggedLines, WorkerStand, a_name, a_stand
from worker.app import create_app
from worker.model import shipped_model
from worker.service import Worker
from worker.systems import SYSTEMS


def the_failure(worker_stand: WorkerStand) -> Failed:
    (outcome,) = worker_stand.published()
    assert isinstance(outcome, Failed)
    return outcome


# --- the good day ---------------------------------------------------------------------------------------------


def as_json(games: Sequence[PastGame]) -> dict[str, object]:
    return by_columns(games).model_dump(mode="json")


def test_a_request_becomes_staged_rows_and_an_outcome_that_names_them(worker_stand: WorkerStand) -> None:
    answer = worker_stand.push(a_request(lines=(a_line("24.5"), a_line("25.0"))))

    assert answer.status_code == 204
    rows = worker_stand.staged()
    assert len(rows) == 2 * len(SYSTEMS)
    (outcome,) = worker_stand.published()
    assert outcome == Predicted(
        batch_id=BATCH_ID,
        player_lookup="nikola-jokić",
        worker_revision="worker-00001",
        delivery=str(rows[0]["_delivery"]),
        schema_version=2,
        schema_fingerprint=tables.load(tables.PREDICTIONS, 2).fingerprint,
        rows=2 * len(SYSTEMS),
        digest=digest.of_ids(str(row["prediction_id"]) for row in rows),
    )
    assert {row["_delivery"] for row in rows} == {outcome.delivery}


def test_a_worker_of_an_older_version_stages_in_its_own_table(tmp_path: Path) -> None:
    with a_stand(tmp_path, schema_version=1) as worker_stand:
        worker_stand.push(a_request())

        assert len(worker_stand.staged()) == len(SYSTEMS)
        assert worker_stand.warehouse.query(f"SELECT 1 FROM `{names.staging_table(2)}`") == []


def test_a_worker_without_its_staging_table_is_not_ready_and_has_requests_come_again(worker_stand: WorkerStand) -> None:
    worker_stand.warehouse.drop(names.staging_table(2))

    assert worker_stand.push(a_request()).status_code == 503
    assert worker_stand.published() == []
    assert "tipoff schema apply" in worker_stand.client.get("/ready").get_json()["failing"]["warehouse"]


def test_the_outcome_travels_under_the_requests_trace(worker_stand: WorkerStand) -> None:
    worker_stand.push(a_request())

    (message,) = worker_stand.outcomes.messages
    assert message.attributes["batch_id"] == BATCH_ID
    assert (message.attributes["shard"], message.attributes["slice"]) == ("0", "0:1")
    assert message.attributes["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]


# --- skips and failures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"injury": an_injury("OUT")}, SkipReason.LISTED_OUT),
        (
            {"season_to_date": SeasonToDate(games=0, points=0, minutes=0), "recent_games": ()},
            SkipReason.NO_HISTORY,
        ),
    ],
)
def test_a_player_who_is_rightly_not_predicted_is_skipped_by_reason(
    worker_stand: WorkerStand, overrides: dict[str, Any], reason: SkipReason
) -> None:
    answer = worker_stand.push(a_request(**overrides))

    assert answer.status_code == 204
    assert worker_stand.published() == [
        Skipped(batch_id=BATCH_ID, player_lookup="nikola-jokić", worker_revision="worker-00001", reason=reason)
    ]
    assert worker_stand.staged() == []


def test_a_row_beyond_its_column_fails_the_player_and_stages_nothing(worker_stand: WorkerStand) -> None:
    answer = worker_stand.push(a_request(season_to_date=SeasonToDate(games=1, points=120, minutes=40)))

    assert answer.status_code == 204
    failure = the_failure(worker_stand)
    assert failure.code is FailureCode.ROW_REFUSED
    assert "predicted_points" in failure.detail
    assert "120" in failure.detail
    assert worker_stand.staged() == []


def test_numbers_that_no_arithmetic_bears_fail_the_player(worker_stand: WorkerStand) -> None:
    answer = worker_stand.push(a_request(season_to_date=SeasonToDate(games=1, points=10**40, minutes=40), lines=()))

    assert answer.status_code == 204
    assert the_failure(worker_stand).code is FailureCode.PREDICTION_ERROR
    assert worker_stand.staged() == []


def test_a_staging_table_of_another_shape_fails_the_player_by_column(worker_stand: WorkerStand) -> None:
    worker_stand.warehouse.drop(names.staging_table(2))
    worker_stand.warehouse.query(f"CREATE TABLE `{names.staging_table(2)}` (prediction_id STRING)")

    answer = worker_stand.push(a_request())

    assert answer.status_code == 204
    failure = the_failure(worker_stand)
    assert failure.code is FailureCode.ROW_REFUSED
    assert "_staging_" in failure.detail


# --- unreadable requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"message": {"data": "base64data", "messageId": "test123"}}', "not base64"),
        (b"", "empty"),
        (b"no JSON", "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "message"),
        (b'{"message": {"messageId": "1"}}', "data"),
        (b'{"message": {"data": "", "messageId": "1"}}', "data"),
        (b'{"message": {"data": "%%%%", "messageId": "1"}}', "not base64"),
        (b'{"message": {"data": "e30="}}', "messageId"),
        (b'{"message": {"data": "e30=", "messageId": "1"}}', "not a slice of requests"),
        (b'{"message": {"data": "bm8=", "messageId": "1"}}', "not a slice of requests"),
    ],
)
def test_what_names_no_player_is_acknowledged_and_logged_with_its_reason(
    worker_stand: WorkerStand, lines_logged: LoggedLines, body: bytes, reason: str
) -> None:
    answer = worker_stand.push_body(body)

    assert answer.status_code == 204
    assert worker_stand.published() == []
    (line,) = lines_logged()
    assert line["severity"] == "ERROR"
    assert line["message"] == "request refused"
    assert reason in line["reason"]


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ({"recent_games": {"points": [20]}}, "one length"),
        ({"recent_games": as_json(some_games([9, 8])[::-1])}, "newest first"),
        ({"lines": 3}, "lines"),
    ],
)
def test_a_bad_request_fails_its_player_alone(worker_stand: WorkerStand, wrong: dict[str, Any], detail: str) -> None:
    good = a_request().model_dump(mode="json")
    bad = good | {"player_lookup": "a-bad-one"} | wrong

    answer = worker_stand.push_data(json.dumps({"requests": [good, bad]}).encode(), a_name(2))

    assert answer.status_code == 204
    failure, predicted = worker_stand.published()
    assert isinstance(predicted, Predicted)
    assert isinstance(failure, Failed)
    assert (failure.batch_id, failure.player_lookup, failure.code) == (BATCH_ID, "a-bad-one", FailureCode.BAD_REQUEST)
    assert detail in failure.detail


@pytest.mark.parametrize("data", [b"no JSON", b"{}", b'{"requests": [{}]}'])
def test_a_message_that_cannot_be_read_is_said_so_of_its_slice(worker_stand: WorkerStand, data: bytes) -> None:
    assert worker_stand.push_data(data, a_name(25)).status_code == 204

    (message,) = worker_stand.outcomes.messages
    assert message.attributes["slice"] == "0:25"
    assert worker_stand.unreadable() != []
    assert worker_stand.published() == []


def test_a_broken_envelope_with_readable_attributes_is_said_so_of_its_slice(worker_stand: WorkerStand) -> None:
    answer = worker_stand.push_body({"message": {"data": "%%%%", "messageId": "1", "attributes": a_name()}})

    assert answer.status_code == 204
    assert "not base64" in worker_stand.unreadable()[0]


def test_a_message_that_cannot_be_read_is_announced_before_it_is_acknowledged(worker_stand: WorkerStand) -> None:
    worker_stand.outcomes.fail_next(1)

    assert worker_stand.push_data(b"{}", a_name()).status_code == 503
    assert worker_stand.push_data(b"{}", a_name()).status_code == 204
    assert len(worker_stand.unreadable()) == 1


def test_a_batch_id_that_is_none_never_reaches_a_table_name(worker_stand: WorkerStand) -> None:
    data = json.dumps({"requests": [a_request().model_dump(mode="json") | {"batch_id": "x` WHERE 1=1 --"}]}).encode()

    answer = worker_stand.push_data(data)

    assert answer.status_code == 204
    assert worker_stand.published() == []
    assert worker_stand.staged() == []


# --- logs, health, callers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "failures", "severity", "message", "told"),
    [
        ({}, 0, "INFO", "requests finished", {"predicted": 1}),
        ({"injury": an_injury("OUT")}, 0, "INFO", "requests finished", {"skipped": 1}),
        ({"recent_games_wanted": 1}, 0, "ERROR", "requests finished", {"failed": 1}),
        ({}, 1, "WARNING", "request not finished, to be delivered again", {"reason": "the topic does not answer"}),
    ],
)
def test_every_message_ends_in_one_labelled_line(
    worker_stand: WorkerStand,
    lines_logged: LoggedLines,
    overrides: dict[str, Any],
    failures: int,
    severity: str,
    message: str,
    told: dict[str, object],
) -> None:
    worker_stand.outcomes.fail_next(failures)

    worker_stand.push(a_request(**overrides), attempt=3)

    (line,) = lines_logged()
    assert (line["severity"], line["message"]) == (severity, message)
    assert line | told == line
    labels = line["logging.googleapis.com/labels"]
    assert (labels["batch_id"], labels["shard"], labels["slice"]) == (BATCH_ID, "0", "0:1")
    assert labels["message_id"] == MESSAGE_ID
    assert labels["delivery_attempt"] == "3"
    assert line["logging.googleapis.com/trace"] == f"projects/a-project/traces/{TRACEPARENT.split('-')[1]}"


def test_who_failed_is_named_in_the_line(worker_stand: WorkerStand, lines_logged: LoggedLines) -> None:
    worker_stand.push(a_request(recent_games_wanted=1))

    (line,) = lines_logged()
    assert [(one["player_lookup"], one["code"]) for one in line["failures"]] == [("nikola-jokić", "bad_request")]


def test_health_says_which_revision_is_alive(worker_stand: WorkerStand) -> None:
    answer = worker_stand.client.get("/health")

    assert answer.status_code == 200
    told = {"service": "worker", "status": "alive", "revision": "worker-00001", "commit": "unknown", "model": "unknown"}
    assert answer.get_json() == told


def test_ready_when_every_dependency_answers(worker_stand: WorkerStand) -> None:
    answer = worker_stand.client.get("/ready")

    assert answer.status_code == 200
    assert answer.get_json()["revision"] == "worker-00001"
    assert "configured" in answer.get_json()["logs"]


def test_not_ready_names_the_topic_that_does_not_answer(worker_stand: WorkerStand) -> None:
    worker_stand.outcomes.fail_next(1)

    answer = worker_stand.client.get("/ready")

    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["failing"] == {"outcomes": "the topic does not answer"}


def test_not_ready_names_the_warehouse_that_does_not_answer(worker_stand: WorkerStand) -> None:
    worker_stand.warehouse.close()

    answer = worker_stand.client.get("/ready")

    assert answer.status_code == 503
    assert list(answer.get_json()["failing"]) == ["warehouse"]


def test_a_caller_who_may_not_push_is_refused_before_anything_else(worker_stand: WorkerStand) -> None:
    def guard(authorization: str | None) -> None:
        if authorization != "Bearer a-sound-token":
            raise NotAuthorised("no bearer token")

    worker = Worker(
        warehouse=worker_stand.warehouse,
        outcomes=worker_stand.outcomes,
        revision="worker-00001",
        schema_version=2,
        model=shipped_model(),
        clock=lambda: worker_stand.now,
    )
    client = create_app(worker, guard=guard).test_client()
    data = base64.b64encode(Slice(requests=(a_request(),)).model_dump_json().encode()).decode()
    push = {"message": {"data": data, "messageId": "1"}}

    refused = client.post("/predict", json=push, headers={"Authorization": "Bearer x"})
    accepted = client.post("/predict", json=push, headers={"Authorization": "Bearer a-sound-token"})

    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert client.get("/health").status_code == 200
    assert accepted.status_code == 204
    assert len(worker_stand.published()) == 1


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/predict", 405), ("POST", "/nothing", 404)])
def test_what_is_not_served_is_a_problem_document(
    worker_stand: WorkerStand, method: str, path: str, status: int
) -> None:
    answer = worker_stand.client.open(path, method=method)

    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"


def test_a_game_without_minutes_is_predicted_like_any_other(worker_stand: WorkerStand) -> None:
    benched = (a_past_game(points=0, minutes=0, fga=0, fta=0), *some_games([20] * 5)[1:])

    assert worker_stand.push(a_request(recent_games=benched)).status_code == 204
    assert isinstance(worker_stand.published()[0], Predicted)
