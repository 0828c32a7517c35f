"""Joins callers that wait for the same thing into one piece of work, as databases join commits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.errors import TipoffError, Unavailable

_Item = TypeVar("_Item")


@dataclass(slots=True)
class _Waiting(Generic[_Item]):
    item: _Item
    is_answered: bool = False
    error: TipoffError | None = None


class GroupCommit(Generic[_Item]):
    """Runs `work(key, items)` for all items that came in while the key's previous work ran; needs no thread of its own.

    `work` answers for each item with None, or with the error that its caller is to get. An error that `work` raises is
    everybody's.
    """

    def __init__(self, work: Callable[[str, Sequence[_Item]], Sequence[TipoffError | None]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._doors: dict[str, threading.Lock] = {}
        self._waiting: dict[str, list[_Waiting[_Item]]] = {}

    def run(self, key: str, item: _Item) -> None:
        """Have the item worked off, by this thread or by one that is ahead of it, and return when it is."""
        mine = _Waiting(item)
        with self._lock:
            self._waiting.setdefault(key, []).append(mine)
            door = self._doors.setdefault(key, threading.Lock())
        with door:
            if not mine.is_answered:
                with self._lock:
                    group = self._waiting.pop(key)
                self._answer(key, group)
        if mine.error is not None:
            raise mine.error

    def _answer(self, key: str, group: Sequence[_Waiting[_Item]]) -> None:
        errors: Sequence[TipoffError | None] = [Unavailable("the work was cut short") for _ in group]
        try:
            errors = self._work(key, [waiting.item for waiting in group])
        except TipoffError as error:
            errors = [error] * len(group)
        finally:
            for waiting, answer in zip(group, errors, strict=True):
                waiting.error, waiting.is_answered = answer, True
