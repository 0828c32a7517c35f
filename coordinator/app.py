"""The coordinator over HTTP: its routes, who may call them, and every error as a problem document."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from coordinator.assembly import Coordinator
from coordinator.routes import batches, dashboard, health, openapi, pushes, schedule, schema
from coordinator.routes.exchange import Caller, problem
from shared.auth import token_header
from shared.errors import TipoffError
from shared.problems import problem_of, problem_of_status

_log = logging.getLogger(__name__)

Guard = Callable[[str | None, frozenset[Caller]], None]
"""Takes the header with the token, and who may call; raises an error of the tree for anybody else."""


def create_app(coordinator: Coordinator, *, guard: Guard) -> Flask:
    """Serve a coordinator."""
    app = Flask("coordinator", template_folder="dashboard/templates")

    def check(*callers: Caller) -> None:
        guard(token_header(request.headers), frozenset(callers))

    schedule.serve(app, coordinator, check)
    pushes.serve(app, coordinator, check)
    batches.serve(app, coordinator, check)
    schema.serve(app, coordinator, check)
    openapi.serve(app, coordinator, check)
    dashboard.serve(app, coordinator, check)
    health.serve(app, coordinator)
    _answer_errors(app)
    return app


def _answer_errors(app: Flask) -> None:
    """Every error leaves as a problem document."""

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        return problem(*problem_of_status(error.code or 500, detail=error.description or "", instance=request.path))

    @app.errorhandler(TipoffError)
    def foreseen(error: TipoffError) -> Response:
        status, document = problem_of(error, instance=request.path)
        _log.log(
            logging.ERROR if status >= 500 else logging.WARNING,
            "request not carried out",
            extra={"json_fields": {"path": request.path, "status": status, "reason": str(error)}},
        )
        return problem(status, document)

    @app.errorhandler(Exception)
    def last_resort(error: Exception) -> Response:
        _log.error("unexpected error", exc_info=error, extra={"json_fields": {"path": request.path}})
        return problem(*problem_of(error, instance=request.path))
