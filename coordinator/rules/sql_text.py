"""How an SQL text is laid out for whoever reads it; must never learn what one says."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from functools import lru_cache


def listed(cells: Iterable[str]) -> str:
    """The cells over several lines, for whoever reads the text; none is broken in two."""
    return _filled(tuple(cells))


@lru_cache(maxsize=64)
def _filled(cells: tuple[str, ...]) -> str:
    unbroken = ", ".join(cell.replace(" ", "\0") for cell in cells)
    lines = textwrap.fill(unbroken, 110, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return lines.replace("\0", " ")


def union(selects: Iterable[str]) -> str:
    """All rows of all of them."""
    return "\nUNION ALL\n".join(selects)


def indent(text: str, by: int = 2) -> str:
    """The text, further to the right."""
    margin = " " * by
    return margin + text.rstrip("\n").replace("\n", f"\n{margin}")
