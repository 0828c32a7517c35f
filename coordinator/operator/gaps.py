"""Where each expected player of a batch got stuck, by name: each stands in exactly one stage between plan and table.

Must never learn how ledger and warehouse are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from pydantic import BaseModel

from coordinator.rules.entries import Shard, Snapshot
from schemas import names


class StageName(StrEnum):
    """How far a player got."""

    UNPUBLISHED = "unpublished"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    PREDICTED_NOT_STAGED = "predicted_not_staged"
    STAGED_NOT_MERGED = "staged_not_merged"
    MERGED = "merged"
    SKIPPED = "skipped"


MEANINGS: Mapping[StageName, str] = {
    StageName.UNPUBLISHED: "the request was never published",
    StageName.UNDELIVERED: "the request is published and nobody has answered it",
    StageName.FAILED: "a worker, or the dead-letter topic, gave the player up",
    StageName.PREDICTED_NOT_STAGED: "the ledger has a prediction whose rows are not in staging as they should be",
    StageName.STAGED_NOT_MERGED: "the rows are in staging and not yet in the predictions table",
    StageName.MERGED: "the rows are in the predictions table, verified",
    StageName.SKIPPED: "the player is rightly not predicted",
}


class GapPlayer(BaseModel):
    """One player; `detail` is what is known beyond the stage."""

    player: str
    detail: str


class Stage(BaseModel):
    """One stage and who stands in it, by name in order."""

    name: StageName
    meaning: str
    count: int
    players: list[GapPlayer]


class Gaps(BaseModel):
    """The answer of `/batches/{id}/gaps`: every stage, also those of nobody."""

    batch_id: str
    stages: list[Stage]


def unmerged(snapshot: Snapshot) -> Snapshot:
    """The snapshot less everybody whose rows are in the predictions table: who is left to look for in staging."""
    left = {player: snapshot.predicted[player] for player in snapshot.late}
    return replace(snapshot, predicted=left, answered_twice=snapshot.answered_twice & snapshot.late)


def place(
    batch_id: str,
    shards: Sequence[Shard],
    *,
    snapshot: Snapshot,
    not_staged: Mapping[str, str],
    failures: Mapping[str, str],
) -> Gaps:
    """Put every expected player in his stage.

    Args:
        snapshot: of those shards.
        not_staged: predicted and unmerged players whose rows are not in staging → what is wrong.
        failures: players → what was said of their failure beyond the code.
    """
    stages: dict[StageName, dict[str, str]] = {name: {} for name in StageName}
    for shard in shards:
        stage = StageName.UNPUBLISHED if shard.published_at is None else StageName.UNDELIVERED
        stages[stage] |= dict.fromkeys(shard.silent, _published(shard))
    stages[StageName.SKIPPED] = dict(snapshot.skipped)
    stages[StageName.FAILED] = {
        player: ": ".join(filter(None, (code, failures.get(player)))) for player, code in snapshot.failed.items()
    }
    for player, delivery in snapshot.predicted.items():
        rows = f"{delivery.rows} rows of delivery {delivery.delivery} in {names.staging_table(delivery.schema_version)}"
        if player not in snapshot.late:
            stages[StageName.MERGED][player] = rows
        elif player in not_staged:
            stages[StageName.PREDICTED_NOT_STAGED][player] = not_staged[player]
        else:
            stages[StageName.STAGED_NOT_MERGED][player] = rows
    return Gaps(batch_id=batch_id, stages=[_stage(name, players) for name, players in stages.items()])


def _published(shard: Shard) -> str:
    if shard.published_at is None:
        return f"shard {shard.number}"
    return f"published {shard.publishes}×, last at {shard.published_at:%Y-%m-%d %H:%M} UTC"


def _stage(name: StageName, players: Mapping[str, str]) -> Stage:
    listed = [GapPlayer(player=player, detail=detail) for player, detail in sorted(players.items())]
    return Stage(name=name, meaning=MEANINGS[name], count=len(listed), players=listed)
