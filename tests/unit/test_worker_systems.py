"""What each prediction system says, to the exact value."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.messages import SeasonToDate
from tests.requests_factory import a_past_game, a_request, some_games
from worker.systems import SYSTEMS, predict_all
from worker.systems.prediction import StandInCode, SystemPrediction, mean

NO_SEASON = SeasonToDate(games=0, points=0, minutes=0)


def by_system(**overrides: object) -> dict[str, SystemPrediction]:
    return {prediction.system_id: prediction for prediction in predict_all(a_request(**overrides))}


def test_every_system_of_the_one_list_predicts_once_in_its_order() -> None:
    predictions = predict_all(a_request())

    assert [prediction.system_id for prediction in predictions] == ["season_average", "moving_average", "ensemble"]
    assert len(predictions) == len(SYSTEMS)
    assert not any(prediction.is_stand_in for prediction in predictions)


def test_season_average_is_the_exact_mean_of_the_season() -> None:
    said = by_system(season_to_date=SeasonToDate(games=4, points=49, minutes=120))["season_average"]

    assert said.points == Decimal("12.25")
    assert said.games_used == 4
    assert said.error_code is None


def test_before_the_first_game_of_the_season_recent_games_stand_in_by_name() -> None:
    said = by_system(season_to_date=NO_SEASON, recent_games=some_games([10, 11, 13, 15]))

    baseline = said["season_average"]
    assert baseline.points == Decimal("12.25")
    assert baseline.error_code is StandInCode.NO_SEASON_GAMES
    assert "stand-in: mean points of the last 4 games" in baseline.reason


def test_season_average_makes_no_number_of_no_games() -> None:
    with pytest.raises(ArithmeticError):
        by_system(season_to_date=NO_SEASON, recent_games=())


def test_moving_average_of_equal_games_is_that_game() -> None:
    said = by_system(recent_games=some_games([20] * 10))["moving_average"]

    assert round(said.points, 12) == 20
    assert said.games_used == 10


def test_moving_average_weighs_the_newest_game_most() -> None:
    rising = by_system(recent_games=some_games([30, 20, 10]))["moving_average"]
    falling = by_system(recent_games=some_games([10, 20, 30]))["moving_average"]

    assert rising.points > 20 > falling.points


def test_moving_average_is_the_rate_times_the_minutes() -> None:
    # One point a minute throughout; minutes 20 then 40, the older one at 0.5 ** (1 / 3.5) of the newer one's weight.
    games = (a_past_game(points=20, minutes=20), a_past_game(points=40, minutes=40))
    older = 0.5 ** (1 / 3.5)

    said = by_system(recent_games=games)["moving_average"]

    assert float(said.points) == pytest.approx((20 + 40 * older) / (1 + older))


def test_a_game_of_no_minutes_lowers_the_minutes_and_divides_nothing() -> None:
    played = some_games([20] * 5)
    benched = (a_past_game(points=0, minutes=0), *played[1:])

    said = by_system(recent_games=benched)["moving_average"]

    assert said.error_code is None
    assert 0 < said.points < 20


@pytest.mark.parametrize("recent_games", [some_games([0, 0, 2], minutes=0), ()], ids=["no minutes", "no games"])
def test_without_recent_minutes_the_season_average_stands_in_by_name(recent_games: tuple[object, ...]) -> None:
    said = by_system(recent_games=recent_games)

    moving = said["moving_average"]
    assert moving.error_code is StandInCode.NO_RECENT_MINUTES
    assert moving.points == said["season_average"].points
    assert "stand-in: season_average" in moving.reason


def test_ensemble_is_the_mean_of_the_systems_before_it() -> None:
    said = by_system()

    expected = (said["season_average"].points + said["moving_average"].points) / 2
    assert said["ensemble"].points == expected
    assert said["ensemble"].reason == "mean of season_average, moving_average"


def test_a_stand_in_is_no_input_of_the_ensemble() -> None:
    said = by_system(season_to_date=NO_SEASON)

    assert said["moving_average"].error_code is None
    assert said["ensemble"].error_code is StandInCode.TOO_FEW_INPUTS
    assert said["ensemble"].points == said["season_average"].points
    assert "1 of 2 systems could predict; stand-in: season_average" in said["ensemble"].reason


def test_the_mean_of_decimals_keeps_a_tie_a_tie() -> None:
    assert mean([Decimal("12.2"), Decimal("12.3")]) == Decimal("12.25")
