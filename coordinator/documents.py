"""The codec of the ledger: how batches, dates and shards lie in documents, and where. Known to `coordinator.ledger` only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any, TypeVar, assert_never, cast

from coordinator.rules.batch import AdminAction, Batch, BatchMark, DateRecord, Lease, Merge
from coordinator.rules.entries import AnyOutcome, Delivery, Shard
from coordinator.rules.lifecycle import Status
from schemas.messages import MAX_DETAIL, Failed, Predicted, RowCounts, Skipped
from shared.policy import Policy
from shared.ports import Document, FieldPath, Path, Value

KEEP_DOCUMENTS = timedelta(days=180)
"""How long the ledger of a batch is kept; Firestore's TTL policy acts on `expires_at`."""

BATCHES: Path = ("batches",)

Fields = Mapping[str, Value]
Read = TypeVar("Read")


def batch_path(batch_id: str) -> Path:
    """Where a batch is kept."""
    return (*BATCHES, batch_id)


def shards_path(batch_id: str) -> Path:
    """Where a batch's shards are kept."""
    return (*batch_path(batch_id), "shards")


def shard_path(batch_id: str, number: int) -> Path:
    """Where one shard is kept."""
    return (*shards_path(batch_id), str(number))


def actions_path(batch_id: str) -> Path:
    """Where what people did to a batch is kept."""
    return (*batch_path(batch_id), "actions")


def date_path(game_date: date) -> Path:
    """Where what all batches of a game date share is kept."""
    return ("dates", game_date.isoformat())


# --- batches --------------------------------------------------------------------------------------------------


def batch_fields(batch: Batch) -> Fields:
    """The document of a batch."""
    return {
        "game_date": batch.game_date.isoformat(),
        "planned_at": batch.planned_at,
        "deadline_at": batch.deadline_at,
        "late_until": batch.late_until,
        "expires_at": batch.planned_at + KEEP_DOCUMENTS,
        "schema_version": batch.schema_version,
        "schema_fingerprint": batch.schema_fingerprint,
        "shard_starts": list(batch.shard_starts),
        "shard_count": len(batch.shard_starts),
        "expected_count": batch.expected_count,
        "policy": batch.policy.model_dump(),
        "kind": batch.kind,
        "parent": batch.parent,
        "status": batch.status.value,
        "settled_shards": {str(number): True for number in sorted(batch.settled_shards)},
        "refused_writes": {str(number): reason for number, reason in sorted(batch.refused_writes.items())},
        "merges": {str(merge.number): _merge_fields(merge) for merge in batch.merges},
        "result": batch.result,
        "notified": batch.notified,
        "overtaken_by": batch.overtaken_by,
        "late_refusal": batch.late_refusal,
        "left_out": list(batch.left_out),
        "input_gaps": list(batch.input_gaps),
        "staging_looked_at": batch.staging_looked_at,
        "revision": batch.revision,
    }


_SAME_IN_BOTH = (
    *("planned_at", "deadline_at", "late_until", "schema_version", "schema_fingerprint", "expected_count", "kind"),
    *("parent", "result", "notified", "overtaken_by", "late_refusal", "staging_looked_at", "revision"),
)


def read_batch(document: Document) -> Batch:
    """Return the batch that a document holds."""
    raw = cast("Mapping[str, Any]", document.fields)
    return Batch(
        **{name: raw[name] for name in _SAME_IN_BOTH},
        batch_id=document.path[-1],
        game_date=date.fromisoformat(raw["game_date"]),
        shard_starts=tuple(raw["shard_starts"]),
        policy=Policy.model_validate(raw["policy"]),
        status=Status(raw["status"]),
        settled_shards=frozenset(int(number) for number in raw["settled_shards"]),
        refused_writes={int(number): reason for number, reason in raw["refused_writes"].items()},
        merges=tuple(_read_merge(number, raw["merges"][number]) for number in sorted(raw["merges"], key=int)),
        left_out=tuple(raw["left_out"]),
        input_gaps=tuple(raw.get("input_gaps", ())),
        version=document.version,
    )


def _merge_fields(merge: Merge) -> Fields:
    return {"job_id": merge.job_id, "state": merge.state, "counts": merge.counts.model_dump(), "error": merge.error}


def _read_merge(number: str, raw: Mapping[str, Any]) -> Merge:
    counts = RowCounts.model_validate(raw["counts"])
    return Merge(number=int(number), job_id=raw["job_id"], state=raw["state"], counts=counts, error=raw["error"])


# --- what people did ------------------------------------------------------------------------------------------


def action_fields(action: AdminAction) -> Fields:
    """The document of an admin action."""
    return {**_members(action), "expires_at": action.at + KEEP_DOCUMENTS}


def read_action(document: Document) -> AdminAction:
    """Return the admin action that a document holds."""
    raw = cast("Mapping[str, Any]", document.fields)
    return AdminAction(**{name: raw[name] for name in ("at", "account", "action", "asked", "why")})


# --- dates ----------------------------------------------------------------------------------------------------


def date_fields(day: DateRecord) -> Fields:
    """The document of a game date."""
    return {
        "newest": _members(day.newest),
        "merged": _members(day.merged) if day.merged else None,
        "lease": _members(day.lease),
        "expires_at": day.newest.planned_at + KEEP_DOCUMENTS,
    }


def _members(of: BatchMark | Lease | AdminAction) -> Fields:
    """As `asdict`, which copies every time of every commit deeply."""
    return {one.name: getattr(of, one.name) for one in fields(of)}


def read_date(document: Document) -> DateRecord:
    """Return what a date document holds."""
    raw = cast("Mapping[str, Any]", document.fields)
    return DateRecord(
        newest=BatchMark(**raw["newest"]),
        merged=BatchMark(**raw["merged"]) if raw.get("merged") else None,
        lease=Lease(**raw["lease"]) if raw.get("lease") else Lease(),
        version=document.version,
    )


# --- shards ---------------------------------------------------------------------------------------------------


def new_shard(players: Iterable[str], *, batch_id: str, expires_at: datetime) -> Fields:
    """The document of a shard before anything is published."""
    return {
        "batch_id": batch_id,
        "expected": dict.fromkeys(players, True),
        "predicted": {},
        "skipped": {},
        "failed": {},
        "carried": {},
        "merged": {},
        "published_at": None,
        "publishes": 0,
        "expires_at": expires_at,
    }


def entry_of(outcome: AnyOutcome, *, at: datetime) -> tuple[FieldPath, Value]:
    """Return the one field path that an outcome sets, and its value; `at` is for people, no rule reads it."""
    player, worker = outcome.player_lookup, outcome.worker_revision
    match outcome:
        case Predicted():
            entry = outcome.model_dump(include={"schema_version", "schema_fingerprint", "rows", "digest"})
            return ("predicted", player, outcome.delivery), {**entry, "at": at, "worker": worker}
        case Skipped():
            return ("skipped", player, outcome.reason.value), {"at": at, "worker": worker}
        case Failed():
            said: Fields = {"at": at, "worker": worker, "detail": outcome.detail[:MAX_DETAIL]}
            return ("failed", player, outcome.code.value), said
        case _:
            assert_never(outcome)


def read_shard(document: Document) -> Shard:
    """Return what a shard document says of its expected players; each player's answers are read when they are asked for."""
    raw = cast("Mapping[str, Any]", document.fields)
    expected = raw["expected"]
    predicted, skipped, failed = kinds = [
        {player: answers for player, answers in raw[kind].items() if player in expected}
        for kind in ("predicted", "skipped", "failed")
    ]
    return Shard(
        number=int(document.path[-1]),
        expected=frozenset(expected),
        predicted=_Entries(predicted, _read_deliveries),
        skipped=_Entries(skipped, _read_names),
        failed=_Entries(failed, _read_names),
        carried=raw["carried"],
        merged=raw["merged"],
        published_at=raw["published_at"],
        publishes=raw["publishes"],
        answered_at=_Entries(
            {player: None for kind in kinds for player in kind},
            lambda player, _: tuple(one["at"] for kind in kinds for one in kind.get(player, {}).values()),
        ),
        details=_Entries(
            failed, lambda _, answers: {code: str(one.get("detail") or "") for code, one in answers.items()}
        ),
    )


class _Entries(Mapping[str, Read]):
    """Entries by player, each read when it is asked for: a completion needs only who has one."""

    def __init__(self, raw: Mapping[str, Any], read: Callable[[str, Any], Read]) -> None:
        self._raw = raw
        self._read = read

    def __getitem__(self, player: str) -> Read:
        return self._read(player, self._raw[player])

    def __contains__(self, player: object) -> bool:
        return player in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def _read_deliveries(_player: str, raw: Mapping[str, Mapping[str, Any]]) -> tuple[Delivery, ...]:
    return tuple(sorted(_read_delivery(name, entry) for name, entry in raw.items()))


def _read_names(_player: str, raw: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(raw))


def _read_delivery(name: str, raw: Mapping[str, Any]) -> Delivery:
    fingerprint = raw["schema_fingerprint"] or ""
    return Delivery(raw["schema_version"], name, raw["rows"], raw["digest"], fingerprint)
