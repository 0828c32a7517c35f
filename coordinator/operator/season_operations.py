"""The routes that concern many dates, as the API's description has them."""

from __future__ import annotations

from collections.abc import Mapping

from coordinator.operator.accuracy import AccuracyView
from coordinator.operator.bodies import GradeBody
from coordinator.operator.comparing import DifferenceView, Evidence
from coordinator.operator.operation import GAME_DATE, Operation, Schema
from coordinator.operator.season import SeasonView
from coordinator.rules.accuracy import By
from coordinator.rules.looking import Sort
from coordinator.usecases.grade import GradeAnswer
from schemas.names import BATCH_ID_PATTERN

_MEASURED: Mapping[str, Schema] = {
    "from": GAME_DATE,
    "to": GAME_DATE,
    "by": {"type": "string", "enum": [each.value for each in By]},
    "system": {"type": "string", "minLength": 1},
}
_SHORT: Schema = {"type": "string", "maxLength": 200}

SEASON: tuple[Operation, ...] = (
    Operation(
        method="get",
        path="/batches/{batch_id}/diff",
        summary="How what another batch said differs from this one.",
        query={"with": {"type": "string", "pattern": f"^{BATCH_ID_PATTERN}$"}},
        required=("with",),
        answers={200: (DifferenceView,)},
        refusals=(404, 409, 422),
    ),
    Operation(
        method="get",
        path="/batches/{batch_id}/player",
        summary="What a player's predictions in a batch were made from, and their rows.",
        query={"name": {"type": "string", "minLength": 1, "maxLength": 1024}},
        required=("name",),
        answers={200: (Evidence,)},
        refusals=(404, 409, 422),
    ),
    Operation(
        method="get",
        path="/dashboard/batches/{batch_id}/diff",
        summary="The page of how two batches differ.",
        query={"with": {"type": "string", "pattern": f"^{BATCH_ID_PATTERN}$"}},
        required=("with",),
        answers={200: ()},
        is_page=True,
        refusals=(404, 409, 422),
    ),
    Operation(
        method="post",
        path="/grade",
        summary="Grade what was predicted and is played by now, of a date, a span, or the last days.",
        body=GradeBody,
        answers={200: (GradeAnswer,)},
        refusals=(422,),
    ),
    Operation(
        method="get",
        path="/accuracy",
        summary="How good the graded predictions of a span were.",
        query=_MEASURED,
        answers={200: (AccuracyView,)},
        refusals=(422,),
    ),
    Operation(
        method="get",
        path="/season",
        summary="Every date of a span with games: its newest batch, its predictions and their grades.",
        query={"from": GAME_DATE, "to": GAME_DATE},
        answers={200: (SeasonView,)},
        refusals=(422,),
    ),
    Operation(
        method="get",
        path="/dashboard/dates/{game_date}",
        summary="The page of a date's predictions.",
        query={
            "name": _SHORT,
            "team": _SHORT,
            "recommendation": _SHORT,
            "sort": {"type": "string", "enum": [each.value for each in Sort]},
            "page": {"type": "integer", "minimum": 1, "maximum": 100_000},
        },
        answers={200: ()},
        is_page=True,
        refusals=(422,),
    ),
    Operation(
        method="get",
        path="/dashboard/player",
        summary="The page of a player.",
        query={"name": _SHORT},
        answers={200: ()},
        is_page=True,
        refusals=(404, 422),
    ),
    Operation(
        method="get",
        path="/dashboard/season",
        summary="The page of a span's dates.",
        query={"from": GAME_DATE, "to": GAME_DATE},
        answers={200: ()},
        is_page=True,
        refusals=(422,),
    ),
    Operation(
        method="get",
        path="/dashboard/accuracy",
        summary="The page of how good the predictions were.",
        query=_MEASURED,
        answers={200: ()},
        is_page=True,
        refusals=(422,),
    ),
)
