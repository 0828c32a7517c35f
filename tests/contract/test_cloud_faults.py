"""What acceptance disturbs and reads: subscriptions on the Pub/Sub emulator, and what a stand-in of gcloud tells."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import grpc  # type: ignore[import-untyped]  # it ships no types
import pytest
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from local.emulated.cloud_faults import EMULATOR, CloudClock, CloudLines, PubsubMessages
from local.emulated.cloud_stack import RETRYING
from local.emulated.emulators import Emulator
from local.emulated.provision import Topics, provision_topics
from local.one_machine.coordinator_client import Answer, Ask, CoordinatorClient
from local.one_machine.faulty_day import CLOCK, DEAD_LETTER, LOST, Attempt, FaultyDay, LogLine
from local.one_machine.gcloud import Gcloud
from local.one_machine.law import Law, LawVerdict
from shared.errors import InvalidInput, Unavailable
from shared.push import SliceName
from tests.push_endpoint import PushEndpoint, serving

pytestmark = pytest.mark.xdist_group("pubsub_emulator")  # one emulator serves all

OURS, ANOTHERS = "20990130_0123456789abcdef", "20260130_0123456789abcdef"


# --- messages -------------------------------------------------------------------------------------------------


@pytest.fixture
def coordinator() -> Iterator[PushEndpoint]:
    """Where outcomes and dead letters are pushed."""
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def topics(pubsub_emulator: Emulator, coordinator: PushEndpoint) -> Topics:
    """Topics and subscriptions as they are provisioned, of names of their own."""
    wanted = Topics("demo", *(f"{name}-{uuid.uuid4().hex[:8]}" for name in ("requests", "outcomes", "finished")))
    with grpc.insecure_channel(pubsub_emulator.address) as channel:
        url = coordinator.url.removesuffix("/push")
        provision_topics(
            PublisherClient(transport=PublisherGrpcTransport(channel=channel)),
            SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)),
            wanted,
            worker_url=url,
            coordinator_url=url,
            delivery=RETRYING,
        )
    return wanted


@pytest.fixture
def messages(pubsub_emulator: Emulator, topics: Topics) -> PubsubMessages:
    return PubsubMessages(topics, environ={EMULATOR: pubsub_emulator.address})


@pytest.fixture
def publish(pubsub_emulator: Emulator, topics: Topics) -> Iterator[Callable[[str], object]]:
    """Publish an outcome of a batch."""
    with closing(grpc.insecure_channel(pubsub_emulator.address)) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        topic = publisher.topic_path(topics.project, topics.outcomes)
        yield lambda batch_id: publisher.publish(
            topic=topic, messages=[PubsubMessage(data=b"{}", attributes={"batch_id": batch_id})]
        )


def pushed_batches(coordinator: PushEndpoint, count: int) -> list[str]:
    return [body["message"]["attributes"]["batch_id"] for body in coordinator.wait_for(count)]


def test_a_batchs_held_outcomes_are_lost_and_anothers_come_when_they_are_let_go(
    messages: PubsubMessages, publish: Callable[[str], object], coordinator: PushEndpoint
) -> None:
    with messages.held():
        for batch_id in (OURS, ANOTHERS, OURS):
            publish(batch_id)
        lost = messages.lose(OURS)
    publish(OURS)

    assert lost == 2
    assert sorted(pushed_batches(coordinator, 2)) == [ANOTHERS, OURS]


def test_who_holds_them_lets_them_go_whatever_happens_and_nobody_holds_them_twice(
    messages: PubsubMessages, publish: Callable[[str], object], coordinator: PushEndpoint
) -> None:
    with pytest.raises(InvalidInput, match=r"deploy/provision.sh mends it"), messages.held(), messages.held():
        pytest.fail("held twice")

    publish(OURS)
    assert pushed_batches(coordinator, 1) == [OURS]


def test_a_request_that_is_given_up_names_its_players_to_the_coordinator(
    messages: PubsubMessages, coordinator: PushEndpoint
) -> None:
    name = SliceName(OURS, shard=0, start=0, stop=1)

    messages.give_up(name)

    (body,) = coordinator.wait_for(1)
    assert body["message"]["attributes"].items() >= name.attributes.items()


def test_a_subscription_that_is_not_there_is_told(pubsub_emulator: Emulator) -> None:
    absent = PubsubMessages(Topics("demo", outcomes="absent"), environ={EMULATOR: pubsub_emulator.address})

    with pytest.raises(Unavailable, match="subscription projects/demo/subscriptions/absent"), absent.held():
        pytest.fail("held")


# --- what gcloud tells ----------------------------------------------------------------------------------------


def gcloud_that(folder: Path, says: object, *, fails: str = "") -> Gcloud:
    """A stand-in that prints this, or fails with that, whatever it is asked."""
    program = folder / "gcloud"
    end = f"echo WARNING: old >&2; echo {shlex.quote(fails)} >&2; echo bye >&2; exit 1" if fails else ""
    program.write_text(f"#!/bin/sh\n{end}\necho {shlex.quote(json.dumps(says))}\n", encoding="utf-8")
    program.chmod(0o755)
    return Gcloud(str(program))


@pytest.mark.parametrize(
    ("told", "attempt"),
    [
        ({"state": "ENABLED", "lastAttemptTime": "T", "status": {}}, Attempt("T", None)),
        ({"state": "ENABLED"}, Attempt("", None)),
        (
            {"state": "ENABLED", "lastAttemptTime": "T", "status": {"code": 7, "message": "PERMISSION_DENIED"}},
            Attempt("T", "failed with code 7: PERMISSION_DENIED"),
        ),
        ({"state": "PAUSED", "lastAttemptTime": "T"}, Attempt("T", "was none of late, since the job is PAUSED")),
    ],
)
def test_of_an_attempt_time_and_trouble_are_told(tmp_path: Path, told: object, attempt: Attempt) -> None:
    clock = CloudClock(gcloud=gcloud_that(tmp_path, told), project="p", region="us-east1")

    assert clock.last() == attempt


def test_what_gcloud_refuses_is_told_by_its_error(tmp_path: Path) -> None:
    clock = CloudClock(gcloud=gcloud_that(tmp_path, {}, fails="ERROR: no such job"), project="p", region="us-east1")

    with pytest.raises(Unavailable, match="gcloud scheduler jobs run: ERROR: no such job"):
        clock.run()


def test_lines_are_those_of_the_services_and_name_their_trace(tmp_path: Path) -> None:
    entries = [
        {"labels": {"service": "worker"}, "jsonPayload": {"message": "requests finished"}, "trace": "t"},
        {"labels": {"service": "coordinator"}, "jsonPayload": {"message": "batch ended"}},
        {"textPayload": "a line of the platform"},
    ]

    lines = CloudLines(gcloud=gcloud_that(tmp_path, entries), project="p")(OURS)

    assert lines == [LogLine("worker", "requests finished", "t"), LogLine("coordinator", "batch ended", "")]


# --- what counts as seen --------------------------------------------------------------------------------------


def laws_of(day: FaultyDay) -> dict[str, Law]:
    return {law.name: law for law in day.run(rows=1)}


def test_while_another_batch_lives_nothing_is_disturbed(messages: PubsubMessages) -> None:
    living = {"batches": [{"batch_id": ANOTHERS, "state": "RUNNING"}]}

    def answered(ask: Ask) -> Answer:
        assert (ask.method, ask.path) == ("GET", "/batches")
        return Answer(200, living)

    laws = laws_of(
        FaultyDay(
            client=CoordinatorClient(answered, runs=True),
            messages=messages,
            clock=None,
            start=lambda _policy: pytest.fail("started"),
            staged=lambda _view: pytest.fail("looked at"),
            pause=lambda _seconds: None,
            patience_seconds=1,
        )
    )

    assert {law.verdict for law in laws.values()} == {LawVerdict.NOT_SHOWN}
    assert laws.keys() == {DEAD_LETTER, LOST, CLOCK}
    assert ANOTHERS in laws[LOST].saw


class Told:
    """A clock that tells of these attempts one after another, and of the last one again and again."""

    def __init__(self, *attempts: Attempt) -> None:
        self._attempts = list(attempts)

    def run(self) -> None:
        """Nothing comes of it but the next attempt."""

    def last(self) -> Attempt:
        """See `Clock.last`."""
        return self._attempts.pop(0) if len(self._attempts) > 1 else self._attempts[0]


@pytest.mark.parametrize(
    ("attempts", "verdict", "saw"),
    [
        ([Attempt("1", None), Attempt("1", None), Attempt("2", None)], LawVerdict.SEEN, "at 2, was answered 2xx"),
        ([Attempt("", None), Attempt("2", "failed with code 7: no")], LawVerdict.BROKEN, "at 2, failed with code 7"),
        ([Attempt("1", None)], LawVerdict.BROKEN, "at 1, was answered 2xx"),
    ],
)
def test_the_clocks_call_is_seen_where_a_newer_attempt_was_answered(
    attempts: list[Attempt], verdict: LawVerdict, saw: str
) -> None:
    clock = Told(*attempts)
    day = FaultyDay(
        client=CoordinatorClient(lambda _ask: pytest.fail("asked"), runs=True),
        messages=None,
        clock=clock,
        start=lambda _policy: pytest.fail("started"),
        staged=lambda _view: pytest.fail("looked at"),
        pause=lambda _seconds: None,
        patience_seconds=10,
    )

    law = day._of_clock(clock, clock.last())

    assert law.verdict is verdict
    assert saw in law.saw
