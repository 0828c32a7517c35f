"""The publisher of one Pub/Sub topic. Knows the official client; whatever it does not confirm is `Unavailable`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, wait

from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud.pubsub_v1 import PublisherClient  # type: ignore[import-untyped]  # it ships no types

from shared.adapters.message_rules import check_messages
from shared.errors import InvalidInput, Unavailable
from shared.ports import Outgoing

_ATTEMPT_SECONDS = 20.0
_CHECK_SECONDS = 10.0
_MAY_PASS = (
    api.Aborted,
    api.Cancelled,
    api.DeadlineExceeded,
    api.InternalServerError,
    api.ResourceExhausted,
    api.ServiceUnavailable,
    api.Unknown,
)


class PubsubPublisher:
    """A `Publisher` on a Pub/Sub topic. Safe for threads, which share the client's batches.

    Args:
        client: any number of publishers may share one; its batch settings hold (the defaults send after 10 ms, 100
            messages or 1 MB, well inside the service's bounds).
        topic: the whole name, `projects/PROJECT/topics/TOPIC`.
        patience_seconds: how long messages are tried before `Unavailable`; the client's own 600 s are as long as a push
            request may take, so its caller would be gone.
    """

    def __init__(self, client: PublisherClient, *, topic: str, patience_seconds: float = 60.0) -> None:
        self._client = client
        self._topic = topic
        self._patience_seconds = patience_seconds
        self._retry = Retry(
            predicate=if_exception_type(*_MAY_PASS), initial=0.1, maximum=10.0, timeout=patience_seconds
        )

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """See `Publisher.publish`. A missing topic is `Unavailable` too: a message must wait for it, not vanish."""
        check_messages(messages)
        futures = [self._start(message) for message in messages]
        # The client leaves futures open for good when its sending thread meets an error that it does not expect.
        done, late = wait(futures, timeout=self._patience_seconds + _ATTEMPT_SECONDS)
        errors = [error for error in (future.exception() for future in done) if error is not None]
        if errors or late:
            why = str(errors[0]) if errors else "no answer in time"
            failed = f"{len(errors) + len(late)} of {len(messages)} messages are not published"
            raise Unavailable(f"topic {self._topic}: {failed}: {why}") from (errors[0] if errors else None)

    def check(self) -> None:
        """See `Publisher.check`. Needs the permission `pubsub.topics.get`, which the publisher role lacks."""
        try:
            self._client.get_topic(topic=self._topic, retry=None, timeout=_CHECK_SECONDS)
        except (api.NotFound, api.InvalidArgument) as error:
            raise InvalidInput("topic", f"{self._topic} does not exist; create it or correct the setting") from error
        except (api.GoogleAPIError, GoogleAuthError) as error:
            raise Unavailable(f"topic {self._topic}: {error}") from error

    def _start(self, message: Outgoing) -> Future[str]:
        future: Future[str] = self._client.publish(
            self._topic, message.data, retry=self._retry, timeout=_ATTEMPT_SECONDS, **message.attributes
        )
        return future
