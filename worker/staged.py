"""Rows of several players, and which are whose. Must never learn how they came about, nor where they go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from schemas.tables import FittedRows


@dataclass(frozen=True, slots=True)
class Staged:
    """The rows of some players as the staging table takes them; `of_player` says which are whose."""

    rows: FittedRows
    deliveries: tuple[str, ...]
    of_player: tuple[slice, ...]

    def prediction_ids(self, place: int) -> list[str]:
        """The ids of a player's rows."""
        return [str(cell) for cell in self.rows.cells["prediction_id"][self.of_player[place]]]

    def only(self, places: Sequence[int]) -> Staged:
        """The same of some players."""
        slices = [self.of_player[place] for place in places]
        ends = list(accumulate(one.stop - one.start for one in slices))
        return Staged(
            self.rows.part(*slices),
            tuple(self.deliveries[place] for place in places),
            tuple(map(slice, [0, *ends], ends)),
        )
