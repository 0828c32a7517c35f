"""The contract of `Publisher`: what is published is pushed to the subscription's endpoint until it is acknowledged.

It runs over every broker. A broker joins by being a class with the two methods of `Broker` and a parameter of the fixture
`broker`; the endpoint is a real HTTP server on loopback.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient  # type: ignore[import-untyped]  # it ships no types

from local.emulated.emulators import Emulator
from local.one_machine.push_topic import PushPolicy, PushTopic
from schemas.messages import PushEnvelope
from shared.adapters.pubsub import PubsubPublisher
from shared.errors import InvalidInput, Unavailable
from shared.ports import Outgoing, Publisher
from tests.push_endpoint import HANG_UP, serving

pytestmark = pytest.mark.xdist_group("pubsub_emulator")  # one emulator serves all

NOW = datetime(2026, 1, 30, 17, 0, tzinfo=UTC)
MESSAGE = Outgoing(
    '{"player_lookup": "nikola-jokić"}'.encode(),
    {"batch_id": "20260130_0123456789abcdef", "player_lookup": "nikola-jokić", "traceparent": "00-ab-cd-01"},
)
ATTEMPTS = 5
"""The fewest that Pub/Sub allows before a message is a dead letter."""


class Broker(Protocol):
    """What the suite needs of a thing that has topics."""

    def open_topic(self, push_endpoint: str, *, dead_letters_to: str | None = None) -> Publisher:
        """Make a new topic whose only subscription pushes to the URL.

        With `dead_letters_to` a message goes there after `ATTEMPTS`, through a dead-letter topic with such a subscription.
        """

    def open_broken_topic(self) -> Publisher:
        """Return a publisher whose topic cannot take messages: it is missing, or closed."""


class EmulatorBroker:
    """The official Pub/Sub emulator."""

    def __init__(self, emulator: Emulator, undo: ExitStack) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(emulator.variable, emulator.address)
            self._publisher = PublisherClient()
            self._subscriber = undo.enter_context(SubscriberClient())
        undo.callback(self._publisher.stop)
        self._undo = undo

    def open_topic(self, push_endpoint: str, *, dead_letters_to: str | None = None) -> Publisher:
        policy = {}
        if dead_letters_to:
            policy["dead_letter_policy"] = {
                "dead_letter_topic": self._subscribed(dead_letters_to),
                "max_delivery_attempts": ATTEMPTS,
            }
        return PubsubPublisher(self._publisher, topic=self._subscribed(push_endpoint, policy))

    def _subscribed(self, push_endpoint: str, policy: Mapping[str, object] | None = None) -> str:
        # The emulator has no reset: names of the test's own.
        topic, subscription = new_name("topics"), new_name("subscriptions")
        self._publisher.create_topic(name=topic)
        wanted = {"name": subscription, "topic": topic, "push_config": {"push_endpoint": push_endpoint}}
        self._subscriber.create_subscription(request=wanted | dict(policy or {}))
        # It would go on pushing to an endpoint that is no more.
        self._undo.callback(self._subscriber.delete_subscription, subscription=subscription)
        return topic

    def open_broken_topic(self) -> Publisher:
        return PubsubPublisher(self._publisher, topic=new_name("topics"))


class LocalBroker:
    """The in-process delivery of the one-machine run."""

    def __init__(self, folder: Path, undo: ExitStack) -> None:
        self._folder = folder
        self._undo = undo

    def open_topic(self, push_endpoint: str, *, dead_letters_to: str | None = None) -> PushTopic:
        policy = PushPolicy(minimum_backoff=timedelta(milliseconds=1), maximum_attempts=ATTEMPTS)
        dead_letter = self.open_topic(dead_letters_to) if dead_letters_to else None
        topic = PushTopic(
            self._folder / uuid.uuid4().hex, name="requests", clock=lambda: NOW, policy=policy, dead_letter=dead_letter
        )
        self._undo.callback(topic.stop)
        topic.start(push_endpoint)
        return topic

    def open_broken_topic(self) -> Publisher:
        topic = PushTopic(self._folder / uuid.uuid4().hex, name="requests", clock=lambda: NOW)
        topic.stop()
        return topic


def new_name(kind: str) -> str:
    return f"projects/tipoff-test/{kind}/test-{uuid.uuid4().hex}"


@pytest.fixture(params=["local", "emulator"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    with ExitStack() as undo:
        if request.param == "emulator":
            yield EmulatorBroker(request.getfixturevalue("pubsub_emulator"), undo)
        else:
            yield LocalBroker(tmp_path, undo)


def envelope_of(body: dict[str, Any]) -> PushEnvelope:
    return PushEnvelope.model_validate(body)


def data_of(body: dict[str, Any]) -> bytes:
    return base64.b64decode(envelope_of(body).message.data)


def test_a_message_arrives_with_its_data_and_attributes_in_a_push_envelope(broker: Broker) -> None:
    with serving() as endpoint:
        broker.open_topic(endpoint.url).publish([MESSAGE])
        (body,) = endpoint.wait_for(1)

    envelope = envelope_of(body)
    assert data_of(body) == MESSAGE.data
    assert envelope.message.attributes == MESSAGE.attributes
    assert envelope.message.message_id
    assert envelope.message.publish_time is not None
    assert envelope.message.publish_time.utcoffset() == timedelta(0)
    assert envelope.subscription is not None
    assert "/subscriptions/" in envelope.subscription


def test_the_envelope_has_the_form_of_pubsubs(broker: Broker) -> None:
    with serving() as endpoint:
        broker.open_topic(endpoint.url).publish([MESSAGE])
        (body,) = endpoint.wait_for(1)

    message = body["message"]
    assert body.keys() == {"message", "subscription"}
    assert message.keys() == {"data", "attributes", "messageId", "message_id", "publishTime", "publish_time"}
    assert (message["messageId"], message["publishTime"]) == (message["message_id"], message["publish_time"])
    assert {type(value) for name, value in message.items() if name != "attributes"} == {str}


def test_every_message_of_a_call_arrives_under_an_id_of_its_own(broker: Broker) -> None:
    with serving() as endpoint:
        broker.open_topic(endpoint.url).publish([Outgoing(b"%d" % number) for number in range(250)])
        bodies = endpoint.wait_for(250)

    assert {int(data_of(body)) for body in bodies} == set(range(250))
    assert len({envelope_of(body).message.message_id for body in bodies}) == 250


def test_a_message_that_is_answered_503_comes_again_as_the_same_message(broker: Broker) -> None:
    answers = iter([503, 503])

    with serving(lambda _: next(answers, 204)) as endpoint:
        broker.open_topic(endpoint.url).publish([MESSAGE])
        bodies = endpoint.wait_for(3)

    assert [data_of(body) for body in bodies] == [MESSAGE.data] * 3
    assert len({envelope_of(body).message.message_id for body in bodies}) == 1
    assert all(envelope_of(body).message.attributes == MESSAGE.attributes for body in bodies)


def test_whatever_is_no_success_brings_the_message_again(broker: Broker) -> None:
    refusals = [302, 400, 404, 429, 500, HANG_UP]
    answers = iter(refusals)

    with serving(lambda _: next(answers, 204)) as endpoint:
        broker.open_topic(endpoint.url).publish([MESSAGE])
        bodies = endpoint.wait_for(len(refusals) + 1)

    assert len({envelope_of(body).message.message_id for body in bodies}) == 1


@pytest.mark.parametrize("success", [200, 201, 204])
def test_a_success_ends_the_message(broker: Broker, success: int) -> None:
    other = Outgoing(b"refused twice", {})
    answers = iter([503, 503])

    def answer(body: dict[str, Any]) -> int:
        return next(answers, success) if data_of(body) == other.data else success

    with serving(answer) as endpoint:
        broker.open_topic(endpoint.url).publish([MESSAGE, other])
        bodies = endpoint.wait_for(4)

    # Whatever a refusal brings again came while the other message had ended.
    assert sorted(map(data_of, bodies)) == sorted([MESSAGE.data, *[other.data] * 3])


def test_a_message_that_nobody_takes_becomes_a_dead_letter_with_its_attributes(broker: Broker) -> None:
    with serving(lambda _: 503) as refusing, serving() as dead_letters:
        broker.open_topic(refusing.url, dead_letters_to=dead_letters.url).publish([MESSAGE])
        (dead,) = dead_letters.wait_for(1)
        attempts = refusing.wait_for(ATTEMPTS)

    assert len(attempts) == ATTEMPTS
    assert data_of(dead) == MESSAGE.data
    assert MESSAGE.attributes.items() <= envelope_of(dead).message.attributes.items()


def test_publishing_nothing_sends_nothing(broker: Broker) -> None:
    with serving() as endpoint:
        topic = broker.open_topic(endpoint.url)

        topic.publish([])
        topic.publish([MESSAGE])
        bodies = endpoint.wait_for(1)

    assert [data_of(body) for body in bodies] == [MESSAGE.data]


def test_a_topic_that_is_there_passes_its_check(broker: Broker) -> None:
    with serving() as endpoint:
        broker.open_topic(endpoint.url).check()


def test_a_topic_that_cannot_take_messages_is_unavailable_so_that_none_is_lost(broker: Broker) -> None:
    with pytest.raises(Unavailable):
        broker.open_broken_topic().publish([MESSAGE])


def test_a_topic_that_cannot_take_messages_fails_its_check(broker: Broker) -> None:
    with pytest.raises((Unavailable, InvalidInput)):
        broker.open_broken_topic().check()


CANNOT_BE_CARRIED = {
    "no data": (Outgoing(b""), "message data"),
    "too much data": (Outgoing(b"x" * 10_000_000), "message data"),
    "a value over 1,024 bytes": (Outgoing(b"x", {"player_lookup": "é" * 513}), "player_lookup"),
    "a name over 256 bytes": (Outgoing(b"x", {"n" * 257: ""}), "nnn"),
    "an empty name": (Outgoing(b"x", {"": ""}), "message attribute"),
    "a reserved name": (Outgoing(b"x", {"googclient": ""}), "goog"),
    "101 attributes": (Outgoing(b"x", {f"name-{number}": "" for number in range(101)}), "101"),
    "no UTF-8": (Outgoing(b"x", {"player_lookup": "\ud800"}), "UTF-8"),
}


@pytest.mark.parametrize(("message", "problem"), CANNOT_BE_CARRIED.values(), ids=CANNOT_BE_CARRIED)
def test_a_message_that_pubsub_cannot_carry_is_refused_before_any_other_is_published(
    broker: Broker, message: Outgoing, problem: str
) -> None:
    with serving() as endpoint:
        topic = broker.open_topic(endpoint.url)

        with pytest.raises(InvalidInput, match=problem):
            topic.publish([Outgoing(b"before"), message])
        topic.publish([MESSAGE])
        bodies = endpoint.wait_for(1)

    assert [data_of(body) for body in bodies] == [MESSAGE.data]


# --- Pub/Sub's own --------------------------------------------------------------------------------------------


@pytest.fixture
def pubsub(pubsub_emulator: Emulator) -> Iterator[Callable[[], Publisher]]:
    with ExitStack() as undo:
        yield EmulatorBroker(pubsub_emulator, undo).open_broken_topic


def test_a_missing_topic_is_named(pubsub: Callable[[], Publisher]) -> None:
    with pytest.raises(Unavailable, match=r"topic projects/tipoff-test/topics/test-.*1 of 1 messages"):
        pubsub().publish([MESSAGE])
    with pytest.raises(InvalidInput, match=r"topic: projects/tipoff-test/topics/test-.* does not exist; create it"):
        pubsub().check()


def test_a_service_that_does_not_answer_is_unavailable() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")  # a port that nothing may listen on without being root
        publisher = PubsubPublisher(PublisherClient(), topic=new_name("topics"), patience_seconds=0.2)

    with pytest.raises(Unavailable, match="1 of 1 messages are not published"):
        publisher.publish([MESSAGE])
    with pytest.raises(Unavailable):
        publisher.check()
