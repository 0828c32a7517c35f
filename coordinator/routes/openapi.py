"""All routes, and the API's description of them."""

from __future__ import annotations

from functools import cache

from flask import Response, jsonify

from coordinator.assembly import Coordinator
from coordinator.operator import openapi
from coordinator.operator.operation import Operation, Schema
from coordinator.routes import batches, buttons, pages, pushes, schedule, season
from coordinator.routes.route import Routes

_own = Routes()


@_own.add("get", "/openapi.json", answers={200: ()})
def description(coordinator: Coordinator) -> Response:
    """The description of these routes."""
    return jsonify(document(version=coordinator.parts.revision))


ROUTES = (*schedule.routes, *pushes.routes, *batches.routes, *season.routes, *_own, *pages.routes, *buttons.routes)
OPERATIONS: tuple[Operation, ...] = (*ROUTES, *openapi.OPEN)
"""Everything that the service answers, each once."""


@cache
def document(*, version: str) -> Schema:
    """Describe the API as OpenAPI 3.1 has it."""
    return openapi.document(OPERATIONS, version=version)
