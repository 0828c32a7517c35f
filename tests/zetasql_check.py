"""Checks SQL texts with Google's own analyzer against declared tables: names, types, grouping, MERGE and DDL alike.

`check(sql, tables, parameters)` is what tests call. The analyzer is WebAssembly: it is compiled once per machine (up to
a minute) and afterwards loaded from wasmtime's cache, in two seconds per process. Test files that call it say
`pytestmark = IN_ONE_PROCESS`, since processes that find no cache at the same time compile it each for itself.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
import wasmtime
from sqlglot import exp
from zetasql import types  # type: ignore[import-untyped]
from zetasql.core import wasm_client  # type: ignore[import-untyped]
from zetasql.core.exceptions import ZetaSQLError  # type: ignore[import-untyped]
from zetasql.core.local_service import ZetaSqlLocalService  # type: ignore[import-untyped]
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2  # type: ignore[import-untyped]

from schemas.tables import Column

IN_ONE_PROCESS = pytest.mark.xdist_group("zetasql")

_KINDS = {
    "STRING": types.TypeKind.TYPE_STRING,
    "INT64": types.TypeKind.TYPE_INT64,
    "FLOAT64": types.TypeKind.TYPE_DOUBLE,
    "BOOL": types.TypeKind.TYPE_BOOL,
    "NUMERIC": types.TypeKind.TYPE_NUMERIC,
    "DATE": types.TypeKind.TYPE_DATE,
    "TIMESTAMP": types.TypeKind.TYPE_TIMESTAMP,
    "JSON": types.TypeKind.TYPE_JSON,
}
_STATEMENTS = (
    *("QUERY", "MERGE", "INSERT", "UPDATE", "DELETE"),
    *("CREATE_TABLE", "CREATE_TABLE_AS_SELECT", "ALTER_TABLE", "DROP"),
)


def check(sql: str, tables: Mapping[str, Sequence[Column]], parameters: Mapping[str, object] | None = None) -> None:
    """Analyze one statement as BigQuery would, without running it.

    Args:
        sql: the text, in GoogleSQL.
        tables: the columns of each table that it may name.
        parameters: values of its parameters, for their types only; a list is an ARRAY<STRING>, and the type of None
            follows from its use. A parameter of the text that is not among them is refused.

    Raises:
        AssertionError: the analyzer refuses the text; holds its message, with line and column.
    """
    _refuse_typed_casts(sql)
    client = _client()
    declared = [_parameter(name, value) for name, value in (parameters or {}).items() if value is not None]
    options = types.AnalyzerOptions(
        language_options=_language(),
        query_parameters=declared,
        default_timezone="UTC",
        allow_undeclared_parameters=any(value is None for value in (parameters or {}).values()),
    )
    catalog = types.SimpleCatalog(
        name="dataset",
        table=[_table(name, columns) for name, columns in tables.items()],
        builtin_function_options=types.ZetaSQLBuiltinFunctionOptions(language_options=_language()),
    )
    request = types.AnalyzeRequest(sql_statement=sql, options=options, simple_catalog=catalog).to_proto()
    try:
        # The service's own `analyze` would turn the whole answer into Python objects, which takes far longer.
        client.call_grpc_func("ZetaSqlLocalService_Analyze", request, local_service_pb2.AnalyzeResponse)
    except ZetaSQLError as error:
        raise AssertionError(f"{error}\n{sql}") from error


def _refuse_typed_casts(sql: str) -> None:
    """BigQuery refuses `CAST(x AS NUMERIC(5, 2))` where its analyzer's open release knows no switch for that."""
    for statement in sqlglot.parse(sql, read="bigquery"):
        for cast in statement.find_all(exp.Cast) if statement else ():
            if cast.args["to"].find(exp.DataTypeParam):
                raise AssertionError(f"parameterized types are not allowed in CAST expressions: {cast.sql('bigquery')}")


@functools.cache
def _client() -> Any:
    """Start the service's one instance, with the cache; the options ask it too, so it comes before everything."""
    original, wasm_client.Config = wasm_client.Config, _cached
    try:
        return ZetaSqlLocalService.get_instance().wasm_client
    finally:
        wasm_client.Config = original


def _cached() -> wasmtime.Config:
    config = wasmtime.Config()
    config.cache = True
    return config


@functools.cache
def _language() -> types.LanguageOptions:
    """BigQuery's dialect: its product mode, QUALIFY as a keyword, and the statements that the project uses."""
    options = types.LanguageOptions.maximum_features()
    options.product_mode = types.ProductMode.PRODUCT_EXTERNAL
    options.reserved_keywords = ["QUALIFY"]
    options.supported_statement_kinds = [types.ResolvedNodeKind[f"RESOLVED_{kind}_STMT"] for kind in _STATEMENTS]
    return options


def _table(name: str, columns: Sequence[Column]) -> types.SimpleTable:
    described = [
        types.SimpleColumn(name=column.name, type=_type(column.type, column.mode), is_writable_column=True)
        for column in columns
    ]
    return types.SimpleTable(name=name, column=described)


def _type(name: str, mode: str = "NULLABLE") -> types.Type:
    single = types.Type(type_kind=_KINDS[name])
    if mode != "REPEATED":
        return single
    return types.Type(type_kind=types.TypeKind.TYPE_ARRAY, array_type=types.ArrayType(element_type=single))


def _parameter(name: str, value: object) -> types.AnalyzerOptions.QueryParameter:
    match value:
        case bool():
            kind = _type("BOOL")
        case int():
            kind = _type("INT64")
        case float():
            kind = _type("FLOAT64")
        case Decimal():
            kind = _type("NUMERIC")
        case str():
            kind = _type("STRING")
        case datetime():
            kind = _type("TIMESTAMP")
        case date():
            kind = _type("DATE")
        case list() | tuple():
            kind = _type("STRING", "REPEATED")
        case _:
            raise AssertionError(f"parameter @{name}: {type(value).__name__} is no type a parameter may have")
    return types.AnalyzerOptions.QueryParameter(name=name.lower(), type=kind)
