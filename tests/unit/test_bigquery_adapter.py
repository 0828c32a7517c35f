"""What the BigQuery adapter decides by itself; the contract suite runs it against a server."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from google.api_core import exceptions as api
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import types
from google.protobuf import descriptor_pool, message_factory  # type: ignore[import-untyped]  # it ships no types
from google.protobuf.descriptor_pb2 import FileDescriptorProto  # type: ignore[import-untyped]  # it ships no types
from requests.exceptions import ConnectionError as RequestsConnectionError

from schemas.tables import Cell, Column, Row, load, staging_columns
from shared.adapters.bigquery import BigqueryWarehouse, _cell, _check_answer, _parameter, _translated
from shared.adapters.proto_rows import chunked, row_descriptor, serialized_rows
from shared.declared import addition_statement
from shared.errors import QueryRefused, TableMissing, Unavailable
from shared.ports import JobState, TableSpec
from tests.bigquery_wire import Wire, error, job_answer

NOW = datetime(2026, 1, 30, 17, 0, 0, 123456, tzinfo=UTC)
COLUMNS = (
    Column("id", "STRING", "REQUIRED"),
    Column("_delivery", "STRING", "REQUIRED"),
    Column("game_date", "DATE"),
    Column("line", "NUMERIC", precision=4, scale=1),
    Column("n", "INT64"),
    Column("share", "FLOAT64"),
    Column("active", "BOOL"),
    Column("seen_at", "TIMESTAMP"),
    Column("detail", "JSON"),
    Column("issues", "STRING", "REPEATED"),
)

# --- rows on the wire -----------------------------------------------------------------------------------------


def decoded(columns: tuple[Column, ...], data: bytes) -> Any:
    file = FileDescriptorProto(name="reader.proto", package="reader", syntax="proto2")
    file.message_type.append(row_descriptor(columns))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("reader.Row")).FromString(data)


def by_column(columns: tuple[Column, ...], row: Row) -> list[tuple[Column, list[Cell]]]:
    return [(column, [row.get(column.name)]) for column in columns]


def test_a_full_row_travels_exactly() -> None:
    row: Row = {
        "id": "nikola-jokić",
        "_delivery": "d1",
        "game_date": date(2026, 1, 30),
        "line": Decimal("2.45E+1"),
        "n": -(2**63),
        "share": 0.1,
        "active": False,
        "seen_at": NOW.astimezone(timezone(-timedelta(hours=5))),
        "detail": '{"a": 1}',
        "issues": ["x", "y"],
    }

    (data,) = serialized_rows(by_column(COLUMNS, row))

    message = decoded(COLUMNS, data)
    assert (message.id, message._delivery) == ("nikola-jokić", "d1")
    assert date(1970, 1, 1) + timedelta(days=message.game_date) == date(2026, 1, 30)
    assert message.line == "24.5"
    assert (message.n, message.share, message.active) == (-(2**63), 0.1, False)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=message.seen_at) == NOW
    assert (message.detail, list(message.issues)) == ('{"a": 1}', ["x", "y"])


def test_null_cells_are_left_out_and_zero_is_not() -> None:
    (data,) = serialized_rows(by_column(COLUMNS, {"id": "a", "_delivery": "d", "n": 0, "active": None, "issues": []}))

    message = decoded(COLUMNS, data)

    assert [field.name for field, _ in message.ListFields()] == ["id", "_delivery", "n"]


def test_times_before_1970_travel_as_negative_microseconds() -> None:
    columns = (Column("seen_at", "TIMESTAMP"),)

    (data,) = serialized_rows(by_column(columns, {"seen_at": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)}))

    assert decoded(columns, data).seen_at == -1


@pytest.mark.parametrize("version", [1, 2])
def test_every_declared_column_of_a_staging_table_has_a_wire_type(version: int) -> None:
    columns = staging_columns(version)

    assert [field.name for field in row_descriptor(columns).field] == [column.name for column in columns]


def test_rows_are_cut_into_requests_in_order_below_the_bound() -> None:
    rows = [b"x" * size for size in (4, 4, 4, 11, 1, 9, 1)]

    pieces = [list(piece) for piece in chunked(rows, max_bytes=10)]

    assert [row for piece in pieces for row in piece] == rows
    assert [[len(row) for row in piece] for piece in pieces] == [[4, 4], [4], [11], [1, 9], [1]]
    assert list(chunked([], max_bytes=10)) == []


# --- parameters, texts, cells ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("a", "STRING"),
        (None, "STRING"),
        (True, "BOOL"),
        (1, "INT64"),
        (0.5, "FLOAT64"),
        (Decimal("24.5"), "NUMERIC"),
        (date(2026, 1, 30), "DATE"),
        (NOW, "TIMESTAMP"),
    ],
)
def test_a_parameter_has_the_type_of_its_python_value(value: Any, kind: str) -> None:
    parameter = _parameter("p", value).to_api_repr()

    assert (parameter["name"], parameter["parameterType"]) == ("p", {"type": kind})


def test_an_empty_list_is_an_array_of_strings() -> None:
    assert _parameter("p", []).to_api_repr()["parameterType"] == {"type": "ARRAY", "arrayType": {"type": "STRING"}}


@pytest.mark.parametrize("value", [NOW.replace(tzinfo=None), [1], object()])
def test_a_parameter_without_a_bigquery_type_is_refused_by_name(value: Any) -> None:
    with pytest.raises(QueryRefused, match="@when"):
        _parameter("when", value)


def test_an_added_column_is_written_with_its_type_and_quoted_description() -> None:
    added = [
        Column("score", "NUMERIC", precision=5, scale=2, description='a "score"'),
        Column("tags", "STRING", "REPEATED"),
    ]

    assert addition_statement("t", added).splitlines() == [
        "ALTER TABLE `t`",
        '  ADD COLUMN IF NOT EXISTS `score` NUMERIC(5, 2) OPTIONS (description = "a \\"score\\""),',
        "  ADD COLUMN IF NOT EXISTS `tags` ARRAY<STRING>",
    ]


def test_json_comes_back_as_text_however_deep() -> None:
    field = bigquery.SchemaField
    pair = field("pairs", "RECORD", "REPEATED", fields=(field("j", "JSON"), field("n", "INTEGER")))

    assert _cell(field("j", "JSON"), {"a": ["é", None]}) == '{"a": ["é", null]}'
    assert _cell(field("j", "JSON"), None) is None
    assert _cell(pair, [{"j": {"a": 1}, "n": 2}]) == [{"j": '{"a": 1}', "n": 2}]
    assert _cell(pair, []) == []


# --- errors ---------------------------------------------------------------------------------------------------


def refused(kind: type[api.GoogleAPICallError], reason: str) -> api.GoogleAPICallError:
    return kind("no", errors=[{"reason": reason}])


def gave_up() -> api.RetryError:
    return api.RetryError("gave up", cause=None)  # type: ignore[no-untyped-call]  # the client is untyped


@pytest.mark.parametrize(
    ("error", "leaf"),
    [
        (refused(api.NotFound, "notFound"), TableMissing),
        (refused(api.BadRequest, "invalidQuery"), QueryRefused),
        (refused(api.BadRequest, "bytesBilledLimitExceeded"), QueryRefused),
        # No row is bad and no batch has failed for want of a right: the work waits until a person grants it.
        (refused(api.Forbidden, "accessDenied"), Unavailable),
        (refused(api.Forbidden, "billingNotEnabled"), Unavailable),
        (refused(api.PermissionDenied, ""), Unavailable),
        (refused(api.Unauthenticated, ""), Unavailable),
        (refused(api.Forbidden, "responseTooLarge"), QueryRefused),
        (refused(api.BadRequest, "billingTierLimitExceeded"), QueryRefused),
        (refused(api.Forbidden, "rateLimitExceeded"), Unavailable),
        (refused(api.Forbidden, "quotaExceeded"), Unavailable),
        (refused(api.Conflict, "duplicate"), Unavailable),
        (refused(api.Conflict, "conflict"), QueryRefused),
        (refused(api.BadRequest, "jobBackendError"), Unavailable),
        (refused(api.InvalidArgument, ""), QueryRefused),
        (refused(api.Unauthorized, ""), Unavailable),
        (refused(api.TooManyRequests, ""), Unavailable),
        (refused(api.Aborted, ""), Unavailable),
        (refused(api.ServiceUnavailable, ""), Unavailable),
        (refused(api.InternalServerError, ""), Unavailable),
        (refused(api.DeadlineExceeded, ""), Unavailable),
        (gave_up(), Unavailable),
        (RequestsConnectionError("reset"), Unavailable),
    ],
)
def test_every_client_error_becomes_a_leaf_of_the_tree(error: Exception, leaf: type[Exception]) -> None:
    assert type(_translated(error)) is leaf


def test_a_refused_right_is_told_in_googles_words_and_as_a_persons_to_mend() -> None:
    words = "User does not have bigquery.jobs.create permission in project p."
    told = str(_translated(api.Forbidden(words)))  # type: ignore[no-untyped-call]  # the client is untyped

    assert words in told
    assert "until a person grants it" in told
    assert "did not answer" not in told


def test_a_row_error_names_the_row_of_the_whole_append() -> None:
    answer = types.AppendRowsResponse(
        error={"code": 3, "message": "errors in rows"}, row_errors=[{"index": 2, "message": "detail is no JSON"}]
    )

    with pytest.raises(QueryRefused, match=r"readings, row 103: detail is no JSON"):
        _check_answer("readings", 100, answer)


@pytest.mark.parametrize(("code", "leaf"), [(3, QueryRefused), (5, TableMissing), (13, Unavailable), (8, Unavailable)])
def test_an_append_that_is_not_acknowledged_is_an_error(code: int, leaf: type[Exception]) -> None:
    with pytest.raises(leaf):
        _check_answer("readings", 0, types.AppendRowsResponse(error={"code": code, "message": "no"}))


def test_an_acknowledged_append_is_none() -> None:
    _check_answer("readings", 0, types.AppendRowsResponse(append_result={}))


# --- what is asked of the service -----------------------------------------------------------------------------


def test_a_submitted_job_carries_its_id_place_dataset_parameters_and_bound(
    wire: Wire, warehouse: BigqueryWarehouse
) -> None:
    wire.answers = [job_answer("RUNNING")]

    warehouse.submit("MERGE ...", {"ids": ["a"]}, job_id="merge_1")

    ((method, path, body),) = wire.asked
    query = body["configuration"]["query"]
    assert (method, path) == ("POST", "/bigquery/v2/projects/p/jobs")
    assert body["jobReference"] == {"projectId": "p", "jobId": "merge_1", "location": "us-east1"}
    assert query["defaultDataset"] == {"projectId": "p", "datasetId": "d"}
    assert query["maximumBytesBilled"] == str(10**9)
    assert query["useQueryCache"] is False
    assert [parameter["name"] for parameter in query["queryParameters"]] == ["ids"]


def test_a_known_job_id_is_no_error_even_when_a_look_right_after_it_misses(
    wire: Wire, warehouse: BigqueryWarehouse
) -> None:
    wire.answers = [error(409, "duplicate"), error(404, "notFound"), error(404, "notFound"), job_answer("RUNNING")]

    warehouse.submit("MERGE ...", {}, job_id="merge_1")

    assert [method for method, _, _ in wire.asked] == ["POST", "GET", "GET", "GET"]


def test_a_table_that_two_make_at_once_is_there_for_who_asks_again(wire: Wire, warehouse: BigqueryWarehouse) -> None:
    raced = job_answer("DONE", {"reason": "duplicate", "message": "Already Exists: Table p:d._plan_x"})
    made = {"jobComplete": True, "jobReference": raced[1]["jobReference"]}
    wire.answers = [raced, job_answer("DONE"), (200, made)]
    text = "CREATE TABLE IF NOT EXISTS `_plan_x` AS SELECT 1 AS n"

    with pytest.raises(Unavailable, match="Already Exists"):
        warehouse.query(text)

    assert warehouse.query(text) == []


def test_a_statement_refused_with_a_job_shows_in_the_job_only(wire: Wire, warehouse: BigqueryWarehouse) -> None:
    failed = job_answer("DONE", {"reason": "invalidQuery", "message": "Syntax error"})
    wire.answers = [error(400, "invalidQuery"), failed, failed]

    warehouse.submit("MERG", {}, job_id="merge_1")

    job = warehouse.job("merge_1")
    assert (job.state, job.error) == (JobState.FAILED, "Syntax error")


def test_a_statement_refused_without_a_job_is_refused_at_once(wire: Wire, warehouse: BigqueryWarehouse) -> None:
    wire.answers = [error(400, "invalidQuery"), error(404, "notFound")]

    with pytest.raises(QueryRefused):
        warehouse.submit("MERG", {}, job_id="merge_1")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (error(404, "notFound"), JobState.ABSENT),
        (job_answer("PENDING"), JobState.RUNNING),
        (job_answer("RUNNING"), JobState.RUNNING),
        (job_answer("DONE"), JobState.DONE),
        (job_answer("DONE", {"reason": "invalid", "message": "duplicate"}), JobState.FAILED),
    ],
)
def test_done_is_told_apart_from_failed(
    wire: Wire, warehouse: BigqueryWarehouse, answer: tuple[int, dict[str, Any]], state: JobState
) -> None:
    wire.answers = [answer]

    assert warehouse.job("merge_1").state is state
    assert wire.asked[0][1] == "/bigquery/v2/projects/p/jobs/merge_1"


def test_a_created_table_is_asked_for_with_everything_declared(wire: Wire, warehouse: BigqueryWarehouse) -> None:
    columns = load("predictions").columns
    wire.answers = [(200, {"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"}})]

    warehouse.create(
        TableSpec("t", columns, partition_by="game_date", cluster_by=("system_id",), expires_at=NOW, labels={"a": "b"})
    )

    (body,) = (body for _, _, body in wire.asked)
    assert body["timePartitioning"] == {"type": "DAY", "field": "game_date"}
    assert "requirePartitionFilter" not in body
    assert body["clustering"] == {"fields": ["system_id"]}
    assert body["labels"] == {"a": "b"}
    assert int(body["expirationTime"]) == int(NOW.timestamp() * 1000)
    assert [field["name"] for field in body["schema"]["fields"]] == [column.name for column in columns]


def test_a_live_tables_columns_get_googlesqls_names(wire: Wire, warehouse: BigqueryWarehouse) -> None:
    fields = [
        {"name": "n", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "f", "type": "FLOAT"},
        {"name": "b", "type": "BOOLEAN", "mode": "NULLABLE", "description": "words"},
        {"name": "d", "type": "NUMERIC", "precision": "4", "scale": "1"},
        {"name": "l", "type": "STRING", "mode": "REPEATED"},
    ]
    reference = {"projectId": "p", "datasetId": "d", "tableId": "t"}
    wire.answers = [(200, {"tableReference": reference, "schema": {"fields": fields}}), error(404, "notFound")]

    assert warehouse.columns("t") == (
        Column("n", "INT64", "REQUIRED"),
        Column("f", "FLOAT64"),
        Column("b", "BOOL", description="words"),
        Column("d", "NUMERIC", precision=4, scale=1),
        Column("l", "STRING", "REPEATED"),
    )
    assert warehouse.columns("t") is None
