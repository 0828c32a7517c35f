"""Documents in memory: a `DocumentStore` for simulations, quick enough for thousands of days a minute.

Passes the contract suite of every document store. What a read returns is shared with the store and is never changed in
place: an update copies the maps on its way.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from shared.adapters.document_rules import check_document_path, check_query, check_writes
from shared.adapters.sqlite import _holds, _sort_key
from shared.errors import DocumentExists, DocumentMissing, VersionChanged
from shared.ports import Create, Document, FieldPath, Path, Update, Where, Write


class MemoryDocuments:
    """A `DocumentStore`; `trusting` leaves out the checks of names and bounds, which a caller's own suite makes."""

    def __init__(self, *, trusting: bool = False) -> None:
        self._documents: dict[Path, Document] = {}
        self._collections: dict[Path, dict[Path, Document]] = {}
        self._versions = 0
        self._trusting = trusting
        self._lock = threading.Lock()

    def get(self, path: Path) -> Document | None:
        """See `DocumentStore.get`."""
        if not self._trusting:
            check_document_path(path)
        return self._documents.get(path)

    def commit(self, writes: Sequence[Write]) -> list[str]:
        """See `DocumentStore.commit`."""
        if not self._trusting:
            check_writes(writes)
        with self._lock:
            changed = [self._created(one) if isinstance(one, Create) else self._updated(one) for one in writes]
            for document in changed:
                self._documents[document.path] = document
                self._collections.setdefault(document.path[:-1], {})[document.path] = document
        return [document.version for document in changed]

    def query(self, collection: Path, where: Sequence[Where] = (), *, limit: int | None = None) -> list[Document]:
        """See `DocumentStore.query`."""
        if not self._trusting:
            check_query(collection, where, limit=limit)
        found = list(self._collections.get(collection, {}).values())
        for condition in where:
            found = [document for document in found if _holds(condition, document.fields)]
        if len(found) < 2:  # as mostly
            return found[:limit]
        if where:
            found.sort(key=lambda one: (_sort_key(one.fields[where[0].field]), one.path), reverse=True)
        else:
            found.sort(key=_path)
        return found[:limit]

    def _created(self, write: Create) -> Document:
        if write.path in self._documents:
            raise DocumentExists(f"{'/'.join(write.path)} exists already")
        return self._at_new_version(write.path, {name: _kept(value) for name, value in write.fields.items()})

    def _updated(self, write: Update) -> Document:
        found = self._documents.get(write.path)
        if write.if_version is not None and (found is None or found.version != write.if_version):
            raise VersionChanged(f"{'/'.join(write.path)} has another version than {write.if_version}")
        if found is None:
            raise DocumentMissing(f"{'/'.join(write.path)} does not exist")
        fields: Mapping[str, Any] = found.fields
        for path, value in write.fields.items():
            kept = _kept(value)
            if not _same(_at(fields, path), kept):
                fields = _with(fields, path, kept)
        # Like Firestore, an update that changes nothing leaves the version, so a repeat disturbs no one.
        return found if fields is found.fields else self._at_new_version(write.path, fields)

    def _at_new_version(self, path: Path, fields: Mapping[str, Any]) -> Document:
        self._versions += 1
        return Document(path, fields, str(self._versions))


_path = attrgetter("path")


def _at(fields: Mapping[str, Any], path: FieldPath) -> Any:
    """What stands at a path; what nothing equals where nothing does."""
    for name in path[:-1]:
        fields = fields.get(name, _NOTHING)
        if not isinstance(fields, dict):
            return _NOTHING
    return fields.get(path[-1], _NOTHING)


_NOTHING = object()


def _with(fields: Mapping[str, Any], path: FieldPath, value: Any) -> Mapping[str, Any]:
    """The same map with one entry set; like Firestore, whatever stands in the way is replaced by a map."""
    if len(path) > 1:
        below = fields.get(path[0])
        value = _with(below if isinstance(below, dict) else {}, path[1:], value)
    return {**fields, path[0]: value}


def _kept(value: Any) -> Any:
    """A value as every store gives it back: times in UTC, a tuple as a list."""
    if isinstance(value, _AS_THEY_ARE):
        return value
    if isinstance(value, datetime):
        return value if value.tzinfo is UTC else value.astimezone(UTC)
    if isinstance(value, dict | Mapping):  # to ask for the abstract kind takes longer
        return {
            name: inner if isinstance(inner, _AS_THEY_ARE) else _kept(inner)  # most are: a call less for each
            for name, inner in value.items()
        }
    return [_kept(inner) for inner in value] if isinstance(value, list | tuple) else value


_AS_THEY_ARE = (str, int, float, type(None))


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        # What no write touched is the same object still: a call less for each.
        return one.keys() == other.keys() and all(
            value is other[name] or _same(value, other[name]) for name, value in one.items()
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
