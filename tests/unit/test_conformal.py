"""An interval that learns from the days before how wide it must be."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.messages import LEARNING_LAG_DAYS
from worker.conformal import INTERVALS, adapted_shares, asked_shares

DAYS = np.repeat(np.arange(120, dtype=np.intp), 30)
CHANCE = np.random.default_rng(2).random(len(DAYS))
ONE = np.zeros(len(DAYS), dtype=np.intp)


@pytest.mark.parametrize("stretch", [0.7, 1.0, 1.05])
def test_a_spread_that_is_too_wide_or_too_narrow_is_mended(stretch: float) -> None:
    rank = np.minimum(CHANCE * stretch, 1.0)

    asked = adapted_shares(rank, day=DAYS, group=ONE)

    for place, percent in enumerate(INTERVALS):
        assert (rank <= asked[:, place])[DAYS > 20].mean() == pytest.approx(percent / 100, abs=0.015)
        assert np.all(asked[DAYS < LEARNING_LAG_DAYS, place] == percent / 100)


def test_each_group_learns_by_itself() -> None:
    group = (np.arange(len(DAYS)) % 2).astype(np.intp)
    rank = np.where(group == 0, CHANCE * 0.7, np.minimum(CHANCE * 1.2, 1.0))

    of_80 = adapted_shares(rank, day=DAYS, group=group)[:, INTERVALS.index(80)]

    late = DAYS > 60
    assert of_80[late & (group == 0)].mean() == pytest.approx(0.56, abs=0.05)
    assert of_80[late & (group == 1)].mean() == pytest.approx(0.96, abs=0.05)


def test_a_day_knows_nothing_of_itself_of_the_day_before_or_of_later_ones() -> None:
    other = np.where(DAYS >= 50, 1.0, CHANCE)

    before, after = (adapted_shares(rank, day=DAYS, group=ONE) for rank in (CHANCE, other))

    known = DAYS < 50 + LEARNING_LAG_DAYS
    np.testing.assert_array_equal(before[known], after[known])
    assert not np.array_equal(before[~known], after[~known])


def test_a_wider_interval_holds_the_narrower_whatever_was_learned() -> None:
    learned = np.array([[2e6, -3e6, 850_000.0], [np.nan] * 3])

    asked = asked_shares(learned)

    assert np.all(np.diff(asked, axis=1) >= 0)
    assert asked.max() < 1.0
    np.testing.assert_array_equal(asked[1], np.array(INTERVALS) / 100)
