"""What Cloud Scheduler calls, and people by hand: start, sweep and grade."""

from __future__ import annotations

import logging
from datetime import date

from flask import Response, g, request

from coordinator.assembly import Coordinator
from coordinator.operator.answers import StartAnswer, StartNotNeeded
from coordinator.operator.bodies import GradeBody, StartBody, SweepBody
from coordinator.routes.exchange import KEY_AND_WHY_HEADERS, Caller, idempotency_key, note_action
from coordinator.routes.route import Routes, as_json, as_made
from coordinator.usecases.grade import LAST_DAYS, GradeAnswer
from coordinator.usecases.sweep_report import SweepAnswer
from schemas import names
from shared.edge import problem
from shared.errors import Conflict, InputsIncomplete, InvalidInput, TipoffError
from shared.problems import problem_of_status

_log = logging.getLogger(__name__)

routes = Routes()
_CALLERS = (Caller.SCHEDULER, Caller.ADMIN)


@routes.add(
    "post",
    "/start",
    callers=_CALLERS,
    headers=KEY_AND_WHY_HEADERS,
    answers={200: (StartAnswer, StartNotNeeded), 202: (StartAnswer,)},
    refusals=(409, 422),
    respond=as_made,
)
def start(coordinator: Coordinator, body: StartBody) -> StartAnswer | StartNotNeeded:
    """Plan and publish a game date's batch; 200 where an earlier call with the same key did."""
    try:
        return _start(coordinator, body)
    except Conflict as conflict:
        # To Cloud Scheduler everything but 2xx is a failure to be tried again (D5). Inputs may still come, so it is to try
        # again for those; then its failed job is seen.
        if not _is_scheduler() or isinstance(conflict, InputsIncomplete):
            raise
        _log.warning("start not needed", extra={"json_fields": {"reason": str(conflict)}})
        return StartNotNeeded(batch_id=conflict.batch_id, reason=str(conflict))


def _as_swept(answer: SweepAnswer) -> Response:
    """Answer with 503 when a batch met trouble that may pass, so that Cloud Scheduler asks again."""
    if not answer.unfinished:
        return as_json(answer)
    detail = f"not finished with {', '.join(answer.unfinished)}; call again"
    status, document = problem_of_status(503, detail=detail, instance=request.path)
    return problem(status, document | answer.model_dump(mode="json"))


@routes.add("post", "/sweep", callers=_CALLERS, refusals=(422,), respond=_as_swept)
def sweep(coordinator: Coordinator, body: SweepBody) -> SweepAnswer:
    """Repair or finish whatever events did not, or say what that would be."""
    batches = coordinator.sweeper.sweep(dry_run=body.dry_run)
    return SweepAnswer(dry_run=body.dry_run, batches=batches, graded=_grade_due(coordinator, dry_run=body.dry_run))


def _as_graded(answer: GradeAnswer) -> Response:
    """Answer with a failure when a date could not be graded, so that Cloud Scheduler's job shows it; what was graded stays
    in the answer. 503 where trouble may pass, 409 where a person has to look."""
    if not answer.refused:
        return as_json(answer)
    may_pass = any(one.may_pass for one in answer.refused)
    whys = "; ".join(f"not {one.game_date}: {one.why}" for one in answer.refused)
    detail = f"graded {len(answer.dates)} of {len(answer.dates) + len(answer.refused)} dates; {whys}"
    status, document = problem_of_status(503 if may_pass else 409, detail=detail, instance=request.path)
    return problem(status, document | answer.model_dump(mode="json"))


@routes.add("post", "/grade", callers=_CALLERS, refusals=(409, 422), respond=_as_graded)
def grade(coordinator: Coordinator, body: GradeBody) -> GradeAnswer:
    """Grade what was predicted and is played by now, of a date, a span, or the last days."""
    grader = coordinator.grader
    if body.game_date is not None:
        if body.first is not None or body.last is not None:
            raise InvalidInput("game_date", "cannot go with from and to; give either game_date or from and to")
        return grader.grade(body.game_date, body.game_date)
    today = coordinator.parts.today()
    if body.first is None and body.last is None:
        return grader.grade_what_is_there(today - LAST_DAYS, today)
    last = body.last or today
    return grader.grade(body.first or last, last)


def _start(coordinator: Coordinator, body: StartBody) -> StartAnswer:
    parts, key = coordinator.parts, idempotency_key()
    game_date = body.game_date or parts.today()
    if not _is_scheduler():
        note_action(coordinator, names.batch_id(game_date, key), "start", body)
    started = coordinator.starter.start(
        game_date, key=key, policy=body.policy.applied_to(parts.policy), force=body.force
    )
    batch = started.batch
    return StartAnswer(
        batch_id=batch.batch_id, state=batch.state, expected=batch.expected_count, started=started.is_new
    )


def _grade_due(coordinator: Coordinator, *, dry_run: bool) -> list[date]:
    """Grade what has its box score by now; trouble with that is no reason to sweep again: the next sweep grades."""
    try:
        return coordinator.grader.due() if dry_run else coordinator.grader.grade_due()
    except TipoffError as trouble:
        _log.warning("grading not done", extra={"json_fields": {"why": str(trouble)}})
        return []


def _is_scheduler() -> bool:
    # Whoever may start can send the header. Where accounts are proven, his has to be Scheduler's too: no person's start
    # goes unkept.
    return g.may_be_scheduler and request.headers.get("X-CloudScheduler", "").lower() == "true"
