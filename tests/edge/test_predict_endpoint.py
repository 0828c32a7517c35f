"""What the worker's HTTP edge answers, stages, publishes and logs for each kind of push."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas import names, tables
from schemas.messages import Failed, FailureCode, Predicted, SeasonToDate, Skipped, SkipReason
from shared.errors import NotAuthorised
from tests.requests_factory import BATCH_ID, a_line, a_past_game, a_request, an_injury, some_games
from tests.worker_stand import MESSAGE_ID, TRACEPARENT, LoggedLines, Stand, a_stand, listening
from worker.app import create_app
from worker.model import shipped_model
from worker.service import Worker
from worker.systems import SYSTEMS

TOLD = {"batch_id": BATCH_ID, "player_lookup": "nikola-jokić"}


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with a_stand(tmp_path) as standing:
        yield standing


@pytest.fixture
def lines_logged() -> Iterator[LoggedLines]:
    with listening() as heard:
        yield heard


def the_failure(stand: Stand) -> Failed:
    (outcome,) = stand.published()
    assert isinstance(outcome, Failed)
    return outcome


# --- the good day ---------------------------------------------------------------------------------------------


def test_a_request_becomes_staged_rows_and_an_outcome_that_names_them(stand: Stand) -> None:
    answer = stand.push(a_request(lines=(a_line("24.5"), a_line("25.0"))))

    assert answer.status_code == 204
    rows = stand.staged()
    assert len(rows) == 2 * len(SYSTEMS)
    (outcome,) = stand.published()
    assert outcome == Predicted(
        batch_id=BATCH_ID,
        player_lookup="nikola-jokić",
        worker_revision="worker-00001",
        delivery=str(rows[0]["_delivery"]),
        table=names.staging_table(BATCH_ID, 2),
        schema_version=2,
        schema_fingerprint=tables.load(tables.PREDICTIONS, 2).fingerprint,
        rows=2 * len(SYSTEMS),
        digest=names.digest(str(row["prediction_id"]) for row in rows),
    )
    assert {row["_delivery"] for row in rows} == {outcome.delivery}


def test_the_staging_table_that_the_worker_makes_has_the_declared_columns(tmp_path: Path) -> None:
    with a_stand(tmp_path, schema_version=1) as stand:
        stand.push(a_request())

        columns = stand.warehouse.columns(names.staging_table(BATCH_ID, 1))
        assert columns is not None
        assert len(columns) == 64
        assert columns[-1].name == "_delivery"
        assert len(stand.staged()) == len(SYSTEMS)


def test_the_outcome_travels_under_the_requests_trace(stand: Stand) -> None:
    stand.push(a_request())

    (message,) = stand.outcomes.messages
    assert message.attributes["batch_id"] == BATCH_ID
    assert message.attributes["player_lookup"] == "nikola-jokić"
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
    stand: Stand, overrides: dict[str, Any], reason: SkipReason
) -> None:
    answer = stand.push(a_request(**overrides))

    assert answer.status_code == 204
    assert stand.published() == [
        Skipped(batch_id=BATCH_ID, player_lookup="nikola-jokić", worker_revision="worker-00001", reason=reason)
    ]
    assert stand.staged() == []


def test_a_row_beyond_its_column_fails_the_player_and_stages_nothing(stand: Stand) -> None:
    answer = stand.push(a_request(season_to_date=SeasonToDate(games=1, points=120, minutes=40)))

    assert answer.status_code == 204
    failure = the_failure(stand)
    assert failure.code is FailureCode.ROW_REFUSED
    assert "predicted_points" in failure.detail
    assert "120" in failure.detail
    assert stand.staged() == []


def test_numbers_that_no_arithmetic_bears_fail_the_player(stand: Stand) -> None:
    answer = stand.push(a_request(season_to_date=SeasonToDate(games=1, points=10**40, minutes=40), lines=()))

    assert answer.status_code == 204
    assert the_failure(stand).code is FailureCode.PREDICTION_ERROR
    assert stand.staged() == []


def test_a_staging_table_of_another_shape_fails_the_player_by_column(stand: Stand) -> None:
    stand.warehouse.query(f"CREATE TABLE `{names.staging_table(BATCH_ID, 2)}` (prediction_id STRING)")

    answer = stand.push(a_request())

    assert answer.status_code == 204
    failure = the_failure(stand)
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
        (b'{"message": {"data": "e30=", "messageId": "1"}}', "Field required"),
        (b'{"message": {"data": "bm8=", "messageId": "1"}}', "Invalid JSON"),
    ],
)
def test_what_names_no_player_is_acknowledged_and_logged_with_its_reason(
    stand: Stand, lines_logged: LoggedLines, body: bytes, reason: str
) -> None:
    answer = stand.push_body(body)

    assert answer.status_code == 204
    assert stand.published() == []
    (line,) = lines_logged()
    assert line["severity"] == "ERROR"
    assert line["message"] == "request refused"
    assert reason in line["reason"]


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"no JSON", "Invalid JSON"),
        (b"{}", "Field required"),
        (a_request().model_dump_json().replace('"points":24', '"points":"x"', 1).encode(), "recent_games.0.points"),
        (a_request(recent_games=some_games([9, 8])[::-1]).model_dump_json().encode(), "newest first"),
    ],
)
def test_a_bad_request_of_a_known_player_fails_him_by_name(stand: Stand, data: bytes, detail: str) -> None:
    answer = stand.push_data(data, TOLD)

    assert answer.status_code == 204
    failure = the_failure(stand)
    assert (failure.batch_id, failure.player_lookup) == (BATCH_ID, "nikola-jokić")
    assert failure.code is FailureCode.BAD_REQUEST
    assert detail in failure.detail


def test_a_broken_envelope_with_readable_attributes_fails_the_player(stand: Stand) -> None:
    answer = stand.push_body({"message": {"data": "%%%%", "messageId": "1", "attributes": TOLD}})

    assert answer.status_code == 204
    failure = the_failure(stand)
    assert failure.player_lookup == "nikola-jokić"
    assert failure.code is FailureCode.BAD_REQUEST
    assert "not base64" in failure.detail


def test_a_bad_request_is_announced_before_it_is_acknowledged(stand: Stand) -> None:
    stand.outcomes.fail_next(1)

    assert stand.push_data(b"{}", TOLD).status_code == 503
    assert stand.push_data(b"{}", TOLD).status_code == 204
    assert len(stand.published()) == 1


def test_a_batch_id_that_is_none_never_reaches_a_table_name(stand: Stand) -> None:
    data = a_request().model_dump_json().replace(BATCH_ID, "x` WHERE 1=1 --").encode()

    answer = stand.push_data(data)

    assert answer.status_code == 204
    assert stand.published() == []
    assert stand.warehouse.list_tables("") == []


# --- logs, health, callers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "failures", "severity", "message", "told"),
    [
        ({}, 0, "INFO", "request finished", ("outcome", "predicted")),
        ({"injury": an_injury("OUT")}, 0, "INFO", "request finished", ("reason", "listed_out")),
        ({"recent_games_wanted": 1}, 0, "ERROR", "request finished", ("code", "bad_request")),
        ({}, 1, "WARNING", "request not finished, to be delivered again", ("reason", "the topic does not answer")),
    ],
)
def test_every_request_ends_in_one_labelled_line(
    stand: Stand,
    lines_logged: LoggedLines,
    overrides: dict[str, Any],
    failures: int,
    severity: str,
    message: str,
    told: tuple[str, str],
) -> None:
    stand.outcomes.fail_next(failures)

    stand.push(a_request(**overrides), attempt=3)

    (line,) = lines_logged()
    assert (line["severity"], line["message"]) == (severity, message)
    assert line[told[0]] == told[1]
    labels = line["logging.googleapis.com/labels"]
    assert labels["batch_id"] == BATCH_ID
    assert labels["player"] == "nikola-jokić"
    assert labels["message_id"] == MESSAGE_ID
    assert labels["delivery_attempt"] == "3"
    assert line["logging.googleapis.com/trace"] == f"projects/a-project/traces/{TRACEPARENT.split('-')[1]}"


def test_health_says_which_revision_is_alive(stand: Stand) -> None:
    answer = stand.client.get("/health")

    assert answer.status_code == 200
    told = {"service": "worker", "status": "alive", "revision": "worker-00001", "commit": "unknown"}
    assert answer.get_json() == told


def test_ready_when_every_dependency_answers(stand: Stand) -> None:
    answer = stand.client.get("/ready")

    assert answer.status_code == 200
    assert answer.get_json()["revision"] == "worker-00001"
    assert "configured" in answer.get_json()["logs"]


def test_not_ready_names_the_topic_that_does_not_answer(stand: Stand) -> None:
    stand.outcomes.fail_next(1)

    answer = stand.client.get("/ready")

    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["failing"] == {"outcomes": "the topic does not answer"}


def test_not_ready_names_the_warehouse_that_does_not_answer(stand: Stand) -> None:
    stand.warehouse.close()

    answer = stand.client.get("/ready")

    assert answer.status_code == 503
    assert list(answer.get_json()["failing"]) == ["warehouse"]


def test_a_caller_who_may_not_push_is_refused_before_anything_else(stand: Stand) -> None:
    def guard(authorization: str | None) -> None:
        if authorization != "Bearer a-sound-token":
            raise NotAuthorised("no bearer token")

    worker = Worker(
        warehouse=stand.warehouse,
        outcomes=stand.outcomes,
        revision="worker-00001",
        schema_version=2,
        model=shipped_model(),
        clock=lambda: stand.now,
    )
    client = create_app(worker, guard=guard).test_client()
    data = base64.b64encode(a_request().model_dump_json().encode()).decode()
    push = {"message": {"data": data, "messageId": "1"}}

    refused = client.post("/predict", json=push, headers={"Authorization": "Bearer x"})
    accepted = client.post("/predict", json=push, headers={"Authorization": "Bearer a-sound-token"})

    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert client.get("/health").status_code == 200
    assert accepted.status_code == 204
    assert len(stand.published()) == 1


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/predict", 405), ("POST", "/nothing", 404)])
def test_what_is_not_served_is_a_problem_document(stand: Stand, method: str, path: str, status: int) -> None:
    answer = stand.client.open(path, method=method)

    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"


def test_a_game_without_minutes_is_predicted_like_any_other(stand: Stand) -> None:
    benched = (a_past_game(points=0, minutes=0, fga=0, fta=0), *some_games([20] * 5)[1:])

    assert stand.push(a_request(recent_games=benched)).status_code == 204
    assert isinstance(stand.published()[0], Predicted)
