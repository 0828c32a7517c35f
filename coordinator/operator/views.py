"""What operators are shown of batches: derived from the ledger at the moment of asking, by any instance (A17)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field

from coordinator.ledger import Ledger
from coordinator.operator.failures import FailureGroup, failure_groups
from coordinator.operator.histogram import AnswerTimes, answer_times
from coordinator.operator.timeline import Moment, timeline
from coordinator.rules.batch import AdminAction, Merge
from coordinator.rules.entries import Shard, take_snapshot
from schemas.messages import PlayerCounts, RowCounts
from shared.settings import Policy


class BatchSummary(BaseModel):
    """One line of `/batches`."""

    model_config = ConfigDict(from_attributes=True, validate_by_name=True, validate_by_alias=True)

    batch_id: str
    game_date: date
    state: str
    kind: str
    parent: str | None
    planned_at: datetime
    deadline_at: datetime
    late_until: datetime
    schema_version: int
    schema_fingerprint: str
    expected: int = Field(validation_alias="expected_count")
    players: PlayerCounts | None = Field(validation_alias=AliasChoices(AliasPath("result", "players"), "result"))
    """How they stood when the batch last ended; None while it has not."""
    reason: str
    late_refusal: str | None
    rows: RowCounts = Field(validation_alias="merged_rows")
    revision: str


class ShardView(BaseModel):
    """Progress of one shard."""

    shard: int
    expected: int
    predicted: int
    skipped: int
    failed: int
    silent: int
    published_at: datetime | None
    publishes: int


class BatchView(BatchSummary):
    """The whole of `/batches/{id}`: counts from the named sets, and the names of everybody who is not predicted."""

    players: PlayerCounts
    """How they stand now."""
    silent: list[str]
    failed: dict[str, str]
    failure_groups: list[FailureGroup]
    """The same players by cause."""
    skipped: dict[str, str]
    late: list[str]
    """Predicted players whose rows are not in the predictions table (yet)."""
    answered_twice: list[str]
    overtaken_by: str | None
    not_expected: list[str]
    """Of a redrive: players who were to be redriven, and whom the fresh plan does not expect any more."""
    policy: Policy
    shards: list[ShardView]
    merges: tuple[Merge, ...]
    last_outcome_at: datetime | None
    answer_times: AnswerTimes
    finished_at: datetime | None
    timeline: list[Moment]
    actions: list[AdminAction]
    """What people asked to be done with it, in order; Cloud Scheduler's calls are not among them."""


@dataclass(frozen=True, slots=True)
class Views:
    """Reading only."""

    ledger: Ledger

    def batches(self, *, game_date: date | None = None, limit: int = 50) -> list[BatchSummary]:
        """Summaries of batches, newest plan first, of one date or of all."""
        found = self.ledger.batches_of(game_date) if game_date else self.ledger.newest_batches(limit)
        newest_first = sorted(found, key=lambda batch: batch.planned_at, reverse=True)
        return [BatchSummary.model_validate(batch) for batch in newest_first[:limit]]

    def batch(self, batch_id: str) -> BatchView:
        """Everything about one batch. Raises `UnknownBatch`."""
        batch, shards = self.ledger.batch(batch_id), self.ledger.shards(batch_id)
        snapshot, actions = take_snapshot(shards), self.ledger.actions(batch_id)
        answered = [at for shard in shards for times in shard.answered_at.values() for at in times]
        return BatchView.model_validate(
            dict(BatchSummary.model_validate(batch))
            | {
                "players": snapshot.players,
                "silent": sorted(snapshot.silent),
                "failed": snapshot.failed,
                "failure_groups": failure_groups(shards),
                "skipped": snapshot.skipped,
                "late": sorted(snapshot.late),
                "answered_twice": sorted(snapshot.answered_twice),
                "overtaken_by": batch.overtaken_by,
                "not_expected": batch.left_out,
                "policy": batch.policy,
                "shards": [_shard(shard) for shard in shards],
                "merges": batch.merges,
                "last_outcome_at": max(answered, default=None),
                "answer_times": answer_times(shards, planned_at=batch.planned_at),
                "finished_at": batch.result.at if batch.result else None,
                "timeline": timeline(batch, shards, answered, actions),
                "actions": actions,
            }
        )


def _shard(shard: Shard) -> dict[str, object]:
    # Counted without reading the answers: a batch may have hundreds of thousands of them.
    skipped = shard.skipped.keys() - shard.predicted.keys()
    failed = shard.failed.keys() - shard.predicted.keys() - skipped
    return {
        "expected": len(shard.expected),
        "predicted": len(shard.predicted),
        "skipped": len(skipped),
        "failed": len(failed),
        "silent": len(shard.silent),
        "shard": shard.number,
        "published_at": shard.published_at,
        "publishes": shard.publishes,
    }
