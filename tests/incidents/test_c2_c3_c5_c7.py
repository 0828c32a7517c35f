"""C2, C3, C5, C7: error paths work, readiness asks, messages keep their contract, every request has its last line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from shared.errors import QueryRefused, Unavailable
from shared.push import SliceName
from tests.memory_publisher import MemoryPublisher
from tests.requests_factory import a_request
from tests.stand.front import Front, Outage
from tests.stand.ledger import a_failure, a_skip
from tests.stand.worker import a_stand, another_worker, listening
from tests.stand.world import PLAYERS, Stand

EXPORTED = Path(__file__).parents[2] / "schemas" / "messages"


# --- C2 -------------------------------------------------------------------------------------------------------


class Failing:
    """A warehouse whose appends fail in one way."""

    def __init__(self, inner: object, error: Exception) -> None:
        self._inner, self._error = inner, error

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def append(self, _table: str, _rows: object) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "outcomes"),
    [
        (Unavailable("no answer"), 503, []),
        (QueryRefused("column minutes: no such column"), 204, ["row_refused"]),
        (RuntimeError("a mistake in the adapter"), 500, []),
    ],
)
def test_c2_whatever_a_staging_write_fails_with_is_answered_and_told(
    tmp_path: Path, error: Exception, status: int, outcomes: list[str]
) -> None:
    with a_stand(tmp_path) as sound:
        failing, topic = Failing(sound.warehouse, error), MemoryPublisher()
        with listening() as lines, another_worker(failing, topic, revision="w") as stand:  # type: ignore[arg-type]  # a pass-through
            answer = stand.push(a_request())

            told = [getattr(outcome, "code", None) for outcome in stand.published()]
            assert (answer.status_code, told) == (status, outcomes)
            (line,) = lines()
            assert str(error) in json.dumps(line)


# --- C3 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["documents", "warehouse", "requests", "finished"])
def test_c3_ready_asks_each_dependency_while_health_only_says_that_the_process_lives(stand: Stand, part: str) -> None:
    service = Outage(getattr(stand, part))
    coordinator = stand.new_coordinator("one", **{part: service})
    assert Front(stand, coordinator).get("/ready").status_code == 200

    service.goes_down()
    front = Front(stand, coordinator)  # a former answer holds for some seconds

    answer = front.get("/ready")
    assert (answer.status_code, list(answer.get_json()["failing"])) == (503, [part])
    assert front.get("/health").status_code == 200


# --- C5 -------------------------------------------------------------------------------------------------------


def test_c5_what_downstream_is_sent_has_exactly_the_fields_of_the_exported_contract(stand: Stand) -> None:
    stand.run()
    contract = json.loads((EXPORTED / "batch_finished.json").read_text(encoding="utf-8"))

    (sent,) = [json.loads(message.data) for message in stand.finished.messages]

    assert sent.keys() == contract["properties"].keys() == set(contract["required"])
    for field, name in (("players", "PlayerCounts"), ("rows", "RowCounts")):
        assert sent[field].keys() == contract["$defs"][name]["properties"].keys()
    assert {"completion_percentage", "completion_pct"}.isdisjoint(sent)


# --- C7 -------------------------------------------------------------------------------------------------------

Push = Callable[[Front, str], TestResponse]


@pytest.mark.parametrize(
    ("push", "last"),
    [
        (lambda front, batch_id: front.complete(a_skip(batch_id, PLAYERS[0])), "push finished"),
        (lambda front, batch_id: front.complete(a_failure(batch_id, PLAYERS[0])), "push finished"),
        (lambda front, batch_id: front.complete(a_skip(batch_id, "nobody")), "push refused"),
        (lambda front, batch_id: front.push(b"{}", **SliceName(batch_id, 0, 0, 1).attributes), "push finished"),
        (lambda front, _: front.post("/complete", b"no envelope"), "push refused"),
        (lambda front, _: front.post("/dead-letter", b"no envelope"), "push refused"),
    ],
)
def test_c7_every_push_to_the_coordinator_ends_in_one_last_line(
    stand: Stand, caplog: pytest.LogCaptureFixture, push: Push, last: str
) -> None:
    caplog.set_level("INFO")
    batch_id = stand.start().batch.batch_id
    front = Front(stand)
    caplog.clear()

    push(front, batch_id)

    ends = {"push finished", "push refused", "request not carried out", "unexpected error"}
    assert [record.message for record in caplog.records if record.message in ends] == [last]
    assert caplog.records[-1].message == last


def test_c7_a_push_that_met_passing_trouble_ends_in_one_line_too(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    batch_id = stand.start().batch.batch_id
    documents = Outage(stand.documents)
    documents.goes_down()

    Front(stand, stand.new_coordinator("one", documents=documents)).complete(a_skip(batch_id, PLAYERS[0]))

    assert [record.message for record in caplog.records if record.levelno >= 30] == ["request not carried out"]
