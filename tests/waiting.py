"""Watching until other threads have done what a test waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shared.adapters.group_commit import GroupCommit

PATIENCE_SECONDS = 20.0


def until(holds: Callable[[], bool]) -> None:
    """Watch until something holds, which other threads are about to bring about."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline


def waiting(group_commit: GroupCommit[Any]) -> int:
    return sum(len(queue.waiting) for queue in group_commit._queues.values())
