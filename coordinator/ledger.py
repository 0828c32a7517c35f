"""The ledger: who is expected, who answered what, and how the batch stands. The only reader and writer of its documents.

Three kinds of writes keep it right. An outcome is one blind update of one map entry, so outcomes commute and repeat
harmlessly. Whatever depends on what was read goes through `change`, the one compare-and-set loop. A plan becomes a batch
in one atomic commit. Decisions are the caller's; nothing here knows why a batch moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TypeVar

from coordinator.documents import (
    ACTION,
    BATCH,
    BATCHES,
    DATE,
    KEEP_DOCUMENTS,
    Codec,
    actions_path,
    batch_path,
    date_path,
    entry_of,
    new_shard,
    read_shard,
    shard_path,
    shards_path,
)
from coordinator.rules.batch import AdminAction, Batch, BatchMark, DateRecord
from coordinator.rules.due import Look
from coordinator.rules.entries import AnyOutcome, Shard, Snapshot, take_snapshot
from coordinator.rules.planning import shard_of
from schemas import names
from shared.errors import Conflict, DocumentExists, Unavailable, UnknownBatch, VersionChanged
from shared.ports import Create, DocumentStore, FieldPath, Path, Update, Value, Where, Write

_DISTURBANCES = 50
"""Lost compare-and-sets in a row before we call the store unavailable."""

Notes = Mapping[int, Mapping[FieldPath, Value]]
"""Entries of shards, by the shard's number."""
Read = TypeVar("Read")
Versioned = TypeVar("Versioned", Batch, DateRecord)

_EVER = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Entry:
    """One reading of a batch and of what the batches of its date share."""

    batch: Batch
    day: DateRecord


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger in a document store."""

    documents: DocumentStore

    # --- reading ---

    def check(self) -> None:
        """Really ask the store (C3). Raises `Unavailable`."""
        self.documents.get(batch_path("ready"))

    def find(self, batch_id: str) -> Batch | None:
        """Read a batch; None where there is none of that id."""
        document = self.documents.get(batch_path(batch_id))
        return None if document is None else BATCH.read(document)

    def batch(self, batch_id: str) -> Batch:
        """Read a batch. Raises `UnknownBatch` where there is none of that id."""
        batch = self.find(batch_id)
        if batch is None:
            raise UnknownBatch(f"there is no batch {batch_id!r}")
        return batch

    def day(self, game_date: date) -> DateRecord | None:
        """Read what the batches of a game date share; None where none was ever planned."""
        document = self.documents.get(date_path(game_date))
        return None if document is None else DATE.read(document)

    def entry(self, batch_id: str) -> Entry:
        """Read a batch and, before it, its date. Raises `UnknownBatch`.

        A holder of the date's lease writes both in one commit. So whoever changes the date as it was read here knows the
        batch as the last holder left it.
        """
        try:
            day = self.day(names.game_date_of(batch_id))
        except ValueError as error:
            raise UnknownBatch(str(error)) from error
        batch = self.batch(batch_id)
        return Entry(batch, day or DateRecord(_mark(batch)))

    def shard(self, batch_id: str, number: int) -> Shard:
        """Read one shard. Raises `UnknownBatch`."""
        document = self.documents.get(shard_path(batch_id, number))
        if document is None:
            raise UnknownBatch(f"batch {batch_id} has no shard {number}")
        return read_shard(document)

    def shards(self, batch_id: str) -> list[Shard]:
        """Read every shard of a batch, in order."""
        found = map(read_shard, self.documents.query(shards_path(batch_id)))
        return sorted(found, key=lambda shard: shard.number)

    def snapshot(self, batch_id: str) -> Snapshot:
        """Read the whole ledger of a batch once."""
        return take_snapshot(self.shards(batch_id))

    def actions(self, batch_id: str) -> list[AdminAction]:
        """Read what people asked to be done with a batch, in order."""
        found = map(ACTION.read, self.documents.query(actions_path(batch_id)))
        return sorted(found, key=lambda action: action.at)

    def look(
        self, batch: Batch, *, now: datetime, touched: Sequence[Shard] = (), day: DateRecord | None = None
    ) -> Look:
        """Return what decides on a batch; its shards, and its date if not given, are read when they are first asked for."""
        return Look(
            batch=batch,
            read_shards=lambda: self.shards(batch.batch_id),
            read_day=lambda: day or self.day(batch.game_date) or DateRecord(_mark(batch)),
            read_living=lambda: self.living(batch.game_date),
            now=now,
            touched=touched,
        )

    def batches_of(self, game_date: date) -> list[Batch]:
        """Read every batch of a game date."""
        return self._batches(Where("game_date", "==", game_date.isoformat()))

    def living(self, game_date: date) -> Batch | None:
        """Read the batch of a game date that lives. It need not be the newest: a person may force an old one that failed.

        Whoever makes another one live reads this after the date, and commits on the version of the date that he read: every
        batch that begins to live changes its date in the same commit.
        """
        return next((batch for batch in self.batches_of(game_date) if batch.is_live), None)

    def batches_until(self, late_until: datetime) -> list[Batch]:
        """Read the batches to which something may come at that time or later."""
        return self._batches(Where("late_until", ">=", late_until))

    def newest_batches(self, limit: int) -> list[Batch]:
        """Read the batches that were planned last, newest first."""
        return self._batches(Where("planned_at", ">=", _EVER), limit=limit)

    def _batches(self, where: Where, *, limit: int | None = None) -> list[Batch]:
        return [BATCH.read(document) for document in self.documents.query(BATCHES, [where], limit=limit)]

    # --- changing what was read ---

    def change(
        self,
        batch_id: str,
        decide: Callable[[Entry], Entry | None],
        *,
        known: Entry | None = None,
        notes: Notes | None = None,
    ) -> Entry:
        """Read a batch and its date, decide, and commit on the versions read; again where another write came between.

        Args:
            decide: returns the changed reading, or None to leave all as it is; what it raises leaves all as it is too.
                It may be asked several times.
            known: an earlier reading, or what an earlier change returned, to begin from.
            notes: entries of shards that are written in the same commit.

        Returns:
            What the ledger then holds of what was read.

        Raises:
            UnknownBatch: there is none of that id.
            Unavailable: the store did not answer, or other writes came between too often.
        """

        def commit(read: Entry, decided: Entry) -> Entry:
            batch = _update(batch_path(batch_id), BATCH, read.batch, decided.batch)
            day = _update(date_path(read.batch.game_date), DATE, read.day, decided.day)
            versions = self._commit([*batch, *day, *_notes(batch_id, notes or {})])
            return Entry(_versioned(decided.batch, batch, versions), _versioned(decided.day, day, versions))

        return _change(batch_id, self.entry, decide, commit, known=known)

    def change_batch(
        self, batch_id: str, decide: Callable[[Batch], Batch | None], *, known: Batch | None = None
    ) -> Batch:
        """`change`, for what concerns the batch alone."""

        def commit(read: Batch, decided: Batch) -> Batch:
            update = _update(batch_path(batch_id), BATCH, read, decided)
            return _versioned(decided, update, self._commit(update))

        return _change(batch_id, self.batch, decide, commit, known=known)

    def _commit(self, writes: Sequence[Write]) -> Mapping[Path, str]:
        """Commit, if there is anything to write; the new versions by document."""
        versions = self.documents.commit(writes) if writes else []
        return dict(zip((write.path for write in writes), versions, strict=True))

    # --- adding to it ---

    def plan(self, batch: Batch, shards: Sequence[Sequence[str]], *, after: DateRecord | None) -> bool:
        """Write the shards, then make the batch exist and the newest of its date in one commit.

        Args:
            after: the date as it was read before; the batch is not made where another one came between.

        Returns:
            Whether the batch was made; if not, read again and decide again. A repeat finds the same shards.

        Raises:
            Conflict: a shard of that id expects other players.
        """
        for number, players in enumerate(shards):
            self._write_shard(batch, number, players)
        day = replace(after, newest=_mark(batch)) if after else DateRecord(_mark(batch))
        path = date_path(batch.game_date)
        newest = _update(path, DATE, after, day) if after else [Create(path, DATE.fields(day))]
        try:
            self.documents.commit([Create(batch_path(batch.batch_id), BATCH.fields(batch)), *newest])
        except (DocumentExists, VersionChanged):
            return False
        return True

    def record(self, batch: Batch, outcomes: Iterable[AnyOutcome], *, at: datetime) -> None:
        """Add outcomes of expected players, those of one shard in one commit; a repeat changes nothing.

        Raises:
            InvalidInput: the store refuses an entry.
            DocumentMissing: the batch has no such shard.
        """
        of_shard: dict[int, dict[FieldPath, Value]] = {}
        for outcome in outcomes:
            path, entry = entry_of(outcome, at=at)
            of_shard.setdefault(shard_of(outcome.player_lookup, batch.shard_starts), {})[path] = entry
        for number, fields in sorted(of_shard.items()):
            self.documents.commit([Update(shard_path(batch.batch_id, number), fields)])

    def note_published(self, batch_id: str, shard: Shard, *, at: datetime) -> None:
        """Note that requests of a shard are with Pub/Sub, and since when (A13)."""
        noted: dict[FieldPath, Value] = {("published_at",): at, ("publishes",): shard.publishes + 1}
        self.documents.commit([Update(shard_path(batch_id, shard.number), noted)])

    def note_action(self, batch_id: str, action: AdminAction, *, action_id: str) -> None:
        """Add what somebody asked to be done; nothing ever changes or removes it before its time."""
        self.documents.commit([Create((*actions_path(batch_id), action_id), ACTION.fields(action))])

    def mark_settled(self, batch_id: str, numbers: Iterable[int]) -> None:
        """Mark shards as settled, blindly: marks of several instances commute."""
        marks: dict[FieldPath, Value] = {("settled_shards", str(number)): True for number in sorted(numbers)}
        self.documents.commit([Update(batch_path(batch_id), marks)])

    def _write_shard(self, batch: Batch, number: int, players: Sequence[str]) -> None:
        path = shard_path(batch.batch_id, number)
        fields = new_shard(players, batch_id=batch.batch_id, expires_at=batch.planned_at + KEEP_DOCUMENTS)
        try:
            self.documents.commit([Create(path, fields)])
        except DocumentExists:
            left = self.documents.get(path)
            if left is None or left.fields["expected"] != fields["expected"]:
                raise Conflict(
                    f"an earlier start left other players under {batch.batch_id}; use another idempotency key",
                    batch_id=batch.batch_id,
                ) from None


def _mark(batch: Batch) -> BatchMark:
    return BatchMark(batch.batch_id, batch.planned_at)


def _change(
    batch_id: str,
    read: Callable[[str], Read],
    decide: Callable[[Read], Read | None],
    commit: Callable[[Read, Read], Read],
    *,
    known: Read | None,
) -> Read:
    """The one loop of compare-and-set."""
    for _ in range(_DISTURBANCES):
        found = read(batch_id) if known is None else known
        decided = decide(found)
        if decided is None:
            return found
        try:
            return commit(found, decided)
        except VersionChanged:
            known = None
    raise Unavailable(f"others changed the ledger of batch {batch_id} {_DISTURBANCES} times in a row")


def _update(path: Path, codec: Codec[Versioned], read: Versioned, decided: Versioned) -> list[Write]:
    changed: dict[FieldPath, Value] = {(name,): value for name, value in codec.changes(read, decided).items()}
    return [Update(path, changed, if_version=read.version)] if changed else []


def _versioned(decided: Versioned, writes: Sequence[Write], versions: Mapping[Path, str]) -> Versioned:
    """What was decided, of the version that its write made."""
    return replace(decided, version=versions[writes[0].path]) if writes else decided


def _notes(batch_id: str, notes: Notes) -> list[Write]:
    return [Update(shard_path(batch_id, number), fields) for number, fields in notes.items()]
