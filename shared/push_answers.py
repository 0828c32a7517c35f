"""How both services answer a pushed message: 204 and Pub/Sub forgets it, anything else and it comes again.

204 is for what is durable (A3), and for poison, which no repetition cures; 503 for all that may pass.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import Response

from shared import logs, tracing
from shared.push import Pushed


@contextmanager
def delivered(attributes: Mapping[str, str], pushed: Pushed | None = None) -> Iterator[None]:
    """Do what a message asks for: within its trace, and each line logged labelled by its batch, shard, slice and ids.

    Args:
        attributes: the message's, or what can be read of them.
        pushed: the whole; None where it cannot be read.
    """
    message_id = pushed.message_id if pushed else None
    attempt = pushed.delivery_attempt if pushed else None
    topic = (pushed.subscription if pushed else None) or "unnamed"
    labels = {name: attributes.get(name) for name in ("batch_id", "shard", "slice")}
    named = {
        **tracing.messaging("process", topic),
        "messaging.message.id": message_id,
        "messaging.gcp_pubsub.message.delivery_attempt": attempt,
        **{f"tipoff.{name}": value for name, value in labels.items()},
    }
    traceparent = attributes.get("traceparent")
    with (
        tracing.received(f"process {topic}", traceparent, kind="CONSUMER", attributes=named),
        logs.bound(**labels, message_id=message_id, delivery_attempt=attempt),
    ):
        yield


def done() -> Response:
    """Tell Pub/Sub that it may forget the message."""
    return Response(status=204)


def poison(error: Exception, *, log: logging.Logger, message: str) -> Response:
    """Log what can never be done with a message, and have it forgotten: one that came again and again would
    slow the subscription, whose back-off all messages share."""
    log.error(message, extra={"json_fields": {"reason": str(error)}})
    return done()
