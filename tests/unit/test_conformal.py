"""An interval that learns from the days before how wide it must be."""

from __future__ import annotations

import numpy as np
import pytest

from worker.conformal import adapted_shares

DAYS = np.repeat(np.arange(120, dtype=np.intp), 30)
CHANCE = np.random.default_rng(2).random(len(DAYS))
ONE = np.zeros(len(DAYS), dtype=np.intp)


@pytest.mark.parametrize("stretch", [0.7, 1.0, 1.2])
def test_a_spread_that_is_too_wide_or_too_narrow_is_mended(stretch: float) -> None:
    rank = np.minimum(CHANCE * stretch, 1.0)

    asked = adapted_shares(rank, share=0.8, day=DAYS, group=ONE)

    assert (rank <= asked)[DAYS > 20].mean() == pytest.approx(0.8, abs=0.015)
    assert np.all(asked[DAYS == 0] == 0.8)


def test_each_group_learns_by_itself() -> None:
    group = (np.arange(len(DAYS)) % 2).astype(np.intp)
    rank = np.where(group == 0, CHANCE * 0.7, np.minimum(CHANCE * 1.2, 1.0))

    asked = adapted_shares(rank, share=0.8, day=DAYS, group=group)

    late = DAYS > 60
    assert asked[late & (group == 0)].mean() == pytest.approx(0.56, abs=0.05)
    assert asked[late & (group == 1)].mean() == pytest.approx(0.96, abs=0.05)


def test_a_day_knows_nothing_of_itself_or_of_later_ones() -> None:
    other = np.where(DAYS >= 50, 1.0, CHANCE)

    before, after = (adapted_shares(rank, share=0.8, day=DAYS, group=ONE) for rank in (CHANCE, other))

    np.testing.assert_array_equal(before[DAYS <= 50], after[DAYS <= 50])
    assert not np.array_equal(before[DAYS > 50], after[DAYS > 50])
