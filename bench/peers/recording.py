"""Part 4: completions a second on the Firestore emulator, by `bench.completions`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.completions import Options, run

SIZES = (450, 2_000, 20_000, 100_000)
OURS, DESIGNS = "slices", ("slices", "joined", "by player", "naive")
_ROUNDS = {450: 3, 2_000: 3, 20_000: 2}
_ALL_DESIGNS = 20_000
"""Beyond that Tipoff alone is measured."""


def measure(sizes: Sequence[int]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Measure every design, 16 deliveries at once and one."""
    for size in sizes:
        options = Options(
            players=(size,),
            at_once=(16, 1) if size <= _ALL_DESIGNS else (16,),
            completions=400,
            rounds=_ROUNDS.get(size, 1),
            naive_seconds=4.0,
            designs=DESIGNS if size <= _ALL_DESIGNS else (OURS,),
            chance=random.Random(0),  # noqa: S311 - the same players every time, no secret
        )
        for one in run(options):
            figures = {"seconds_each": 1 / one.per_second, "calls": one.calls / max(one.completions, 1)}
            yield one.design, f"{size:,}, {one.deliveries_at_once} at once", figures
