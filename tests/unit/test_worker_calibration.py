"""What a line is worth against a prediction: raw, calibrated, and recommended."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.calibration import PLATT_V1_SLOPE, beside_market, calibrated, fit_slope, log_odds
from worker.model import shipped_model
from worker.recommendation import Odds, Pick, Recommendation, expected_value, gain, judge

MODEL = shipped_model()

tenths = st.integers(0, 600).map(lambda tenth: Decimal(tenth) / 10)
points = st.lists(st.integers(0, 60), max_size=20)


def over(line: Decimal, *, predicted: float, recent: list[int]) -> float:
    spread, history = MODEL.spread, np.array([[*map(float, recent)]])
    center = np.array([predicted])
    deviation = spread.deviation(center, history)
    return float(spread.probability_over(np.array([float(line)]), predicted=center, deviation=deviation)[0])


def deviation(predicted: float, recent: list[int]) -> float:
    return float(MODEL.spread.deviation(np.array([predicted]), np.array([[*map(float, recent)]]))[0])


@given(predicted=st.floats(0, 40), place=st.integers(0, 24))
def test_the_interval_that_ends_at_a_quantile_is_that_of_its_level(predicted: float, place: int) -> None:
    center, spread = np.array([predicted]), MODEL.spread
    size = spread.deviation(center, np.empty((1, 0)))

    points = center + size * spread._shape(center)[:, place]

    share = spread.central_share(points, predicted=center, deviation=size)[0]
    assert share == pytest.approx(abs(2 * spread.levels[place] - 1), abs=1e-6)


def test_a_push_is_left_out_of_a_whole_lines_probability() -> None:
    below, at, above = (over(Decimal(line), predicted=20.0, recent=[]) for line in ("19.5", "20.0", "20.5"))

    assert above < at < below
    assert at == pytest.approx(above / (above + 1 - below))


@given(line=tenths, predicted=tenths, recent=points)
def test_a_probability_is_one_and_falls_as_the_line_rises(line: Decimal, predicted: Decimal, recent: list[int]) -> None:
    here = over(line, predicted=float(predicted), recent=recent)
    above = over(line + 1, predicted=float(predicted), recent=recent)

    assert 0.0 <= above <= here + 1e-12 <= 1.0 + 1e-9


def test_the_spread_grows_with_the_prediction() -> None:
    assert deviation(25.0, []) > deviation(10.0, []) > deviation(0.0, []) > 0


def test_the_players_own_spread_counts_a_little() -> None:
    steady, wild = [20] * 20, [0, 40] * 10

    assert deviation(20.0, steady) < deviation(20.0, []) < deviation(20.0, wild)
    assert deviation(20.0, wild) < 2 * deviation(20.0, [])


def test_one_game_has_no_spread_of_its_own() -> None:
    assert deviation(20.0, [60]) == deviation(20.0, [])


def test_a_fitted_slope_is_the_one_the_outcomes_were_drawn_with() -> None:
    raw = np.linspace(0.05, 0.95, 1_000)
    came = calibrated(raw, 0.3)  # as shares, so that chance plays no part

    assert fit_slope(raw, came) == pytest.approx(0.3)


@given(raw=st.floats(0.0, 1.0))
def test_calibration_keeps_the_side_and_takes_confidence_away(raw: float) -> None:
    over = calibrated(np.array([raw]), PLATT_V1_SLOPE)[0]

    assert 0.0 < over < 1.0
    assert abs(over - 0.5) <= abs(raw - 0.5)
    assert (over - 0.5) * (raw - 0.5) >= 0


def test_the_markets_probability_is_moved_a_tenth_of_the_way_in_log_odds() -> None:
    raw, market = np.array([0.8, 0.5, 0.2]), np.array([0.5, 0.6, 0.2])

    moved = beside_market(raw, market)

    odds = log_odds(market) + 0.1 * (log_odds(raw) - log_odds(market))
    np.testing.assert_allclose(log_odds(moved), odds, atol=1e-9)


@pytest.mark.parametrize(("price", "won"), [(100, 1.0), (150, 1.5), (-150, 2 / 3), (-110, 10 / 11)])
def test_american_odds_say_what_a_stake_wins(price: int, won: float) -> None:
    assert gain(np.array([price], dtype=np.float64))[0] == pytest.approx(won)
    break_even = 1 / (1 + won)
    value = expected_value(np.array([break_even]), np.array([price], dtype=np.float64))
    assert value[0] == pytest.approx(0)


def judged(raw_over: float, over: float, odds: Odds | None = None) -> Pick:
    (verdict,) = judge(np.array([raw_over]), np.array([over]), [odds or Odds()])
    return verdict


@pytest.mark.parametrize(
    ("over", "odds", "recommendation"),
    [
        (0.54, Odds(), Recommendation.OVER),
        (0.53, Odds(), Recommendation.PASS),
        (0.46, Odds(), Recommendation.UNDER),
        (0.58, Odds(over_price=-140, under_price=110), Recommendation.PASS),
        (0.50, Odds(over_price=105, under_price=-120), Recommendation.OVER),
        (0.55, Odds(over_price=-140, under_price=135), Recommendation.UNDER),
    ],
    ids=[
        "worth more than the usual price",
        "less than the margin",
        "the other side",
        "likely, but the price says so already",
        "even, but well paid",
        "less likely, but better paid",
    ],
)
def test_a_side_is_recommended_by_what_it_is_worth_at_its_price(
    over: float, odds: Odds, recommendation: Recommendation
) -> None:
    verdict = judged(0.7, over, odds)

    assert verdict.recommendation is recommendation
    is_over = verdict.side is Recommendation.OVER
    assert verdict.calibrated == pytest.approx(over if is_over else 1 - over)
    assert verdict.raw == pytest.approx(0.7 if is_over else 0.3)


def test_a_pass_tells_the_likelier_side() -> None:
    assert judged(0.3, 0.49).side is Recommendation.UNDER
    assert judged(0.3, 0.51).side is Recommendation.OVER


def test_a_recommendation_names_the_book_that_pays_best() -> None:
    odds = Odds(over_price=120, under_price=-130, over_book="one", under_book="two")

    assert judged(0.5, 0.55, odds).book == "one"
    assert judged(0.5, 0.35, odds).book == "two"
    assert judged(0.5, 0.46, odds).book is None
