"""What every `Warehouse` adapter does with statements: the docstrings of `shared.ports.Jobs`, executed."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal

import pytest

from schemas import digest
from schemas.tables import Cell
from shared.errors import QueryRefused, TableMissing
from shared.ports import JobState, Scalar, Warehouse
from tests.warehouse_port_kit import A_WHILE, DAY, MERGE, NOW, Bench, count, made, row, spec

# --- query ----------------------------------------------------------------------------------------------------

PARAMETERS: Mapping[str, tuple[Scalar | list[str], str, Cell]] = {
    "a string": ("o'neal", "@p", "o'neal"),
    "a bool": (True, "@p", True),
    "an int": (2**62, "@p", 2**62),
    "a float": (0.1, "@p", 0.1),
    "a decimal": (Decimal("24.5"), "@p", Decimal("24.5")),
    "a date": (DAY, "@p", DAY),
    "a time": (NOW, "@p", NOW),
    "a list": (["a", "b"], "@p", ["a", "b"]),
    "an empty list": ([], "ARRAY_LENGTH(@p)", 0),
    "a null string": (None, "IFNULL(@p, 'none')", "none"),
}


@pytest.mark.parametrize("kind", PARAMETERS)
def test_a_parameter_of_every_type_comes_through(warehouse: Warehouse, kind: str) -> None:
    value, expression, expected = PARAMETERS[kind]

    (found,) = warehouse.query(f"SELECT {expression} AS p", {"p": value})

    assert found == {"p": expected}
    assert type(found["p"]) is type(expected)


def test_a_parameter_that_the_text_lacks_is_no_error_and_one_not_given_is(warehouse: Warehouse) -> None:
    assert warehouse.query("SELECT @a AS a", {"a": 1, "unused": 2}) == [{"a": 1}]
    with pytest.raises(QueryRefused):
        warehouse.query("SELECT @a AS a", {"unused": 2})


def test_a_list_parameter_chooses_rows_and_an_empty_one_chooses_none(warehouse: Warehouse) -> None:
    made(warehouse, "readings", row("a"), row("b"), row("c"))
    inside = "SELECT id FROM `readings` WHERE id IN UNNEST(@ids) ORDER BY id"
    outside = "SELECT id FROM `readings` WHERE id NOT IN UNNEST(@ids) ORDER BY id"

    assert warehouse.query(inside, {"ids": ["a", "c", "x"]}) == [{"id": "a"}, {"id": "c"}]
    assert warehouse.query(outside, {"ids": ["a", "c", "x"]}) == [{"id": "b"}]
    assert warehouse.query(inside, {"ids": []}) == []
    assert len(warehouse.query(outside, {"ids": []})) == 3


def test_rows_come_in_the_order_asked_for_with_nested_values_and_times_in_utc(warehouse: Warehouse) -> None:
    made(warehouse, "readings", *(row(f"{n:05d}", n=n, seen_at=NOW + timedelta(seconds=n)) for n in range(5000)))

    found = warehouse.query(
        "SELECT n, seen_at, [STRUCT(seen_at AS seen_at, n AS n)] AS pairs FROM `readings` ORDER BY n DESC"
    )

    assert [each["n"] for each in found] == list(range(4999, -1, -1))
    assert found[-1] == {"n": 0, "seen_at": NOW, "pairs": [{"seen_at": NOW, "n": 0}]}


def test_nulls_come_first_upwards_and_last_downwards(warehouse: Warehouse) -> None:
    made(warehouse, "readings", row("a", n=1), row("b"), row("c", n=2))

    assert [each["n"] for each in warehouse.query("SELECT n FROM `readings` ORDER BY n")] == [None, 1, 2]
    assert [each["n"] for each in warehouse.query("SELECT n FROM `readings` ORDER BY n DESC")] == [2, 1, None]


def test_the_planning_dialect_means_the_same(warehouse: Warehouse) -> None:
    made(warehouse, "readings", *(row("a", n=n, seen_at=NOW, line=Decimal(n)) for n in range(1, 13)), row("b", n=0))

    found = warehouse.query(
        """
        SELECT id, COUNTIF(n > 6) AS many, COUNTIF(COUNTIF(n > 6) > 0) OVER () AS groups, LOGICAL_OR(n > 11) AS any_more, ANY_VALUE(n HAVING MAX n) AS newest,
          ARRAY_LENGTH(ARRAY_AGG(STRUCT(n, line) ORDER BY n DESC LIMIT 10)) AS kept,
          TO_JSON_STRING(ARRAY_AGG(STRUCT(n AS n, seen_at AS seen_at) ORDER BY n DESC LIMIT 1)[OFFSET(0)]) AS newest_json,
          TO_HEX(MD5(STRING_AGG(DISTINCT CAST(n AS STRING), ',' ORDER BY CAST(n AS STRING)))) AS digest,
          DATE_SUB(game_date, INTERVAL 3 DAY) AS earlier, DATE_DIFF(game_date, DATE '2026-01-28', DAY) AS days,
          FORMAT_DATE('%Y%m%d', game_date) AS day, SAFE_CAST('x' AS INT64) AS none, STARTS_WITH(id, 'a') AS starts,
          TIMESTAMP_DIFF(TIMESTAMP '2026-01-30 00:01:59+00', TIMESTAMP '2026-01-30 00:00:30+00', MINUTE) AS minutes
        FROM `readings` WHERE TRUE GROUP BY id, game_date
        QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY id) = 1 ORDER BY id
        """
    )

    assert {**found[0], "newest_json": json.loads(str(found[0]["newest_json"]))} == {
        "id": "a",
        "many": 6,
        "groups": 1,
        "any_more": True,
        "newest": 12,
        "kept": 10,
        "newest_json": {"n": 12, "seen_at": "2026-01-30T17:00:00.123456Z"},
        "digest": digest.of_ids(str(n) for n in range(1, 13)),
        "earlier": date(2026, 1, 27),
        "days": 2,
        "day": "20260130",
        "none": None,
        "starts": True,
        "minutes": 1,
    }
    assert found[1]["newest_json"] == '{"n":0,"seen_at":null}'


def test_counting_over_no_rows_gives_zero(warehouse: Warehouse) -> None:
    warehouse.create(spec())

    assert warehouse.query("SELECT COUNTIF(n > 0) AS some, COUNT(*) AS every FROM `readings`") == [
        {"some": 0, "every": 0}
    ]


def test_a_query_of_no_table_and_one_that_is_wrong_are_refused(warehouse: Warehouse) -> None:
    warehouse.create(spec())

    with pytest.raises(TableMissing):
        warehouse.query("SELECT id FROM `nowhere`")
    for wrong in (
        "SELECT nothing FROM `readings`",
        "SELEC id FROM `readings`",
        "SELECT CAST(1 AS NUMERIC(4, 1)) AS n",
        "SELECT CAST('x' AS INT64) AS n",
    ):
        with pytest.raises(QueryRefused):
            warehouse.query(wrong)


def test_a_statement_that_fails_changes_nothing(warehouse: Warehouse) -> None:
    made(warehouse, "readings", row("a", n=1), row("b", n=0))

    with pytest.raises(QueryRefused):
        warehouse.query("UPDATE `readings` SET n = CAST(CONCAT('x', id) AS INT64) WHERE TRUE")

    assert warehouse.query("SELECT SUM(n) AS n FROM `readings`") == [{"n": 1}]


def test_an_estimate_checks_the_statement_and_runs_nothing(warehouse: Warehouse) -> None:
    made(warehouse, "source", row("a"))
    made(warehouse, "target")

    assert warehouse.estimate(MERGE) > 0

    assert count(warehouse, "target") == 0
    with pytest.raises(TableMissing):
        warehouse.estimate("SELECT id FROM `nowhere` WHERE id = @id", {"id": "a"})
    with pytest.raises(QueryRefused):
        warehouse.estimate("SELECT nothing FROM `source`")


# --- jobs -----------------------------------------------------------------------------------------------------


def test_an_unknown_job_is_absent(warehouse: Warehouse, job_id: str) -> None:
    assert warehouse.job(job_id, wait=A_WHILE).state is JobState.ABSENT


def test_a_submitted_statement_runs_once_however_often_it_is_submitted(warehouse: Warehouse, job_id: str) -> None:
    made(warehouse, "readings", row("a", n=1))
    statement = "UPDATE `readings` SET n = n + @by WHERE game_date = @day"

    for _ in range(3):
        warehouse.submit(statement, {"by": 10, "day": DAY}, job_id=job_id)
        assert warehouse.job(job_id, wait=A_WHILE).state is JobState.DONE

    assert warehouse.query("SELECT n FROM `readings`") == [{"n": 11}]


def test_eight_simultaneous_submissions_run_once(warehouse: Warehouse, job_id: str) -> None:
    made(warehouse, "readings", row("a", n=1))
    barrier = threading.Barrier(8)

    def submit(_: int) -> JobState:
        barrier.wait(30)
        warehouse.submit("UPDATE `readings` SET n = n + 10 WHERE TRUE", {}, job_id=job_id)
        return warehouse.job(job_id, wait=A_WHILE).state

    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(submit, range(8)))

    assert states == [JobState.DONE] * 8
    assert warehouse.query("SELECT n FROM `readings`") == [{"n": 11}]


def test_a_running_job_is_seen_running_and_its_effects_are_not(bench: Bench, job_id: str) -> None:
    made(bench.warehouse, "source", row("a", n=1))
    made(bench.warehouse, "target")

    with bench.holding_jobs() as reached:
        bench.warehouse.submit(MERGE, {}, job_id=job_id)
        assert reached.wait(30)
        bench.warehouse.submit(MERGE, {}, job_id=job_id)
        assert bench.warehouse.job(job_id).state is JobState.RUNNING
        assert bench.warehouse.job(job_id, wait=timedelta(milliseconds=20)).state is JobState.RUNNING
        assert count(bench.warehouse, "target") == 0
        made(bench.warehouse, "unrelated", row("b"))

    assert bench.warehouse.job(job_id, wait=A_WHILE).state is JobState.DONE
    assert count(bench.warehouse, "target") == 1


def test_a_failed_job_tells_why_and_is_never_run_again(warehouse: Warehouse, job_id: str) -> None:
    warehouse.submit("SELECT id FROM `late_table`", {}, job_id=job_id)
    failed = warehouse.job(job_id, wait=A_WHILE)
    warehouse.create(spec("late_table"))

    warehouse.submit("SELECT id FROM `late_table`", {}, job_id=job_id)

    assert failed.state is JobState.FAILED
    assert "late_table" in (failed.error or "")
    assert warehouse.job(job_id, wait=A_WHILE) == failed


def test_two_source_rows_for_one_target_fail_the_merge_and_leave_the_target(warehouse: Warehouse, job_id: str) -> None:
    made(warehouse, "source", row("a", n=1), row("a", n=2))
    made(warehouse, "target", row("a", n=0))

    warehouse.submit(MERGE, {}, job_id=job_id)

    assert warehouse.job(job_id, wait=A_WHILE).state is JobState.FAILED
    assert warehouse.query("SELECT id, n FROM `target`") == [{"id": "a", "n": 0}]


def test_a_merge_of_many_parts_inserts_updates_and_retires(warehouse: Warehouse, job_id: str) -> None:
    made(warehouse, "target", row("kept", n=1), row("changed", n=1), row("retired", n=1, active=True))
    made(warehouse, "one", row("changed", n=2), row("changed", n=2), row("unwanted", n=9))
    made(warehouse, "two", row("new", n=3, issues=["x"]))

    warehouse.submit(
        """
        MERGE INTO `target` AS T USING (
          SELECT FALSE AS retire, `id`, `game_date`, `n`, `line`, `issues` FROM (
            SELECT `id`, `game_date`, `n`, CAST(NULL AS NUMERIC) AS `line`, CAST(NULL AS ARRAY<STRING>) AS `issues`
            FROM `one` WHERE `id` IN UNNEST(@ids)
            UNION ALL SELECT `id`, `game_date`, `n`, `line`, `issues` FROM `two` WHERE `id` IN UNNEST(@ids)
          ) WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY `id`, `n` ORDER BY `id`) = 1
          UNION ALL SELECT TRUE, `id`, `game_date`, `n`, `line`, `issues` FROM `target`
          WHERE game_date = DATE '2026-01-30' AND active AND id NOT IN UNNEST(@ids)
        ) AS S ON T.game_date = DATE '2026-01-30' AND T.id = S.id
        WHEN MATCHED AND S.retire THEN UPDATE SET active = FALSE, detail = PARSE_JSON('{}')
        WHEN MATCHED AND S.n > COALESCE(T.n, 0) THEN UPDATE SET `n` = S.`n`, `issues` = S.`issues`, `amount` = @amount
        WHEN NOT MATCHED AND NOT S.retire THEN INSERT (`id`, `game_date`, `n`, `line`, `issues`)
          VALUES (S.`id`, S.`game_date`, S.`n`, S.`line`, S.`issues`)
        """,
        {"ids": ["changed", "new"], "amount": Decimal("1.5")},
        job_id=job_id,
    )

    assert warehouse.job(job_id, wait=A_WHILE).state is JobState.DONE
    assert warehouse.query("SELECT id, n, amount, active, issues FROM `target` ORDER BY id") == [
        {"id": "changed", "n": 2, "amount": Decimal("1.5"), "active": None, "issues": []},
        {"id": "kept", "n": 1, "amount": None, "active": None, "issues": []},
        {"id": "new", "n": 3, "amount": None, "active": None, "issues": ["x"]},
        {"id": "retired", "n": 1, "amount": None, "active": False, "issues": []},
    ]
