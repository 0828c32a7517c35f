"""What joining callers into one piece of work promises when that is cut short."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from shared.adapters.group_commit import GroupCommit
from shared.errors import TipoffError
from tests.waiting import PATIENCE_SECONDS, until, waiting


def test_work_that_is_cut_short_is_not_taken_for_done() -> None:
    begun, killed = threading.Event(), threading.Event()

    def work(_key: str, items: Sequence[int]) -> Sequence[TipoffError | None]:
        if items == [1]:
            begun.set()
            assert killed.wait(PATIENCE_SECONDS)
            return [None]
        raise KeyboardInterrupt

    group_commit = GroupCommit(work)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(group_commit.run, "k", 1)
        assert begun.wait(PATIENCE_SECONDS)
        others = [pool.submit(group_commit.run, "k", number) for number in (2, 3)]
        until(lambda: waiting(group_commit) == 2)
        killed.set()

        first.result(PATIENCE_SECONDS)
        ends = sorted(type(future.exception(PATIENCE_SECONDS)).__name__ for future in others)

    assert ends == ["KeyboardInterrupt", "Unavailable"]
