"""The API's description, for those who may use it."""

from __future__ import annotations

from flask import Flask, Response, jsonify

from coordinator.assembly import Coordinator
from coordinator.operator.openapi import document
from coordinator.routes.exchange import Caller, Check


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve `/openapi.json`."""

    @app.get("/openapi.json")
    def openapi() -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return jsonify(document(version=coordinator.parts.revision))
