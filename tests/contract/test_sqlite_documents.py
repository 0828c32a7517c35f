"""What only the embedded document store promises: its file outlives the process, and others may hold its lock."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteDocuments
from shared.errors import InvalidInput, Unavailable
from shared.ports import Create, Update
from tests.documents_kit import fields_of, make

WRITER = """
import sys
from pathlib import Path
from shared.adapters.sqlite import SqliteDocuments
from shared.ports import Create, Update

store = SqliteDocuments(Path(sys.argv[1]))
store.commit([Create(("batches", "b1"), {"predicted": {}})])
number = 0
while True:
    store.commit([Update(("batches", "b1"), {("predicted", f"player-{number}"): number})])
    print(number, flush=True)
    number += 1
"""


def test_what_was_committed_before_a_kill_is_there_afterwards(tmp_path: Path) -> None:
    file = tmp_path / "documents.sqlite"
    command = [sys.executable, "-c", WRITER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        confirmed = [int(writer.stdout.readline()) for _ in range(200)]

        writer.kill()
        confirmed += [int(line) for line in writer.stdout]

    with closing(SqliteDocuments(file)) as store:
        predicted = fields_of(store, ("batches", "b1"))["predicted"]
        # One more may have been committed whose number was never printed.
        assert {f"player-{number}": number for number in confirmed}.items() <= predicted.items()
        assert len(predicted) <= len(confirmed) + 1
        store.commit([Update(("batches", "b1"), {("status",): "RUNNING"})])


def test_a_second_process_sees_what_the_first_committed(tmp_path: Path) -> None:
    file = tmp_path / "documents.sqlite"
    with closing(SqliteDocuments(file)) as first, closing(SqliteDocuments(file)) as second:
        path = make(first, ("batches", "b1"), {"n": 1})

        second.commit([Update(path, {("n",): 2})])

        assert fields_of(first, path) == {"n": 2}


def test_a_file_that_another_process_keeps_locked_is_unavailable_for_writing_and_readable(tmp_path: Path) -> None:
    file = tmp_path / "documents.sqlite"
    with (
        closing(SqliteDocuments(file, busy_seconds=0.01)) as store,
        closing(sqlite3.connect(file, isolation_level=None)) as other,
    ):
        path = make(store, ("batches", "b1"), {"n": 1})
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(Unavailable, match="locked"):
            store.commit([Update(path, {("n",): 2})])

        assert fields_of(store, path) == {"n": 1}
        other.execute("ROLLBACK")
        store.commit([Update(path, {("n",): 2})])
        assert fields_of(store, path) == {"n": 2}


def test_a_closed_store_is_unavailable(tmp_path: Path) -> None:
    store = SqliteDocuments(tmp_path / "documents.sqlite")

    store.close()

    with pytest.raises(Unavailable):
        store.commit([Create(("batches", "b1"), {})])


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database " * 100)

    with pytest.raises(InvalidInput, match=r"notes\.txt"):
        SqliteDocuments(file)


def test_a_folder_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        SqliteDocuments(tmp_path / "nowhere" / "documents.sqlite")
