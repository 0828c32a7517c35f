"""What the counts around the MERGE of grades say, without a warehouse."""

from __future__ import annotations

import pytest

from coordinator.rules import grading


@pytest.mark.parametrize("ended", [*range(20), 1_000, 1_023, 1_024])
def test_the_first_open_attempt_is_found_by_few_looks(ended: int) -> None:
    looks: list[int] = []

    def has_ended(attempt: int) -> bool:
        looks.append(attempt)
        return attempt < ended

    assert grading.first_open(has_ended) == ended
    assert len(looks) <= 2 * ended.bit_length() + 1
