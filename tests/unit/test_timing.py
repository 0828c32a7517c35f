"""How long outcomes took, from the ledger's times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from coordinator.documents import read_shard
from coordinator.operator.histogram import answer_times
from coordinator.rules.entries import Shard
from shared.ports import Document, Value

PLANNED_AT = datetime(2026, 1, 30, 15, 0, tzinfo=UTC)
PUBLISHED_AT = PLANNED_AT + timedelta(seconds=10)


def a_shard(*, published_at: datetime | None = PUBLISHED_AT, **outcomes: dict[str, Value]) -> Shard:
    """A shard that expects whoever `outcomes` name; kind=player → answer → entry."""
    kinds: dict[str, Value] = {kind: outcomes.get(kind, {}) for kind in ("predicted", "skipped", "failed")}
    expected: Value = {player: True for answers in outcomes.values() for player in answers}
    rest: dict[str, Value] = {"published_at": published_at, "publishes": 1, "carried": {}, "merged": {}}
    return read_shard(Document(("batches", "b", "shards", "0"), {**kinds, "expected": expected, **rest}, "1"))


def after(seconds: float) -> dict[str, Value]:
    """An entry that was recorded so long after the publishing."""
    return {"at": PUBLISHED_AT + timedelta(seconds=seconds)}


def buckets(*shards: Shard) -> dict[int | None, int]:
    """The buckets with anybody in them."""
    return {b.up_to_seconds: b.players for b in answer_times(shards, planned_at=PLANNED_AT).buckets if b.players}


def test_a_player_counts_in_the_bucket_of_his_first_outcome() -> None:
    both = a_shard(
        predicted={"a": {"d1": after(40), "d2": after(3)}, "b": {"d3": after(5)}}, failed={"a": {"x": after(9)}}
    )

    assert buckets(both) == {5: 2}


def test_what_took_longest_is_in_the_bucket_without_bound() -> None:
    found = answer_times(
        [a_shard(predicted={"a": {"d": after(1)}}, skipped={"b": {"r": after(7200)}})], planned_at=PLANNED_AT
    )

    assert [(b.up_to_seconds, b.players) for b in found.buckets if b.players] == [(1, 1), (None, 1)]
    assert (found.median_seconds, found.slowest_seconds) == (3600.5, 7200)


def test_an_outcome_from_before_the_last_publishing_counts_from_the_plan() -> None:
    again = a_shard(published_at=PUBLISHED_AT + timedelta(hours=1), predicted={"a": {"d": after(15)}})
    never_noted = a_shard(published_at=None, predicted={"a": {"d": after(15)}})

    assert buckets(again) == buckets(never_noted) == {30: 1}


def test_of_nobody_there_is_no_median() -> None:
    assert answer_times([], planned_at=PLANNED_AT).median_seconds is None
