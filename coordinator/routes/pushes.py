"""What Pub/Sub pushes.

204 when what was pushed is durable or nothing can ever be done with it (then logged at ERROR), 503 when a redelivery
may help. Never 2xx before the state is durable (A3).
"""

from __future__ import annotations

import logging

from flask import Flask, Response, request

from coordinator.assembly import Coordinator
from coordinator.routes.exchange import Caller, Check, no_content
from coordinator.service import read_outcome, unreadable
from shared import logs
from shared.errors import MalformedMessage, TipoffError, Transient
from shared.push import Pushed, open_envelope

_log = logging.getLogger(__name__)


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve what subscriptions push to."""

    @app.post("/complete")
    def complete() -> Response:
        check(Caller.PUSH)
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
            return _record(coordinator, pushed)


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
        return no_content()
    if report is not None:
        _log.info("batch closed", extra={"json_fields": {"report": report.value}})
    return no_content()
