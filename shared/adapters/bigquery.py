"""The warehouse in the cloud: BigQuery's jobs and tables, and the Storage Write API for appends.

Knows the official clients; remembers nothing of the warehouse between calls. Every error of theirs leaves as `TableMissing`,
`QueryRefused` or `Unavailable`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as WaitTimeoutError
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types
from google.rpc import code_pb2  # type: ignore[import-untyped]  # it ships no types
from requests.exceptions import RequestException

from schemas.tables import Column, FittedRows, Row, columns_from_json
from shared.adapters.fitting import NO_TYPE, fitted_columns, parameter_type
from shared.adapters.proto_rows import chunked, row_descriptor, serialized_rows
from shared.declared import addition_statement
from shared.errors import QueryRefused, TableMissing, TipoffError, Unavailable
from shared.ports import Job, JobState, Parameters, Scalar, Table, TableSpec

_CALL_SECONDS = 60.0
"""No attempt at a call begins later than this after the first."""

_QUERY_SECONDS = 300.0
"""No look at a query begins later than this after its start; a look is two calls at most."""

_CONFIRM_SECONDS = 15.0
_RETRY = DEFAULT_RETRY.with_timeout(_CALL_SECONDS)
_APPEND_SECONDS = 60.0
_APPEND_RETRY_SECONDS = 15.0
"""No attempt begins later than this after the first, so an append takes `_APPEND_SECONDS` more at most."""

_APPEND_BYTES = 9_000_000
"""A request may have 10 MB (https://cloud.google.com/bigquery/quotas#write-api-limits); the rest is room for its frame."""

_DAY_MS = 24 * 60 * 60 * 1_000

_PASSING_REASONS = {
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
    "quotaExceeded",
    "rateLimitExceeded",
    "tableUnavailable",
}
"""Reasons that come with a 4xx and yet may pass (https://cloud.google.com/bigquery/docs/error-messages)."""

_TOO_MUCH = {"responseTooLarge"}
"""Reasons of a 403 that is the statement's fault, and no lack of a right (same page)."""

_STAGING_NAME = re.compile(r"`(_staging_v\d+)`")
"""A staging table (`schemas.names.staging_table`) as every SQL text writes it."""

_REFUSED_CODES = {code_pb2.INVALID_ARGUMENT, code_pb2.OUT_OF_RANGE, code_pb2.FAILED_PRECONDITION}


class BigqueryWarehouse:
    """A `Warehouse` in one BigQuery dataset. Safe for threads.

    Args:
        client: its project holds the dataset and pays for the queries.
        write_client: for appends.
        dataset: the dataset's id; the SQL texts name its tables without it.
        location: the dataset's location. A job is found by id only together with its location.
        max_bytes_billed: a statement that would process more is refused before it costs anything.
        staging_dataset: where the staging tables are; in `dataset` without it.
    """

    def __init__(
        self,
        client: bigquery.Client,
        write_client: BigQueryWriteClient,
        *,
        dataset: str,
        location: str,
        max_bytes_billed: int | None = None,
        staging_dataset: str | None = None,
    ) -> None:
        self._client = client
        self._write_client = write_client
        self._dataset = bigquery.DatasetReference(client.project, dataset)
        self._staging = bigquery.DatasetReference(client.project, staging_dataset or dataset)
        self._location = location
        self._max_bytes_billed = max_bytes_billed
        self._known: dict[str, tuple[Column, ...]] = {}

    # --- Jobs -------------------------------------------------------------------------------------------------

    def query(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Run a statement; see `Jobs.query`. Results never come from BigQuery's cache."""
        config, job_id = self._config(parameters or {}), str(uuid.uuid4())
        with _translating():
            try:
                job = self._begin(sql, config, job_id=job_id)
            except api.Conflict:
                # A former attempt of this call started it, and its answer was lost. The client looks for 200 s by itself.
                job = self._confirm(job_id)
            rows = job.result(retry=_RETRY, timeout=_QUERY_SECONDS)
            return [_row(rows.schema, row) for row in rows]

    def estimate(self, sql: str, parameters: Parameters | None = None) -> int:
        """Dry-run a statement, at no cost; see `Jobs.estimate`."""
        config = self._config(parameters or {})
        config.dry_run = True
        with _translating():
            job = self._begin(sql, config)
            return int(job.total_bytes_processed or 0)

    def submit(self, sql: str, parameters: Parameters, *, job_id: str) -> None:
        """Start a job unless its id is known; see `Jobs.submit`.

        BigQuery may refuse a statement at the door; where that left a job, `job` tells of it, and else this raises.

        Raises:
            QueryRefused: refused without a job; the id is still free.
            TableMissing: likewise, for want of a table.
            Unavailable: see `Jobs.submit`.
        """
        config = self._config(parameters)
        with _translating():
            try:
                self._begin(sql, config, job_id=job_id)
            except api.Conflict:
                self._confirm(job_id)
            except (api.BadRequest, api.Forbidden, api.NotFound):
                if self._found(job_id) is None:
                    raise

    def job(self, job_id: str, *, wait: timedelta = timedelta(0)) -> Job:
        """Look at a job; see `Jobs.job`."""
        with _translating():
            found = self._found(job_id)
            if found is not None and found.state != "DONE" and wait > timedelta(0):
                # Whatever the wait ran into, the job itself says how it stands.
                with suppress(WaitTimeoutError, api.GoogleAPIError):
                    found.exception(timeout=wait.total_seconds())
                found = self._found(job_id)
        if found is None:
            return Job(job_id, JobState.ABSENT)
        if found.state != "DONE":
            return Job(job_id, JobState.RUNNING)
        if found.error_result:
            return Job(job_id, JobState.FAILED, str(found.error_result.get("message") or found.error_result))
        return Job(job_id, JobState.DONE)

    def _begin(self, sql: str, config: bigquery.QueryJobConfig, *, job_id: str | None = None) -> bigquery.QueryJob:
        return self._client.query(
            self._located(sql),
            job_config=config,
            job_id=job_id,
            location=self._location,
            retry=_RETRY,
            timeout=_CALL_SECONDS,
            # The client's own wraps our bounds: it asks 10 minutes for a job, and 40 for its result
            # (google.cloud.bigquery.retry, DEFAULT_JOB_RETRY).
            job_retry=None,
        )

    def _found(self, job_id: str) -> Any:
        try:
            return self._client.get_job(job_id, location=self._location, retry=_RETRY, timeout=_CALL_SECONDS)
        except api.NotFound:
            return None

    def _confirm(self, job_id: str) -> Any:
        """See the job that a 409 spoke of; right after it, a look may still answer 404."""
        again = Retry(predicate=if_exception_type(api.NotFound), initial=0.1, maximum=2.0, timeout=_CONFIRM_SECONDS)
        return again(self._client.get_job)(job_id, location=self._location, retry=_RETRY, timeout=_CALL_SECONDS)

    def _located(self, sql: str) -> str:
        """Name the dataset of the staging tables, which the texts name without one."""
        if self._staging == self._dataset:
            return sql
        return _STAGING_NAME.sub(rf"`{self._staging.dataset_id}`.`\1`", sql)

    def _table(self, name: str) -> bigquery.TableReference:
        return (self._staging if _STAGING_NAME.fullmatch(f"`{name}`") else self._dataset).table(name)

    def _config(self, parameters: Parameters) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            default_dataset=self._dataset,
            query_parameters=[_parameter(name, value) for name, value in parameters.items()],
            use_query_cache=False,
        )
        if self._max_bytes_billed is not None:
            config.maximum_bytes_billed = self._max_bytes_billed
        return config

    # --- Tables -----------------------------------------------------------------------------------------------

    def append(self, table: str, rows: Sequence[Row] | FittedRows) -> None:
        """Append rows by the table's default stream; see `Tables.append`.

        Rows of more than 9 MB go in several requests: what BigQuery alone would refuse (nothing that is known of, as
        every cell is checked before) may then leave the earlier ones appended.
        """
        if not rows:
            self._known_columns(table)
            return
        fitted = fitted_columns(table, self._known_columns(table), rows)
        columns = [column for column, _ in fitted]
        pieces = list(chunked(serialized_rows(fitted), max_bytes=_APPEND_BYTES))
        try:
            with _translating():
                self._send(table, columns, pieces)
        except TableMissing as error:
            self._known.pop(table, None)
            # The stream learns of a new table later than `tables.get` does.
            if self.columns(table) is None:
                raise
            raise Unavailable(f"table {table} is not open for appends yet: {error}") from error
        except QueryRefused:
            self._known.pop(table, None)  # it may have changed since it was looked at
            raise

    def _known_columns(self, table: str) -> tuple[Column, ...]:
        """The table's columns as first seen, so that an append costs one call; looked at anew after a refusal."""
        known = self._known.get(table)
        if known is None:
            known = self.columns(table)
            if known is None:
                raise TableMissing(f"table {table} does not exist")
            self._known[table] = known
        return known

    def _send(self, table: str, columns: Sequence[Column], pieces: Sequence[Sequence[bytes]]) -> None:
        place = self._table(table)
        stream = f"{self._write_client.table_path(place.project, place.dataset_id, table)}/streams/_default"
        schema = types.ProtoSchema(proto_descriptor=row_descriptor(columns))
        requests = [
            types.AppendRowsRequest(
                write_stream=stream,
                proto_rows=types.AppendRowsRequest.ProtoData(
                    writer_schema=schema, rows=types.ProtoRows(serialized_rows=piece)
                ),
            )
            for piece in pieces
        ]
        routing = (("x-goog-request-params", f"write_stream={stream}"),)
        confirmed = 0

        def send_the_rest() -> None:
            """Send what is not confirmed yet; answers come in the order of the requests."""
            nonlocal confirmed
            # The client's own retry lasts a day and sends nothing, since the first attempt has used up the requests.
            answers = self._write_client.append_rows(
                requests=iter(requests[confirmed:]), retry=None, timeout=_APPEND_SECONDS, metadata=routing
            )
            for answer in answers:
                _check_answer(table, sum(map(len, pieces[:confirmed])), answer)
                confirmed += 1
                if confirmed == len(pieces):
                    return
            raise Unavailable(f"table {table}: {confirmed} of {len(pieces)} append requests were confirmed")

        again = Retry(
            predicate=if_exception_type(api.ServiceUnavailable, api.Aborted, Unavailable),
            initial=0.2,
            maximum=2.0,
            timeout=_APPEND_RETRY_SECONDS,
        )
        again(send_the_rest)()

    def create(self, spec: TableSpec) -> None:
        """Create a table unless there is one of that name; see `Tables.create`."""
        schema = [bigquery.SchemaField.from_api_repr(column.api_repr()) for column in spec.columns]
        table = bigquery.Table(self._table(spec.name), schema=schema)
        if spec.partition_by is not None:
            lasting = None if spec.partition_days is None else spec.partition_days * _DAY_MS
            table.time_partitioning = bigquery.TimePartitioning(field=spec.partition_by, expiration_ms=lasting)
        if spec.needs_partition_filter:
            table.require_partition_filter = True
        if spec.cluster_by:
            table.clustering_fields = list(spec.cluster_by)
        if spec.expires_at is not None:
            table.expires = spec.expires_at
        table.labels = dict(spec.labels)
        with _translating():
            self._client.create_table(table, exists_ok=True, retry=_RETRY, timeout=_CALL_SECONDS)

    def columns(self, table: str) -> tuple[Column, ...] | None:
        """Read a table's columns by `tables.get`; see `Tables.columns`. INFORMATION_SCHEMA may lag behind."""
        with _translating():
            try:
                found = self._client.get_table(self._table(table), retry=_RETRY, timeout=_CALL_SECONDS)
            except api.NotFound:
                return None
        return columns_from_json([field.to_api_repr() for field in found.schema])

    def add_columns(self, table: str, columns: Sequence[Column]) -> None:
        """Add columns by one ALTER TABLE; see `Tables.add_columns`."""
        if columns:
            self.query(addition_statement(table, columns))

    def list_tables(self, prefix: str) -> list[Table]:
        """List tables by prefix; see `Tables.list_tables`."""
        with _translating():
            listed = self._client.list_tables(self._dataset, retry=_RETRY, timeout=_CALL_SECONDS)
            found = [Table(item.table_id, item.created) for item in listed if item.table_id.startswith(prefix)]
        return sorted(found, key=lambda table: table.name)

    def drop(self, table: str) -> None:
        """Drop a table; see `Tables.drop`."""
        with _translating():
            self._client.delete_table(self._table(table), not_found_ok=True, retry=_RETRY, timeout=_CALL_SECONDS)


# --- texts, parameters, cells ---------------------------------------------------------------------------------


def _parameter(
    name: str, value: Scalar | Sequence[str]
) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    kind = parameter_type(name, value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return bigquery.ArrayQueryParameter(name, "STRING", list(value))
    return bigquery.ScalarQueryParameter(name, "STRING" if kind == NO_TYPE else kind, value)


def _row(schema: Sequence[bigquery.SchemaField], row: Any) -> Row:
    return {field.name: _cell(field, row[index]) for index, field in enumerate(schema)}


def _cell(field: bigquery.SchemaField, value: Any) -> Any:
    """Give JSON back as text, as it was appended; the client has parsed it."""
    if field.mode == "REPEATED":
        single = bigquery.SchemaField(field.name, field.field_type, fields=field.fields)
        return (
            [_cell(single, each) for each in value or ()] if field.field_type in ("JSON", "RECORD", "STRUCT") else value
        )
    if field.field_type == "JSON" and value is not None:
        return json.dumps(value, ensure_ascii=False)
    if field.field_type in ("RECORD", "STRUCT") and value is not None:
        return {each.name: _cell(each, value[each.name]) for each in field.fields}
    return value


# --- errors ---------------------------------------------------------------------------------------------------


def _check_answer(table: str, before: int, answer: types.AppendRowsResponse) -> None:
    """Raise what an append's answer says; `before` rows went ahead in other requests."""
    if answer.row_errors:
        first = answer.row_errors[0]
        raise QueryRefused(
            f"{table}, row {before + first.index + 1}: {first.message} ({len(answer.row_errors)} in all)"
        )
    code = answer.error.code
    if code == code_pb2.OK:
        return
    if code == code_pb2.NOT_FOUND:
        raise TableMissing(f"table {table}: {answer.error.message}")
    if code in _REFUSED_CODES:
        raise QueryRefused(f"table {table}: {answer.error.message}")
    raise Unavailable(f"table {table}: {answer.error.message}")


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except (api.GoogleAPIError, GoogleAuthError, RequestException, WaitTimeoutError) as error:
        raise _translated(error) from error


def _translated(error: Exception) -> TipoffError:
    if isinstance(error, api.GoogleAPICallError):
        reasons = {str(each.get("reason")) for each in error.errors if isinstance(each, dict)}
        if not reasons & _PASSING_REASONS and not isinstance(error, api.TooManyRequests | api.Aborted | api.Cancelled):
            if isinstance(error, api.NotFound):
                return TableMissing(str(error))
            if isinstance(error, api.Forbidden | api.Unauthorized) and not reasons & _TOO_MUCH:
                # A person mends it, and what was asked for must be there then.
                return Unavailable(f"BigQuery refuses access until a person grants it: {error}")
            if isinstance(error, api.Conflict) and "duplicate" in reasons:
                # Every text says IF NOT EXISTS: two made one table at the same time, and the next attempt finds it.
                return Unavailable(f"another statement makes the same table; ask again: {error}")
            if isinstance(error, api.ClientError):
                return QueryRefused(str(error))
    return Unavailable(f"BigQuery did not answer: {error}")
