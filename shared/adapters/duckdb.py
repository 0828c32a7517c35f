"""The embedded warehouse: BigQuery's SQL text on a DuckDB file, for the one-machine run and the tests.

It plays BigQuery's server as well as its client: jobs run in threads of their own and are recorded in the same
transaction as their effects, so a killed process leaves a job absent without effects, or done with them. One process
owns the file. Beside the tables (schema `main`) it keeps what DuckDB has no place for in the schema `catalogue`.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from schemas.tables import Column, FittedRows, Row
from shared.adapters.duckdb_schema import (
    DESCRIPTIONS,
    add_column,
    append_columns,
    cell_array,
    cell_cast,
    declared_bytes,
    definition,
    describe,
    forget,
    live_columns,
    quoted,
    result_rows,
    table_exists,
)
from shared.adapters.duckdb_sql import Statement, translate
from shared.adapters.fitting import fitted_columns, joined
from shared.adapters.group_commit import GroupCommit
from shared.errors import QueryRefused, TableMissing, TipoffError, Unavailable
from shared.ports import Job, JobState, Parameters, Table, TableSpec

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_CATALOGUE = f"""
CREATE SCHEMA IF NOT EXISTS catalogue;
CREATE TABLE IF NOT EXISTS catalogue.tables (
    name TEXT, created_at TIMESTAMPTZ, expires_at TIMESTAMPTZ, partition_by TEXT, cluster_by TEXT[], labels JSON,
    partition_days INT);
CREATE TABLE IF NOT EXISTS catalogue.jobs (job_id TEXT PRIMARY KEY, error TEXT);
{DESCRIPTIONS};
"""

_NO_TABLE = re.compile("Catalog Error: Table with name .* does not exist")
_TROUBLE = duckdb.OperationalError, duckdb.InternalError, duckdb.InterruptException, duckdb.FatalException
# What a statement needs beyond the memory goes to files, all but a plan's ordered lists. The optimizer that is left out
# takes a small CTE for a large one, and so holds the other side of the join in memory; our texts name the smaller second.
_MEMORY = "SET GLOBAL memory_limit = '300MB'"
_PLAN_MEMORY = "SET GLOBAL memory_limit = '600MB'"
# Each thread of a statement holds memory of its own, so on many processors the memory would be too little for a large day.
_THREADS, _ONE_THREAD = "SET GLOBAL threads = 2", "SET GLOBAL threads = 1"
_NO_REORDERING = "SET GLOBAL disabled_optimizers = 'build_side_probe_side'"

_CONFLICT_SECONDS = 5.0
"""How long a statement that meets another's transaction is tried again before it counts as unavailable."""


class DuckdbWarehouse:
    """A `Warehouse` in one DuckDB file.

    Args:
        path: the file, made when absent; `:memory:` for a warehouse that ends with the process.
        clock: what the server's clock says; judges expiry and stamps creation.
        before_commit: called with the job id inside a running job, after its statement and before its commit. It is
            for tests: blocking in it keeps the job RUNNING, raising from it ends the job without a trace, as a crash
            would.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        before_commit: Callable[[str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._before_commit = before_commit
        self._lock = threading.Lock()
        self._planning = threading.Lock()
        self._running: dict[str, Future[None]] = {}
        self._partitions_expired_on: date | None = None
        self._appends = GroupCommit(self._append_all)
        self._server = ThreadPoolExecutor(max_workers=8, thread_name_prefix="duckdb-job")
        try:
            self._connection = duckdb.connect(str(path))
            # GLOBAL, because a cursor starts from the global settings; analysing objects is how DuckDB would guess
            # types from a sample of an append's cells, where every cell is text that is cast by column.
            self._connection.execute(f"{_MEMORY}; {_THREADS}; {_NO_REORDERING}; SET GLOBAL pandas_analyze_sample = 0")
            self._connection.execute(f"SET GLOBAL TimeZone = 'UTC'; SET TimeZone = 'UTC'; {_CATALOGUE}")
        except duckdb.Error as error:
            raise Unavailable(f"the warehouse file {path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Let running jobs end, then release the file. The warehouse answers no more."""
        self._server.shutdown(wait=True)
        self._connection.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Open a DuckDB cursor on the file, in UTC, for a bulk load that no port has. The caller closes it."""
        return self._connection.cursor()

    # --- Jobs -------------------------------------------------------------------------------------------------

    def query(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Run a statement; see `Jobs.query`."""
        statement = translate(sql, parameters or {})

        def run() -> list[Row]:
            return self._transaction(lambda cursor: self._execute(cursor, statement, parameters or {}))

        return self._planned(run) if statement.creates else run()

    def estimate(self, sql: str, parameters: Parameters | None = None) -> int:
        """Check a statement and bound its bytes from above: every row of every table it names, at the columns' widths.

        BigQuery would count less where it prunes partitions and skips columns.
        """
        given = parameters or {}
        statement = translate(sql, given)

        def explain(cursor: duckdb.DuckDBPyConnection) -> int:
            cursor.execute(f"EXPLAIN {statement.text}", _used(statement, given))
            return sum(declared_bytes(cursor, table) for table in statement.tables)

        return self._transaction(explain)

    def submit(self, sql: str, parameters: Parameters, *, job_id: str) -> None:
        """Start a job unless its id is known; see `Jobs.submit`."""
        with self._lock:
            if job_id not in self._running and self._ended(job_id) is None:
                self._running[job_id] = self._server.submit(self._run_job, sql, parameters, job_id)

    def job(self, job_id: str, *, wait: timedelta = timedelta(0)) -> Job:
        """Look at a job; see `Jobs.job`."""
        with self._lock:
            running = self._running.get(job_id)
        if running is not None and wait_for([running], timeout=wait.total_seconds()).not_done:
            return Job(job_id, JobState.RUNNING)
        return self._ended(job_id) or Job(job_id, JobState.ABSENT)

    def _run_job(self, sql: str, parameters: Parameters, job_id: str) -> None:
        def run(cursor: duckdb.DuckDBPyConnection) -> None:
            self._execute(cursor, translate(sql, parameters), parameters)
            _record_job(cursor, job_id, None)
            if self._before_commit is not None:
                self._before_commit(job_id)

        try:
            self._transaction(run)
        except TipoffError as error:
            text = str(error)
            _log.warning("warehouse job failed", extra={"json_fields": {"job_id": job_id, "error": text}})
            self._transaction(lambda cursor: _record_job(cursor, job_id, text))
        finally:
            with self._lock:
                del self._running[job_id]

    def _ended(self, job_id: str) -> Job | None:
        sql = "SELECT error FROM catalogue.jobs WHERE job_id = ?"
        if not (rows := self._attempts(lambda cursor: cursor.execute(sql, [job_id]).fetchall())):
            return None
        error = rows[0][0]
        return Job(job_id, JobState.DONE if error is None else JobState.FAILED, error)

    # --- Tables -----------------------------------------------------------------------------------------------

    def append(self, table: str, rows: Sequence[Row] | FittedRows) -> None:
        """Append rows, together with those of other callers waiting for the table; see `Tables.append`."""
        self._appends.run(table, rows)

    def _append_all(self, table: str, batches: Sequence[Sequence[Row] | FittedRows]) -> Sequence[TipoffError | None]:
        columns = self._transaction(lambda cursor: append_columns(cursor, table))
        try:
            self._insert(table, columns, joined(batches))
        except QueryRefused as error:
            if len(batches) == 1:
                return [error]
            return [answer for rows in batches for answer in self._append_all(table, [rows])]
        return [None] * len(batches)

    def _insert(self, table: str, columns: Sequence[Column], rows: Sequence[Row] | FittedRows) -> None:
        fitted = fitted_columns(table, columns, rows) if rows else []
        if not fitted:
            return
        cells = {f"c{index}": cell_array(column, values) for index, (column, values) in enumerate(fitted)}
        names = ", ".join(quoted(column.name) for column, _ in fitted)
        values = ", ".join(cell_cast(f"c{index}", column) for index, (column, _) in enumerate(fitted))

        def insert(cursor: duckdb.DuckDBPyConnection) -> None:
            cursor.register("appended", cells)
            cursor.execute(f"INSERT INTO {quoted(table)} ({names}) SELECT {values} FROM appended")

        self._attempts(insert)

    def create(self, spec: TableSpec) -> None:
        """Create a table unless there is one of that name; see `Tables.create`."""

        def make(cursor: duckdb.DuckDBPyConnection) -> None:
            if table_exists(cursor, spec.name):
                return
            definitions = ", ".join(definition(column) for column in spec.columns)
            cursor.execute(f"CREATE TABLE {quoted(spec.name)} ({definitions})")
            describe(cursor, spec.name, spec.columns)
            self._catalogue(cursor, spec)

        self._transaction(make)

    def columns(self, table: str) -> tuple[Column, ...] | None:
        """Read a table's columns from DuckDB's own catalogue; see `Tables.columns`."""
        try:
            return self._transaction(lambda cursor: live_columns(cursor, table))
        except TableMissing:
            return None

    def add_columns(self, table: str, columns: Sequence[Column]) -> None:
        """Add columns in one transaction; see `Tables.add_columns`."""

        def add(cursor: duckdb.DuckDBPyConnection) -> None:
            live = {column.name.lower() for column in live_columns(cursor, table)}
            new = [column for column in columns if column.name.lower() not in live]
            for column in new:
                add_column(cursor, table, column)
            describe(cursor, table, new)

        self._transaction(add)

    def list_tables(self, prefix: str) -> list[Table]:
        """List tables by prefix; see `Tables.list_tables`."""
        sql = "SELECT name, epoch_us(created_at) FROM catalogue.tables WHERE starts_with(name, ?) ORDER BY name"
        rows = self._transaction(lambda cursor: cursor.execute(sql, [prefix]).fetchall())
        return [Table(name, datetime.fromtimestamp(0, UTC) + timedelta(microseconds=created)) for name, created in rows]

    def drop(self, table: str) -> None:
        """Drop a table; see `Tables.drop`."""
        self._transaction(lambda cursor: _drop(cursor, table))

    # --- transactions -----------------------------------------------------------------------------------------

    def _transaction(self, work: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        """Do work atomically, after dropping the tables whose end has come, and once a day the partitions."""

        def attempt(cursor: duckdb.DuckDBPyConnection) -> _T:
            cursor.begin()
            now = self._clock()
            expired = "SELECT name FROM catalogue.tables WHERE expires_at <= ?"
            for (table,) in cursor.execute(expired, [now]).fetchall():
                _drop(cursor, table)
            is_new_day = now.date() != self._partitions_expired_on
            if is_new_day:
                _expire_partitions(cursor, now.date())
            result = work(cursor)
            cursor.commit()
            if is_new_day:
                self._partitions_expired_on = now.date()
            return result

        return self._attempts(attempt)

    def _attempts(self, work: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        """Do work with a cursor of its own, again while it meets other transactions, translating DuckDB's errors.

        Closing the cursor rolls back what was not committed.
        """
        give_up_at = time.monotonic() + _CONFLICT_SECONDS
        while True:
            try:
                with self._connection.cursor() as cursor:
                    return work(cursor)
            except duckdb.TransactionException as error:
                if time.monotonic() > give_up_at:
                    raise Unavailable(f"the statement kept meeting other transactions: {error}") from error
                time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - spreads callers, guards nothing
            except duckdb.Error as error:
                raise _translated(error) from error

    def _execute(self, cursor: duckdb.DuckDBPyConnection, statement: Statement, parameters: Parameters) -> list[Row]:
        if statement.is_query:
            return result_rows(cursor, statement.text, _used(statement, parameters))
        is_new = statement.creates is not None and not table_exists(cursor, statement.creates)
        cursor.execute(statement.text, _used(statement, parameters))
        if statement.creates is not None and is_new:
            self._catalogue(cursor, _spec(cursor, statement.creates, statement, parameters))
        if statement.changes_tables:
            cursor.execute(
                "DELETE FROM catalogue.tables WHERE name NOT IN"
                " (SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main')"
            )
            cursor.execute(
                "DELETE FROM catalogue.descriptions WHERE table_name NOT IN"
                " (SELECT lower(table_name) FROM duckdb_tables() WHERE schema_name = 'main')"
            )
        return []

    def _planned(self, run: Callable[[], _T]) -> _T:
        """Make a table with the memory of a plan. What two threads hold at one moment is chance: of a very large plan it may
        be too much, and then one thread makes it."""
        with self._planning, self._connection.cursor() as setting:
            setting.execute(_PLAN_MEMORY)
            try:
                return run()
            except Unavailable as error:
                if not isinstance(error.__cause__, duckdb.OutOfMemoryException):
                    raise
                setting.execute(_ONE_THREAD)
                return run()
            finally:
                setting.execute(_THREADS)
                # Where others hold more at this moment, the next plan's end lowers it.
                with suppress(duckdb.OutOfMemoryException):
                    setting.execute(_MEMORY)

    def _catalogue(self, cursor: duckdb.DuckDBPyConnection, spec: TableSpec) -> None:
        cursor.execute(
            "INSERT INTO catalogue.tables VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                spec.name,
                self._clock(),
                spec.expires_at,
                spec.partition_by,
                list(spec.cluster_by),
                json.dumps(dict(spec.labels)),
                spec.partition_days,
            ],
        )


# --- inside a transaction -------------------------------------------------------------------------------------


def _used(statement: Statement, parameters: Parameters) -> dict[str, Any]:
    """Give DuckDB just the parameters that the text names; it refuses others."""
    values = {name: parameters[name] for name in statement.parameters}
    return {name: str(value) if isinstance(value, str) else value for name, value in values.items()}


def _spec(cursor: duckdb.DuckDBPyConnection, table: str, statement: Statement, parameters: Parameters) -> TableSpec:
    """Tell what a CREATE TABLE's OPTIONS ask for.

    Raises:
        QueryRefused: an option that this warehouse cannot honour.
    """
    if unknown := sorted(statement.options.keys() - {"expiration_timestamp", "labels", "description"}):
        raise QueryRefused(f"CREATE TABLE option {unknown[0]} is not available in the embedded warehouse")
    values = {
        name: result_rows(cursor, option.text, _used(option, parameters))[0]["value"]
        for name, option in statement.options.items()
    }
    expires_at = values.get("expiration_timestamp")
    labels = values.get("labels")
    return TableSpec(
        name=table,
        columns=(),
        expires_at=expires_at if isinstance(expires_at, datetime) else None,
        labels=dict(labels) if isinstance(labels, list) else {},  # type: ignore[arg-type]  # OPTIONS gives pairs of texts
    )


def _record_job(cursor: duckdb.DuckDBPyConnection, job_id: str, error: str | None) -> None:
    cursor.execute("INSERT INTO catalogue.jobs VALUES (?, ?)", [job_id, error])


def _expire_partitions(cursor: duckdb.DuckDBPyConnection, today: date) -> None:
    found = "SELECT name, partition_by, partition_days FROM catalogue.tables WHERE partition_days IS NOT NULL"
    for table, column, days in cursor.execute(found).fetchall():
        cursor.execute(f"DELETE FROM {quoted(table)} WHERE {quoted(column)} <= ?", [today - timedelta(days=days)])


def _drop(cursor: duckdb.DuckDBPyConnection, table: str) -> None:
    cursor.execute(f"DROP TABLE IF EXISTS {quoted(table)}")
    cursor.execute("DELETE FROM catalogue.tables WHERE lower(name) = lower(?)", [table])
    forget(cursor, table)


def _translated(error: duckdb.Error) -> TipoffError:
    text = str(error)
    if isinstance(error, duckdb.CatalogException) and _NO_TABLE.match(text):
        return TableMissing(text)
    if isinstance(error, _TROUBLE):
        return Unavailable(f"the warehouse did not answer: {text}")
    return QueryRefused(text)
