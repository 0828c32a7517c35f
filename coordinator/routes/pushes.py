"""What Pub/Sub pushes.

204 when what was pushed is durable or nothing can ever be done with it (then logged at ERROR), 503 when a redelivery
may help. Never 2xx before the state is durable (A3).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import Flask, Response, request

from coordinator.assembly import Coordinator
from coordinator.routes.exchange import Caller, Check, no_content
from coordinator.rules.entries import AnyOutcome
from coordinator.usecases.record import dead_lettered, read_outcome, unreadable
from schemas.messages import Failed
from shared import logs
from shared.errors import MalformedMessage, TipoffError, Transient
from shared.push import Pushed, open_envelope

_log = logging.getLogger(__name__)


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve what subscriptions push to."""

    @app.post("/complete")
    def complete() -> Response:
        check(Caller.PUSH)
        return _take(coordinator, _told_outcome)

    @app.post("/dead-letter")
    def dead_letter() -> Response:
        check(Caller.PUSH)
        return _take(coordinator, lambda pushed: dead_lettered(pushed.data, pushed.attributes))


def _told_outcome(pushed: Pushed) -> AnyOutcome:
    try:
        return read_outcome(pushed.data)
    except MalformedMessage as error:
        _log.error("outcome unreadable", extra={"json_fields": {"reason": str(error)}})
        return unreadable(pushed.attributes, reason=str(error))


def _take(coordinator: Coordinator, read: Callable[[Pushed], AnyOutcome]) -> Response:
    """Record what the pushed message is read as; what is malformed is logged at ERROR."""
    try:
        pushed = open_envelope(request.get_data())
    except MalformedMessage as error:
        _log.error("outcome refused", extra={"json_fields": {"reason": str(error)}})
        return no_content()
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
        return _record(coordinator, pushed, read)


def _record(coordinator: Coordinator, pushed: Pushed, read: Callable[[Pushed], AnyOutcome]) -> Response:
    """Record what the message is read as, and say in one line how that ended (C7).

    Transient trouble leaves as 503 through the error handler, whose line is the one then.
    """
    try:
        outcome = read(pushed)
        report = coordinator.recorder.record_outcome(outcome)
    except Transient:
        raise
    except TipoffError as error:
        # No repetition helps: one poison message must not slow the subscription, whose back-off all messages share.
        _log.error("outcome refused", extra={"json_fields": {"reason": str(error)}})
        return no_content()
    told = outcome.model_dump(mode="json", include={"batch_id", "player_lookup", "outcome", "reason", "code", "detail"})
    _log.log(
        logging.WARNING if isinstance(outcome, Failed) else logging.INFO,
        "push finished",
        extra={"json_fields": {**told, "consolidation": report.value if report else None}},
    )
    return no_content()
