"""The in-process push delivery keeps what Pub/Sub promises, and a killed process loses no message."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.one_machine.push_log import MessageLog
from local.one_machine.push_topic import PushPolicy, PushTopic
from schemas.messages import PushEnvelope
from shared.errors import InvalidInput, Unavailable
from shared.ports import Outgoing
from tests.push_endpoint import ACKNOWLEDGE_AND_HANG_UP, HANG_UP, WAIT_SECONDS, serving

NOW = datetime(2026, 1, 30, 17, 0, 0, 123000, UTC)
QUICK = PushPolicy(
    minimum_backoff=timedelta(milliseconds=1), maximum_backoff=timedelta(milliseconds=5), maximum_attempts=3
)
ROOT = Path(__file__).parents[2]


def topic(
    path: Path, *, policy: PushPolicy = QUICK, name: str = "requests", dead_letter: PushTopic | None = None
) -> PushTopic:
    return PushTopic(path, name=name, clock=lambda: NOW, policy=policy, dead_letter=dead_letter)


def texts(bodies: list[dict[str, Any]]) -> list[str]:
    return [base64.b64decode(body["message"]["data"]).decode() for body in bodies]


def left(path: Path) -> int:
    log = MessageLog(path)
    try:
        return log.count()
    finally:
        log.close()


def test_a_message_arrives_in_the_envelope_that_the_services_read(tmp_path: Path) -> None:
    requests = topic(tmp_path / "requests.sqlite")
    message = Outgoing('{"player_lookup": "nikola-jokić"}'.encode(), {"batch_id": "b", "traceparent": "00-ab-cd-01"})

    with serving() as endpoint:
        requests.start(endpoint.url)
        requests.publish([message])
        (body,) = endpoint.wait_for(1)
        requests.stop()

    pushed = PushEnvelope.model_validate(body)
    assert base64.b64decode(pushed.message.data) == message.data
    assert pushed.message.attributes == message.attributes
    assert pushed.message.publish_time == NOW
    assert pushed.subscription == "projects/local/subscriptions/requests"
    assert body["message"]["message_id"] == body["message"]["messageId"]
    assert "deliveryAttempt" not in body


def test_every_message_arrives_and_acknowledged_ones_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    requests = topic(path)
    requests.publish([Outgoing(b"%d" % number) for number in range(100)])

    with serving() as endpoint:
        requests.start(endpoint.url)
        requests.publish([Outgoing(b"%d" % number) for number in range(100, 200)])
        bodies = endpoint.wait_for(200)
        requests.stop()

    assert sorted(texts(bodies), key=int) == [str(number) for number in range(200)]
    assert len({body["message"]["messageId"] for body in bodies}) == 200
    assert left(path) == 0


@pytest.mark.parametrize("status", [102, 200, 201, 202, 204])
def test_a_status_that_acknowledges_ends_the_message(tmp_path: Path, status: int) -> None:
    path = tmp_path / "requests.sqlite"
    requests = topic(path)

    with serving(lambda _: status) as endpoint:
        requests.start(endpoint.url)
        requests.publish([Outgoing(b"x")])
        endpoint.wait_for(1)
        requests.stop()

    assert left(path) == 0


@pytest.mark.parametrize("status", [206, 302, 400, 404, 429, 500, 503, HANG_UP])
def test_anything_else_brings_the_message_again(tmp_path: Path, status: int) -> None:
    path = tmp_path / "requests.sqlite"
    requests = topic(path)
    answers = iter([status, status, status, status, 204])

    with serving(lambda _: next(answers)) as endpoint:
        requests.start(endpoint.url)
        requests.publish([Outgoing(b"x", {"batch_id": "b"})])
        bodies = endpoint.wait_for(5)
        requests.stop()

    assert bodies == [bodies[0]] * 5
    assert left(path) == 0


def test_a_connection_that_ended_while_idle_costs_no_back_off(tmp_path: Path) -> None:
    policy = PushPolicy(concurrency=1, minimum_backoff=timedelta(hours=1))
    requests = topic(tmp_path / "requests.sqlite", policy=policy)

    with serving(lambda _: ACKNOWLEDGE_AND_HANG_UP) as endpoint:
        requests.start(endpoint.url)
        for number in range(1, 6):
            requests.publish([Outgoing(b"x")])
            endpoint.wait_for(number)
        requests.stop()

    assert left(tmp_path / "requests.sqlite") == 0


def test_an_endpoint_that_is_no_http_address_is_refused(tmp_path: Path) -> None:
    requests = topic(tmp_path / "requests.sqlite")

    with pytest.raises(InvalidInput, match="push endpoint: 'localhost:80/predict' is not of the form"):
        requests.start("localhost:80/predict")


def test_a_message_whose_answer_comes_after_the_deadline_comes_again(tmp_path: Path) -> None:
    policy = PushPolicy(ack_deadline=timedelta(milliseconds=50), minimum_backoff=timedelta(milliseconds=1))
    requests = topic(tmp_path / "requests.sqlite", policy=policy)
    came_again = threading.Event()
    first = iter([True])

    def answer(_: dict[str, Any]) -> int:
        if next(first, False):
            came_again.wait(WAIT_SECONDS)
        came_again.set()
        return 204

    with serving(answer) as endpoint:
        requests.start(endpoint.url)
        requests.publish([Outgoing(b"x")])
        bodies = endpoint.wait_for(2)
        requests.stop()

    assert texts(bodies)[:2] == ["x", "x"]


def test_a_message_moves_to_the_dead_letter_topic_after_its_last_attempt(tmp_path: Path) -> None:
    dead = topic(tmp_path / "dead.sqlite", name="requests-dead")
    requests = topic(tmp_path / "requests.sqlite", dead_letter=dead)

    with serving(lambda _: 503) as refusing, serving() as endpoint:
        requests.start(refusing.url)
        dead.start(endpoint.url)
        requests.publish([Outgoing(b"x", {"batch_id": "b"})])
        (body,) = endpoint.wait_for(1)
        requests.stop()
        dead.stop()
        attempts = refusing.wait_for(3)

    assert [attempt["deliveryAttempt"] for attempt in attempts] == [1, 2, 3]
    assert texts([body]) == ["x"]
    assert body["message"]["attributes"] == {
        "batch_id": "b",
        "CloudPubSubDeadLetterSourceDeliveryCount": "3",
        "CloudPubSubDeadLetterSourceSubscription": "requests",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "local",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-01-30T17:00:00.123Z",
    }
    assert (left(tmp_path / "requests.sqlite"), left(tmp_path / "dead.sqlite")) == (0, 0)


def test_attempts_are_counted_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    once = PushPolicy(minimum_backoff=timedelta(hours=1), maximum_attempts=3)
    dead = topic(tmp_path / "dead.sqlite")
    requests = topic(path, policy=once, dead_letter=dead)
    requests.publish([Outgoing(b"x")])
    attempts = []

    with serving(lambda _: 503) as endpoint:
        for count in (1, 2, 3):
            requests.start(endpoint.url)
            attempts.append(endpoint.wait_for(count)[-1]["deliveryAttempt"])
            requests.stop()
            requests = topic(path, policy=once, dead_letter=dead)

    assert attempts == [1, 2, 3]
    assert (requests.depth(), dead.depth()) == (0, 1)
    requests.stop()
    dead.stop()


def test_a_dead_letter_topic_that_does_not_answer_loses_no_message(tmp_path: Path) -> None:
    dead = topic(tmp_path / "dead.sqlite")
    dead.stop()
    requests = topic(tmp_path / "requests.sqlite", dead_letter=dead)

    with serving(lambda _: 503) as endpoint:
        requests.start(endpoint.url)
        requests.publish([Outgoing(b"x")])
        endpoint.wait_for(5)
        requests.stop()

    assert left(tmp_path / "requests.sqlite") == 1


def test_deliveries_run_side_by_side_up_to_the_policy(tmp_path: Path) -> None:
    requests = topic(tmp_path / "requests.sqlite", policy=PushPolicy(concurrency=4))
    all_there = threading.Barrier(4, timeout=WAIT_SECONDS)

    def answer(_: dict[str, Any]) -> int:
        all_there.wait()
        return 204

    with serving(answer) as endpoint:
        requests.start(endpoint.url)
        requests.publish([Outgoing(b"x")] * 8)
        endpoint.wait_for(8)
        requests.stop()

    assert left(tmp_path / "requests.sqlite") == 0


def test_what_is_under_way_when_stopped_comes_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    released = threading.Event()
    requests = topic(path)

    def answer(_: dict[str, Any]) -> int:
        released.wait(WAIT_SECONDS)
        return 204

    with serving(answer) as endpoint:
        requests.start(endpoint.url)
        requests.publish([Outgoing(b"x")])
        endpoint.wait_for(1)
        requests.stop(grace=timedelta(0))
        released.set()
        again = topic(path)
        again.start(endpoint.url)
        bodies = endpoint.wait_for(2)
        again.stop()

    assert texts(bodies) == ["x", "x"]
    assert left(path) == 0


def test_a_stopped_topic_says_that_it_is_unavailable(tmp_path: Path) -> None:
    requests = topic(tmp_path / "requests.sqlite")
    requests.check()

    requests.stop()
    requests.stop()

    with pytest.raises(Unavailable, match="does not answer"):
        requests.publish([Outgoing(b"x")])
    with pytest.raises(Unavailable, match="does not answer"):
        requests.check()


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        topic(tmp_path / "nowhere" / "requests.sqlite")


def test_back_off_doubles_up_to_its_maximum() -> None:
    policy = PushPolicy(minimum_backoff=timedelta(seconds=1), maximum_backoff=timedelta(seconds=10))

    waits = [policy.backoff_seconds(attempt) for attempt in (1, 2, 3, 4, 5, 10_000)]

    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


_PUBLISH_AND_DELIVER = """
import sys, threading
from datetime import UTC, datetime
from pathlib import Path
from local.one_machine.push_topic import PushTopic
from shared.ports import Outgoing
topic = PushTopic(Path(sys.argv[1]), name="requests", clock=lambda: datetime.now(UTC))
topic.publish([Outgoing(b"%d" % number) for number in range(20)])
topic.start(sys.argv[2])
threading.Event().wait()
"""


def test_a_killed_process_loses_no_message(tmp_path: Path) -> None:
    path = tmp_path / "requests.sqlite"
    answered: set[str] = set()
    five = threading.Semaphore(5)
    is_killed = threading.Event()

    def answer_five(body: dict[str, Any]) -> int:
        if five.acquire(blocking=False):
            answered.add(body["message"]["messageId"])
            return 204
        is_killed.wait(WAIT_SECONDS)
        return 204

    with serving(answer_five) as endpoint:
        process = subprocess.Popen([sys.executable, "-c", _PUBLISH_AND_DELIVER, str(path), endpoint.url], cwd=ROOT)
        endpoint.wait_for(13)
        process.kill()
        process.wait()
        is_killed.set()

    with serving() as endpoint:
        again = topic(path)
        waiting = again.depth()
        again.start(endpoint.url)
        bodies = endpoint.wait_for(waiting)
        again.stop()

    came = {body["message"]["messageId"] for body in bodies}
    assert came | answered == {str(number) for number in range(1, 21)}
    assert len(came) == waiting
    assert waiting >= 15
    assert left(path) == 0
