"""The messages of one topic, in a SQLite file: knows what is published and not yet acknowledged, and nothing of delivery."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shared.errors import Unavailable
from shared.ports import Outgoing

# AUTOINCREMENT: the id of an acknowledged message is never given to another one.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT,
    data BLOB NOT NULL,
    attributes TEXT NOT NULL,
    published_at TEXT NOT NULL,
    failed_attempts INTEGER NOT NULL DEFAULT 0
) STRICT
"""


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """One message that is not acknowledged yet."""

    message_id: int
    data: bytes
    attributes: Mapping[str, str]
    published_at: datetime
    failed_attempts: int


class MessageLog:
    """A durable set of messages, safe to use from many threads; every call raises `Unavailable` when the file fails.

    Durable means that it survives the death of the process. A power cut may lose the last commits (SQLite's WAL with
    `synchronous=NORMAL`), which the sweep repairs as it repairs any lost message.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._translated():
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_SCHEMA)

    def append(self, messages: Sequence[Outgoing], *, published_at: datetime) -> list[int]:
        """Add all messages or none, and return their ids in order."""
        stamp = published_at.isoformat()
        insert = "INSERT INTO messages (data, attributes, published_at) VALUES (?, ?, ?) RETURNING message_id"
        with self._transaction() as connection:
            return [
                int(connection.execute(insert, (each.data, json.dumps(dict(each.attributes)), stamp)).fetchone()[0])
                for each in messages
            ]

    def ids(self) -> list[int]:
        """The ids of all messages, oldest first."""
        with self._transaction() as connection:
            return [row[0] for row in connection.execute("SELECT message_id FROM messages ORDER BY message_id")]

    def read(self, message_id: int) -> LoggedMessage:
        """Read one message that is there."""
        select = "SELECT data, attributes, published_at, failed_attempts FROM messages WHERE message_id = ?"
        with self._transaction() as connection:
            data, attributes, stamp, failed_attempts = connection.execute(select, (message_id,)).fetchone()
        return LoggedMessage(message_id, data, json.loads(attributes), datetime.fromisoformat(stamp), failed_attempts)

    def remove(self, message_id: int) -> None:
        """Forget an acknowledged message. A repeat does nothing."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM messages WHERE message_id = ?", (message_id,))

    def record_failure(self, message_id: int) -> None:
        """Count one failed attempt."""
        update = "UPDATE messages SET failed_attempts = failed_attempts + 1 WHERE message_id = ?"
        with self._transaction() as connection:
            connection.execute(update, (message_id,))

    def count(self) -> int:
        """Count the messages."""
        with self._transaction() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM messages").fetchone()[0])

    def close(self) -> None:
        """Release the file. Every later call raises `Unavailable`; closing again does nothing."""
        with self._lock, self._translated():
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise Unavailable(f"the message file {self._path} does not answer: {error}") from error
