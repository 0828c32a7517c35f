"""A document store that joins what one instance does at the same moment: blind updates into one commit, reads of one
document into one read.

Completions come many at a time, and each is one blind update of one map entry. Such updates commute, so any number of
them may share a commit, and each caller still returns only after the commit that holds its own. Knows the port only;
must never learn which store is below, nor what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.adapters.document_rules import check_document_path, check_writes
from shared.adapters.group_commit import GroupCommit
from shared.errors import Permanent, TipoffError, Transient
from shared.ports import Document, DocumentStore, FieldPath, Path, Update, Value, Where, Write

_WRITES = 500
"""Documents in one commit (https://firebase.google.com/docs/firestore/quotas)."""
_BYTES = 2 << 20
"""Estimated size of one commit: far below Firestore's 10 MiB, whatever its encoding adds."""


class CoalescingDocuments:
    """A `DocumentStore` over another one. Safe for threads where that one is.

    A commit of exactly one blind `Update` waits while an earlier group of such is being committed, and then goes in one
    commit with all that came meanwhile; any other commit, and every query, goes straight through. A `get` shares only
    a read that began after it was asked for, so that it sees whatever was acknowledged to its caller before.

    Args:
        inner: the store that does the work.
    """

    def __init__(self, inner: DocumentStore) -> None:
        self._inner = inner
        self._updates = GroupCommit(self._commit_group)
        self._reads = GroupCommit(self._read_group)

    def get(self, path: Path) -> Document | None:
        """See `DocumentStore.get`."""
        check_document_path(path)
        read = _Read(path)
        self._reads.run("/".join(path), read)
        return read.found

    def commit(self, writes: Sequence[Write]) -> list[str]:
        """See `DocumentStore.commit`."""
        match writes:
            case [Update(if_version=None) as update]:
                # What is refused without asking the store never joins a group.
                check_writes(writes)
                waiting = _Blind(update)
                self._updates.run("", waiting)
                return [waiting.version]
            case _:
                return self._inner.commit(writes)

    def query(self, collection: Path, where: Sequence[Where] = (), *, limit: int | None = None) -> list[Document]:
        """See `DocumentStore.query`."""
        return self._inner.query(collection, where, limit=limit)

    def _commit_group(self, _key: str, updates: Sequence[_Blind]) -> Sequence[TipoffError | None]:
        answers: dict[int, TipoffError | None] = {}
        for joint in _join([blind.update for blind in updates]):
            answers |= self._commit_joint(joint, updates)
        return [answers[place] for place in range(len(updates))]

    def _commit_joint(self, joint: _Joint, updates: Sequence[_Blind]) -> dict[int, TipoffError | None]:
        """Commit what is joined; where that is refused, each member alone, so that none sinks its neighbours."""
        try:
            versions = self._inner.commit([Update(path, fields) for path, fields in joint.documents.items()])
        except Permanent as refusal:
            if len(joint.members) == 1:
                return dict.fromkeys(joint.members, refusal)
            return {place: self._commit_alone(updates[place]) for place in joint.members}
        except Transient as trouble:
            return dict.fromkeys(joint.members, trouble)
        of_path = dict(zip(joint.documents, versions, strict=True))
        for place in joint.members:
            updates[place].version = of_path[updates[place].update.path]
        return dict.fromkeys(joint.members)

    def _commit_alone(self, blind: _Blind) -> TipoffError | None:
        try:
            [blind.version] = self._inner.commit([blind.update])
        except TipoffError as error:
            return error
        return None

    def _read_group(self, _key: str, reads: Sequence[_Read]) -> Sequence[None]:
        found = self._inner.get(reads[0].path)
        for read in reads:
            read.found = found
        return [None] * len(reads)


@dataclass(slots=True)
class _Blind:
    update: Update
    version: str = ""


@dataclass(slots=True)
class _Read:
    path: Path
    found: Document | None = None


@dataclass(slots=True)
class _Joint:
    """Updates that go in one commit; `members` are their places in the group."""

    members: list[int] = field(default_factory=list)
    documents: dict[Path, dict[FieldPath, Value]] = field(default_factory=dict)
    size: int = 0
    _around: dict[Path, set[FieldPath]] = field(default_factory=dict)
    """For each document the paths inside which it sets something."""

    def takes(self, place: int, update: Update) -> bool:
        """Add an update, or tell that it does not fit; of two values for one field path the later one stays."""
        size = len(repr(update.fields).encode())
        is_full = self.size + size > _BYTES or (update.path not in self.documents and len(self.documents) >= _WRITES)
        if self.members and (is_full or self._overlaps(update)):
            return False
        self.members.append(place)
        self.size += size
        self.documents.setdefault(update.path, {}).update(update.fields)
        self._around.setdefault(update.path, set()).update(outer for path in update.fields for outer in _outer(path))
        return True

    def _overlaps(self, update: Update) -> bool:
        """Whether a path lies inside one that is set, or around one: a single write cannot hold both."""
        known, around = self.documents.get(update.path, {}), self._around.get(update.path, set())
        return any(path in around or not known.keys().isdisjoint(_outer(path)) for path in update.fields)


def _outer(path: FieldPath) -> list[FieldPath]:
    return [path[:length] for length in range(1, len(path))]


def _join(updates: Sequence[Update]) -> list[_Joint]:
    """Join as many updates in as few commits as possible. They are all at once, so any order of them is right."""
    joints: list[_Joint] = []
    for place, update in enumerate(updates):
        if not any(joint.takes(place, update) for joint in joints):
            joints.append(_Joint())
            joints[-1].takes(place, update)
    return joints
