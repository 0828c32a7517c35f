"""One factory per shape of the ledger: batches, outcomes, and shards that hold them, without any store."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from coordinator.documents import entry_of, new_shard, read_shard, shard_path
from coordinator.rules import planning
from coordinator.rules.batch import Batch, DateRecord, MergedResult, RefusedResult, Result
from coordinator.rules.due import Look
from coordinator.rules.entries import AnyOutcome, Shard
from coordinator.rules.lifecycle import Status
from schemas import digest, names
from schemas.messages import Failed, FailureCode, Predicted, Skipped, SkipReason
from shared.ports import Document, FieldPath, Value
from shared.settings import Policy
from tests.plan_inputs import BATCH_ID, GAME_DATE, PLANNED_AT


def a_batch(players: Sequence[str] = ("player-1",), *, game_date: date = GAME_DATE, **overrides: Any) -> Batch:
    """A batch whose id no other test has, in one shard unless `shard_starts` says otherwise."""
    fields: dict[str, Any] = {
        "batch_id": names.batch_id(game_date, uuid.uuid4().hex),
        "game_date": game_date,
        "planned_at": PLANNED_AT,
        "deadline_at": PLANNED_AT + timedelta(hours=3),
        "late_until": PLANNED_AT + timedelta(days=8),
        "schema_version": 2,
        "shard_starts": tuple(shard[0] for shard in planning.cut_shards(sorted(players))),
        "expected_count": len(players),
        "policy": Policy(),
    }
    return Batch(**(fields | overrides))


def a_result(
    code: str = "merged", *, reason: str = "as it was", at: datetime = PLANNED_AT, **players: int
) -> MergedResult | RefusedResult:
    """How a batch ended, with so many players where they stand and no rows."""
    counts = dict.fromkeys(("expected", "predicted", "skipped", "failed", "silent"), 0) | players
    rows = dict.fromkeys(("staged", "inserted", "updated", "unchanged", "superseded"), 0)
    return _RESULT.validate_python({"code": code, "reason": reason, "at": at, "players": counts, "rows": rows})


_RESULT: TypeAdapter[MergedResult | RefusedResult] = TypeAdapter(Result)


def predicted(
    player: str, *, by: str = "worker-1", batch_id: str = BATCH_ID, version: int = 2, rows: int = 3
) -> Predicted:
    """What a worker of some revision says after staging."""
    return Predicted(
        batch_id=batch_id,
        player_lookup=player,
        worker_revision=by,
        delivery=names.delivery_id(batch_id, player, {"by": [by]}),
        schema_version=version,
        rows=rows,
        digest=digest.of_ids(f"{player}-{number}" for number in range(rows)),
    )


def a_failure(batch_id: str, player: str, code: FailureCode = FailureCode.PREDICTION_ERROR) -> Failed:
    """A worker could not predict the player."""
    return Failed(batch_id=batch_id, player_lookup=player, worker_revision="worker-1", code=code)


def a_skip(batch_id: str, player: str, reason: SkipReason = SkipReason.LISTED_OUT) -> Skipped:
    """A worker rightly did not predict the player."""
    return Skipped(batch_id=batch_id, player_lookup=player, worker_revision="worker-1", reason=reason)


def skipped(player: str, reason: SkipReason = SkipReason.LISTED_OUT) -> Skipped:
    """`a_skip` in the one batch of these factories."""
    return a_skip(BATCH_ID, player, reason)


def failed(player: str, code: FailureCode = FailureCode.PREDICTION_ERROR) -> Failed:
    """`a_failure` in the one batch of these factories."""
    return a_failure(BATCH_ID, player, code)


def a_shard(
    expected: Iterable[str],
    outcomes: Iterable[AnyOutcome] = (),
    *,
    carried: Mapping[str, str] | None = None,
    merged: Mapping[str, str] | None = None,
    number: int = 0,
) -> Shard:
    """A shard in which these outcomes were recorded, in this order, and these deliveries carried by a MERGE, and merged."""
    fields: dict[str, Any] = dict(new_shard(expected, batch_id=BATCH_ID, expires_at=PLANNED_AT))
    fields = {name: dict(value) if isinstance(value, dict) else value for name, value in fields.items()}
    for outcome in outcomes:
        path, entry = entry_of(outcome, at=PLANNED_AT)
        _set(fields, path, entry)
    fields |= {"carried": dict(carried or {}), "merged": dict(merged or {})}
    return read_shard(Document(shard_path(BATCH_ID, number), fields, "1"))


def _set(fields: dict[str, Any], path: FieldPath, value: Value) -> None:
    *parents, last = path
    for segment in parents:
        fields = fields.setdefault(segment, {})
    fields[last] = value


def a_look(batch: Batch, shards: Sequence[Shard], day: DateRecord, *, now: datetime, newer_lives: bool = False) -> Look:
    """A look at a ledger that is all here; any other batch of the date has ended, unless `newer_lives`."""
    living = replace(batch, batch_id=day.newest.batch_id, status=Status.RUNNING) if newer_lives else None
    return Look(batch=batch, read_shards=lambda: shards, read_day=lambda: day, read_living=lambda: living, now=now)
