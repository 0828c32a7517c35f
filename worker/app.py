"""The worker over HTTP: takes a push, asks the use case, turns its end into a status and exactly one log line (C7).

Every non-2xx answer makes Pub/Sub deliver the message again, so only what repetition may cure gets one.
"""

from __future__ import annotations

import logging
import time

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from schemas.messages import Failed, Outcome
from shared import logs
from shared.errors import MalformedMessage, TipoffError
from shared.problems import headers_for, problem_of, problem_of_status
from shared.push import Pushed, open_envelope
from worker.service import Worker

_log = logging.getLogger(__name__)


def create_app(worker: Worker, *, revision: str) -> Flask:
    """Serve a worker: `POST /predict`, `GET /health`, `GET /ready`."""
    app = Flask("worker")

    @app.post("/predict")
    def predict() -> Response:
        try:
            pushed = open_envelope(request.get_data())
        except MalformedMessage as error:
            _log.error("request refused", extra={"json_fields": {"reason": str(error)}})
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
            return _answer(worker, pushed)

    @app.get("/health")
    def health() -> Response:
        return jsonify(service="worker", status="alive", revision=revision)

    @app.get("/ready")
    def ready() -> Response:
        return _readiness(worker, revision)

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        return _problem(*problem_of_status(error.code or 500, detail=error.description or "", instance=request.path))

    @app.errorhandler(Exception)
    def last_resort(error: Exception) -> Response:
        _log.error("unexpected error", exc_info=error, extra={"json_fields": {"path": request.path}})
        return _problem(*problem_of(error, instance=request.path))

    return app


def _answer(worker: Worker, pushed: Pushed) -> Response:
    began = time.monotonic()
    try:
        outcome = worker.predict_player(pushed.data, pushed.attributes, traceparent=logs.traceparent())
    except MalformedMessage as error:
        _log.error("request refused", extra={"json_fields": {"reason": str(error)}})
        return _no_content()
    except Exception as error:  # noqa: BLE001 - the edge's last resort: whatever it was, the message must come again
        foreseen = isinstance(error, TipoffError)
        fields = {"reason": str(error), "seconds": round(time.monotonic() - began, 3)}
        _log.log(
            logging.WARNING if foreseen else logging.ERROR,
            "request not finished, to be delivered again",
            exc_info=error,
            extra={"json_fields": fields},
        )
        return _problem(*problem_of(error, instance=request.path))
    _log_end(outcome, seconds=time.monotonic() - began)
    return _no_content()


def _log_end(outcome: Outcome, *, seconds: float) -> None:
    level = logging.ERROR if isinstance(outcome, Failed) else logging.INFO
    fields = {**outcome.model_dump(mode="json"), "seconds": round(seconds, 3)}
    _log.log(level, "request finished", extra={"json_fields": fields})


def _readiness(worker: Worker, revision: str) -> Response:
    failing = worker.failing_dependencies()
    stream = logs.stream_check()
    lines = {"configured": stream.configured, "level": stream.level, "written": stream.written, "lost": stream.lost}
    if not failing:
        return jsonify(service="worker", status="ready", revision=revision, logs=lines)
    _log.warning("not ready", extra={"json_fields": {"failing": failing}})
    detail = "; ".join(f"{name}: {reason}" for name, reason in failing.items())
    status, document = problem_of_status(503, detail=detail, instance=request.path)
    return _problem(status, document | {"failing": failing, "revision": revision, "logs": lines})


def _no_content() -> Response:
    return Response(status=204)


def _problem(status: int, document: dict[str, object]) -> Response:
    response = jsonify(document)
    response.status_code = status
    response.headers.update(headers_for(status))
    return response
