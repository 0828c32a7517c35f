"""The embedded document store of the one-machine run: documents as JSON in one SQLite file.

Holds what Firestore would hold and refuses what it would refuse; both pass `tests/contract/test_document_store.py`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any, TypeAlias

from shared.adapters.document_rules import check_document_path, check_query, check_writes
from shared.errors import DocumentExists, DocumentMissing, InvalidInput, Unavailable, VersionChanged
from shared.ports import Create, Document, FieldPath, Path, Update, Value, Where, Write

_TABLE = """
CREATE TABLE IF NOT EXISTS documents (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (collection, id)
)
"""
# A map entry of this name marks a time; no field can be called so, since names of the form __x__ are refused.
_TIME = "__time__"

_UNUSABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
"""Primary result codes (the low byte) that only a person can cure."""

Json: TypeAlias = Any
"""What `json` reads and writes; times are still in their marked form."""


class SqliteDocuments:
    """A `DocumentStore` in the file `path`, for any number of threads and for several processes in turn.

    What a commit wrote survives the end of the process, however it ends (kill -9 included).

    Args:
        path: the file; it is made when absent, its folder is not.
        busy_seconds: how long to wait for another process that writes, before `Unavailable`.

    Raises:
        InvalidInput: the file cannot be opened or is not a SQLite database.
        Unavailable: another process kept the file locked.
    """

    def __init__(self, path: FilePath, *, busy_seconds: float = 5.0) -> None:
        # One connection behind a lock: werkzeug makes a thread per request, and a connection each would cost more
        # than the commit itself; SQLite has one writer at a time in any case.
        self._lock = threading.Lock()
        self._connection = _open(path, busy_seconds=busy_seconds)

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        with self._lock:
            self._connection.close()

    def get(self, path: Path) -> Document | None:
        """See `DocumentStore.get`."""
        check_document_path(path)
        with self._lock, _translated("read"):
            found = self._read(path)
        return None if found is None else Document(path, _decode(found[1]), str(found[0]))

    def commit(self, writes: Sequence[Write]) -> list[str]:
        """See `DocumentStore.commit`."""
        check_writes(writes)
        with self._lock, _translated("commit"), self._transaction():
            return [self._create(write) if isinstance(write, Create) else self._update(write) for write in writes]

    def query(self, collection: Path, where: Sequence[Where] = (), *, limit: int | None = None) -> list[Document]:
        """See `DocumentStore.query`. Reads the whole collection: the embedded store holds one machine's batches."""
        check_query(collection, where, limit=limit)
        statement = "SELECT id, version, fields FROM documents WHERE collection = ? ORDER BY id"
        with self._lock, _translated("query"), closing(self._connection.execute(statement, [_key(collection)])) as rows:
            found = [Document((*collection, id_), _decode(fields), str(version)) for id_, version, fields in rows]
        found = [document for document in found if all(_holds(condition, document.fields) for condition in where)]
        if where:
            found.sort(key=lambda document: (_sort_key(document.fields[where[0].field]), document.path), reverse=True)
        return found[:limit]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # IMMEDIATE takes the write lock before the first read: a deferred one could meet another process's commit
        # between its read and its write, and fail without the busy timeout.
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _create(self, write: Create) -> str:
        if self._read(write.path) is not None:
            raise DocumentExists(f"{_key(write.path)} exists already")
        row = (_key(write.path[:-1]), write.path[-1], _to_text(write.fields))
        self._connection.execute("INSERT INTO documents VALUES (?, ?, 1, ?)", row)
        return "1"

    def _update(self, write: Update) -> str:
        found = self._read(write.path)
        if write.if_version is not None and (found is None or str(found[0]) != write.if_version):
            raise VersionChanged(f"{_key(write.path)} is no longer at version {write.if_version}")
        if found is None:
            raise DocumentMissing(f"{_key(write.path)} does not exist")
        fields = json.loads(found[1])
        for path, value in write.fields.items():
            _set(fields, path, value)
        text = _to_text(fields)
        # Like Firestore, an update that changes nothing leaves the version, so a repeat disturbs no one.
        if text == found[1]:
            return str(found[0])
        version = found[0] + 1
        statement = "UPDATE documents SET version = ?, fields = ? WHERE collection = ? AND id = ?"
        self._connection.execute(statement, (version, text, _key(write.path[:-1]), write.path[-1]))
        return str(version)

    def _read(self, path: Path) -> tuple[int, str] | None:
        statement = "SELECT version, fields FROM documents WHERE collection = ? AND id = ?"
        row: tuple[int, str] | None = self._connection.execute(statement, (_key(path[:-1]), path[-1])).fetchone()
        return row


def _open(path: FilePath, *, busy_seconds: float) -> sqlite3.Connection:
    with ExitStack() as undo, _translated(f"open {path}"):
        try:
            connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
            undo.callback(connection.close)
            connection.execute("PRAGMA journal_mode = WAL")
            # In WAL mode a commit is with the operating system before it returns, so a killed process loses nothing;
            # only a power cut may lose the last commits, and even then the file stays sound
            # (https://www.sqlite.org/pragma.html#pragma_synchronous). FULL would wait for the disk each time.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(_TABLE)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in _UNUSABLE:
                raise InvalidInput("document store", f"{path} cannot be used as a SQLite file: {error}") from error
            raise
        undo.pop_all()
    return connection


@contextmanager
def _translated(action: str) -> Iterator[None]:
    """Every error of SQLite here is the machine's: a lock held too long, a full or failing disk."""
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"document store: {action}: {error}") from error


def _key(path: Path) -> str:
    """No id holds a slash, so that the joined path is unambiguous."""
    return "/".join(path)


def _set(fields: dict[str, Json], path: FieldPath, value: Value) -> None:
    inner = fields
    for segment in path[:-1]:
        below = inner.get(segment)
        # Like Firestore, whatever stands in the way is replaced by a map.
        if not isinstance(below, dict) or _TIME in below:
            below = inner[segment] = {}
        inner = below
    inner[path[-1]] = value


def _to_text(fields: Mapping[str, Value]) -> str:
    """Sorted, so that equal fields are equal texts."""
    return json.dumps(fields, default=_encode, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _encode(value: object) -> Json:
    if isinstance(value, datetime):
        return {_TIME: value.astimezone(UTC).isoformat(timespec="microseconds")}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} should have been refused by check_writes")


def _decode(text: str) -> dict[str, Value]:
    fields: dict[str, Value] = json.loads(text, object_hook=_decode_map)
    return fields


def _decode_map(found: dict[str, Json]) -> Value:
    return datetime.fromisoformat(found[_TIME]) if _TIME in found else found


def _holds(condition: Where, fields: Mapping[str, Value]) -> bool:
    if condition.field not in fields:
        return False
    stored, wanted = _sort_key(fields[condition.field]), _sort_key(condition.value)
    match condition.op:
        case "==":
            return stored == wanted
        case ">=":
            return stored[0] == wanted[0] and stored >= wanted
        case _:
            return stored[0] == wanted[0] and stored < wanted


def _sort_key(value: Value) -> tuple[int, Json]:
    """Firestore's order: a comparison holds between values of one type only, and all numbers are of one type."""
    match value:
        case None:
            return 0, 0
        case bool():
            return 1, value
        case int() | float():
            return 2, value
        case datetime():
            return 3, value
        case str():
            return 4, value
        case _:
            # No condition can name a list or a map: none is equal to a plain value, and no order is needed.
            return 5, 0
