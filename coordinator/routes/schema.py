"""What people ask of the tables' columns."""

from __future__ import annotations

from flask import Flask, Response, jsonify

from coordinator.assembly import Coordinator
from coordinator.operator.schema_view import view_schema
from coordinator.routes.exchange import Caller, Check


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve `/schema`."""

    @app.get("/schema")
    def schema() -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return jsonify(view_schema(coordinator.parts.warehouse, coordinator.ledger).model_dump(mode="json"))
