"""What a prediction system is: a pure function of one request, and of what the systems before it in the list said.

A system must never learn of tables, clocks or chance: the same request makes the same prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from schemas.messages import PredictionRequest


class StandInCode(StrEnum):
    """Why a system could not predict by its own method and a simpler, named number stands in (E7)."""

    NO_SEASON_GAMES = "NO_SEASON_GAMES"
    NO_RECENT_MINUTES = "NO_RECENT_MINUTES"
    TOO_FEW_INPUTS = "TOO_FEW_INPUTS"


@dataclass(frozen=True, slots=True)
class SystemPrediction:
    """One system's word on one player.

    `points` is exact, before any rounding. `reason` says in plain English what it was computed from. A prediction
    with an `error_code` is a stand-in: it stays usable as a number, but counts as no independent opinion.
    """

    system_id: str
    points: Decimal
    games_used: int
    reason: str
    error_code: StandInCode | None = None

    @property
    def is_stand_in(self) -> bool:
        """Whether a simpler number stands in for the system's own."""
        return self.error_code is not None


class System(Protocol):
    """One prediction system."""

    def __call__(self, request: PredictionRequest, earlier: Mapping[str, SystemPrediction], /) -> SystemPrediction:
        """Predict a player of at least one past game; `earlier` holds the systems before this one, by id.

        Raises:
            ArithmeticError: the inputs make no number.
        """


def mean(values: Iterable[int | Decimal]) -> Decimal:
    """The mean of integers or decimals, without a detour over floats: a tie such as 12.25 stays a tie.

    Raises:
        ArithmeticError: there are no values.
    """
    numbers = [Decimal(value) for value in values]
    return sum(numbers, Decimal(0)) / len(numbers) if numbers else _no_values()


def _no_values() -> Decimal:
    raise ArithmeticError("the mean of no values")
