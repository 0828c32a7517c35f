"""The codec of the ledger: how batches, dates and shards lie in documents, and where. Known to `coordinator.ledger` only."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping
from dataclasses import fields
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any, Generic, TypeVar, assert_never, cast

from pydantic import TypeAdapter

from coordinator.rules.batch import AdminAction, Batch, DateRecord
from coordinator.rules.entries import AnyOutcome, Delivery, Shard
from schemas.messages import MAX_DETAIL, Failed, Predicted, Skipped
from shared.ports import Document, FieldPath, Path, Value

KEEP_DOCUMENTS = timedelta(days=180)
"""How long the ledger of a batch is kept; Firestore's TTL policy acts on `expires_at`."""

BATCHES: Path = ("batches",)

Fields = Mapping[str, Value]
Read = TypeVar("Read")
Stored = TypeVar("Stored", Batch, DateRecord, AdminAction)


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


# --- batches, dates, and what people did ----------------------------------------------------------------------


class Codec(Generic[Stored]):
    """How values of a kind lie in documents, as their annotations have it; a document ends so long after `keep_from`."""

    def __init__(self, kind: type[Stored], keep_from: Callable[[Stored], datetime]) -> None:
        self._adapter: TypeAdapter[Stored] = TypeAdapter(kind)
        self._keep_from: Callable[[Stored], datetime] = keep_from
        self._names = tuple(one.name for one in fields(kind))
        self._cells: Callable[[Stored], tuple[Any, ...]] = attrgetter(*self._names)

    def fields(self, value: Stored, *, only: set[str] | None = None) -> Fields:
        """The document of a value: what its path and version do not say, and its end of life."""
        stored = self._adapter.dump_python(value, include=only, exclude=_IN_PATH_OR_VERSION)
        stored = {name: list(each) if isinstance(each, tuple) else each for name, each in stored.items()}
        return {**stored, "expires_at": self._keep_from(value) + KEEP_DOCUMENTS}

    def changes(self, read: Stored, decided: Stored) -> Fields:
        """The fields in which the documents of two values differ, as the second has them."""
        each = zip(self._names, self._cells(read), self._cells(decided), strict=True)
        differing = {name for name, was, now in each if was is not now and was != now}
        if self._keep_from(read) != self._keep_from(decided):
            differing.add("expires_at")
        return {name: value for name, value in self.fields(decided, only=differing).items() if name in differing}

    def read(self, document: Document) -> Stored:
        """Return the value that a document holds."""
        by_place = {"batch_id": document.path[-1], "version": document.version}
        known = {name: value for name, value in by_place.items() if name in self._names}
        value: Stored = self._adapter.validate_python(_plain(document) | known)
        return value


_IN_PATH_OR_VERSION = {"batch_id", "version"}

BATCH = Codec(Batch, attrgetter("planned_at"))
DATE = Codec(DateRecord, attrgetter("newest.planned_at"))
ACTION = Codec(AdminAction, attrgetter("at"))


def _plain(document: Document) -> dict[str, Any]:
    """A document's fields as plain dictionaries, whatever kind of map the store reads them into."""
    return {name: _plain_value(value) for name, value in document.fields.items() if name != "expires_at"}


def _plain_value(value: Value) -> Any:
    if isinstance(value, _PLAIN) or not isinstance(value, Mapping):
        return value
    return {name: _plain_value(inner) for name, inner in value.items()}


_PLAIN = (dict, list, str, int, datetime, type(None))
"""A dictionary is plain already, with all that is in it. To ask whether a value is a map of another kind takes longer."""


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
            delivered = {name: getattr(outcome, name) for name in _OF_A_DELIVERY}
            return ("predicted", player, outcome.delivery), {**delivered, "at": at, "worker": worker}
        case Skipped():
            return ("skipped", player, outcome.reason.value), {"at": at, "worker": worker}
        case Failed():
            said: Fields = {"at": at, "worker": worker, "detail": outcome.detail[:MAX_DETAIL]}
            return ("failed", player, outcome.code.value), said
        case _:
            assert_never(outcome)


_OF_A_DELIVERY = ("schema_version", "schema_fingerprint", "rows", "digest")


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
    """Entries by player, read when they are asked for: a completion needs only who has one."""

    def __init__(self, raw: Mapping[str, Any], read: Callable[[str, Any], Read]) -> None:
        self._raw = raw
        self._read = read
        self._all: dict[str, Read] | None = None

    def __getitem__(self, player: str) -> Read:
        return self._read(player, self._raw[player])

    def __contains__(self, player: object) -> bool:
        return player in self._raw

    # A mapping has both by itself, at several times the cost.

    def keys(self) -> KeysView[str]:
        return self._raw.keys()

    def items(self) -> ItemsView[str, Read]:
        if self._all is None:
            self._all = {player: self._read(player, raw) for player, raw in self._raw.items()}
        return self._all.items()

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
