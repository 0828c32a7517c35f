"""The SQL that reaches a warehouse: Google's analyzer accepts what BigQuery would, and DuckDB runs what it means."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pytest

from schemas.tables import Column
from shared.adapters.duckdb_sql import translate
from shared.errors import QueryRefused
from shared.ports import Parameters
from tests import zetasql_check

pytestmark = zetasql_check.IN_ONE_PROCESS

TABLES = {
    "target": (
        Column("id", "STRING", "REQUIRED"),
        Column("day", "DATE", "REQUIRED"),
        Column("n", "INT64"),
        Column("line", "NUMERIC", precision=4, scale=1),
        Column("seen_at", "TIMESTAMP"),
        Column("detail", "JSON"),
        Column("issues", "STRING", "REPEATED"),
    ),
    "source": (Column("id", "STRING", "REQUIRED"), Column("day", "DATE", "REQUIRED"), Column("n", "INT64")),
}
MERGE = """
MERGE INTO `target` AS T USING (
  SELECT FALSE AS retire, id, day, n, CAST(NULL AS NUMERIC) AS line, CAST(NULL AS ARRAY<STRING>) AS issues
  FROM `source` WHERE id IN UNNEST(@ids)
  QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY id) = 1
  UNION ALL SELECT TRUE, id, day, n, line, issues FROM `target` WHERE seen_at < @before
) AS S ON T.day = DATE '2026-01-30' AND T.id = S.id
WHEN MATCHED AND S.retire THEN UPDATE SET n = 0
WHEN MATCHED THEN UPDATE SET n = S.n, seen_at = @before, issues = S.issues
WHEN NOT MATCHED THEN INSERT (id, day, n, line, issues) VALUES (S.id, S.day, S.n, S.line, S.issues)
"""
PARAMETERS: Parameters = {"ids": ["a"], "before": datetime(2026, 1, 30, tzinfo=UTC)}


def test_the_analyzer_accepts_a_sound_merge() -> None:
    zetasql_check.check(MERGE, TABLES, PARAMETERS)


def test_the_analyzer_accepts_a_plan_made_as_a_table() -> None:
    zetasql_check.check(
        """
        CREATE TABLE IF NOT EXISTS `_plan_x`
        OPTIONS (expiration_timestamp = TIMESTAMP '2026-02-01 00:00:00+00', labels = [('a', 'b')]) AS
        SELECT id, TO_JSON_STRING(STRUCT(MAX(seen_at) AS seen_at, ARRAY_AGG(STRUCT(n, line) ORDER BY day DESC LIMIT 10) AS g)) AS r,
          TO_HEX(MD5(STRING_AGG(DISTINCT id, ',' ORDER BY id))) AS digest, ANY_VALUE(n HAVING MAX day) AS newest
        FROM `target` WHERE day = @day AND line > @line AND n > @n GROUP BY id
        """,
        TABLES,
        {"day": date(2026, 1, 30), "line": Decimal("1.5"), "n": None},
    )


@pytest.mark.parametrize(
    ("sound", "broken", "complaint"),
    [
        ("SET n = 0", "SET absent = 0", "absent"),
        ("S.n, S.line, S.issues)", "S.id, S.line, S.issues)", "INT64"),
        ("T.id = S.id", "T.id = S.n", "No matching signature"),
        ("n = S.n, seen_at", "n = S.n, n = S.n, seen_at", "multiple times|already been|more than once"),
        ("`source`", "`elsewhere`", "elsewhere"),
        ("@before", "@unheard_of", "unheard_of"),
        ("NUMERIC)", "NUMERIC(4, 1))", "parameterized types"),
        ("UNION ALL SELECT TRUE", "UNION ALL SELECT 1, TRUE", "UNION ALL"),
    ],
)
def test_the_analyzer_refuses_what_bigquery_would(sound: str, broken: str, complaint: str) -> None:
    assert sound in MERGE

    with pytest.raises(AssertionError, match=complaint):
        zetasql_check.check(MERGE.replace(sound, broken), TABLES, PARAMETERS)


def test_an_ungrouped_column_and_a_wrong_parameter_type_are_refused() -> None:
    with pytest.raises(AssertionError, match="GROUP BY"):
        zetasql_check.check("SELECT id, n, COUNT(*) AS c FROM `source` GROUP BY id", TABLES)
    with pytest.raises(AssertionError, match="STRING"):
        zetasql_check.check("SELECT id FROM `source` WHERE n = @n", TABLES, {"n": "1"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT 1 AS a; SELECT 2 AS a",
        "SELECT (1",
        "SELECT CAST(1 AS NUMERIC(4, 1)) AS n",
        "SELECT e, o FROM UNNEST(['a']) AS e WITH OFFSET AS o",
    ],
)
def test_the_embedded_warehouse_refuses_what_it_cannot_run_alike(text: str) -> None:
    with pytest.raises(QueryRefused):
        translate(text, {})


@pytest.mark.parametrize("value", [datetime(2026, 1, 30), [1, 2], object()])  # noqa: DTZ001 - a naive time is the case
def test_a_parameter_without_a_bigquery_type_is_refused_by_name(value: object) -> None:
    with pytest.raises(QueryRefused, match="@when"):
        translate("SELECT @when AS w", {"when": value})  # type: ignore[dict-item]  # what no parameter may be


def test_a_statement_names_its_tables_and_parameters() -> None:
    statement = translate(MERGE, PARAMETERS)

    assert statement.tables == ("target", "source")
    assert statement.parameters == {"ids", "before"}


@pytest.mark.parametrize(
    ("common", "is_read_anew"),
    [("SELECT id, n FROM `source` WHERE n > 1", True), ("SELECT id, SUM(n) AS n FROM `source` GROUP BY id", False)],
)
def test_a_common_table_that_only_picks_is_read_anew_rather_than_kept(common: str, is_read_anew: bool) -> None:
    text = f"WITH some AS ({common}) SELECT one.id FROM some AS one INNER JOIN some AS other ON one.n = other.n"

    assert ("NOT MATERIALIZED" in translate(text, {}).text) is is_read_anew


def test_arrays_of_a_struct_in_one_order_are_gathered_once() -> None:
    arrays = "ARRAY_AGG(n ORDER BY day DESC) AS n, ARRAY_AGG(id ORDER BY day DESC) AS ids"

    text = translate(f"SELECT STRUCT({arrays}) AS s FROM `source`", {}).text

    assert len(set(re.findall(r"ARRAY_AGG\(.*? ORDER BY .*?\)", text))) == 1
    rows = "SELECT 1 AS n, 'old' AS id, DATE '2026-01-01' AS day UNION ALL SELECT NULL, 'new', DATE '2026-01-02'"
    told = duckdb.execute(f"WITH source AS ({rows}) {text}").fetchall()
    assert told == [({"n": [None, 1], "ids": ["new", "old"]},)]


@pytest.mark.parametrize(
    "arrays",
    [
        "ARRAY_AGG(n ORDER BY day) AS n, ARRAY_AGG(id ORDER BY n) AS ids",
        "ARRAY_AGG(n ORDER BY day) AS n, MAX(id) AS ids",
        "ARRAY_AGG(n) AS n, ARRAY_AGG(id) AS ids",
        "ARRAY_AGG(DISTINCT n ORDER BY n) AS n, ARRAY_AGG(id ORDER BY n) AS ids",
        "ARRAY_AGG(n ORDER BY day LIMIT 1) AS n, ARRAY_AGG(id ORDER BY day) AS ids",
    ],
)
def test_arrays_that_differ_in_order_or_in_what_they_leave_out_are_gathered_one_by_one(arrays: str) -> None:
    text = translate(f"SELECT STRUCT({arrays}) AS s FROM `source`", {}).text

    assert "LIST_TRANSFORM" not in text
