"""The coordinator over HTTP: parse, ask the use case, answer with a status.

Push answers follow one rule: 204 when the outcome is durable or nothing can ever be done with it (then logged at
ERROR), 503 when a redelivery may help. Never 2xx before the state is durable (A3).
"""

from __future__ import annotations

import dataclasses
import logging
import re
import uuid
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Annotated, TypeVar, assert_never
from zoneinfo import ZoneInfo

from flask import Flask, Request, Response, jsonify, request
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from werkzeug.exceptions import HTTPException

from coordinator.assembly import Coordinator
from coordinator.batch import Policy
from coordinator.consolidation import Report
from coordinator.service import read_outcome, unreadable
from coordinator.sweep import Verdict
from coordinator.views import BatchView
from schemas import names
from shared import logs
from shared.errors import Conflict, InvalidInput, MalformedMessage, TipoffError, Transient, UnknownBatch
from shared.problems import headers_for, problem_of, problem_of_status
from shared.push import Pushed, open_envelope

_log = logging.getLogger(__name__)

Body = TypeVar("Body", bound=BaseModel)
Kind = TypeVar("Kind")

US_EASTERN = ZoneInfo("America/New_York")
"""Game dates are US Eastern, whatever the clock of the machine says (D6)."""


class Caller(StrEnum):
    """Who may call a route; the guard knows the accounts."""

    PUSH = "push"
    SCHEDULER = "scheduler"
    ADMIN = "admin"


Guard = Callable[[str | None, frozenset[Caller]], None]
"""Takes the Authorization header and who may call; raises an error of the tree for anybody else."""

Check = Callable[..., None]
"""The guard for the request at hand: takes the callers that may make it."""


def _only_iso(value: object) -> object:
    """Refuse what pydantic would take for a date as well: numbers, as seconds since 1970."""
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        raise ValueError("a date has the form 2026-01-30")
    return value


GameDate = Annotated[date | None, BeforeValidator(_only_iso)]
_GAME_DATE: TypeAdapter[date | None] = TypeAdapter(GameDate)


class PolicyChanges(BaseModel):
    """What a start may set differently from the settings."""

    model_config = ConfigDict(extra="forbid")

    deadline_minutes: int | None = None
    republish_after_minutes: int | None = None
    max_republishes: int | None = None
    tolerated_failed_share: float | None = None
    tolerated_silent_share: float | None = None
    max_retired_share: float | None = None
    max_merge_attempts: int | None = None

    def applied_to(self, policy: Policy) -> Policy:
        """Return the policy with the given changes. Raises `InvalidInput`."""
        return dataclasses.replace(policy, **self.model_dump(exclude_none=True))


class StartBody(BaseModel):
    """Body of `POST /start`."""

    model_config = ConfigDict(extra="forbid")

    game_date: GameDate = None
    """US Eastern; today there when absent."""
    force: str | None = None
    """Id of the live batch to cancel."""
    policy: PolicyChanges = PolicyChanges()


class ConsolidateBody(BaseModel):
    """Body of `POST /batches/{id}/consolidate`."""

    model_config = ConfigDict(extra="forbid")

    force: bool = False
    """Consolidate in spite of silent or failed players, a former refusal, or the share of rows to retire."""


def create_app(coordinator: Coordinator, *, guard: Guard) -> Flask:
    """Serve a coordinator."""
    app = Flask("coordinator")

    def check(*callers: Caller) -> None:
        guard(request.headers.get("Authorization"), frozenset(callers))

    _serve_schedule(app, coordinator, check)
    _serve_pushes(app, coordinator, check)
    _serve_batches(app, coordinator, check)
    _serve_health(app, coordinator)
    _answer_errors(app)
    return app


def _serve_schedule(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """What Cloud Scheduler calls, and people by hand."""

    @app.post("/start")
    def start() -> Response:
        check(Caller.SCHEDULER, Caller.ADMIN)
        try:
            return _start(coordinator)
        except Conflict as conflict:
            if not _is_scheduler(request):
                raise
            # To Cloud Scheduler everything but 2xx is a failure to be tried again (D5).
            _log.warning("start not needed", extra={"json_fields": {"reason": str(conflict)}})
            return jsonify(batch_id=conflict.batch_id, started=False, reason=str(conflict))

    @app.post("/sweep")
    def sweep() -> Response:
        check(Caller.SCHEDULER, Caller.ADMIN)
        return _sweep(coordinator)


def _serve_pushes(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """What Pub/Sub calls."""

    @app.post("/complete")
    def complete() -> Response:
        check(Caller.PUSH)
        try:
            pushed = open_envelope(request.get_data())
        except MalformedMessage as error:
            _log.error("outcome refused", extra={"json_fields": {"reason": str(error)}})
            return _no_content()
        told = pushed.attributes
        with (
            logs.bound_trace(told.get("traceparent")),
            logs.bound(
                batch_id=told.get("batch_id"),
                player=told.get("player_lookup"),
                message_id=pushed.message_id,
                delivery_attempt=pushed.delivery_attempt,
            ),
        ):
            return _record(coordinator, pushed)


def _serve_batches(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """What people ask of batches."""

    @app.get("/batches")
    def batches() -> Response:
        check(Caller.ADMIN)
        game_date = _query_value("game_date", _GAME_DATE, None)
        limit = _query_value("limit", TypeAdapter(int), 50)
        if not 1 <= limit <= 500:
            raise InvalidInput("limit", f"{limit} is out of range; give a number from 1 to 500")
        found = coordinator.views.batches(game_date=game_date, limit=limit)
        return jsonify(batches=[one.model_dump(mode="json") for one in found])

    @app.get("/batches/<batch_id>")
    def batch(batch_id: str) -> Response:
        check(Caller.ADMIN)
        return jsonify(coordinator.views.batch(_batch_id(batch_id)).model_dump(mode="json"))

    @app.post("/batches/<batch_id>/consolidate")
    def consolidate(batch_id: str) -> Response:
        check(Caller.ADMIN)
        return _consolidate(coordinator, _batch_id(batch_id), _body(ConsolidateBody))


def _serve_health(app: Flask, coordinator: Coordinator) -> None:
    """Open to all: they tell nothing but what runs and what fails."""

    @app.get("/health")
    def health() -> Response:
        return jsonify(service="coordinator", status="alive", revision=coordinator.parts.revision)

    @app.get("/ready")
    def ready() -> Response:
        return _readiness(coordinator)


def _answer_errors(app: Flask) -> None:
    """Every error leaves as a problem document."""

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        return _problem(*problem_of_status(error.code or 500, detail=error.description or "", instance=request.path))

    @app.errorhandler(TipoffError)
    def foreseen(error: TipoffError) -> Response:
        status, document = problem_of(error, instance=request.path)
        _log.log(
            logging.ERROR if status >= 500 else logging.WARNING,
            "request not carried out",
            extra={"json_fields": {"path": request.path, "status": status, "reason": str(error)}},
        )
        return _problem(status, document)

    @app.errorhandler(Exception)
    def last_resort(error: Exception) -> Response:
        _log.error("unexpected error", exc_info=error, extra={"json_fields": {"path": request.path}})
        return _problem(*problem_of(error, instance=request.path))


# --- answers --------------------------------------------------------------------------------------------------


def _start(coordinator: Coordinator) -> Response:
    """Start what the request asks for: 202 when that made the batch, 200 when an earlier call with its key did."""
    body, parts = _body(StartBody), coordinator.parts
    started = coordinator.starter.start(
        body.game_date or parts.clock().astimezone(US_EASTERN).date(),
        key=_idempotency_key(request),
        policy=body.policy.applied_to(parts.policy),
        force=body.force,
    )
    batch = started.batch
    answer = jsonify(batch_id=batch.batch_id, state=batch.state, expected=batch.expected_count, started=started.is_new)
    answer.status_code = 202 if started.is_new else 200
    return answer


def _sweep(coordinator: Coordinator) -> Response:
    """Sweep; 503 when a batch met trouble that may pass, so that Cloud Scheduler asks again."""
    swept = [dataclasses.asdict(one) for one in coordinator.sweeper.sweep()]
    again = [str(one["batch_id"]) for one in swept if one["verdict"] is Verdict.TRY_AGAIN]
    if not again:
        return jsonify(batches=swept)
    detail = f"not finished with {', '.join(again)}; call again"
    status, document = problem_of_status(503, detail=detail, instance=request.path)
    return _problem(status, document | {"batches": swept})


def _consolidate(coordinator: Coordinator, batch_id: str, body: ConsolidateBody) -> Response:
    """Consolidate; a conflict that says why when the rows are not in the predictions table."""
    report = coordinator.consolidator.consolidate(batch_id, forced=body.force)
    view = coordinator.views.batch(batch_id)
    # Nothing is to be done with a FAILED batch that nobody forces, and that is no success.
    is_merged = report in (Report.MERGED, Report.NOTHING_TO_DO) and view.state in ("COMPLETE", "PARTIAL", "EMPTY")
    if is_merged:
        return jsonify(report=report.value, batch=view.model_dump(mode="json"))
    raise Conflict(_why_not(report, view), batch_id=batch_id)


def _record(coordinator: Coordinator, pushed: Pushed) -> Response:
    """Record a pushed outcome. Transient trouble leaves as 503 through the error handler."""
    try:
        try:
            outcome = read_outcome(pushed.data)
        except MalformedMessage as error:
            _log.error("outcome unreadable", extra={"json_fields": {"reason": str(error)}})
            outcome = unreadable(pushed.attributes, reason=str(error))
        report = coordinator.ledger.record_outcome(outcome)
    except Transient:
        raise
    except TipoffError as error:
        # No repetition helps: one poison message must not slow the subscription, whose back-off all messages share.
        _log.error("outcome refused", extra={"json_fields": {"reason": str(error)}})
        return _no_content()
    if report is not None:
        _log.info("batch closed", extra={"json_fields": {"report": report.value}})
    return _no_content()


def _why_not(report: Report, view: BatchView) -> str:
    match report:
        case Report.BUSY:
            return "another instance is consolidating this date; ask again when it has finished"
        case Report.WAITING:
            named = ", ".join(view.silent[:5]) + (", ..." if len(view.silent) > 5 else "")
            return f'{len(view.silent)} players are silent ({named}); to go on without them, send {{"force": true}}'
        case Report.SUPERSEDED:
            return "a newer batch of the date has merged; this one never will"
        case Report.NOTHING_TO_DO:
            return f'the batch is {view.state}: {view.reason}; to consolidate it all the same, send {{"force": true}}'
        case Report.REFUSED | Report.MERGED:
            return view.late_refusal or view.reason
        case _:
            assert_never(report)


def _readiness(coordinator: Coordinator) -> Response:
    failing = dict(coordinator.failing_dependencies())
    about = {"revision": coordinator.parts.revision, "logs": dataclasses.asdict(logs.stream_check())}
    if not failing:
        return jsonify(service="coordinator", status="ready", **about)
    _log.warning("not ready", extra={"json_fields": {"failing": failing}})
    detail = "; ".join(f"{name}: {reason}" for name, reason in failing.items())
    status, document = problem_of_status(503, detail=detail, instance=request.path)
    return _problem(status, document | {"failing": failing, **about})


# --- parsing --------------------------------------------------------------------------------------------------


def _idempotency_key(asked: Request) -> str:
    """The caller's key; else Scheduler's job name, the same on its retries; else one that never comes again."""
    given = asked.headers.get("Idempotency-Key", "").strip()
    if len(given) > 200:
        raise InvalidInput("Idempotency-Key", "is over 200 characters; send a shorter one")
    if given:
        return f"key:{given}"
    job = asked.headers.get("X-CloudScheduler-JobName", "").strip()
    return f"job:{job}" if job else f"once:{uuid.uuid4()}"


def _is_scheduler(asked: Request) -> bool:
    return asked.headers.get("X-CloudScheduler", "").lower() == "true"


def _body(kind: type[Body]) -> Body:
    raw = request.get_data()
    try:
        return kind.model_validate_json(raw) if raw.strip() else kind()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidInput(where, f"{first['msg']}; got {first['input']!r:.80}") from error


def _query_value(name: str, adapter: TypeAdapter[Kind], default: Kind) -> Kind:
    given = request.args.get(name)
    if given is None:
        return default
    try:
        return adapter.validate_python(given)
    except ValidationError as error:
        raise InvalidInput(name, f"{error.errors()[0]['msg']}; got {given[:80]!r}") from error


def _batch_id(text: str) -> str:
    try:
        return names.check_batch_id(text)
    except ValueError as error:
        raise UnknownBatch(str(error)) from error


def _no_content() -> Response:
    return Response(status=204)


def _problem(status: int, document: dict[str, object]) -> Response:
    response = jsonify(document)
    response.status_code = status
    response.headers.update(headers_for(status))
    return response
