"""What a line is worth against a prediction: raw, calibrated, and recommended."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.calibration import BREAK_EVEN, PLATT_V1, THRESHOLD, PlattScaling, Recommendation, judge
from worker.distribution import probability_over, variance

SURE = PlattScaling(method="a test's", slope=1.0)

tenths = st.integers(0, 600).map(lambda tenth: Decimal(tenth) / 10)
points = st.lists(st.integers(0, 60), max_size=20)


def test_a_half_line_at_the_prediction_is_even() -> None:
    even = probability_over(Decimal("24.5"), predicted=Decimal("24.5"), recent_points=[20, 29])

    assert even == pytest.approx(0.5)


def test_a_whole_line_at_the_prediction_is_even_once_the_push_is_left_out() -> None:
    even = probability_over(Decimal("24.0"), predicted=Decimal("24.0"), recent_points=[20, 28])

    assert even == pytest.approx(0.5)


@given(line=tenths, predicted=tenths, recent=points)
def test_a_probability_is_one_and_falls_as_the_line_rises(line: Decimal, predicted: Decimal, recent: list[int]) -> None:
    here = probability_over(line, predicted=predicted, recent_points=recent)
    above = probability_over(line + 1, predicted=predicted, recent_points=recent)

    assert 0.0 <= above <= here <= 1.0


def test_the_spread_grows_with_the_prediction() -> None:
    assert variance(25.0, []) > variance(10.0, []) > variance(0.0, []) > 0


def test_the_players_own_spread_counts_a_little() -> None:
    steady, wild = [20] * 20, [0, 40] * 10

    assert variance(20.0, steady) < variance(20.0, []) < variance(20.0, wild)
    assert variance(20.0, wild) < 2 * variance(20.0, [])


def test_one_game_has_no_spread_of_its_own() -> None:
    assert variance(20.0, [60]) == variance(20.0, [])


@given(raw=st.floats(0.0, 1.0))
def test_calibration_keeps_the_side_and_takes_confidence_away(raw: float) -> None:
    calibrated = PLATT_V1.calibrate(raw)

    assert 0.0 < calibrated < 1.0
    assert abs(calibrated - 0.5) <= abs(raw - 0.5)
    assert (calibrated - 0.5) * (raw - 0.5) >= 0


def test_the_threshold_lies_above_break_even() -> None:
    assert THRESHOLD > BREAK_EVEN > 0.5


def test_a_usual_edge_is_a_pass_after_calibration() -> None:
    verdict = judge(0.70)

    assert verdict.recommendation is Recommendation.PASS
    assert verdict.side is Recommendation.OVER
    assert verdict.raw == 0.70
    assert verdict.calibrated == pytest.approx(0.5123, abs=0.0001)


@pytest.mark.parametrize(
    ("raw_over", "recommendation", "raw_of_side"),
    [
        (0.56, Recommendation.OVER, 0.56),
        (0.55, Recommendation.OVER, 0.55),
        (0.54, Recommendation.PASS, 0.54),
        (0.5, Recommendation.PASS, 0.5),
        (0.46, Recommendation.PASS, 0.54),
        (0.44, Recommendation.UNDER, 0.56),
    ],
)
def test_a_side_is_recommended_from_the_threshold_on(
    raw_over: float, recommendation: Recommendation, raw_of_side: float
) -> None:
    verdict = judge(raw_over, SURE)

    assert verdict.recommendation is recommendation
    assert verdict.raw == pytest.approx(raw_of_side)
    assert verdict.calibrated == pytest.approx(raw_of_side)
