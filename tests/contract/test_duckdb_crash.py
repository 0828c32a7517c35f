"""What the embedded warehouse promises beyond the port: a killed process leaves a job absent, or done with its effects."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.tables import Column, Row
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import Unavailable
from shared.ports import JobState, TableSpec

A_WHILE = timedelta(seconds=30)
INSERT = "INSERT INTO `readings` (id) VALUES ('from the job')"

KILLED = """
import os, signal, sys
from datetime import timedelta
from schemas.tables import Column
from shared.adapters.duckdb import DuckdbWarehouse
from shared.ports import TableSpec

def kill(job_id):
    os.kill(os.getpid(), signal.SIGKILL)

path, statement, when = sys.argv[1:]
warehouse = DuckdbWarehouse(path, before_commit=kill if when == "before" else None)
warehouse.create(TableSpec("readings", (Column("id", "STRING"),)))
warehouse.append("readings", [{"id": "appended"}])
warehouse.submit(statement, {}, job_id="job_1")
warehouse.job("job_1", wait=timedelta(seconds=30))
kill("job_1")
"""


@pytest.mark.parametrize(
    ("when", "state", "ids"),
    [
        ("before", JobState.ABSENT, ["appended"]),
        ("after", JobState.DONE, ["appended", "from the job"]),
    ],
)
def test_a_process_killed_around_the_commit_leaves_job_and_effects_agreeing(
    tmp_path: Path, when: str, state: JobState, ids: list[str]
) -> None:
    path = tmp_path / "warehouse.duckdb"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), INSERT, when], timeout=60, check=False)

    with closing(DuckdbWarehouse(path)) as warehouse:
        found = warehouse.job("job_1")
        rows = warehouse.query("SELECT id FROM `readings` ORDER BY id")
        warehouse.submit(INSERT, {}, job_id="job_1")
        again = warehouse.job("job_1", wait=A_WHILE)
        rows_again = warehouse.query("SELECT id FROM `readings` ORDER BY id")

    assert killed.returncode == -9
    assert (found.state, [row["id"] for row in rows]) == (state, ids)
    assert (again.state, [row["id"] for row in rows_again]) == (JobState.DONE, ["appended", "from the job"])


def test_a_job_that_crashes_leaves_no_trace_and_may_be_submitted_again() -> None:
    crashes = ["once"]

    def crash_once(_job_id: str) -> None:
        if crashes:
            raise RuntimeError(crashes.pop())

    with closing(DuckdbWarehouse(":memory:", before_commit=crash_once)) as warehouse:
        warehouse.create(TableSpec("readings", (Column("id", "STRING"),)))
        warehouse.submit(INSERT, {}, job_id="job_1")
        crashed = warehouse.job("job_1", wait=A_WHILE)
        warehouse.submit(INSERT, {}, job_id="job_1")
        repeated = warehouse.job("job_1", wait=A_WHILE)
        rows = warehouse.query("SELECT id FROM `readings`")

    assert (crashed.state, repeated.state) == (JobState.ABSENT, JobState.DONE)
    assert rows == [{"id": "from the job"}]


def test_what_the_catalogue_keeps_survives_closing(tmp_path: Path) -> None:
    now = datetime(2026, 1, 30, tzinfo=UTC)
    path = tmp_path / "warehouse.duckdb"
    column = Column("id", "STRING", "REQUIRED", description="words")
    with closing(DuckdbWarehouse(path, clock=lambda: now)) as warehouse:
        warehouse.create(TableSpec("brief", (column,), expires_at=now + timedelta(hours=1)))
        warehouse.submit("SELECT nothing FROM `brief`", {}, job_id="job_1")

    with closing(DuckdbWarehouse(path, clock=lambda: now)) as warehouse:
        assert warehouse.columns("brief") == (column,)
        assert [table.created_at for table in warehouse.list_tables("brief")] == [now]
        assert warehouse.job("job_1").state is JobState.FAILED
    with closing(DuckdbWarehouse(path, clock=lambda: now + timedelta(hours=2))) as warehouse:
        assert warehouse.columns("brief") is None


def test_a_file_that_another_process_owns_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    hold = f"import duckdb; c = duckdb.connect({str(path)!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"

        with pytest.raises(Unavailable, match=r"warehouse\.duckdb"):
            DuckdbWarehouse(path)

        holder.communicate(b"\n", timeout=30)


@pytest.mark.parametrize("often", [1, 2])
def test_a_plan_that_two_threads_cannot_fit_is_made_by_one_and_a_second_failure_is_told(
    often: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[object] = []
    execute = DuckdbWarehouse._execute

    def short_of_memory(self: DuckdbWarehouse, cursor: duckdb.DuckDBPyConnection, *rest: Any) -> list[Row]:
        threads.extend(cursor.execute("SELECT current_setting('threads')").fetchone() or ())
        if len(threads) <= often:
            raise duckdb.OutOfMemoryException("could not allocate block")
        return execute(self, cursor, *rest)

    with closing(DuckdbWarehouse(":memory:")) as warehouse:
        with monkeypatch.context() as patch:
            patch.setattr(DuckdbWarehouse, "_execute", short_of_memory)
            with nullcontext() if often == 1 else pytest.raises(Unavailable, match="could not allocate block"):
                warehouse.query("CREATE TABLE `plan` AS SELECT 1 AS `x`")
        assert threads == [2, 1]
        assert [table.name for table in warehouse.list_tables("plan")] == ["plan"] * (2 - often)
        with warehouse.cursor() as cursor:
            found = cursor.execute("SELECT current_setting('threads'), current_setting('memory_limit')").fetchone()
        assert found == (2, "286.1 MiB")
