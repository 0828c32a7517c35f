"""The published comparison is what its figures say, and its figures are of every part."""

from __future__ import annotations

from bench.peers.__main__ import PARTS
from bench.peers.report import PAGE, read, rendered


def test_the_page_is_generated_from_its_figures() -> None:
    assert PAGE.read_text(encoding="utf-8") == rendered(read())


def test_every_part_is_published_with_a_figure_of_every_round() -> None:
    figures = read()

    assert PARTS.keys() <= figures.keys()
    for part in PARTS:
        for row in figures[part]:
            rounds = {len(numbers) for name, numbers in row.items() if name not in ("side", "what")}
            assert len(rounds) == 1, row


def test_where_another_is_ahead_the_page_says_why() -> None:
    figures = read()

    ours, other = dict(figures["5"][0], milliseconds=[2.0]), dict(figures["5"][1], milliseconds=[1.0])

    assert "is ahead at a token (2.0 times as fast)" in rendered({**figures, "5": [ours, other]})
    assert "No other is ahead." in rendered({**figures, "5": [ours, {**other, "milliseconds": [3.0]}]})
