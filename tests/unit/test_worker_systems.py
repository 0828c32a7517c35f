"""What each prediction system says."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from schemas.messages import Offer, PredictionRequest, SeasonToDate
from tests.requests_factory import GAME_DATE, a_game, a_matchup, a_past_game, a_request, an_estimated_line, some_games
from worker.features import FEATURES, features
from worker.model import shipped_model
from worker.players import players_of
from worker.systems import OWN_SYSTEMS, SYSTEMS, predict_all
from worker.systems.forecast import Forecast, StandInCode

NO_SEASON = SeasonToDate(games=0, points=0, minutes=0)
MODEL = shipped_model()


def by_system(*requests: PredictionRequest, **overrides: object) -> dict[str, Forecast]:
    asked = requests or (a_request(**overrides),)
    return {forecast.system_id: forecast for forecast in predict_all(players_of(asked), MODEL)}


def test_every_system_of_the_one_list_predicts_once_in_its_order() -> None:
    said = by_system()

    assert list(said) == list(SYSTEMS) == [*OWN_SYSTEMS, "market", "anchored"]
    assert OWN_SYSTEMS == ("season_average", "moving_average", "similarity", "ridge", "ensemble")
    assert not any(forecast.is_stand_in[0] for forecast in said.values())


def test_a_player_is_predicted_alike_alone_and_among_others() -> None:
    asked = [
        a_request(matchup=a_matchup()),
        a_request(recent_games=some_games([5, 0, 9], minutes=12)),
        a_request(season_to_date=NO_SEASON),
        a_request(recent_games=()),
    ]

    together = by_system(*asked)

    for place, request in enumerate(asked):
        for system_id, alone in by_system(request).items():
            assert together[system_id].points[place] == pytest.approx(alone.points[0], abs=1e-9)
            assert together[system_id].is_stand_in[place] == alone.is_stand_in[0]


def test_season_average_is_the_mean_of_the_season() -> None:
    said = by_system(season_to_date=SeasonToDate(games=4, points=49, minutes=120))["season_average"]

    assert said.points[0] == 12.25
    assert said.reason(0) == "mean points over 4 games of this season"


def test_before_the_first_game_of_the_season_recent_games_stand_in_by_name() -> None:
    baseline = by_system(season_to_date=NO_SEASON, recent_games=some_games([10, 11, 13, 15]))["season_average"]

    assert baseline.points[0] == 12.25
    assert baseline.is_stand_in[0]
    assert baseline.code is StandInCode.NO_SEASON_GAMES
    assert "stand-in: mean points of the last 4 games" in baseline.reason(0)


def test_no_system_makes_a_number_of_no_games() -> None:
    said = by_system(season_to_date=NO_SEASON, recent_games=(), lines=())

    assert all(np.isnan(forecast.points[0]) for forecast in said.values())


def test_moving_average_of_equal_games_is_that_game() -> None:
    assert by_system(recent_games=some_games([20] * 10))["moving_average"].points[0] == pytest.approx(20)


def test_moving_average_weighs_the_newest_game_most() -> None:
    rising = by_system(recent_games=some_games([30, 20, 10]))["moving_average"].points[0]
    falling = by_system(recent_games=some_games([10, 20, 30]))["moving_average"].points[0]

    assert rising > 20 > falling


def test_moving_average_is_the_rate_times_the_minutes() -> None:
    # One point a minute throughout; minutes 20 then 40, the older one at 0.5 ** (1 / 3.5) of the newer one's weight.
    games = (a_past_game(points=20, minutes=20), a_past_game(points=40, minutes=40))
    older = 0.5 ** (1 / 3.5)

    said = by_system(recent_games=games)["moving_average"]

    assert said.points[0] == pytest.approx((20 + 40 * older) / (1 + older))


def test_a_game_of_no_minutes_lowers_the_minutes_and_divides_nothing() -> None:
    benched = (a_past_game(points=0, minutes=0), *some_games([20] * 5)[1:])

    said = by_system(recent_games=benched)["moving_average"]

    assert not said.is_stand_in[0]
    assert 0 < said.points[0] < 20


@pytest.mark.parametrize("recent_games", [some_games([0, 0, 2], minutes=0), ()], ids=["no minutes", "no games"])
@pytest.mark.parametrize("system_id", ["moving_average", "similarity", "ridge"])
def test_without_recent_minutes_the_season_average_stands_in_by_name(
    system_id: str, recent_games: tuple[object, ...]
) -> None:
    said = by_system(recent_games=recent_games)

    assert said[system_id].is_stand_in[0]
    assert said[system_id].code is StandInCode.NO_RECENT_MINUTES
    assert said[system_id].points[0] == said["season_average"].points[0]
    assert said[system_id].reason(0).startswith("no minutes in recent games; stand-in: season_average")
    assert said[system_id].cells(0) == {}


def test_similarity_averages_the_games_of_the_library_that_are_nearest() -> None:
    request = a_request(matchup=a_matchup())
    said = by_system(request)["similarity"]

    columns, weights = MODEL.metric
    place = MODEL.standardized(features(players_of([request])))[0, columns] * weights
    distances = np.linalg.norm(MODEL.situations - place, axis=1)
    nearest = np.argsort(distances)[: MODEL.document.similarity.neighbours]
    assert said.points[0] == pytest.approx(MODEL.situation_points[nearest].mean())
    assert float(str(said.cells(0)["min_similarity_score"])) == pytest.approx(
        100 / (1 + distances[nearest].max()), abs=0.01
    )


def test_ridge_is_its_intercept_and_its_terms() -> None:
    request = a_request(matchup=a_matchup())
    terms = MODEL.document.ridge.terms
    known = dict(zip(FEATURES, features(players_of([request]))[0], strict=True))

    said = by_system(request)["ridge"]

    by_hand = MODEL.document.ridge.intercept + sum(
        term.coefficient * (known[name] - term.mean) / term.scale
        for name, term in terms.items()
        if np.isfinite(known[name])
    )
    assert said.points[0] == pytest.approx(by_hand)


def test_a_component_is_the_points_that_its_features_add() -> None:
    home, away = (by_system(a_request(game=a_game(is_home=is_home)))["ridge"] for is_home in (True, False))

    difference = float(str(home.cells(0)["home_away_adjustment"])) - float(str(away.cells(0)["home_away_adjustment"]))
    assert difference == pytest.approx(home.points[0] - away.points[0], abs=0.011)
    assert home.cells(0)["fatigue_adjustment"] == away.cells(0)["fatigue_adjustment"]


def test_an_unknown_feature_adds_nothing() -> None:
    average = a_request(matchup=a_matchup(opponent=None, position=None))

    assert by_system(average)["ridge"].points[0] == by_system(a_request(matchup=None))["ridge"].points[0]


def test_nobody_is_predicted_to_score_less_than_nothing() -> None:
    forgotten = some_games([0] * 6, minutes=1, before=GAME_DATE - timedelta(days=60))

    said = by_system(season_to_date=SeasonToDate(games=6, points=0, minutes=6), recent_games=forgotten)

    assert said["ridge"].points[0] >= 0


def test_ensemble_is_the_weighted_mean_of_the_systems_before_it() -> None:
    said = by_system()

    weights = MODEL.document.ensemble
    assert sum(weights.values()) == pytest.approx(1)
    assert said["ensemble"].points[0] == pytest.approx(
        sum(weight * said[system_id].points[0] for system_id, weight in weights.items())
    )
    assert f"{weights['ridge']:.2f} ridge" in said["ensemble"].reason(0)


def test_a_stand_in_is_no_input_of_the_ensemble() -> None:
    said = by_system(season_to_date=NO_SEASON)

    weights = {name: MODEL.document.ensemble[name] for name in ("moving_average", "similarity", "ridge")}
    total = sum(weight * said[name].points[0] for name, weight in weights.items())
    assert said["ensemble"].points[0] == pytest.approx(total / sum(weights.values()))
    assert "season_average" not in said["ensemble"].reason(0)


def test_an_ensemble_of_one_says_so() -> None:
    said = by_system(recent_games=())

    assert said["ensemble"].code is StandInCode.TOO_FEW_INPUTS
    assert said["ensemble"].points[0] == said["season_average"].points[0]
    assert said["ensemble"].reason(0).startswith("fewer than 2 of 4 systems could predict; stand-in: season_average")


# --- the market -----------------------------------------------------------------------------------------------


def an_offer(points_line: str, fair_over: float | None, sportsbook: str = "a-book") -> Offer:
    return Offer(points_line=Decimal(points_line), sportsbook=sportsbook, fair_over=fair_over)


def test_the_market_is_the_mean_of_all_books_lines_where_their_odds_are_even() -> None:
    offers = (an_offer("20.5", 0.5, "one"), an_offer("21.5", 0.5, "two"), an_offer("21.5", None, "three"))

    said = by_system(offers=offers)

    assert said["market"].points[0] == pytest.approx((20.5 + 21.5 + 21.5) / 3)
    assert said["market"].reason(0) == "implied by 3 offers"
    assert said["anchored"].points[0] == pytest.approx(
        0.9 * said["market"].points[0] + 0.1 * said["ensemble"].points[0]
    )


def test_uneven_odds_move_the_markets_number_beyond_its_line() -> None:
    over, even, under = (by_system(offers=(an_offer("20.5", fair),))["market"].points[0] for fair in (0.6, 0.5, 0.4))

    assert over - even == pytest.approx(even - under)
    assert 1 < over - even < 3


@pytest.mark.parametrize("sure", [0.0, 0.01, 0.99, 1.0])
def test_an_offer_that_is_all_but_sure_is_no_word_of_the_market(sure: float) -> None:
    alone, beside = (
        by_system(offers=(an_offer("12.5", sure),)),
        by_system(offers=(an_offer("12.5", sure), an_offer("20.5", 0.5))),
    )

    assert np.isnan(alone["market"].points[0])
    assert beside["market"].points[0] == pytest.approx(20.5)
    assert beside["market"].reason(0) == "implied by 1 offers"


def test_of_a_player_without_a_real_line_the_market_says_nothing() -> None:
    with_line, without = a_request(), a_request(lines=(an_estimated_line(),))

    said = by_system(with_line, without)

    for system_id in ("market", "anchored"):
        assert [said[system_id].speaks_of(player) for player in (0, 1)] == [True, False]
    assert said["ensemble"].speaks_of(1)
