"""One push over HTTP: knows Pub/Sub's envelope and which answers acknowledge, and nothing of queues or retries."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import urlsplit

from local.one_machine.push_log import LoggedMessage
from shared.errors import InvalidInput

_ACKNOWLEDGES = frozenset({102, 200, 201, 202, 204})
"""https://cloud.google.com/pubsub/docs/push#receive_push"""


class PushEndpoint:
    """Where pushes go, each over a connection of its own, since werkzeug's server keeps none. Many threads may push.

    Python's own client is used bare: the services run in this process too, and a fuller client takes several times
    their share of the processor.

    Raises:
        InvalidInput: `url` is not a plain http URL.
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise InvalidInput("push endpoint", f"{url!r} is not of the form http://host:port/path")
        self._address, self._port, self._target = parts.hostname, parts.port, parts.path or "/"
        self._timeout_seconds = timeout_seconds

    def push(self, body: bytes) -> str | None:
        """Post one envelope; None when it was acknowledged, else what came instead."""
        with closing(
            http.client.HTTPConnection(self._address, self._port, timeout=self._timeout_seconds)
        ) as connection:
            try:
                connection.request("POST", self._target, body=body, headers={"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
            except (http.client.HTTPException, OSError) as error:
                return type(error).__name__
        return None if response.status in _ACKNOWLEDGES else str(response.status)


def envelope(message: LoggedMessage, *, subscription: str, delivery_attempt: int | None) -> bytes:
    """The body of one push, as Pub/Sub writes it: with a delivery attempt only where there is a dead-letter topic."""
    published_at = pubsub_time(message.published_at)
    body: dict[str, str | int | Mapping[str, str | Mapping[str, str]]] = {
        "message": {
            "data": base64.b64encode(message.data).decode("ascii"),
            "attributes": message.attributes,
            "messageId": str(message.message_id),
            "message_id": str(message.message_id),
            "publishTime": published_at,
            "publish_time": published_at,
        },
        "subscription": subscription,
    }
    if delivery_attempt is not None:
        body["deliveryAttempt"] = delivery_attempt
    return json.dumps(body).encode("ascii")


def pubsub_time(moment: datetime) -> str:
    """A time as Pub/Sub writes it in envelopes and attributes."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
