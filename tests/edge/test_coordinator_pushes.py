"""What `POST /complete` answers, records and logs for each kind of push."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from coordinator.documents import shard_path
from coordinator.rules.lifecycle import Status
from schemas import names
from schemas.messages import FailureCode
from shared.push import SliceName
from tests.denied_bigquery import REFUSAL, denied_warehouse
from tests.plan_inputs import GAME_DATE
from tests.stand.front import Front, Outage, assert_problem, error_reasons
from tests.stand.ledger import a_failure, a_skip
from tests.stand.world import PLAYERS, Stand

BATCH_ID = names.batch_id(GAME_DATE, "key:a-key")
UNKNOWN = "20260130_0123456789abcdef"


@pytest.fixture
def front(stand: Stand) -> Front:
    """Routes of a coordinator whose batch is waiting for three players."""
    front = Front(stand)
    assert front.start().status_code == 202
    return front


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A front with a batch that no push of this module's sharing tests may change."""
    with closing(Stand(tmp_path_factory.mktemp("idle"))) as stand:
        front = Front(stand)
        front.start()
        before = ledger(stand)
        yield front
        assert ledger(stand) == before


def ledger(stand: Stand) -> dict[str, Any]:
    """The one shard as it stands."""
    document = stand.documents.get(shard_path(BATCH_ID, 0))
    assert document is not None
    return dict(document.fields)


# --- the good day ---------------------------------------------------------------------------------------------


def test_an_outcome_is_204_once_it_is_in_the_ledger(stand: Stand, front: Front) -> None:
    outcome = stand.answer(PLAYERS[0])

    answer = front.complete(outcome)

    assert (answer.status_code, answer.data) == (204, b"")
    assert list(ledger(stand)["predicted"]) == [PLAYERS[0]]


def test_a_repeat_is_204_and_changes_nothing(stand: Stand, front: Front) -> None:
    outcome = a_skip(BATCH_ID, PLAYERS[0])
    front.complete(outcome)
    before = ledger(stand)

    assert front.complete(outcome).status_code == 204

    assert ledger(stand) == before


def test_the_last_outcome_consolidates_in_its_own_request(
    stand: Stand, front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    answers = [front.complete(stand.answer(player)) for player in PLAYERS]

    assert [answer.status_code for answer in answers] == [204, 204, 204]
    assert stand.batch(BATCH_ID).status is Status.COMPLETE
    assert stand.predicted_players() == set(PLAYERS)
    assert [event.state for event in stand.events()] == ["COMPLETE"]
    ends = [record.__dict__["json_fields"] for record in caplog.records if record.message == "push finished"]
    assert [end["consolidation"] for end in ends] == [None, None, "merged"]
    assert error_reasons(caplog) == []


def test_an_outcome_repeated_after_the_end_is_204_and_changes_nothing(stand: Stand, front: Front) -> None:
    outcomes = [stand.answer(player) for player in PLAYERS]
    for outcome in outcomes:
        front.complete(outcome)
    before = (ledger(stand), stand.batch(BATCH_ID), stand.predictions(active=None), stand.events())

    assert [front.complete(outcome).status_code for outcome in outcomes] == [204, 204, 204]

    assert (ledger(stand), stand.batch(BATCH_ID), stand.predictions(active=None), stand.events()) == before


def test_an_outcome_with_fields_of_a_newer_revision_is_recorded(stand: Stand, front: Front) -> None:
    newer = {"outcomes": [a_skip(BATCH_ID, PLAYERS[0]).model_dump(mode="json") | {"mood": "good"}], "news": 1}

    assert front.push(json.dumps(newer).encode()).status_code == 204

    assert list(ledger(stand)["skipped"]) == [PLAYERS[0]]


# --- what can never be understood -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"not json", "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "message"),
        (b'{"message": {}}', "message.data"),
        (b'{"message": {"messageId": "1"}}', "message.data"),
        (b'{"message": {"data": "", "messageId": "1"}}', "message.data"),
        (b'{"message": {"data": "####", "messageId": "1"}}', "not base64"),
        (b'{"message": {"data": "e30=", "messageId": "1"}}', "no outcomes"),
        (b'{"message": {"data": "base64data", "messageId": "test123"}}', "base64"),
        (b'{"message": {"data": "e30="}}', "messageId"),
    ],
)
def test_a_malformed_push_is_204_and_one_error_line_with_the_reason(
    idle: Front, body: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = idle.post("/complete", body)

    assert (answer.status_code, answer.data) == (204, b"")
    assert any(reason in told for told in error_reasons(caplog)), error_reasons(caplog)


OUTCOME = a_skip(BATCH_ID, PLAYERS[0]).model_dump(mode="json")


def said(*outcomes: dict[str, Any]) -> bytes:
    return json.dumps({"outcomes": outcomes}).encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{}", "outcomes"),
        (b"null", "no outcomes"),
        (said(OUTCOME | {"outcome": "vanished"}), "vanished"),
        (said(OUTCOME | {"reason": "bored"}), "reason"),
        (said(OUTCOME | {"batch_id": "../dates"}), "batch_id"),
        (said(OUTCOME, OUTCOME | {"batch_id": UNKNOWN}), "several batches"),
    ],
)
def test_unreadable_outcomes_fail_the_one_player_that_their_attributes_name(
    stand: Stand, front: Front, data: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = front.push(data, **SliceName(BATCH_ID, 0, 1, 2).attributes)

    assert answer.status_code == 204
    assert list(ledger(stand)["failed"]) == [PLAYERS[1]]
    assert reason in ledger(stand)["failed"][PLAYERS[1]][FailureCode.BAD_REQUEST]["detail"]
    assert any(reason in told for told in error_reasons(caplog))


def test_unreadable_outcomes_of_several_players_have_each_predicted_again_alone(stand: Stand, front: Front) -> None:
    before = len(stand.requests.messages)
    front.complete(a_skip(BATCH_ID, PLAYERS[0]))

    assert front.push(b"{}", **SliceName(BATCH_ID, 0, 0, 3).attributes).status_code == 204

    assert [message.attributes["slice"] for message in stand.requests.messages[before:]] == ["1:2", "2:3"]
    assert ledger(stand)["failed"] == {}


def test_the_outcomes_of_a_slice_are_one_commit(stand: Stand) -> None:
    Front(stand).start()
    documents = Counting(stand.documents)
    front = Front(stand, stand.new_coordinator("one", documents=documents))

    front.complete(a_skip(BATCH_ID, PLAYERS[0]), a_failure(BATCH_ID, PLAYERS[1]))

    assert documents.asked == ["get", "get", "commit", "get"], "batch, shard, the entries, shard"


class Counting:
    """A document store that counts what it is asked."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._inner, name)


def test_what_has_no_place_in_the_ledger_does_not_sink_what_came_with_it(
    stand: Stand, front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    assert front.complete(a_skip(BATCH_ID, "somebody-else"), a_skip(BATCH_ID, PLAYERS[0])).status_code == 204

    assert list(ledger(stand)["skipped"]) == [PLAYERS[0]]
    assert len(error_reasons(caplog)) == 1


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"batch_id": BATCH_ID},
        {"shard": "0", "slice": "0:1"},
        {"batch_id": "nonsense", "shard": "0", "slice": "0:1"},
        {"batch_id": UNKNOWN, "shard": "0", "slice": "0:1"},
        {"batch_id": BATCH_ID, "shard": "7", "slice": "0:1"},
        {"batch_id": BATCH_ID, "shard": "0", "slice": "3:4"},
        {"batch_id": BATCH_ID, "shard": "0", "slice": "1:1"},
        {"batch_id": BATCH_ID, "shard": "-1", "slice": "0:1"},
    ],
)
def test_an_unreadable_outcome_that_names_nobody_is_204_and_logged(
    idle: Front, attributes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    assert idle.push(b"{}", **attributes).status_code == 204

    assert len(error_reasons(caplog)) == 2, "why it is unreadable, and why it cannot be recorded"


def test_an_outcome_of_an_unknown_batch_is_204_and_logged(idle: Front, caplog: pytest.LogCaptureFixture) -> None:
    assert idle.complete(a_skip(UNKNOWN, PLAYERS[0])).status_code == 204

    assert any(UNKNOWN in reason for reason in error_reasons(caplog))


@pytest.mark.parametrize("player", ["somebody-else", "player-", "zzz", "__proto__", "a" * 1_024, "a\rb"])
def test_an_unexpected_player_is_204_logged_and_counted_nowhere(
    stand: Stand, front: Front, player: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert front.complete(a_skip(BATCH_ID, player)).status_code == 204

    view = front.get(f"/batches/{BATCH_ID}").get_json()
    assert view["players"] == {"expected": 3, "predicted": 0, "skipped": 0, "failed": 0, "silent": 3}
    assert len(error_reasons(caplog)) == 1
    assert stand.batch(BATCH_ID).settled_shards == frozenset()


def test_no_poison_message_keeps_the_batch_from_its_end(stand: Stand, front: Front) -> None:
    front.complete(a_skip(BATCH_ID, "somebody-else"))
    front.push(b"{}")

    for player in PLAYERS:
        front.complete(stand.answer(player))

    assert stand.batch(BATCH_ID).status is Status.COMPLETE


# --- trouble that may pass ------------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", range(3), ids=["at once", "before the write", "after the write"])
def test_a_document_store_that_is_down_is_503_until_the_redelivery_is_durable(stand: Stand, answered: int) -> None:
    Front(stand).start()
    documents = Outage(stand.documents)
    front = Front(stand, stand.new_coordinator("one", documents=documents))
    documents.goes_down(after=answered)

    refused = front.complete(a_skip(BATCH_ID, PLAYERS[0]))
    documents.comes_back()

    assert_problem(refused, 503, "does not answer")
    assert refused.headers["Retry-After"] == "10"
    assert front.complete(a_skip(BATCH_ID, PLAYERS[0])).status_code == 204
    assert list(ledger(stand)["skipped"]) == [PLAYERS[0]]


def test_a_consolidation_that_met_an_outage_is_503_and_finished_by_the_redelivery(stand: Stand) -> None:
    Front(stand).start()
    answers = [stand.answer(player) for player in PLAYERS]
    warehouse = Outage(stand.warehouse)
    front = Front(stand, stand.new_coordinator("one", warehouse=warehouse))
    front.complete(answers[0])
    front.complete(answers[1])
    warehouse.goes_down()

    assert_problem(front.complete(answers[2]), 503)
    assert stand.batch(BATCH_ID).status is Status.RUNNING
    assert stand.events() == []

    warehouse.comes_back()
    assert front.complete(answers[2]).status_code == 204
    assert stand.batch(BATCH_ID).status is Status.COMPLETE


def test_a_consolidation_that_lacks_a_right_is_503_and_finished_once_it_is_granted(stand: Stand) -> None:
    Front(stand).start()
    answers = [stand.answer(player) for player in PLAYERS]
    front = Front(stand, stand.new_coordinator("one", warehouse=denied_warehouse()))
    front.complete(answers[0])
    front.complete(answers[1])

    assert_problem(front.complete(answers[2]), 503, REFUSAL)
    assert stand.batch(BATCH_ID).status is Status.RUNNING
    assert stand.events() == []

    assert Front(stand).complete(answers[2]).status_code == 204
    assert stand.batch(BATCH_ID).status is Status.COMPLETE


def test_an_unreadable_outcome_is_503_while_its_failure_cannot_be_recorded(stand: Stand) -> None:
    Front(stand).start()
    documents = Outage(stand.documents)
    front = Front(stand, stand.new_coordinator("one", documents=documents))
    documents.goes_down()

    assert_problem(front.push(b"{}", **SliceName(BATCH_ID, 0, 1, 2).attributes), 503)


# --- late -----------------------------------------------------------------------------------------------------


def test_until_late_until_an_outcome_is_taken_as_it_is(stand: Stand, front: Front) -> None:
    outcome = stand.answer(PLAYERS[0])
    stand.now = stand.batch(BATCH_ID).late_until

    front.complete(outcome)

    assert list(ledger(stand)["predicted"]) == [PLAYERS[0]]


def test_after_late_until_it_is_recorded_as_failed_expired(stand: Stand, front: Front) -> None:
    outcome = stand.answer(PLAYERS[0])
    stand.now = stand.batch(BATCH_ID).late_until + timedelta(microseconds=1)

    assert front.complete(outcome).status_code == 204

    assert ledger(stand)["predicted"] == {}
    assert "predicted outcome" in ledger(stand)["failed"][PLAYERS[0]][FailureCode.EXPIRED]["detail"]


def test_a_failure_by_the_worker_settles_its_player(front: Front) -> None:
    front.complete(a_failure(BATCH_ID, PLAYERS[0]))

    assert front.get(f"/batches/{BATCH_ID}").get_json()["silent"] == list(PLAYERS[1:])
