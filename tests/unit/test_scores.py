"""The figures of a backtest, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from worker.scores import calibration_curve, chance_error, mean_by_days, point_scores, probability_scores


def test_errors_in_points_are_means_over_games() -> None:
    scores = point_scores(np.array([10.0, 20.0, 30.0]), np.array([13.0, 20.0, 26.0]))

    assert scores.n == 3
    assert scores.mae == pytest.approx(7 / 3, abs=1e-4)
    assert scores.bias == pytest.approx(1 / 3, abs=1e-4)
    assert scores.rmse == pytest.approx((25 / 3) ** 0.5, abs=1e-4)


def test_always_saying_one_half_has_a_brier_score_of_a_quarter() -> None:
    scores = probability_scores(np.full(10, 0.5), np.array([1.0, 0.0] * 5))

    assert (scores.brier, scores.ece) == (0.25, 0.0)
    assert scores.log_loss == pytest.approx(np.log(2), abs=1e-5)


def test_the_calibration_error_is_the_mean_distance_of_what_came_from_what_was_said() -> None:
    # Two bins: 0.8 said and 0.5 came, 0.2 said and 0.25 came.
    over = np.array([0.8] * 4 + [0.2] * 4)
    came = np.array([1, 1, 0, 0, 1, 0, 0, 0], dtype=np.float64)

    assert probability_scores(over, came).ece == pytest.approx((0.3 + 0.05) / 2)


def test_a_probability_of_one_and_of_zero_have_a_bin_and_a_finite_loss() -> None:
    scores = probability_scores(np.array([1.0, 0.0]), np.array([1.0, 1.0]))

    assert scores.log_loss is not None
    assert np.isfinite(scores.log_loss)
    assert scores.ece == 0.5


def test_a_mean_by_days_is_surer_the_more_days_agree() -> None:
    values = np.tile([1.0, -1.0, 2.0, 0.0], 25)
    many, one_by_one = (mean_by_days(values, np.arange(100, dtype=np.intp) // each) for each in (4, 1))

    assert many == (0.5, 0.5, 0.5)
    assert one_by_one is not None
    assert one_by_one[0] == 0.5
    assert one_by_one[1] < 0.3 < 0.7 < one_by_one[2]
    assert mean_by_days(np.empty(0), np.empty(0, dtype=np.intp)) is None


def test_chance_alone_makes_a_calibration_error_that_more_lines_lessen() -> None:
    few, many = (chance_error(np.linspace(0.4, 0.6, count)) for count in (100, 10_000))

    assert few is not None
    assert many is not None
    assert 0.05 < few < 0.2
    assert many < 0.02


def test_the_curve_has_ten_bins_of_equally_many() -> None:
    over = np.linspace(0.4, 0.6, 100)

    curve = calibration_curve(over, (over > 0.5).astype(np.float64))

    assert [count for _said, _came, count in curve] == [10] * 10
    assert [came for _said, came, _count in curve] == [0.0] * 5 + [1.0] * 5


def test_no_games_have_no_figures() -> None:
    nothing = np.empty(0)

    assert point_scores(nothing, nothing).mae is None
    assert probability_scores(nothing, nothing).brier is None
    assert calibration_curve(nothing, nothing) == []
