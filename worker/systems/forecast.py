"""What a prediction system is: a pure function of players, of a model, and of what the systems before it said.

A system must never learn of tables, clocks or chance: the same players make the same forecast, alone or among others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.tables import Cell
from worker.features import NAMES, features
from worker.model import Model
from worker.players import Floats, Players


class StandInCode(StrEnum):
    """Why a system could not predict by its own method and a simpler, named number stands in (E7)."""

    NO_SEASON_GAMES = "NO_SEASON_GAMES"
    NO_RECENT_MINUTES = "NO_RECENT_MINUTES"
    TOO_FEW_INPUTS = "TOO_FEW_INPUTS"


@dataclass(frozen=True, slots=True)
class Situation:
    """What all systems look at, computed once: the players, their features, and the model."""

    players: Players
    features: Floats
    form: Floats
    season_mean: Floats
    model: Model

    @classmethod
    def of(cls, players: Players, model: Model) -> Situation:
        """Compute what is shared."""
        found = features(players)
        form, season_mean = (found[:, NAMES.index(name)] for name in ("form_points", "season_points"))
        return cls(players, found, form, season_mean, model)

    def __len__(self) -> int:
        return len(self.players)


def _no_cells(_player: int) -> dict[str, Cell]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """One system's word on every player, before any rounding.

    Where `is_stand_in`, a simpler number stands in for the system's own, for the reason that `code` names: it stays
    usable, but counts as no independent opinion. `reason` and `cells` are of one player, by his place; a cell is a
    column of the predictions table that only this system can fill.
    """

    system_id: str
    points: Floats
    is_stand_in: NDArray[np.bool_]
    code: StandInCode
    reason: Callable[[int], str]
    cells: Callable[[int], dict[str, Cell]] = field(default=_no_cells)
    needs_line: bool = False
    """The system says nothing (NaN) of a player without a real line."""

    def speaks_of(self, player: int) -> bool:
        """Whether there is anything to tell of a player, be it that there is no number."""
        return not (self.needs_line and np.isnan(self.points[player]))


class System(Protocol):
    """One prediction system."""

    def __call__(self, situation: Situation, earlier: Mapping[str, Forecast], /) -> Forecast:
        """Predict players of at least one past game each; `earlier` holds the systems before this one, by id."""


def standing_in(
    own: Floats,
    is_stand_in: NDArray[np.bool_],
    baseline: Forecast,
    *,
    system_id: str,
    code: StandInCode,
    why: str,
    reason: Callable[[int], str],
    cells: Callable[[int], dict[str, Cell]] = _no_cells,
) -> Forecast:
    """Make a forecast of a system's own numbers, with the baseline's where it has none.

    Args:
        own: the system's numbers; whatever stands where it has none is not looked at.
        why: why it has none, in a few words.
        reason: how a number of its own came about.
        cells: what else the system tells where the number is its own.
    """

    def reason_of_either(player: int) -> str:
        if is_stand_in[player]:
            return f"{why}; stand-in: {baseline.system_id} ({baseline.reason(player)})"
        return reason(player)

    return Forecast(
        system_id=system_id,
        points=np.where(is_stand_in, baseline.points, own),
        is_stand_in=is_stand_in,
        code=code,
        reason=reason_of_either,
        cells=lambda player: {} if is_stand_in[player] else cells(player),
    )
