"""What a simulation changes in the code under test: the size of shards, and that what is frozen is derived once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import pytest

from coordinator import documents, ledger
from coordinator.operator import views
from coordinator.rules import due, entries, planning, quotas
from coordinator.rules.entries import Shard, Snapshot
from shared.ports import Document

_FORECAST = lru_cache(maxsize=64)(quotas.forecast)


@contextmanager
def simulated() -> Iterator[None]:
    """For a while cut shards so small that a batch of few players has several, and derive what is frozen once.

    What a document says follows from it alone, and how players stand from the shards alone; the services ask for both
    again and again, and the laws as often.
    """
    snapshot = _once_for_all(entries.take_snapshot)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "MIN_SHARD_PLAYERS", 2)
        patch.setattr(ledger, "read_shard", _once_each(documents.read_shard))
        patch.setattr(documents.BATCH, "read", _once_each(documents.BATCH.read))
        patch.setattr(documents.DATE, "read", _once_each(documents.DATE.read))
        for asking in (due, ledger, views):
            patch.setattr(asking, "take_snapshot", snapshot)
        patch.setattr(quotas, "forecast", _FORECAST)
        yield


def _once_each(read: Callable[[Document], Any]) -> Callable[[Document], Any]:
    known: dict[int, tuple[Document, Any]] = {}

    def read_once(document: Document) -> Any:
        found = known.get(id(document))
        if found is None:
            found = known[id(document)] = document, read(document)
        return found[1]

    return read_once


def _once_for_all(derive: Callable[[Sequence[Shard]], Snapshot]) -> Callable[[Sequence[Shard]], Snapshot]:
    known: dict[tuple[int, ...], tuple[tuple[Shard, ...], Snapshot]] = {}

    def derive_once(shards: Sequence[Shard]) -> Snapshot:
        key = tuple(map(id, shards))
        found = known.get(key)
        if found is None:
            found = known[key] = tuple(shards), derive(shards)
        return found[1]

    return derive_once
