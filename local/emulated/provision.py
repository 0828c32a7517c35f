"""The resources that the services find ready: topics, push subscriptions, dataset and tables. Doing it again mends what
differs and destroys nothing.

Decides how messages are delivered: until acknowledged, further and further apart, and a request that nobody could take
after so many attempts is kept as a dead letter. Knows nothing of batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc  # type: ignore[import-untyped]  # it ships no types
from google.api_core import exceptions as api
from google.cloud import bigquery
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from shared.declared import every_spec
from shared.errors import Unavailable
from shared.ports import Warehouse


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics' short ids, in one project."""

    project: str
    requests: str = "requests"
    outcomes: str = "outcomes"
    finished: str = "finished"

    @property
    def dead_requests(self) -> str:
        """Where requests go that could not be delivered."""
        return f"{self.requests}-dead-letter"


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a message waits after a refusal: at first, and at most. Pub/Sub takes 0 to 600 s."""

    minimum: timedelta = timedelta(seconds=10)
    maximum: timedelta = timedelta(seconds=600)


@dataclass(frozen=True, slots=True)
class PushTerms:
    """How a subscription delivers; an ack deadline may have 10 to 600 s, and 5 to 100 attempts may be allowed."""

    ack_deadline: timedelta = timedelta(seconds=600)
    """A consolidation runs inside its push, so it is as long as it can be."""
    backoff: Backoff | None = Backoff()
    """None: what is refused comes again at once."""
    maximum_attempts: int = 20
    """Then a request becomes a dead letter."""


def pubsub_clients(emulator: str | None) -> tuple[PublisherClient, SubscriberClient]:
    """Make the clients of Pub/Sub, or of an emulator at `host:port`."""
    if not emulator:
        return PublisherClient(), SubscriberClient()
    channel = grpc.insecure_channel(emulator)
    return (
        PublisherClient(transport=PublisherGrpcTransport(channel=channel)),
        SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)),
    )


@contextmanager
def naming_refusals(kind: str, name: str) -> Iterator[None]:
    """Have a refusal of Google's name what it is about. Raises `Unavailable`."""
    try:
        yield
    except api.GoogleAPIError as error:
        raise Unavailable(f"{kind} {name}: {error}") from error


def provision_topics(
    publisher: PublisherClient,
    subscriber: SubscriberClient,
    topics: Topics,
    *,
    worker_url: str,
    coordinator_url: str,
    delivery: PushTerms,
) -> None:
    """Create the topics and their subscriptions: requests are pushed to the worker, outcomes and requests that nobody
    could take to the coordinator.

    A subscription that is there gets the given endpoint and delivery; what it holds stays.

    Raises:
        Unavailable: Pub/Sub did not do it; what was made so far stays, and a repeat goes on.
    """
    for topic in (topics.requests, topics.outcomes, topics.finished, topics.dead_requests):
        with naming_refusals("topic", topic), suppress(api.AlreadyExists):
            publisher.create_topic(name=publisher.topic_path(topics.project, topic))
    dead_letters = publisher.topic_path(topics.project, topics.dead_requests)
    subscribe(
        subscriber,
        topics.project,
        topics.requests,
        push_to=f"{worker_url}/predict",
        delivery=delivery,
        dead_letters=dead_letters,
    )
    subscribe(subscriber, topics.project, topics.outcomes, push_to=f"{coordinator_url}/complete", delivery=delivery)
    dead_letter = f"{coordinator_url}/dead-letter"
    subscribe(subscriber, topics.project, topics.dead_requests, push_to=dead_letter, delivery=delivery)


def subscribe(
    subscriber: SubscriberClient,
    project: str,
    topic: str,
    *,
    push_to: str | None,
    delivery: PushTerms,
    dead_letters: str | None = None,
) -> str:
    """Create the subscription of a topic, which has the topic's id, or mend the one there is; return its whole name.

    Args:
        push_to: URL; None is a subscription to pull from.
        dead_letters: whole name of the topic for what is not acknowledged after `maximum_attempts`.

    Raises:
        Unavailable: Pub/Sub did not do it.
    """
    name: str = subscriber.subscription_path(project, topic)
    wanted: dict[str, Any] = {"ack_deadline_seconds": int(delivery.ack_deadline.total_seconds())}
    if delivery.backoff is not None:
        wanted["retry_policy"] = {
            "minimum_backoff": delivery.backoff.minimum,
            "maximum_backoff": delivery.backoff.maximum,
        }
    if push_to is not None:
        wanted["push_config"] = {"push_endpoint": push_to}
    if dead_letters is not None:
        wanted["dead_letter_policy"] = {
            "dead_letter_topic": dead_letters,
            "max_delivery_attempts": delivery.maximum_attempts,
        }
    with naming_refusals("subscription", name):
        _create_or_mend(subscriber, name, subscriber.topic_path(project, topic), wanted)
    return name


def _create_or_mend(subscriber: SubscriberClient, name: str, topic: str, wanted: Mapping[str, Any]) -> None:
    try:
        # Without an expiration policy a subscription that nobody uses for 31 days is deleted, and its messages with it.
        subscriber.create_subscription(request={"name": name, "topic": topic, "expiration_policy": {}, **wanted})
    except api.AlreadyExists:
        changed = {"subscription": {"name": name, "topic": topic, **wanted}, "update_mask": {"paths": list(wanted)}}
        subscriber.update_subscription(request=changed)


def provision_dataset(client: bigquery.Client, dataset: str, *, location: str) -> None:
    """Create the dataset; one that is there is left as it is.

    Raises:
        Unavailable: BigQuery did not do it.
    """
    wanted = bigquery.Dataset(bigquery.DatasetReference(client.project, dataset))
    wanted.location = location
    with naming_refusals("dataset", dataset):
        client.create_dataset(wanted, exists_ok=True)


def provision_tables(warehouse: Warehouse) -> None:
    """Create every table that lasts: inputs, predictions and staging; those that are there are left as they are.

    A predictions table of an older version is mended by the coordinator itself, before it merges.

    Raises:
        Unavailable: the warehouse did not do it.
    """
    for spec in every_spec():
        warehouse.create(spec)
