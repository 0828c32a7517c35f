"""Whether the service lives and whether it can work; open to all, since it tells nothing but what runs and fails."""

from __future__ import annotations

import dataclasses
import logging

from flask import Flask, Response, jsonify, request

from coordinator.assembly import Coordinator
from coordinator.routes.exchange import problem
from shared import logs
from shared.problems import problem_of_status

_log = logging.getLogger(__name__)


def serve(app: Flask, coordinator: Coordinator) -> None:
    """Serve `/health` and `/ready`."""

    @app.get("/health")
    def health() -> Response:
        parts = coordinator.parts
        return jsonify(service="coordinator", status="alive", revision=parts.revision, commit=parts.commit)

    @app.get("/ready")
    def ready() -> Response:
        return _readiness(coordinator)


def _readiness(coordinator: Coordinator) -> Response:
    failing = dict(coordinator.failing_dependencies())
    parts = coordinator.parts
    about = {"revision": parts.revision, "commit": parts.commit, "logs": dataclasses.asdict(logs.stream_check())}
    if not failing:
        return jsonify(service="coordinator", status="ready", **about)
    _log.warning("not ready", extra={"json_fields": {"failing": failing}})
    detail = "; ".join(f"{name}: {reason}" for name, reason in failing.items())
    status, document = problem_of_status(503, detail=detail, instance=request.path)
    return problem(status, document | {"failing": failing, **about})
