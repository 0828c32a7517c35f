"""What a line is worth against a prediction: raw, calibrated, and recommended."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.calibration import BREAK_EVEN, PLATT_V1, THRESHOLD, PlattScaling, Recommendation, fit_slope, judge
from worker.model import shipped_model

MODEL = shipped_model()
SURE = PlattScaling(method="a test's", slope=1.0)

tenths = st.integers(0, 600).map(lambda tenth: Decimal(tenth) / 10)
points = st.lists(st.integers(0, 60), max_size=20)


def over(line: Decimal, *, predicted: float, recent: list[int]) -> float:
    spread, history = MODEL.spread, np.array([[*map(float, recent)]])
    center = np.array([predicted])
    deviation = spread.deviation(center, history)
    return float(spread.probability_over(np.array([float(line)]), predicted=center, deviation=deviation)[0])


def deviation(predicted: float, recent: list[int]) -> float:
    return float(MODEL.spread.deviation(np.array([predicted]), np.array([[*map(float, recent)]]))[0])


@given(predicted=st.floats(0, 40), level=st.floats(0.01, 0.99))
def test_a_quantile_and_its_probability_agree(predicted: float, level: float) -> None:
    center, spread = np.array([predicted]), MODEL.spread
    size = spread.deviation(center, np.empty((1, 0)))

    points = spread.quantile(level, predicted=center, deviation=size)

    assert spread._below((points - center) / size, spread._shape(center))[0] == pytest.approx(level, abs=1e-6)


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
    came = PlattScaling(method="a test's", slope=0.3).calibrate_all(raw)  # as shares, so that chance plays no part

    assert fit_slope(raw, came) == pytest.approx(0.3)


@given(raw=st.floats(0.0, 1.0))
def test_calibration_keeps_the_side_and_takes_confidence_away(raw: float) -> None:
    calibrated = PLATT_V1.calibrate(raw)

    assert 0.0 < calibrated < 1.0
    assert abs(calibrated - 0.5) <= abs(raw - 0.5)
    assert (calibrated - 0.5) * (raw - 0.5) >= 0


def test_the_threshold_lies_above_break_even() -> None:
    assert THRESHOLD > BREAK_EVEN > 0.5


def test_a_usual_edge_is_a_pass_after_calibration() -> None:
    verdict = judge(0.70, PLATT_V1)

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
