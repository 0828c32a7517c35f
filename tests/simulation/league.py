"""Who is planned in a simulated day, and what a worker's revision predicts of him: the pure part that a law can repeat.

In the place of the trained systems stand a few rows per player, made of the request and the revision alone; all else of
the worker is its own code.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate
from typing import Any

from schemas import names, tables
from schemas.messages import PredictionRequest
from schemas.tables import FittedRows, Row, RowRefused
from worker.staged import Staged

GAME_DATE = date(2026, 1, 30)
GAME_ID = "OKC@HOU"


@dataclass(frozen=True)
class PlannedPlayer:
    """A player as the inputs of a moment have him."""

    name: str
    lines: tuple[str, ...] = ("20.5", "24.5")
    is_out: bool = False
    """Listed OUT: planned, and skipped by every worker."""
    poison: str = ""
    """What goes wrong when he is predicted: `prediction`, `row` (refused at once) or `append` (by the warehouse)."""

    @property
    def row(self) -> Row:
        """As the plan's table holds him."""
        return {"player_lookup": self.name, "universal_player_id": self.name, "request": _request(self)}


@lru_cache(maxsize=1024)
def _request(player: PlannedPlayer) -> str:
    request = {
        "game_date": GAME_DATE.isoformat(),
        "player_lookup": player.name,
        "universal_player_id": player.name,
        "game": {"game_id": GAME_ID, "season": "2025-26", "team": "HOU", "opponent": "OKC", "is_home": True},
        "injury": {"status": "OUT"} if player.is_out else None,
        "lines": [{"points_line": line, "sportsbook": player.poison or None} for line in player.lines],
        "season_to_date": {"games": 1, "points": 20, "minutes": 30},
        "recent_games": _A_GAME,
        "recent_games_wanted": 1,
    }
    return json.dumps(request)


_A_GAME = {
    "game_date": ["2026-01-28"],
    "season": ["2025-26"],
    "points": [20],
    "minutes": [30],
    "fga": [None],
    "fg3a": [None],
    "fta": [None],
    "left_shots": [0],
    "left_points": [0],
    "left_position_shots": [None],
    "left_by_the_same": [0],
}


@dataclass(frozen=True)
class Revision:
    """A worker's revision in the place of its model: `answers` tells apart those that predict differently."""

    name: str
    version: int = 2
    answers: int = 0
    more_lines: bool = False
    """Predicts a line more than older revisions, so that ids differ too."""


def simulated_staged(requests: Sequence[PredictionRequest], revision: Revision, *, schema_version: int) -> Staged:
    """What `worker.rows.staged_rows` makes, with few columns."""
    of_each = [simulated_rows(request, revision, schema_version=schema_version) for request in requests]
    ends = list(accumulate(map(len, of_each)))
    rows = [row for of_one in of_each for row in of_one]
    return Staged(
        FittedRows((), {name: [row[name] for row in rows] for name in rows[0]}),
        tuple(str(of_one[0][tables.DELIVERY_COLUMN]) for of_one in of_each),
        tuple(map(slice, [0, *ends], ends)),
    )


@lru_cache(maxsize=256)
def _prediction_id(player: str, line: Decimal) -> str:
    return names.prediction_id(
        game_date=GAME_DATE, game_id=GAME_ID, player_lookup=player, system_id="simulated", points_line=line
    )


def simulated_points(request: PredictionRequest, revision: Revision) -> dict[str, int]:
    """What a revision predicts for a request, by prediction id."""
    poisons = {line.sportsbook for line in request.lines}
    if "prediction" in poisons:
        raise ArithmeticError("not a finite number")
    if "row" in poisons:
        raise RowRefused("predicted_points", "NaN", "is no number")
    lines = [line.points_line for line in request.lines]
    if revision.more_lines:
        lines.append(Decimal("99.5"))
    return {_prediction_id(request.player_lookup, line): revision.answers for line in lines}


def simulated_rows(request: PredictionRequest, revision: Revision, *, schema_version: int) -> list[dict[str, Any]]:
    """The rows that a revision stages for a request."""
    rows = [
        {
            "prediction_id": prediction_id,
            "game_date": request.game_date,
            "player_lookup": request.player_lookup,
            "created_at": request.planned_at,
            "updated_at": request.planned_at,
            "prediction_version": 1,
            "is_active": True,
            "game_id": GAME_ID,
            "has_prop_line": True,
            "superseded_by": None,
            "predicted_points": points,
        }
        for prediction_id, points in simulated_points(request, revision).items()
    ]
    cells = {name: [row[name] for row in rows] for name in rows[0]} | {"version": [schema_version]}
    delivery = names.delivery_id(request.batch_id, request.player_lookup, cells)
    staged = tables.lineage(request.batch_id, request.planned_at, delivery)
    return [row | staged for row in rows]
