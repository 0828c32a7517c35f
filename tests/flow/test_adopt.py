"""The day as it was left behind, adopted: each prediction once, the newest copy, nothing dropped before it is verified."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from coordinator.ledger import Ledger
from local.cli import adoption_texts
from local.cli.adopter import Adopter
from local.cli.main import commands
from schemas import names, tables
from schemas.tables import Column
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import table_spec
from shared.errors import Conflict, InvalidInput, SchemaClash, VerificationRefused
from shared.ports import TableSpec
from tests.left_behind import BATCHES, GAME_DATE, PREFIX, TABLES, V1, LeftBehind, a_day, an_id, at, in_target, leave
from tests.stand.world import Stand
from tests.warehouse_kit import WatchedWarehouse

NOW = datetime(2026, 2, 2, tzinfo=UTC)
PREDICTIONS = names.PREDICTIONS_TABLE


@pytest.fixture
def warehouse() -> Iterator[DuckdbWarehouse]:
    warehouse = DuckdbWarehouse(":memory:", clock=lambda: NOW)
    yield warehouse
    warehouse.close()


def an_adopter(warehouse: DuckdbWarehouse | WatchedWarehouse) -> Adopter:
    return Adopter(warehouse=warehouse, ledger=None, clock=lambda: NOW)


def target_rows(warehouse: DuckdbWarehouse) -> list[dict[str, Any]]:
    return [dict(row) for row in warehouse.query(f"SELECT * FROM `{PREDICTIONS}` ORDER BY `prediction_id`")]


def active_points(warehouse: DuckdbWarehouse) -> dict[str, Decimal]:
    return {row["prediction_id"]: row["predicted_points"] for row in target_rows(warehouse) if row["is_active"]}


def expected_points(day: LeftBehind) -> dict[str, Decimal]:
    return {an_id(key): points for key, points in day.expected.items()}


def adopt(warehouse: DuckdbWarehouse, *, drop: bool = False) -> dict[str, Any]:
    adopter = an_adopter(warehouse)
    survey = adopter.survey(PREFIX, None)
    adopter.adopt(survey)
    dropped = adopter.drop(survey) if drop else None
    adopter.finish(survey.adoption)
    return {**survey.as_object(), "drop": dropped}


# --- the whole day by the command -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def day() -> LeftBehind:
    return a_day()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, day: LeftBehind) -> Path:
    folder = tmp_path_factory.mktemp("left_behind")
    warehouse = DuckdbWarehouse(folder / "warehouse.duckdb")
    leave(warehouse, day)
    warehouse.close()
    return folder


def asked(state: Path, *options: str) -> Result:
    arguments = ["adopt", "--prefix", PREFIX, "--state", str(state), *options]
    return CliRunner().invoke(commands, arguments, obj={}, standalone_mode=False)


@pytest.mark.xdist_group("left_behind")
def test_823_tables_of_nine_batches_become_each_prediction_once(state: Path, day: LeftBehind) -> None:
    done = asked(state, "--yes", "--drop", "--json")

    assert done.exception is None
    report = json.loads(done.output)
    assert (len(day.tables), report["tables"], report["rows"]) == (TABLES, TABLES, day.rows)
    assert report["left_out"] == dict(sorted(day.left_out.items(), key=lambda each: -each[1]))
    assert report["predictions"] == len(day.expected) == report["counts"]["inserted"]
    assert report["rows"] == sum(report["left_out"].values()) + report["copies"] + report["predictions"]
    warehouse = DuckdbWarehouse(state / "warehouse.duckdb")
    try:
        assert active_points(warehouse) == expected_points(day)
        kept = [table.name for table in warehouse.list_tables("_")]
    finally:
        warehouse.close()
    assert report["dropped"] == TABLES - len(kept)
    assert set(kept) == set(report["kept"]) == {t for t, rows in day.tables.items() if len(rows) > 5}


def test_a_dry_run_counts_what_is_then_done_and_does_nothing(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path / "warehouse.duckdb")
    leave(warehouse, a_day(10))
    warehouse.close()

    dry, in_words = asked(tmp_path, "--dry-run", "--json"), asked(tmp_path, "--dry-run")
    done = asked(tmp_path, "--yes", "--json")

    assert json.loads(done.output) == {**json.loads(dry.output), "verified": True}
    assert "       1 rows left out: no line\n" in in_words.output
    assert "      10 distinct predictions: 10 would be inserted, 0 would be updated, 0 there already" in in_words.output


@pytest.mark.parametrize(
    ("options", "field"),
    [((), "--yes"), (("--dry-run", "--yes"), "--yes"), (("--dry-run", "--drop"), "--drop")],
)
def test_nothing_is_done_without_a_persons_word(tmp_path: Path, options: tuple[str, ...], field: str) -> None:
    error = asked(tmp_path, *options).exception

    assert isinstance(error, InvalidInput)
    assert error.field == field


# --- which rows and tables ------------------------------------------------------------------------------------


def test_a_look_leaves_target_and_staging_as_they_were_and_no_work_table(warehouse: DuckdbWarehouse) -> None:
    day = a_day(12)
    leave(warehouse, day)
    adopter = an_adopter(warehouse)

    survey = adopter.survey(PREFIX, None)
    adopter.finish(survey.adoption)

    assert target_rows(warehouse) == []
    assert [table.name for table in warehouse.list_tables("_")] == sorted(day.tables)


def test_adopting_again_changes_nothing(warehouse: DuckdbWarehouse) -> None:
    leave(warehouse, a_day(12))
    adopt(warehouse)
    before = target_rows(warehouse)

    again = adopt(warehouse)

    assert target_rows(warehouse) == before
    assert again["counts"] | {"staged": 0, "unchanged": 0} == dict.fromkeys(again["counts"], 0)


def test_every_cell_is_the_newest_copys_and_columns_of_v2_are_null(warehouse: DuckdbWarehouse) -> None:
    day = a_day(BATCHES)
    leave(warehouse, day)

    adopt(warehouse)

    newest = max(day.tables)
    by_line = {(r["system_id"], r["current_points_line"]): r for r in day.tables[newest] if r["game_id"]}
    empty = dict.fromkeys(tables.load(tables.PREDICTIONS).names)
    for row in target_rows(warehouse):
        left = by_line[row["system_id"], row["current_points_line"]]
        assert row == {**empty, **left, "prediction_id": row["prediction_id"], "updated_at": at(BATCHES - 1)}


def test_rows_of_the_target_under_random_ids_are_copies_too(warehouse: DuckdbWarehouse) -> None:
    day = a_day(BATCHES * 2)
    leave(warehouse, day)
    older, newer = (key for key in day.expected if key[2:] == ("ensemble", "24.5"))
    stranger = ("game-x", "somebody-else", "ensemble", "24.5")
    rows = [
        in_target(older, batch=0, prediction_id="older"),
        in_target(newer, batch=0, prediction_id="newer", updated_at=at(20), predicted_points=Decimal("77.0")),
        in_target(stranger, batch=0, prediction_id="stranger"),
        in_target(older, batch=0, prediction_id="of another day", game_date=GAME_DATE - timedelta(days=1)),
    ]
    warehouse.append(PREDICTIONS, rows)

    report = adopt(warehouse)

    expected = expected_points(day) | {an_id(newer): Decimal("77.0")}
    others = {"stranger": rows[2]["predicted_points"], "of another day": rows[3]["predicted_points"]}
    assert active_points(warehouse) == expected | others
    assert report["counts"]["superseded"] == 2
    retired = {row["prediction_id"]: row["superseded_by"] for row in target_rows(warehouse) if not row["is_active"]}
    assert retired.keys() == {"older", "newer"}
    assert all(re.fullmatch(r"adopt_[0-9a-f]{16}", str(by)) for by in retired.values())


def test_tables_that_are_not_as_declared_are_left_out_with_their_columns(warehouse: DuckdbWarehouse) -> None:
    day = a_day(3)
    leave(warehouse, day)
    ours = names.staging_table(1)
    unfit = {
        f"{PREFIX}_x_undeclared": ((*V1, Column("shoe_size", "INT64")), "shoe_size (INT64, NULLABLE) is in the live"),
        f"{PREFIX}_x_retyped": ((*V1[:-1], Column("invalidated_at", "STRING")), "invalidated_at is declared TIMESTAMP"),
        f"{PREFIX}_x_array": (
            tuple(Column(c.name, c.type) if c.mode == "REPEATED" else c for c in V1),
            "data_quality_issues is declared ARRAY<STRING>, REPEATED but live it is STRING",
        ),
        f"{PREFIX}_x_short": (V1[1:], "prediction_id is missing"),
    }
    for name, (columns, _why) in unfit.items():
        warehouse.create(TableSpec(name, columns))
    warehouse.create(TableSpec(ours, tables.staging_columns(1)))

    report = adopt(warehouse, drop=True)

    assert report["tables_refused"].keys() == unfit.keys()
    assert all(why in report["tables_refused"][name] for name, (_columns, why) in unfit.items())
    assert {*unfit, ours} <= {table.name for table in warehouse.list_tables("_")}
    assert adoption_texts.why_not(ours, tables.staging_columns(1)) == (
        "it is this system's own; its batch's consolidation merges it"
    )


# --- what forbids it, and dropping ----------------------------------------------------------------------------


def test_a_row_that_came_after_the_look_keeps_its_table(warehouse: DuckdbWarehouse) -> None:
    day = a_day(4)
    leave(warehouse, day)
    adopter, (_flawed, late, *others) = an_adopter(warehouse), day.tables
    survey = adopter.survey(PREFIX, None)
    adopter.adopt(survey)
    warehouse.append(late, [day.tables[late][0]])

    dropped, kept = adopter.drop(survey)

    assert sorted(dropped) == sorted(others)
    assert kept[late] == "its rows have changed since the look"


def test_nothing_is_dropped_that_is_not_in_the_predictions_table(warehouse: DuckdbWarehouse) -> None:
    leave(warehouse, a_day(4))
    adopter = an_adopter(warehouse)
    survey = adopter.survey(PREFIX, None)

    with pytest.raises(VerificationRefused, match="after the MERGE 5 predictions are missing"):
        adopter.drop(survey)

    assert len(warehouse.list_tables(PREFIX)) == 4


def test_no_query_names_more_tables_than_bigquery_takes(warehouse: DuckdbWarehouse) -> None:
    assert adoption_texts.TABLES_PER_QUERY <= 1000
    leave(warehouse, a_day(7))
    named: list[int] = []
    watched = WatchedWarehouse(warehouse)
    watched.before = lambda operation, sql: (
        named.append(len(set(re.findall(r"FROM `(\w+)`", sql)))) if operation == "query" else None
    )

    chunks = list(adoption_texts.chunks([adoption_texts.Foreign(f"t{n}", frozenset()) for n in range(TABLES)]))
    an_adopter(watched).survey(PREFIX, None)

    assert [len(chunk) for chunk in chunks] == [250, 250, 250, 73]
    assert max(named) == 7
    whole = [adoption_texts.Foreign(f"{PREFIX}_1769796732_{n:08x}", frozenset(c.name for c in V1)) for n in range(250)]
    assert len(adoption_texts.gather(adoption_texts.an_adoption(PREFIX, None, now=NOW), whole)) < 1_000_000


def test_a_date_that_a_batch_of_ours_speaks_for_is_refused(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    adopter = Adopter(warehouse=stand.warehouse, ledger=Ledger(stand.documents), clock=lambda: stand.now)

    batch = stand.run(players=[])
    with pytest.raises(Conflict, match="is RUNNING; wait for its end or cancel it"):
        adopter.survey(PREFIX, None)
    players = stand.coordinator.views.batch(batch.batch_id).silent
    stand.record(*(stand.answer(player) for player in players))
    with pytest.raises(Conflict, match=f"batch {batch.batch_id} has merged for 2026-01-30"):
        adopter.survey(PREFIX, None)

    stand.close()


def test_a_target_of_an_older_version_is_brought_up_first(warehouse: DuckdbWarehouse) -> None:
    warehouse.create(TableSpec(PREDICTIONS, tables.load(PREDICTIONS, 1).columns))

    with pytest.raises(SchemaClash, match="tipoff schema apply"):
        an_adopter(warehouse).survey(PREFIX, None)


@pytest.mark.parametrize(
    ("prefix", "field"),
    [("predictions", "--prefix"), ("_", "--prefix"), ("_staging`x", "--prefix"), ("_staging_batch", "--game-date")],
)
def test_a_prefix_of_other_tables_or_without_a_date_is_refused(
    warehouse: DuckdbWarehouse, prefix: str, field: str
) -> None:
    warehouse.create(table_spec(PREDICTIONS))

    with pytest.raises(InvalidInput) as refused:
        an_adopter(warehouse).survey(prefix, None)

    assert refused.value.field == field
