"""What every `Warehouse` adapter does with tables and rows: the docstrings of `shared.ports.Tables`, executed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest

from schemas import tables
from schemas.tables import Cell, Column, Row
from shared.errors import QueryRefused, TableMissing
from shared.ports import TableSpec, Warehouse
from tests.warehouse_port_kit import COLUMNS, DAY, NOW, Bench, count, made, row, spec

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
    bench.warehouse.create(spec("brief", expires_at=bench.now + timedelta(hours=1)))
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

    bench.warehouse.query(statement, {"expires_at": bench.now + timedelta(hours=1)})
    bench.warehouse.append("readings", [row("c")])
    bench.warehouse.query(statement, {"expires_at": bench.now + timedelta(hours=9)})

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
