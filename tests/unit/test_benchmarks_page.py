"""The published page is what its figures say, and its figures are of every part."""

from __future__ import annotations

import click
import pytest

from bench import printed
from bench.__main__ import BESIDE, PARTS
from bench.page import PAGE, read, rendered


def test_the_page_is_generated_from_its_figures() -> None:
    assert PAGE.read_text(encoding="utf-8") == rendered(read())


def test_every_part_is_published_with_a_figure_of_every_round() -> None:
    figures = read()

    assert figures.keys() == {"machine", *PARTS}
    assert all(figures[part]["printed"] for part in printed.PARTS)
    for part in BESIDE:
        for row in figures[part]:
            rounds = {len(numbers) for name, numbers in row.items() if name not in ("side", "what")}
            assert len(rounds) == 1, row


def test_where_another_is_ahead_the_page_says_why() -> None:
    figures = read()

    ours, other = dict(figures["token"][0], milliseconds=[2.0]), dict(figures["token"][1], milliseconds=[1.0])

    assert "is ahead at a token (2.0 times as fast)" in rendered({**figures, "token": [ours, other]})
    assert "No other is ahead." in rendered({**figures, "token": [ours, {**other, "milliseconds": [3.0]}]})


def test_parts_that_need_real_data_are_refused_without_it_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIPOFF_DATA", "nowhere")

    printed.check(list(BESIDE))
    with pytest.raises(click.UsageError, match="real-day and season need real data: let TIPOFF_DATA name its folder"):
        printed.check(PARTS)
