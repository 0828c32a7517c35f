"""`tipoff run` on real dates, against an independent script over the same CSV files. Skips without `TIPOFF_DATA`."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.independent_season_average import Predictions, season_averages
from tests.tipoff_command import ROOT, Ran, Table, read_csv, tipoff

pytestmark = pytest.mark.xdist_group("run_real_data")  # a date's run is shared by its tests

SYSTEMS = ("season_average", "moving_average", "similarity", "ridge", "ensemble")


@pytest.fixture(scope="module", params=["2026-01-30", "2025-11-07"])
def game_date(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def ran(real_data: Path, game_date: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Table]:
    """What a first run on the date printed and exported."""
    folder = tmp_path_factory.mktemp("real")
    arguments = ("--game-date", game_date, "--data", real_data, "--state", folder / "state")
    done = tipoff("run", "--json", *arguments, "--export", folder / "predictions.csv")
    assert done.status == 0, done.err
    return done, read_csv(folder / "predictions.csv")


@pytest.fixture(scope="module")
def expected(real_data: Path, game_date: str) -> Predictions:
    """What the independent script predicts for everybody."""
    return season_averages(real_data, game_date, stand_ins=True)


def test_every_season_average_is_exactly_the_independent_scripts(ran: tuple[Ran, Table], expected: Predictions) -> None:
    rows = [row for row in ran[1] if row["system_id"] == "season_average"]

    predicted = {
        (row["player_lookup"], Decimal(row["current_points_line"])): Decimal(row["predicted_points"]) for row in rows
    }
    assert predicted == expected
    assert len(rows) == len(expected) > 200


def test_who_has_not_played_this_season_is_marked_as_predicted_by_a_stand_in(
    ran: tuple[Ran, Table], expected: Predictions, real_data: Path, game_date: str
) -> None:
    with_a_season = season_averages(real_data, game_date)

    stood_in = {row["player_lookup"] for row in ran[1] if row["prediction_error_code"] == "NO_SEASON_GAMES"}

    assert stood_in == {player for player, _line in expected.keys() - with_a_season.keys()}


@pytest.mark.parametrize("system_id", SYSTEMS)
def test_every_player_of_the_plan_has_a_row_of_each_system_on_each_of_his_lines(
    ran: tuple[Ran, Table], expected: Predictions, system_id: str
) -> None:
    lines = [
        (row["player_lookup"], Decimal(row["current_points_line"])) for row in ran[1] if row["system_id"] == system_id
    ]

    assert sorted(lines) == sorted(expected)
    assert ran[0].json["players"]["predicted"] == len({player for player, _line in expected})


def test_the_export_has_the_declared_columns_in_order_and_null_as_nothing(ran: tuple[Ran, Table]) -> None:
    declared = json.loads((ROOT / "schemas/predictions/v2.json").read_text(encoding="utf-8"))

    assert list(ran[1][0]) == [column["name"] for column in declared]
    assert len(declared) == 72
    assert not {"None", "null", "NaN", "nan"} & {cell for row in ran[1] for cell in row.values()}


def test_the_counts_are_those_of_the_export(ran: tuple[Ran, Table]) -> None:
    done, table = ran

    assert done.json["state"] == "COMPLETE"
    assert done.json["players"]["failed"] == done.json["players"]["silent"] == 0
    assert done.json["rows"]["staged"] == done.json["rows"]["inserted"] == len(table)
    assert len({row["prediction_id"] for row in table}) == len(table)
