"""A topic that keeps its messages in memory: small, real, and able to refuse service when told to."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from shared.errors import Unavailable
from shared.ports import Outgoing


class MemoryPublisher:
    """A `Publisher`; `messages` holds what was published, in order."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []
        self._failures_to_come = 0
        self._lock = threading.Lock()

    def fail_next(self, count: int) -> None:
        """Be unavailable for the next `count` calls, of whatever kind; nothing of them is published."""
        self._failures_to_come = count

    def publish(self, messages: Sequence[Outgoing]) -> None:
        with self._lock:
            self._answer()
            self.messages.extend(messages)

    def check(self) -> None:
        with self._lock:
            self._answer()

    def _answer(self) -> None:
        if self._failures_to_come > 0:
            self._failures_to_come -= 1
            raise Unavailable("the topic does not answer")
