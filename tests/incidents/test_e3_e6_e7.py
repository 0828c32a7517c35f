"""E3: 0 is a value. E6: one list of systems, of features, of columns. E7: a number is predicted or named, never made
up. E8: what is missing is unknown."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.messages import Line, PredictionRequest, SeasonToDate, Skipped, SkipReason
from schemas.tables import Cell, load
from shared.errors import InvalidInput
from tests.requests_factory import PastGame, a_line, a_past_game, a_request, full_team, some_games
from tests.stand.worker import WorkerStand
from worker.features import FEATURE_VERSION, FEATURES, features
from worker.model import read_model, shipped_model
from worker.players import players_of
from worker.rows import staged_rows
from worker.systems import SYSTEMS

NO_SEASON = SeasonToDate(games=0, points=0, minutes=0)


def rows_of(request: PredictionRequest) -> dict[str, dict[str, Cell]]:
    rows = staged_rows([request], shipped_model(), schema_version=2).rows.rows()
    return {str(row["system_id"]): row for row in rows}


# --- E3 -------------------------------------------------------------------------------------------------------


def test_e3_a_season_of_zero_points_predicts_zero() -> None:
    season = SeasonToDate(games=6, points=0, minutes=42)
    scoreless = tuple(
        a_past_game(game_date=game["game_date"], points=0, minutes=7, fga=1, fg3a=0, fta=0)
        for game in some_games([0] * 6)
    )

    rows = rows_of(a_request(season_to_date=season, recent_games=scoreless, lines=()))

    for system_id in ("season_average", "moving_average"):
        assert rows[system_id]["predicted_points"] == Decimal("0.0")
    for row in rows.values():
        assert row["predicted_points"] < 3  # type: ignore[operator]  # required, so a number
        assert row["prediction_error_code"] is None


def test_e3_games_of_zero_points_and_minutes_are_games() -> None:
    games = (a_past_game(points=0, minutes=0), *some_games([20] * 5)[1:])

    row = rows_of(a_request(recent_games=games, recent_games_wanted=5))["moving_average"]

    assert row["actual_games_count"] == 5
    assert row["missing_games_count"] == 0
    assert row["prediction_error_code"] is None


@pytest.mark.parametrize("name", ["fga", "fta"])
def test_e3_no_shots_are_known_and_unknown_shots_are_not_none_taken(name: str) -> None:
    def issues(game: PastGame) -> Cell:
        row = rows_of(a_request(absences=full_team(), recent_games=(game, *some_games([20] * 5)[1:])))["ensemble"]
        return row["data_quality_issues"]

    assert issues(a_past_game(**{name: 0})) == []
    assert issues(a_past_game(**{name: None})) == ["missing_shots"]


def test_e3_a_line_at_zero_minutes_from_tip_off_keeps_its_zero() -> None:
    lines: tuple[Line, ...] = (a_line("0.0", minutes_before_game=0),)

    row = rows_of(a_request(lines=lines))["ensemble"]

    assert row["line_minutes_before_game"] == 0
    assert row["current_points_line"] == Decimal("0.0")
    assert row["recommendation"] != "NO_LINE"


# --- E6 -------------------------------------------------------------------------------------------------------


def test_e6_every_system_of_the_list_makes_a_row_and_nobody_else_does() -> None:
    rows = rows_of(a_request())

    assert len(rows) == len(SYSTEMS)
    assert list(rows) == list(SYSTEMS)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("lines", [(), (a_line(),)], ids=["no line", "a line"])
def test_e6_a_row_has_exactly_the_declared_columns(version: int, lines: tuple[Line, ...]) -> None:
    request = a_request(lines=lines)

    rows = staged_rows([request], shipped_model(), schema_version=version).rows.rows()
    for row in rows:
        assert tuple(row) == (*load("predictions", version).names, "_batch_id", "_planned_on", "_delivery")


def test_e6_a_model_of_another_feature_list_is_refused_at_the_start_by_name() -> None:
    text = shipped_model().document.model_dump_json()

    with pytest.raises(InvalidInput, match=r"old\.json was trained on features_v0 .* this code computes features_v2"):
        read_model(text.replace(FEATURE_VERSION, "features_v0", 1), name="old.json")
    with pytest.raises(InvalidInput, match="features"):
        read_model(text.replace('"is_home":{', '"is_away":{', 1), name="old.json")


def test_e6_there_are_as_many_features_as_names() -> None:
    found = features(players_of([a_request()]))

    assert found.shape == (1, len(FEATURES)) == (1, len(shipped_model().coefficients))


# --- E8 -------------------------------------------------------------------------------------------------------


def test_e8_missing_inputs_stay_unknown_show_and_never_blow_up_a_prediction() -> None:
    bare = {"fga": None, "fg3a": None, "fta": None, "left_position_shots": None}
    games = tuple(a_past_game(points=20, game_date=game["game_date"], **bare) for game in some_games([20] * 10))

    full = rows_of(a_request(absences=full_team()))
    rows = rows_of(
        a_request(
            absences=full_team(), season_to_date=SeasonToDate(games=10, points=200, minutes=340), recent_games=games
        )
    )

    assert rows["ridge"]["feature_quality_score"] < full["ridge"]["feature_quality_score"]  # type: ignore[operator]  # both known
    assert rows["ridge"]["data_quality_issues"] == ["missing_shots"]
    assert rows["ridge"]["is_actionable"] is False
    for row in rows.values():
        assert 10 < row["predicted_points"] < 30  # type: ignore[operator]  # required, so a number


# --- E7 -------------------------------------------------------------------------------------------------------


def test_e7_an_ensemble_of_too_few_inputs_has_a_code_and_a_named_stand_in() -> None:
    rows = rows_of(a_request(season_to_date=NO_SEASON, recent_games=some_games([18, 22, 20, 26, 14], minutes=0)))

    ensemble = rows["ensemble"]
    assert ensemble["prediction_error_code"] == "TOO_FEW_INPUTS"
    assert ensemble["predicted_points"] == rows["season_average"]["predicted_points"] == Decimal("20.0")
    assert "stand-in: season_average" in str(ensemble["processing_decision_reason"])
    assert ensemble["is_actionable"] is False


def test_e7_a_stand_in_of_the_season_average_is_named_too() -> None:
    row = rows_of(a_request(season_to_date=NO_SEASON, recent_games=some_games([10, 11, 13, 15])))["season_average"]

    assert row["prediction_error_code"] == "NO_SEASON_GAMES"
    assert row["predicted_points"] == Decimal("12.3")
    assert "mean points of the last 4 games" in str(row["processing_decision_reason"])


def test_e7_a_player_without_any_game_gets_no_number_at_all(worker_stand: WorkerStand) -> None:
    worker_stand.push(a_request(season_to_date=NO_SEASON, recent_games=()))

    (outcome,) = worker_stand.published()
    assert isinstance(outcome, Skipped)
    assert outcome.reason is SkipReason.NO_HISTORY
    assert worker_stand.staged() == []
