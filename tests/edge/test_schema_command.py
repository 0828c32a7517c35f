"""`tipoff schema` over a state folder: what it prints, what it does to the live tables, how it exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from coordinator.ledger import Ledger
from local.cli.main import commands
from local.cli.merge_text import merge_text
from schemas import names, tables
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import every_spec
from shared.errors import InvalidInput, SchemaClash, UnknownBatch
from shared.ports import TableSpec
from tests.stand.world import Stand
from tests.warehouse_kit import WatchedWarehouse

V1, V2 = (tables.load(tables.PREDICTIONS, version) for version in (1, 2))

EVERY_TABLE = [spec.name for spec in every_spec()]


def asked(*arguments: str | Path) -> Result:
    return CliRunner().invoke(commands, ["schema", *map(str, arguments)], obj={}, standalone_mode=False)


def ran(*arguments: str | Path) -> Any:
    """What a command printed as JSON."""
    result = asked(*arguments, "--json")
    assert result.exception is None, result.output
    return json.loads(result.output)


def live(state: Path, table: str) -> tuple[tables.Column, ...] | None:
    warehouse = DuckdbWarehouse(state / "warehouse.duckdb")
    try:
        return warehouse.columns(table)
    finally:
        warehouse.close()


def with_target(state: Path, columns: tuple[tables.Column, ...]) -> None:
    """A state folder whose predictions table has these columns, and every input as declared."""
    warehouse = DuckdbWarehouse(state / "warehouse.duckdb")
    warehouse.create(TableSpec(tables.PREDICTIONS, columns))
    for spec in every_spec():
        warehouse.create(spec)
    warehouse.close()


def test_list_names_every_version_with_its_fingerprint() -> None:
    listed = {(one["table"], one["version"]): one for one in ran("list")}

    assert listed.keys() == {(table, version) for table in tables.TABLES for version in tables.versions(table)}
    assert listed["predictions", 2]["fingerprint"] == V2.fingerprint
    assert {one["released"] for one in listed.values()} == {True}


def test_show_gives_the_columns_in_bigquerys_form() -> None:
    assert tables.columns_from_json(ran("show", "v1")) == V1.columns
    assert tables.columns_from_json(ran("show", "--table", "points_lines")) == tables.load("points_lines").columns


def test_a_version_that_is_none_is_refused_with_those_that_are() -> None:
    error = asked("show", "v9").exception

    assert isinstance(error, InvalidInput)
    assert "there are v1, v2" in str(error)


def test_check_finds_the_declarations_in_order() -> None:
    assert ran("check") == {"recorded": [], "breaches": []}


def test_diff_of_two_versions_is_the_alter_between_them() -> None:
    found = ran("diff", "v1", "v2")

    assert [column["name"] for column in found["added"]] == list(V2.names[len(V1.names) :])
    assert found["statement"].startswith(
        "ALTER TABLE `predictions`\n  ADD COLUMN IF NOT EXISTS `feature_version` STRING"
    )
    assert [column["name"] for column in ran("diff", "v2", "v1")["removed"]] == list(V2.names[len(V1.names) :])


def test_plan_of_nothing_creates_everything_and_makes_no_folder(tmp_path: Path) -> None:
    plan = ran("plan", "--state", tmp_path / "none")

    assert [one["table"] for one in plan["tables"]] == EVERY_TABLE
    assert all(one["statement"].startswith("CREATE TABLE IF NOT EXISTS") for one in plan["tables"])
    assert not (tmp_path / "none").exists()


def test_apply_creates_every_table_and_a_repeat_does_nothing(tmp_path: Path) -> None:
    assert [one["table"] for one in ran("apply", "--state", tmp_path / "new")["applied"]] == EVERY_TABLE
    assert ran("apply", "--state", tmp_path / "new")["applied"] == []
    assert {one["statement"] for one in ran("plan", "--state", tmp_path / "new")["tables"]} == {None}
    assert live(tmp_path / "new", "predictions") == V2.columns


def test_apply_adds_what_an_older_table_lacks_as_planned_and_diffed(tmp_path: Path) -> None:
    with_target(tmp_path, V1.columns)

    planned = {one["table"]: one["statement"] for one in ran("plan", "--state", tmp_path)["tables"] if one["statement"]}
    assert planned == {"predictions": ran("diff", "live", "v2", "--state", tmp_path)["statement"]}
    assert ran("apply", "--state", tmp_path)["applied"] == [
        {"table": "predictions", "statement": planned["predictions"]}
    ]

    assert live(tmp_path, "predictions") == V2.columns


def test_what_no_added_column_mends_is_refused_by_plan_and_apply_before_anything_is_changed(tmp_path: Path) -> None:
    retyped = [
        tables.Column("feature_importance", "STRING") if c.name == "feature_importance" else c for c in V1.columns
    ]
    with_target(tmp_path, tuple(retyped))

    planned, applied = asked("plan", "--state", tmp_path), asked("apply", "--state", tmp_path)

    assert (planned.return_value, planned.exception) == (1, None)
    assert (
        "refused: `predictions`: feature_importance is declared JSON, NULLABLE but live it is STRING" in planned.output
    )
    assert isinstance(applied.exception, SchemaClash)
    assert live(tmp_path, "predictions") == tuple(retyped)


def test_an_undeclared_column_is_kept_and_told(tmp_path: Path) -> None:
    with_target(tmp_path, (*V2.columns, tables.Column("shoe_size", "INT64")))

    assert "keeps columns that are not declared: shoe_size" in asked("plan", "--state", tmp_path).output
    assert ran("apply", "--state", tmp_path)["applied"] == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--project", "p"], "--dataset"),
        (["--project", "p", "--dataset", "d"], "--location"),
        (["--dataset", "d"], "--dataset"),
        (["--project", "p", "--dataset", "d", "--location", "US", "--state", "x"], "--state"),
    ],
)
def test_a_half_named_target_is_refused_by_its_option(options: list[str], field: str) -> None:
    error = asked("plan", *options).exception

    assert isinstance(error, InvalidInput)
    assert error.field == field


# --- sql ------------------------------------------------------------------------------------------------------


def test_sql_is_the_merge_that_the_coordinator_then_submits(stand: Stand) -> None:
    stand.warehouse.drop(names.PREDICTIONS_TABLE)
    stand.warehouse.create(TableSpec(names.PREDICTIONS_TABLE, V1.columns))
    watched = WatchedWarehouse(stand.warehouse)
    stand.coordinator = stand.new_coordinator("watched", warehouse=watched)
    batch = stand.run(players=[])
    texts = []

    def note(operation: str, _table: str) -> None:
        if operation == "add_columns":
            texts.append(merge_text(stand.warehouse, Ledger(stand.documents), batch.batch_id))

    watched.before = note
    stand.record(*(stand.answer(player) for player in stand.coordinator.views.batch(batch.batch_id).silent))

    ((sql, parameters),), (text,) = watched.submitted, texts
    assert text.statements == (ran_alter(), sql)
    assert text.job_id == names.merge_job_id(batch.batch_id, 1)
    stamp = str(parameters["planned_at"])
    assert {**text.parameters, "planned_at": stamp} == {**parameters, "planned_at": stamp}


def ran_alter() -> str:
    return str(ran("diff", "v1", "v2")["statement"])


def test_sql_prints_the_merge_of_a_batch_in_the_state_folder(stand: Stand, tmp_path: Path) -> None:
    batch = stand.run(players=[])
    # The stand's days are past, so its staging has expired by the command's clock; this table does not end.
    staging = names.staging_table(2)
    stand.warehouse.drop(staging)
    stand.warehouse.create(TableSpec(staging, tables.staging_columns(2)))
    stand.close()

    printed = asked("sql", batch.batch_id, "--state", tmp_path)

    assert printed.exception is None
    assert printed.output.startswith("MERGE INTO `predictions`")
    assert f"-- job {names.merge_job_id(batch.batch_id, 1)}\n" in printed.output
    assert f'-- @batch_id = "{batch.batch_id}"\n' in printed.output


def test_sql_of_a_batch_that_is_none_is_refused(stand: Stand, tmp_path: Path) -> None:
    stand.warehouse.close()

    assert isinstance(asked("sql", "x", "--state", tmp_path).exception, InvalidInput)
    assert isinstance(asked("sql", "20260130_0123456789abcdef", "--state", tmp_path).exception, UnknownBatch)
