"""The exported file holds the date's active predictions, exactly and in a fixed order, or is not there at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from local.one_machine.export import export
from schemas.tables import Cell, load
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import InvalidInput, TableMissing
from shared.ports import TableSpec

DATE = date(2026, 1, 30)
PLANNED_AT = datetime(2026, 1, 30, 17, 0, 0, 1, UTC)
PREDICTIONS = load("predictions")


@pytest.fixture
def warehouse() -> Iterator[DuckdbWarehouse]:
    warehouse = DuckdbWarehouse(":memory:")
    warehouse.create(TableSpec("predictions", PREDICTIONS.columns, partition_by="game_date"))
    yield warehouse
    warehouse.close()


def a_row(**overrides: Cell) -> dict[str, Cell]:
    row: dict[str, Cell] = {
        "prediction_id": "p",
        "system_id": "season_average",
        "player_lookup": "nikola-jokić",
        "game_date": DATE,
        "game_id": "0022500001",
        "prediction_version": 1,
        "predicted_points": Decimal("25.0"),
        "confidence_score": Decimal("51.20"),
        "recommendation": "PASS",
        "has_prop_line": True,
        "current_points_line": Decimal("24.5"),
        "is_active": True,
        "created_at": PLANNED_AT,
        "data_quality_issues": [],
    }
    return row | overrides


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_parquet(path: Path) -> list[dict[str, Any]]:
    with duckdb.connect(":memory:") as connection:
        # As text, since DuckDB gives zoned times to Python only where a package that we do not need is installed.
        cursor = connection.execute(
            "SELECT * REPLACE (CAST(created_at AT TIME ZONE 'UTC' AS VARCHAR) AS created_at) FROM read_parquet(?)",
            [str(path)],
        )
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_the_columns_are_the_declared_ones_in_their_order(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    warehouse.append("predictions", [a_row()])

    export(warehouse, DATE, tmp_path / "out.csv")
    export(warehouse, DATE, tmp_path / "out.parquet")

    (row,) = read_csv(tmp_path / "out.csv")
    assert tuple(row) == PREDICTIONS.names
    (row,) = read_parquet(tmp_path / "out.parquet")
    assert tuple(row) == PREDICTIONS.names


def test_only_active_rows_of_the_date_are_written(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    retired = a_row(prediction_id="retired", is_active=False)
    of_another_date = a_row(prediction_id="other", game_date=date(2026, 1, 29))
    warehouse.append("predictions", [a_row(), retired, of_another_date])

    count = export(warehouse, DATE, tmp_path / "out.csv")

    assert count == 1
    assert [row["prediction_id"] for row in read_csv(tmp_path / "out.csv")] == ["p"]


def test_rows_are_ordered_by_player_system_and_line(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    keys: list[tuple[str, str, Decimal | None]] = [
        ("a.j.-öberg", "ensemble", None),
        ("a.j.-öberg", "ensemble", Decimal("9.5")),
        ("a.j.-öberg", "ensemble", Decimal("10.0")),
        ("a.j.-öberg", "season_average", Decimal("9.5")),
        ("de'aaron-fox", "ensemble", Decimal("1.0")),
        ("öberg", "ensemble", Decimal("1.0")),
    ]
    rows = [
        a_row(prediction_id=str(number), player_lookup=player, system_id=system, current_points_line=line)
        for number, (player, system, line) in enumerate(keys)
    ]
    warehouse.append("predictions", rows[::-1])

    export(warehouse, DATE, tmp_path / "out.csv")

    assert [row["prediction_id"] for row in read_csv(tmp_path / "out.csv")] == ["0", "1", "2", "3", "4", "5"]


def test_csv_values_are_exact_and_null_is_empty(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    row = a_row(
        predicted_points=Decimal("7.0"),
        confidence_score=Decimal("0.00"),
        raw_confidence_score=Decimal("0.500"),
        data_quality_issues=["few games", 'a "quote", and a comma'],
        feature_importance='{"minutes": 0.1}',
        completeness_percentage=0.1,
        actual_games_count=0,
        is_actionable=False,
        injury_reason_at_prediction="knee, left\nsore",
    )
    warehouse.append("predictions", [row])

    export(warehouse, DATE, tmp_path / "out.csv")

    (written,) = read_csv(tmp_path / "out.csv")
    assert written["predicted_points"] == "7.0"
    assert written["confidence_score"] == "0.00"
    assert written["raw_confidence_score"] == "0.500"
    assert json.loads(written["data_quality_issues"]) == row["data_quality_issues"]
    assert json.loads(written["feature_importance"]) == {"minutes": 0.1}
    assert written["completeness_percentage"] == "0.1"
    assert written["actual_games_count"] == "0"
    assert (written["has_prop_line"], written["is_actionable"]) == ("true", "false")
    assert written["created_at"] == "2026-01-30T17:00:00.000001Z"
    assert written["game_date"] == "2026-01-30"
    assert written["injury_reason_at_prediction"] == "knee, left\nsore"
    assert written["updated_at"] == ""
    assert written["player_lookup"] == "nikola-jokić"


def test_parquet_values_keep_their_types(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    warehouse.append("predictions", [a_row(data_quality_issues=["few games"], filter_reason="", actual_games_count=0)])

    count = export(warehouse, DATE, tmp_path / "out.parquet")

    (written,) = read_parquet(tmp_path / "out.parquet")
    assert count == 1
    assert written["predicted_points"] == Decimal("25.0")
    assert str(written["confidence_score"]) == "51.20"
    assert written["game_date"] == DATE
    assert written["created_at"] == "2026-01-30 17:00:00.000001"
    assert written["data_quality_issues"] == ["few games"]
    assert (written["filter_reason"], written["sportsbook"]) == ("", None)
    assert (written["actual_games_count"], written["has_prop_line"]) == (0, True)


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_date_without_predictions_gives_a_file_without_rows(
    warehouse: DuckdbWarehouse, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name

    count = export(warehouse, DATE, path)

    assert count == 0
    assert (read_csv(path) if path.suffix == ".csv" else read_parquet(path)) == []


def test_the_same_table_gives_the_same_bytes(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    warehouse.append("predictions", [a_row(prediction_id=str(number)) for number in range(50)])

    export(warehouse, DATE, tmp_path / "one.csv")
    export(warehouse, DATE, tmp_path / "two.csv")

    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_a_failed_export_leaves_the_older_file_and_nothing_else(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("older", encoding="utf-8")
    warehouse.drop("predictions")

    with pytest.raises(TableMissing):
        export(warehouse, DATE, tmp_path / "out.csv")

    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "older"


def test_an_export_replaces_the_older_file_and_leaves_nothing_else(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    (tmp_path / "out.parquet").write_text("older", encoding="utf-8")

    export(warehouse, DATE, tmp_path / "out.parquet")

    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
    assert read_parquet(tmp_path / "out.parquet") == []


@pytest.mark.parametrize("name", ["out", "out.xlsx", "out.csv.gz"])
def test_another_ending_is_refused_with_the_ones_there_are(
    warehouse: DuckdbWarehouse, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InvalidInput, match=f"export: {name} must end in .csv or .parquet"):
        export(warehouse, DATE, tmp_path / name)


@pytest.mark.parametrize("name", ["nowhere/out.csv", "nowhere/out.parquet", "folder.csv"])
def test_a_place_that_cannot_be_written_is_refused(warehouse: DuckdbWarehouse, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.csv").mkdir()

    with pytest.raises(InvalidInput, match="cannot be written"):
        export(warehouse, DATE, tmp_path / name)
