"""How long outcomes took, counted from the times that the ledger notes for people. No rule reads these times."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel

from coordinator.rules.entries import Shard

BOUNDS_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
"""Upper bounds of the buckets; a last bucket has none."""


class AnswerBucket(BaseModel):
    """How many players were answered for in more than the bucket before, and at most so many seconds."""

    up_to_seconds: int | None
    players: int


class AnswerTimes(BaseModel):
    """Seconds from a request's publishing to its player's first outcome, to the second bucket by bucket."""

    median_seconds: float | None
    slowest_seconds: float | None
    buckets: list[AnswerBucket]


def answer_times(shards: Iterable[Shard], *, planned_at: datetime) -> AnswerTimes:
    """Count the players of shards by how long their first outcome took.

    Args:
        planned_at: counted from where a shard was published again after the outcome: a shard keeps only the time of its
            last publishing, and the first one follows the plan at once.
    """
    took = sorted(seconds for shard in shards for seconds in _seconds(shard, planned_at))
    counts = [0] * (len(BOUNDS_SECONDS) + 1)
    for seconds in took:
        counts[bisect.bisect_left(BOUNDS_SECONDS, seconds)] += 1
    bounds = (*BOUNDS_SECONDS, None)
    return AnswerTimes(
        median_seconds=statistics.median(took) if took else None,
        slowest_seconds=took[-1] if took else None,
        buckets=[AnswerBucket(up_to_seconds=b, players=n) for b, n in zip(bounds, counts, strict=True)],
    )


def _seconds(shard: Shard, planned_at: datetime) -> Iterable[float]:
    published_at = shard.published_at
    for times in shard.answered_at.values():
        first = min(times)
        since = published_at if published_at is not None and published_at <= first else planned_at
        yield max(0.0, (first - since).total_seconds())
