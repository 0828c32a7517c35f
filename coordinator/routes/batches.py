"""What people ask of batches, and tell them to do."""

from __future__ import annotations

from datetime import date
from typing import assert_never

from flask import Flask, Response, jsonify
from pydantic import TypeAdapter

from coordinator.assembly import Coordinator
from coordinator.operator.answers import BatchList, ConsolidateAnswer, RedriveAnswer
from coordinator.operator.bodies import ConsolidateBody, GameDate, NoBody, PolicyChanges, RedriveBody
from coordinator.operator.failures import players_of
from coordinator.operator.views import BatchView
from coordinator.routes.exchange import (
    Body,
    Caller,
    Check,
    batch_id_of,
    check_query,
    idempotency_key,
    note_action,
    query_value,
    read_body,
)
from coordinator.usecases.cancel import cancel
from coordinator.usecases.change_policy import change_policy
from coordinator.usecases.consolidate import Report
from shared.errors import Conflict, InvalidInput

_GAME_DATE: TypeAdapter[date | None] = TypeAdapter(GameDate)


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve `/batches` and what is below it."""

    @app.get("/batches")
    def batches() -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        check_query("game_date", "limit")
        game_date = query_value("game_date", _GAME_DATE, None)
        limit = query_value("limit", TypeAdapter(int), 50)
        if not 1 <= limit <= 500:
            raise InvalidInput("limit", f"{limit} is out of range; give a number from 1 to 500")
        found = coordinator.views.batches(game_date=game_date, limit=limit)
        return jsonify(BatchList(batches=found).model_dump(mode="json"))

    @app.get("/batches/<batch_id>")
    def batch(batch_id: str) -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return _shown(coordinator, batch_id_of(batch_id))

    @app.get("/batches/<batch_id>/explain")
    def explain(batch_id: str) -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return jsonify(coordinator.diagnosis.explain(batch_id_of(batch_id)).model_dump(mode="json"))

    @app.get("/batches/<batch_id>/gaps")
    def gaps(batch_id: str) -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return jsonify(coordinator.diagnosis.find_gaps(batch_id_of(batch_id)).model_dump(mode="json"))

    _serve_deeds(app, coordinator, check)


def _serve_deeds(app: Flask, coordinator: Coordinator, check: Check) -> None:
    @app.post("/batches/<batch_id>/consolidate")
    def consolidate(batch_id: str) -> Response:
        check(Caller.ADMIN)
        known, body = _asked(coordinator, batch_id, "consolidate", ConsolidateBody)
        return _consolidate(coordinator, known, body)

    @app.post("/batches/<batch_id>/redrive")
    def redrive(batch_id: str) -> Response:
        check(Caller.ADMIN)
        known, body = _asked(coordinator, batch_id, "redrive", RedriveBody)
        return _redrive(coordinator, known, body)

    @app.post("/batches/<batch_id>/cancel")
    def cancel_batch(batch_id: str) -> Response:
        check(Caller.ADMIN)
        known, _ = _asked(coordinator, batch_id, "cancel", NoBody)
        parts = coordinator.parts
        coordinator.consolidator.notify(cancel(coordinator.ledger, parts.warehouse, known))
        return _shown(coordinator, known)

    @app.patch("/batches/<batch_id>/policy")
    def policy(batch_id: str) -> Response:
        check(Caller.ADMIN)
        known, changes = _asked(coordinator, batch_id, "policy", PolicyChanges)
        change_policy(coordinator.ledger, known, changes.applied_to)
        return _shown(coordinator, known)


def _asked(coordinator: Coordinator, batch_id: str, action: str, kind: type[Body]) -> tuple[str, Body]:
    """Read what is asked of a batch that exists, and keep who asks for it."""
    known, body = batch_id_of(batch_id), read_body(kind)
    coordinator.ledger.batch(known)
    note_action(coordinator, known, action, body)
    return known, body


def _shown(coordinator: Coordinator, batch_id: str) -> Response:
    return jsonify(coordinator.views.batch(batch_id).model_dump(mode="json"))


def _redrive(coordinator: Coordinator, batch_id: str, body: RedriveBody) -> Response:
    """Redrive: 202 when that made the batch, 200 when an earlier call with its key did."""
    only = None if body.group is None else players_of(coordinator.ledger.shards(batch_id), body.group)
    started = coordinator.redriver.redrive(batch_id, key=idempotency_key(), only=only)
    batch = started.batch
    answer = RedriveAnswer(
        batch_id=batch.batch_id,
        parent=str(batch.parent),
        state=batch.state,
        expected=batch.expected_count,
        started=started.is_new,
        not_expected=list(batch.left_out),
    )
    response = jsonify(answer.model_dump(mode="json"))
    response.status_code = 202 if started.is_new else 200
    return response


def _consolidate(coordinator: Coordinator, batch_id: str, body: ConsolidateBody) -> Response:
    """Consolidate; a conflict that says why when the rows are not in the predictions table."""
    report = coordinator.consolidator.consolidate(batch_id, forced=body.force)
    view = coordinator.views.batch(batch_id)
    # Nothing is to be done with a FAILED batch that nobody forces, and that is no success.
    is_merged = report in (Report.MERGED, Report.NOTHING_TO_DO) and view.state in ("COMPLETE", "PARTIAL", "EMPTY")
    if is_merged:
        left_out = sorted([*view.silent, *view.failed])
        return jsonify(ConsolidateAnswer(report=report.value, left_out=left_out, batch=view).model_dump(mode="json"))
    raise Conflict(_why_not(report, view), batch_id=batch_id)


_FORCED = 'tipoff consolidate {} --force (a body of {{"force": true}})'


def _why_not(report: Report, view: BatchView) -> str:
    match report:
        case Report.BUSY:
            return "another instance is consolidating this date; ask again when it has finished"
        case Report.WAITING:
            named = ", ".join(view.silent[:5]) + (", ..." if len(view.silent) > 5 else "")
            silent = f"{len(view.silent)} players are silent ({named})"
            return f"{silent}; to go on without them: {_FORCED.format(view.batch_id)}"
        case Report.SUPERSEDED:
            return "a newer batch of the date has merged; this one never will"
        case Report.NOTHING_TO_DO:
            stands = f"the batch is {view.state}: {view.reason}"
            return f"{stands}; to consolidate it all the same: {_FORCED.format(view.batch_id)}"
        case Report.REFUSED | Report.MERGED:
            return view.late_refusal or view.reason
        case _:
            assert_never(report)
