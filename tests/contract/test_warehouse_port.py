"""What every `Warehouse` adapter does: the docstrings of `shared.ports.Jobs` and `Tables`, executed."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from schemas import tables
from schemas.names import digest
from schemas.tables import Cell, Column, Row
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import QueryRefused, TableMissing
from shared.ports import JobState, Scalar, TableSpec, Warehouse

NOW = datetime(2026, 1, 30, 17, 0, 0, 123456, tzinfo=UTC)
DAY = date(2026, 1, 30)
A_WHILE = timedelta(seconds=30)

COLUMNS = (
    Column("id", "STRING", "REQUIRED", description="the key; it's quoted"),
    Column("game_date", "DATE", "REQUIRED"),
    Column("line", "NUMERIC", precision=4, scale=1),
    Column("amount", "NUMERIC"),
    Column("n", "INT64"),
    Column("share", "FLOAT64"),
    Column("active", "BOOL"),
    Column("seen_at", "TIMESTAMP"),
    Column("detail", "JSON"),
    Column("issues", "STRING", "REPEATED"),
)

MERGE = """
MERGE INTO `target` AS T USING `source` AS S ON T.game_date = DATE '2026-01-30' AND T.id = S.id
WHEN MATCHED THEN UPDATE SET n = S.n
WHEN NOT MATCHED THEN INSERT (`id`, `game_date`, `n`) VALUES (S.id, S.game_date, S.n)
"""


@dataclass
class Bench:
    """A warehouse with the means to move its server's clock and to keep its jobs from ending."""

    warehouse: Warehouse
    clock: Callable[[timedelta], None]
    holding_jobs: Callable[[], AbstractContextManager[threading.Event]]


@dataclass
class DuckdbServer:
    """The seams of the embedded warehouse."""

    now: datetime = NOW
    gate: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def before_commit(self, _job_id: str) -> None:
        self.reached.set()
        assert self.gate.wait(60)

    def move(self, by: timedelta) -> None:
        self.now += by

    @contextmanager
    def holding_jobs(self) -> Iterator[threading.Event]:
        """Keep jobs running inside the block; the event tells that one got there."""
        self.reached.clear()
        self.gate.clear()
        try:
            yield self.reached
        finally:
            self.gate.set()


@pytest.fixture(params=["duckdb"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    assert request.param == "duckdb"
    server = DuckdbServer()
    warehouse = DuckdbWarehouse(
        tmp_path / "warehouse.duckdb", clock=lambda: server.now, before_commit=server.before_commit
    )
    yield Bench(warehouse, server.move, server.holding_jobs)
    warehouse.close()


@pytest.fixture
def warehouse(bench: Bench) -> Warehouse:
    return bench.warehouse


@pytest.fixture
def job_id() -> str:
    """A job id of this test alone: a server knows the jobs of every test before it."""
    return f"test_{uuid.uuid4().hex}"


def spec(name: str = "readings", **changes: object) -> TableSpec:
    return TableSpec(**{"name": name, "columns": COLUMNS, "partition_by": "game_date", **changes})  # type: ignore[arg-type]


def row(key: str = "a", **changes: Cell) -> Row:
    return {"id": key, "game_date": DAY, **changes}


def made(warehouse: Warehouse, name: str, *rows: Row) -> None:
    warehouse.create(spec(name))
    warehouse.append(name, rows)


def count(warehouse: Warehouse, table: str = "readings") -> int:
    (found,) = warehouse.query(f"SELECT COUNT(*) AS n FROM `{table}`")
    assert isinstance(found["n"], int)
    return found["n"]


# --- tables ---------------------------------------------------------------------------------------------------


def test_a_created_table_tells_its_columns_exactly_as_declared(warehouse: Warehouse) -> None:
    warehouse.create(spec(cluster_by=("id",), labels={"app": "tipoff"}))

    assert warehouse.columns("readings") == COLUMNS


@pytest.mark.parametrize(
    ("table", "version"), [(table, version) for table in tables.TABLES for version in tables.versions(table)]
)
def test_every_declared_table_comes_back_as_declared(warehouse: Warehouse, table: str, version: int) -> None:
    declared = tables.load(table, version).columns

    warehouse.create(TableSpec(table, declared, partition_by="game_date"))

    assert warehouse.columns(table) == declared


def test_creating_a_table_again_leaves_it_as_it_is(warehouse: Warehouse) -> None:
    made(warehouse, "readings", row())

    warehouse.create(spec(columns=(Column("other", "STRING"),), partition_by=None))

    assert warehouse.columns("readings") == COLUMNS
    assert count(warehouse) == 1


def test_a_table_that_is_not_there_has_no_columns(warehouse: Warehouse) -> None:
    assert warehouse.columns("nowhere") is None


def test_added_columns_are_empty_in_the_rows_there_were_and_a_repeat_changes_nothing(warehouse: Warehouse) -> None:
    made(warehouse, "readings", row("old"))
    added = (
        Column("score", "NUMERIC", precision=5, scale=2, description="a score"),
        Column("tags", "STRING", "REPEATED"),
    )

    warehouse.add_columns("readings", added)
    warehouse.add_columns("readings", added)
    warehouse.append("readings", [row("new", score=Decimal("1.25"), tags=["x"])])

    assert warehouse.columns("readings") == COLUMNS + added
    assert warehouse.query("SELECT id, score, tags FROM `readings` ORDER BY id") == [
        {"id": "new", "score": Decimal("1.25"), "tags": ["x"]},
        {"id": "old", "score": None, "tags": []},
    ]


def test_adding_columns_leaves_one_of_that_name_as_it_is(warehouse: Warehouse) -> None:
    warehouse.create(spec())

    warehouse.add_columns("readings", (Column("n", "STRING"), Column("more", "STRING")))

    assert warehouse.columns("readings") == (*COLUMNS, Column("more", "STRING"))


def test_adding_columns_to_no_table_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(TableMissing):
        warehouse.add_columns("nowhere", (Column("more", "STRING"),))


def test_tables_are_listed_by_prefix_and_name_with_their_creation(warehouse: Warehouse) -> None:
    before = warehouse.list_tables("_staging_")
    for name in ("_staging_b", "_staging_a", "_plan_a"):
        warehouse.create(spec(name))

    listed = warehouse.list_tables("_staging_")

    assert before == []
    assert [table.name for table in listed] == ["_staging_a", "_staging_b"]
    assert all(table.created_at.tzinfo is not None for table in listed)


def test_a_dropped_table_is_gone_and_a_repeat_is_no_error(warehouse: Warehouse) -> None:
    made(warehouse, "readings", row())

    warehouse.drop("readings")
    warehouse.drop("readings")

    assert warehouse.columns("readings") is None
    assert warehouse.list_tables("readings") == []


def test_a_table_of_a_dropped_ones_name_starts_empty(warehouse: Warehouse) -> None:
    made(warehouse, "readings", row())
    warehouse.drop("readings")

    warehouse.create(spec())

    assert count(warehouse) == 0


def test_an_expired_table_is_gone(bench: Bench) -> None:
    bench.warehouse.create(spec("brief", expires_at=NOW + timedelta(hours=1)))
    bench.warehouse.create(spec("lasting"))

    bench.clock(timedelta(hours=1))

    assert [table.name for table in bench.warehouse.list_tables("")] == ["lasting"]
    assert bench.warehouse.columns("brief") is None
    with pytest.raises(TableMissing):
        bench.warehouse.append("brief", [row()])
    with pytest.raises(TableMissing):
        bench.warehouse.query("SELECT id FROM `brief`")


def test_a_table_made_by_a_statement_keeps_its_expiry(bench: Bench) -> None:
    made(bench.warehouse, "readings", row("a"), row("b"))
    statement = """
    CREATE TABLE IF NOT EXISTS `_plan_x`
    OPTIONS (expiration_timestamp = @expires_at, labels = [('app', 'tipoff'), ('kind', 'plan')])
    AS SELECT id, COUNT(*) AS games FROM `readings` GROUP BY id"""

    bench.warehouse.query(statement, {"expires_at": NOW + timedelta(hours=1)})
    bench.warehouse.append("readings", [row("c")])
    bench.warehouse.query(statement, {"expires_at": NOW + timedelta(hours=9)})

    assert count(bench.warehouse, "_plan_x") == 2
    assert [table.name for table in bench.warehouse.list_tables("_plan_")] == ["_plan_x"]
    bench.clock(timedelta(hours=2))
    assert bench.warehouse.list_tables("_plan_") == []


# --- append ---------------------------------------------------------------------------------------------------


def test_appended_rows_are_visible_and_exact(warehouse: Warehouse) -> None:
    full: Row = {
        "id": 'nikola-jokić\'s "row" 😀',
        "game_date": DAY,
        "line": Decimal("24.5"),
        "amount": Decimal("-12345678901234567890123456789.123456789"),
        "n": -(2**63),
        "share": 0.1,
        "active": False,
        "seen_at": NOW,
        "detail": '{"rest": 0, "weights": [0.5, null]}',
        "issues": ["few games", "no line"],
    }
    made(warehouse, "readings", full)

    (found,) = warehouse.query("SELECT * FROM `readings`")

    assert json.loads(str(found["detail"])) == {"rest": 0, "weights": [0.5, None]}
    assert {**found, "detail": full["detail"]} == full
    assert list(found) == [column.name for column in COLUMNS]
    assert {name: type(cell) for name, cell in found.items()} == {name: type(cell) for name, cell in full.items()}


def test_columns_that_a_row_lacks_are_null_and_repeated_ones_empty(warehouse: Warehouse) -> None:
    made(warehouse, "readings", row("a"), row("b", n=0, active=True, issues=["x"]), row("c", n=None, issues=[]))

    assert warehouse.query("SELECT id, n, active, line, detail, issues FROM `readings` ORDER BY id") == [
        {"id": "a", "n": None, "active": None, "line": None, "detail": None, "issues": []},
        {"id": "b", "n": 0, "active": True, "line": None, "detail": None, "issues": ["x"]},
        {"id": "c", "n": None, "active": None, "line": None, "detail": None, "issues": []},
    ]


def test_a_time_in_another_zone_is_the_same_moment(warehouse: Warehouse) -> None:
    eastern = NOW.astimezone(tz=None).fromisoformat("2026-01-30T12:00:00.123456-05:00")
    made(warehouse, "readings", row(seen_at=eastern))

    (found,) = warehouse.query("SELECT seen_at FROM `readings`")

    assert found["seen_at"] == NOW
    assert str(found["seen_at"]) == "2026-01-30 17:00:00.123456+00:00"


def test_a_repeated_append_doubles_the_rows(warehouse: Warehouse) -> None:
    warehouse.create(spec())

    warehouse.append("readings", [row("a"), row("b")])
    warehouse.append("readings", [row("a"), row("b")])

    assert count(warehouse) == 4


def test_appending_nothing_changes_nothing(warehouse: Warehouse) -> None:
    warehouse.create(spec())

    warehouse.append("readings", [])

    assert count(warehouse) == 0


def test_appending_to_a_table_that_is_not_there_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(TableMissing):
        warehouse.append("nowhere", [row()])


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("id", None),
        ("id", 7),
        ("id", "\ud800"),
        ("game_date", "2026-01-30"),
        ("game_date", NOW),
        ("line", Decimal("24.55")),
        ("line", Decimal("1000.0")),
        ("line", 24.5),
        ("amount", Decimal("NaN")),
        ("n", 2**63),
        ("n", True),
        ("n", 1.0),
        ("share", float("nan")),
        ("active", 1),
        ("seen_at", NOW.replace(tzinfo=None)),
        ("detail", '{"cut": '),
        ("detail", {"not": "text"}),
        ("issues", ["a", None]),
        ("issues", "a"),
        ("unheard_of", 1),
    ],
)
def test_one_row_that_does_not_fit_refuses_the_whole_append(warehouse: Warehouse, column: str, cell: Cell) -> None:
    warehouse.create(spec())

    with pytest.raises(QueryRefused, match=column):
        warehouse.append("readings", [row("good"), {**row("bad"), column: cell}, row("good too")])

    assert count(warehouse) == 0


def test_a_row_without_a_required_column_is_refused(warehouse: Warehouse) -> None:
    warehouse.create(spec())

    with pytest.raises(QueryRefused, match="game_date"):
        warehouse.append("readings", [{"id": "a"}])


def test_a_decimal_that_is_written_longer_than_it_is_fits(warehouse: Warehouse) -> None:
    made(warehouse, "readings", row(line=Decimal("24.500")), row(line=Decimal("2E+1")))

    assert warehouse.query("SELECT line FROM `readings` ORDER BY line") == [
        {"line": Decimal("20.0")},
        {"line": Decimal("24.5")},
    ]


def test_sixteen_appending_threads_lose_nothing_while_others_query(warehouse: Warehouse) -> None:
    warehouse.create(spec())

    def append(worker: int) -> None:
        for part in range(5):
            warehouse.append("readings", [row(f"{worker}/{part}/{each}") for each in range(20)])

    with ThreadPoolExecutor(20) as pool:
        appends = [pool.submit(append, worker) for worker in range(16)]
        counts = [pool.submit(count, warehouse) for _ in range(20)]
        for done in appends:
            done.result()

    assert all(each.result() % 20 == 0 for each in counts)
    assert warehouse.query("SELECT COUNT(*) AS n, COUNT(DISTINCT id) AS ids FROM `readings`") == [
        {"n": 1600, "ids": 1600}
    ]


def test_a_refused_append_does_not_touch_those_that_came_with_it(warehouse: Warehouse) -> None:
    warehouse.create(spec())

    def append(worker: int) -> bool:
        detail = '{"whole": true}' if worker % 2 else '{"cut": '
        try:
            warehouse.append("readings", [row(str(worker), detail=detail)])
        except QueryRefused:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(append, range(48)))

    assert taken == [bool(worker % 2) for worker in range(48)]
    assert count(warehouse) == 24


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
        "digest": digest(str(n) for n in range(1, 13)),
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
