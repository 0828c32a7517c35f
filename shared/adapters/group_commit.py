"""Joins callers that wait for the same thing into one piece of work, as databases join commits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.errors import TipoffError, Unavailable

_Item = TypeVar("_Item")


@dataclass(slots=True)
class _Waiting(Generic[_Item]):
    item: _Item
    is_answered: bool = False
    error: TipoffError | None = field(default_factory=lambda: Unavailable("the work was cut short"))
    """Until `work` says otherwise, nothing is known to be done."""


@dataclass(slots=True)
class _Queue(Generic[_Item]):
    """Who waits for one key; `changed` tells all of them that a piece of work has ended."""

    changed: threading.Condition
    waiting: list[_Waiting[_Item]] = field(default_factory=list)
    is_worked_off: bool = False


class GroupCommit(Generic[_Item]):
    """Runs `work(key, items)` for all items that came in while the key's previous work ran; needs no thread of its own.

    `work` answers for each item with None, or with the error that its caller is to get. An error that `work` raises is
    everybody's.
    """

    def __init__(self, work: Callable[[str, Sequence[_Item]], Sequence[TipoffError | None]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._queues: dict[str, _Queue[_Item]] = {}

    def run(self, key: str, item: _Item) -> None:
        """Have the item worked off, by this thread or by another that waits for the key, and return when it is."""
        mine = _Waiting(item)
        with self._lock:
            queue = self._queues.setdefault(key, _Queue(threading.Condition(self._lock)))
            queue.waiting.append(mine)
            # Who is answered leaves at once: he must not queue up for the next piece of work, as he would for a lock.
            while queue.is_worked_off and not mine.is_answered:
                queue.changed.wait()
            if not mine.is_answered:
                group, queue.waiting, queue.is_worked_off = queue.waiting, [], True
        if not mine.is_answered:
            try:
                self._answer(key, group)
            finally:
                self._end(key, queue)
        if mine.error is not None:
            raise mine.error

    def _end(self, key: str, queue: _Queue[_Item]) -> None:
        with self._lock:
            queue.is_worked_off = False
            if not queue.waiting:
                del self._queues[key]
            queue.changed.notify_all()

    def _answer(self, key: str, group: Sequence[_Waiting[_Item]]) -> None:
        try:
            for waiting, answer in zip(group, self._work(key, [waiting.item for waiting in group]), strict=True):
                waiting.error = answer
        except TipoffError as error:
            for waiting in group:
                waiting.error = error
        finally:
            for waiting in group:
                waiting.is_answered = True
