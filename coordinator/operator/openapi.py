"""The API's own description: one table of routes, from which `GET /openapi.json` is made with the models' schemas.

Libraries that read it off typed views (flask-openapi3, spectree) were tried, and save no code: they check a body before our
view can check the caller, take any content type and a parameter that is given twice, cannot tell a body that is absent from
one that is unreadable, and describe their own refusals in place of our problem documents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Literal

from pydantic.json_schema import models_json_schema

from coordinator.operator.answers import (
    BatchList,
    ConsolidateAnswer,
    Health,
    Problem,
    Readiness,
    RedriveAnswer,
    StartAnswer,
    StartNotNeeded,
)
from coordinator.operator.bodies import (
    ConsolidateBody,
    GradeBody,
    NoBody,
    PolicyChanges,
    RedriveBody,
    StartBody,
    SweepBody,
)
from coordinator.operator.explaining import Explanation
from coordinator.operator.gaps import Gaps
from coordinator.operator.operation import GAME_DATE, HTML, Model, Operation, Schema
from coordinator.operator.schema_view import SchemaView
from coordinator.operator.season_operations import SEASON
from coordinator.operator.views import BatchView
from coordinator.usecases.sweep_report import SweepAnswer
from schemas.messages import PushEnvelope
from schemas.names import BATCH_ID_PATTERN
from shared.problems import CONTENT_TYPE

_BATCH = "/batches/{batch_id}"
_KEY = {
    "Idempotency-Key": {"type": "string", "maxLength": 200, "description": "A repeat with the same key is no other."}
}
_WHY = {
    "Tipoff-Why": {
        "type": "string",
        "maxLength": 500,
        "pattern": "^[ -~]*$",
        "description": "The caller's reason, percent-encoded; it is kept with the account and the time.",
    }
}
_PUSH: Mapping[int, tuple[Model, ...]] = {204: ()}

_EXAMPLES: Mapping[Model, Schema] = {
    StartBody: {"game_date": "2026-01-30", "policy": {"deadline_minutes": 240}},
    SweepBody: {"dry_run": True},
    ConsolidateBody: {"force": True},
    NoBody: {},
    RedriveBody: {},
    GradeBody: {"from": "2026-01-23", "to": "2026-01-30"},
    PolicyChanges: {"deadline_minutes": 240, "tolerated_silent_share": 0.1},
    PushEnvelope: {
        "message": {"data": "eyJvdXRjb21lIjogInNraXBwZWQifQ==", "messageId": "1", "attributes": {}},
        "subscription": "projects/a-project/subscriptions/outcomes",
    },
}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="post",
        path="/start",
        summary="Plan and publish a game date's batch; 200 where an earlier call with the same key did.",
        body=StartBody,
        headers={**_KEY, **_WHY},
        answers={200: (StartAnswer, StartNotNeeded), 202: (StartAnswer,)},
        refusals=(409, 422),
    ),
    Operation(
        method="post",
        path="/sweep",
        summary="Repair or finish whatever events did not, or say what that would be.",
        body=SweepBody,
        answers={200: (SweepAnswer,)},
        refusals=(422,),
    ),
    Operation(method="post", path="/complete", summary="A worker's outcome, pushed.", body=PushEnvelope, answers=_PUSH),
    Operation(
        method="post",
        path="/dead-letter",
        summary="A request that nobody could take, pushed: its player failed.",
        body=PushEnvelope,
        answers=_PUSH,
    ),
    Operation(
        method="get",
        path="/batches",
        summary="Batches, newest plan first, of one date or of all.",
        query={"game_date": GAME_DATE, "limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}},
        answers={200: (BatchList,)},
        refusals=(422,),
    ),
    Operation(
        method="get", path=_BATCH, summary="Everything about one batch.", answers={200: (BatchView,)}, refusals=(404,)
    ),
    Operation(
        method="get",
        path=f"{_BATCH}/explain",
        summary="Why a batch stands where it does, and what a person can do, in sentences.",
        answers={200: (Explanation,)},
        refusals=(404,),
    ),
    Operation(
        method="get",
        path=f"{_BATCH}/gaps",
        summary="Where each expected player got stuck, by name.",
        answers={200: (Gaps,)},
        refusals=(404,),
    ),
    Operation(
        method="post",
        path=f"{_BATCH}/consolidate",
        summary="Consolidate now, by force in spite of who is missing.",
        body=ConsolidateBody,
        headers=_WHY,
        answers={200: (ConsolidateAnswer,)},
        refusals=(404, 409, 422),
    ),
    Operation(
        method="post",
        path=f"{_BATCH}/redrive",
        summary="Start a child batch of the players who are not predicted; 200 for a repeat.",
        body=RedriveBody,
        headers={**_KEY, **_WHY},
        answers={200: (RedriveAnswer,), 202: (RedriveAnswer,)},
        refusals=(404, 409, 422),
    ),
    Operation(
        method="post",
        path=f"{_BATCH}/cancel",
        summary="Give a live batch up; nothing of it is ever merged.",
        body=NoBody,
        headers=_WHY,
        answers={200: (BatchView,)},
        refusals=(404, 409, 422),
    ),
    Operation(
        method="patch",
        path=f"{_BATCH}/policy",
        summary="Change what a live batch tolerates; its deadline follows.",
        body=PolicyChanges,
        headers=_WHY,
        answers={200: (BatchView,)},
        refusals=(404, 409, 422),
    ),
    Operation(
        method="get",
        path="/schema",
        summary="Declared columns beside those of the live tables.",
        answers={200: (SchemaView,)},
    ),
    Operation(method="get", path="/openapi.json", summary="This description.", answers={200: ()}),
    Operation(method="get", path="/health", summary="What runs.", answers={200: (Health,)}, is_open=True),
    Operation(
        method="get",
        path="/ready",
        summary="Whether every dependency answers.",
        answers={200: (Readiness,)},
        refusals=(503,),
        is_open=True,
    ),
    Operation(
        method="get",
        path="/",
        summary="The dashboard: batches by date.",
        query={"game_date": GAME_DATE},
        answers={200: ()},
        is_page=True,
        refusals=(404, 422),
    ),
    Operation(
        method="get",
        path="/dashboard/batches/{batch_id}",
        summary="The page of a batch.",
        answers={200: ()},
        is_page=True,
        refusals=(404,),
    ),
    Operation(
        method="get",
        path="/dashboard/batches/{batch_id}/gaps",
        summary="The page of a batch's gaps.",
        answers={200: ()},
        is_page=True,
        refusals=(404,),
    ),
    Operation(
        method="get", path="/dashboard/schema", summary="The page of the columns.", answers={200: ()}, is_page=True
    ),
    Operation(
        method="post",
        path="/dashboard/sweep",
        summary="The button that sweeps.",
        answers={303: ()},
        is_page=True,
    ),
    Operation(
        method="post",
        path="/dashboard/batches/{batch_id}/{action}",
        summary="A button of a batch's page.",
        answers={303: ()},
        is_page=True,
        refusals=(404, 422),
    ),
    *SEASON,
)
"""Every route of the service, each once."""


@cache
def document(*, version: str) -> Schema:
    """Describe the API as OpenAPI 3.1 has it."""
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tipoff coordinator", "version": version},
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Google-signed OIDC token"}
            },
        },
        "security": [{"token": []}],
    }


def _operation(operation: Operation) -> Schema:
    described: Schema = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.body is not None:
        content: Schema = {"schema": _ref(operation.body), "example": _EXAMPLES[operation.body]}
        described["requestBody"] = {
            "content": {"application/json": content},
            "required": _must_be_given(operation.body),
        }
    if operation.is_open:
        described["security"] = []
    return described


def _operation_id(operation: Operation) -> str:
    """Name an operation by its method and the words of its path, such as `post_batches_batch_id_cancel`."""
    return "_".join([operation.method, *re.findall(r"\w+", operation.path)])


def _must_be_given(body: Model) -> bool:
    """Whether a body has anything that has no default; one that has not may be left out."""
    return any(field.is_required() for field in body.model_fields.values())


def _parameters(operation: Operation) -> list[Schema]:
    found = [
        {"name": name, "in": place, "required": name in operation.required, "schema": schema}
        for place, parameters in (("query", operation.query), ("header", operation.headers))
        for name, schema in parameters.items()
    ]
    in_path = {
        "game_date": GAME_DATE,
        "batch_id": {"type": "string", "pattern": f"^{BATCH_ID_PATTERN}$"},
        "action": {"type": "string"},
    }
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in in_path.items()
        if f"{{{name}}}" in operation.path
    ] + found


def _responses(operation: Operation) -> Schema:
    guarded = () if operation.is_open else (401, 403, 503)
    told = {str(status): _answer(status, models, operation) for status, models in operation.answers.items()}
    for status in sorted({*guarded, *operation.refusals}):
        told[str(status)] = _refusal(status, is_page=operation.is_page)
    return told


def _answer(status: int, models: tuple[Model, ...], operation: Operation) -> Schema:
    phrase = HTTPStatus(status).phrase
    if operation.is_page:
        return {"description": phrase, "content": {HTML: {"schema": {"type": "string"}}}}
    if status == HTTPStatus.NO_CONTENT:
        return {"description": phrase}
    refs = [_ref(model) for model in models]
    schema = {"anyOf": refs} if len(refs) > 1 else refs[0] if refs else {"type": "object"}
    return {"description": phrase, "content": {"application/json": {"schema": schema}}}


def _refusal(status: int, *, is_page: bool) -> Schema:
    content: Schema = {CONTENT_TYPE: {"schema": _ref(Problem)}}
    if is_page:
        content[HTML] = {"schema": {"type": "string"}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _ref(model: Model) -> Schema:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas() -> Schema:
    bodies = {operation.body for operation in OPERATIONS if operation.body is not None}
    answers: set[Model] = {model for one in OPERATIONS for models in one.answers.values() for model in models}
    wanted: list[tuple[Model, Literal["validation", "serialization"]]] = []
    wanted += [(body, "validation") for body in sorted(bodies, key=_name)]
    wanted += [(answer, "serialization") for answer in sorted(answers | {Problem}, key=_name)]
    _, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    schemas: Schema = definitions["$defs"]
    return schemas


def _name(model: Model) -> str:
    return model.__name__
