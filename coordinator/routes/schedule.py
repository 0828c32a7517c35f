"""What Cloud Scheduler calls, and people by hand: start and sweep."""

from __future__ import annotations

import logging
from datetime import date

from flask import Flask, Request, Response, jsonify, request

from coordinator.assembly import Coordinator
from coordinator.operator.answers import StartAnswer, StartNotNeeded
from coordinator.operator.bodies import StartBody, SweepBody
from coordinator.routes.exchange import Caller, Check, idempotency_key, note_action, read_body
from coordinator.usecases.sweep_report import SweepAnswer, Verdict
from schemas import names
from shared.edge import problem
from shared.errors import Conflict, InputsIncomplete, TipoffError
from shared.problems import problem_of_status

_log = logging.getLogger(__name__)


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve `/start` and `/sweep`."""

    @app.post("/start")
    def start() -> Response:
        check(Caller.SCHEDULER, Caller.ADMIN)
        try:
            return _start(coordinator)
        except Conflict as conflict:
            # Inputs may still come, so Scheduler is to try again; then its failed job is seen.
            if not _is_scheduler(request) or isinstance(conflict, InputsIncomplete):
                raise
            # To Cloud Scheduler everything but 2xx is a failure to be tried again (D5).
            _log.warning("start not needed", extra={"json_fields": {"reason": str(conflict)}})
            return jsonify(StartNotNeeded(batch_id=conflict.batch_id, reason=str(conflict)).model_dump())

    @app.post("/sweep")
    def sweep() -> Response:
        check(Caller.SCHEDULER, Caller.ADMIN)
        return _sweep(coordinator, dry_run=read_body(SweepBody).dry_run)


def _start(coordinator: Coordinator) -> Response:
    """Start what the request asks for: 202 when that made the batch, 200 when an earlier call with its key did."""
    body, parts, key = read_body(StartBody), coordinator.parts, idempotency_key()
    game_date = body.game_date or parts.today()
    if not _is_scheduler(request):
        note_action(coordinator, names.batch_id(game_date, key), "start", body)
    started = coordinator.starter.start(
        game_date,
        key=key,
        policy=body.policy.applied_to(parts.policy),
        force=body.force,
    )
    batch = started.batch
    told = StartAnswer(
        batch_id=batch.batch_id, state=batch.state, expected=batch.expected_count, started=started.is_new
    )
    answer = jsonify(told.model_dump())
    answer.status_code = 202 if started.is_new else 200
    return answer


def _sweep(coordinator: Coordinator, *, dry_run: bool) -> Response:
    """Sweep; 503 when a batch met trouble that may pass, so that Cloud Scheduler asks again."""
    swept = coordinator.sweeper.sweep(dry_run=dry_run)
    answer = SweepAnswer(dry_run=dry_run, batches=swept, graded=_grade_due(coordinator, dry_run=dry_run))
    told = answer.model_dump(mode="json")
    again = [one.batch_id for one in answer.batches if one.verdict is Verdict.TRY_AGAIN]
    if not again:
        return jsonify(told)
    detail = f"not finished with {', '.join(again)}; call again"
    status, document = problem_of_status(503, detail=detail, instance=request.path)
    return problem(status, document | told)


def _grade_due(coordinator: Coordinator, *, dry_run: bool) -> list[date]:
    """Grade what has its box score by now; trouble with that is no reason to sweep again: the next sweep grades."""
    try:
        return coordinator.grader.due() if dry_run else coordinator.grader.grade_due()
    except TipoffError as trouble:
        _log.warning("grading not done", extra={"json_fields": {"why": str(trouble)}})
        return []


def _is_scheduler(asked: Request) -> bool:
    return asked.headers.get("X-CloudScheduler", "").lower() == "true"
