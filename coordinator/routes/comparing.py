"""What batches said, compared."""

from __future__ import annotations

from typing import Annotated

from flask import Flask, Response, jsonify
from pydantic import Field, TypeAdapter

from coordinator.assembly import Coordinator
from coordinator.operator.comparing import DifferenceView
from coordinator.routes.exchange import Caller, Check, batch_id_of, check_query, query_value
from coordinator.routes.frame import page, show
from shared.errors import InvalidInput

_TEXT = TypeAdapter(Annotated[str, Field(max_length=1024)])


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve `/batches/{id}/diff`, its page, and `/batches/{id}/player`."""

    @app.get("/batches/<batch_id>/diff")
    def diff(batch_id: str) -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        check_query("with")
        return jsonify(_difference(coordinator, batch_id).model_dump(mode="json"))

    @app.get("/batches/<batch_id>/player")
    def evidence(batch_id: str) -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        check_query("name")
        player = _given("name", "the player as the batch's page spells him")
        return jsonify(coordinator.comparing.evidence(batch_id_of(batch_id), player).model_dump(mode="json"))

    @app.get("/dashboard/batches/<batch_id>/diff")
    def dashboard_diff(batch_id: str) -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return show(lambda: page("diff.html", found=_difference(coordinator, batch_id)))


def _difference(coordinator: Coordinator, batch_id: str) -> DifferenceView:
    other = batch_id_of(_given("with", "the id of the batch to compare with"))
    return coordinator.comparing.compare(batch_id_of(batch_id), other)


def _given(name: str, what: str) -> str:
    value = query_value(name, _TEXT, "")
    if not value:
        raise InvalidInput(name, f"missing; give {what}")
    return value
