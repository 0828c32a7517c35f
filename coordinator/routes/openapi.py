"""All routes, and the API's own description, made of them and their models: `GET /openapi.json`.

Libraries that read it off typed views were tried and save no code. spectree takes a body that is not JSON for an empty one, so
that half a request would start today's batch; flask-openapi3 refuses an absent body as it does an unreadable one. Neither
validates as strictly as JSON has types, and callers, problem documents, pages and headers would be written by hand all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Literal

from flask import Response, jsonify
from pydantic.json_schema import models_json_schema

from coordinator.assembly import Coordinator
from coordinator.operator.answers import Health, Problem, Readiness
from coordinator.operator.bodies import (
    DATE_PATTERN,
    ConsolidateBody,
    GradeBody,
    NoBody,
    PolicyChanges,
    RedriveBody,
    StartBody,
    SweepBody,
)
from coordinator.routes import batches, buttons, pages, pushes, schedule, season
from coordinator.routes.route import HTML, Model, Route, Routes, Schema
from schemas.messages import PushEnvelope
from schemas.names import BATCH_ID_PATTERN
from shared.problems import CONTENT_TYPE

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

_OPEN = (
    Route(method="get", path="/health", summary="What runs.", answers={200: (Health,)}),
    Route(
        method="get",
        path="/ready",
        summary="Whether every dependency answers.",
        answers={200: (Readiness,)},
        refusals=(503,),
    ),
)
"""What both services serve, to anybody (`shared.edge`)."""

_own = Routes()


@_own.add("get", "/openapi.json", answers={200: ()})
def description(coordinator: Coordinator) -> Response:
    """The description of these routes."""
    return jsonify(document(version=coordinator.parts.revision))


ROUTES = (*schedule.routes, *pushes.routes, *batches.routes, *season.routes, *_own, *pages.routes, *buttons.routes)
OPERATIONS = (*ROUTES, *_OPEN)
"""Everything that the service answers, each once."""

_IN_PATH: Schema = {
    "game_date": {"type": "string", "format": "date", "pattern": DATE_PATTERN},
    "batch_id": {"type": "string", "pattern": f"^{BATCH_ID_PATTERN}$"},
    "action": {"type": "string"},
}


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
            "schemas": _schemas(OPERATIONS),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Google-signed OIDC token"}
            },
        },
        "security": [{"token": []}],
    }


def _operation(operation: Route) -> Schema:
    described: Schema = {
        "operationId": operation.name,
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


def _must_be_given(body: Model) -> bool:
    """Whether a body has anything that has no default; one that has not may be left out."""
    return any(field.is_required() for field in body.model_fields.values())


def _parameters(operation: Route) -> list[Schema]:
    return [
        *(
            {"name": name, "in": "path", "required": True, "schema": schema}
            for name, schema in _IN_PATH.items()
            if f"{{{name}}}" in operation.path
        ),
        *(_of_query(operation.query) if operation.query is not None else ()),
        *(
            {"name": name, "in": "header", "required": False, "schema": schema}
            for name, schema in operation.headers.items()
        ),
    ]


def _of_query(query: Model) -> Iterator[Schema]:
    """A query's parameters; one that may be left out has no null to send instead."""
    described = query.model_json_schema()
    for name, found in described["properties"].items():
        (schema,) = (one for one in found.get("anyOf", [found]) if one.get("type") != "null")
        schema = described["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        shown = {key: value for key, value in schema.items() if key not in ("title", "description")}
        yield {"name": name, "in": "query", "required": name in described.get("required", ()), "schema": shown}


def _responses(operation: Route) -> Schema:
    guarded = () if operation.is_open else (401, 403, 503)
    answers = {str(status): _answer(status, models, operation) for status, models in operation.answers.items()}
    for status in sorted({*guarded, *operation.refusals}):
        answers[str(status)] = _refusal(status, is_page=operation.is_page)
    return answers


def _answer(status: int, models: tuple[Model, ...], operation: Route) -> Schema:
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


def _schemas(operations: Sequence[Route]) -> Schema:
    bodies = {operation.body for operation in operations if operation.body is not None}
    answers: set[Model] = {model for one in operations for models in one.answers.values() for model in models}
    wanted: list[tuple[Model, Literal["validation", "serialization"]]] = []
    wanted += [(body, "validation") for body in sorted(bodies, key=_name)]
    wanted += [(answer, "serialization") for answer in sorted(answers | {Problem}, key=_name)]
    _, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    schemas: Schema = definitions["$defs"]
    return schemas


def _name(model: Model) -> str:
    return model.__name__
