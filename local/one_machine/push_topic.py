"""One topic with one push subscription, in this process: messages outlive it, and arrive as Pub/Sub's would.

It behaves as Pub/Sub does where the services can tell: at least once and in no order, real envelopes over real HTTP,
exponential back-off, dead-letter topic. It knows nothing of what the messages say.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from local.one_machine.push_http import PushEndpoint, envelope, pubsub_time
from local.one_machine.push_log import LoggedMessage, MessageLog
from shared.adapters.message_rules import check_messages
from shared.errors import TipoffError
from shared.ports import Outgoing

_log = logging.getLogger(__name__)

_PROJECT = "local"


@dataclass(frozen=True, slots=True)
class PushPolicy:
    """How a topic's messages are delivered; the defaults are Pub/Sub's own, where it has any.

    A message that is not acknowledged is sent again after `minimum_backoff`, doubled at each further attempt up to
    `maximum_backoff`. With a dead-letter topic it moves there after `maximum_attempts`.
    """

    concurrency: int = 8
    ack_deadline: timedelta = timedelta(seconds=600)
    minimum_backoff: timedelta = timedelta(seconds=10)
    maximum_backoff: timedelta = timedelta(seconds=600)
    maximum_attempts: int = 5

    def backoff_seconds(self, attempt: int) -> float:
        """Seconds to wait after the n-th attempt (from 1)."""
        doubled = self.minimum_backoff.total_seconds() * 2.0 ** min(attempt - 1, 32)
        return min(doubled, self.maximum_backoff.total_seconds())


class PushTopic:
    """A `Publisher` whose messages are pushed to one endpoint.

    Messages published before `start`, or left by an earlier process, wait in the file and are delivered once started.
    A message survives the death of the process from the return of `publish` to its acknowledgement.

    Args:
        path: file of the topic's messages, made when absent; one topic, one process at a time.
        name: the topic's short name; the subscription bears it too.
        clock: stamps publish times.
        dead_letter: where messages go after `policy.maximum_attempts`; None delivers for ever.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        clock: Callable[[], datetime],
        policy: PushPolicy | None = None,
        dead_letter: PushTopic | None = None,
    ) -> None:
        self._messages = MessageLog(path)
        self._clock = clock
        self._policy = policy or PushPolicy()
        self._dead_letter = dead_letter
        self._subscription = f"projects/{_PROJECT}/subscriptions/{name}"
        self._changed = threading.Condition()
        self._ready = deque(self._messages.ids())
        self._waiting: list[tuple[float, int]] = []
        self._is_stopping = False
        self._threads: list[threading.Thread] = []

    # --- Publisher --------------------------------------------------------------------------------------------

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Write the messages to the file in one transaction; see `Publisher.publish`.

        Raises:
            InvalidInput: Pub/Sub would refuse a message; none was published.
        """
        check_messages(messages)
        ids = self._messages.append(messages, published_at=self._clock())
        with self._changed:
            self._ready.extend(ids)
            self._changed.notify(len(ids))

    def check(self) -> None:
        """Ask the file for its messages; see `Publisher.check`."""
        self._messages.count()

    # --- delivery ---------------------------------------------------------------------------------------------

    def start(self, endpoint: str) -> None:
        """Begin to deliver to a plain http URL, from `policy.concurrency` threads. Call it once.

        Raises:
            InvalidInput: it is no such URL.
        """
        pushed_to = PushEndpoint(endpoint, timeout_seconds=self._policy.ack_deadline.total_seconds())
        for number in range(self._policy.concurrency):
            name = f"push-{self._subscription.rpartition('/')[2]}-{number}"
            thread = threading.Thread(target=self._deliver_all, args=(pushed_to,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, *, grace: timedelta = timedelta(seconds=5)) -> None:
        """Begin no further delivery, wait up to `grace` for those under way, and close the file.

        What is unacknowledged by then is delivered again when the file is next opened and started. A repeat does nothing.
        """
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        give_up_at = time.monotonic() + grace.total_seconds()
        for thread in self._threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))
        self._messages.close()

    def depth(self) -> int:
        """Count the messages that are not acknowledged, those under delivery included."""
        return self._messages.count()

    def _deliver_all(self, endpoint: PushEndpoint) -> None:
        while (message_id := self._next()) is not None:
            try:
                self._deliver(endpoint, message_id)
            except TipoffError as error:
                # A file did not answer, or was closed by `stop`: the message is still in ours.
                _log.warning("push delivery interrupted", extra={"json_fields": {"reason": str(error)}})
                self._retry(message_id, after_attempt=1)

    def _next(self) -> int | None:
        """Wait for the next message that is due; None when stopping."""
        with self._changed:
            while not self._is_stopping:
                now = time.monotonic()
                while self._waiting and self._waiting[0][0] <= now:
                    self._ready.append(heapq.heappop(self._waiting)[1])
                if self._ready:
                    return self._ready.popleft()
                self._changed.wait(self._waiting[0][0] - now if self._waiting else None)
            return None

    def _deliver(self, endpoint: PushEndpoint, message_id: int) -> None:
        message = self._messages.read(message_id)
        attempt = message.failed_attempts + 1
        shown_attempt = None if self._dead_letter is None else attempt
        answer = endpoint.push(envelope(message, subscription=self._subscription, delivery_attempt=shown_attempt))
        if answer is None:
            self._messages.remove(message_id)
            return
        fields = {"subscription": self._subscription, "message_id": message_id, "attempt": attempt, "answer": answer}
        if self._dead_letter is not None and attempt >= self._policy.maximum_attempts:
            self._dead_letter.publish([self._dead(message, attempt)])
            self._messages.remove(message_id)
            _log.warning("message dead-lettered", extra={"json_fields": fields})
            return
        self._messages.record_failure(message_id)
        _log.info("push not acknowledged", extra={"json_fields": fields})
        self._retry(message_id, after_attempt=attempt)

    def _retry(self, message_id: int, *, after_attempt: int) -> None:
        due = time.monotonic() + self._policy.backoff_seconds(after_attempt)
        with self._changed:
            heapq.heappush(self._waiting, (due, message_id))
            self._changed.notify()

    def _dead(self, message: LoggedMessage, attempt: int) -> Outgoing:
        added = {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(attempt),
            "CloudPubSubDeadLetterSourceSubscription": self._subscription.rpartition("/")[2],
            "CloudPubSubDeadLetterSourceSubscriptionProject": _PROJECT,
            "CloudPubSubDeadLetterSourceTopicPublishTime": pubsub_time(message.published_at),
        }
        return Outgoing(message.data, {**message.attributes, **added})
