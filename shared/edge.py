"""What the HTTP edges of both services do alike: what they refuse before it is read, errors as problem documents, health.

Knows no route but `/health` and `/ready`, and nothing of what a service does.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestTimeout, UnsupportedMediaType

from shared import logs, tracing
from shared.errors import CallerRefused, TipoffError
from shared.problems import headers_for, problem_of, problem_of_status

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024
"""A push of Pub/Sub's largest message, 10 MB, is 13.4 MB in base64 (https://cloud.google.com/pubsub/quotas)."""

READY_SECONDS = 5
"""How long an answer of the dependencies holds: whoever asks `/ready` without end does not ask them without end."""

Checks: TypeAlias = Mapping[str, Callable[[], object]]
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PROBED = frozenset({"/health", "/ready"})
_SENSIBLE_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def guard(
    app: Flask, *, only_loopback: bool, forms_below: str | None = None, pushed_to: frozenset[str] = frozenset()
) -> None:
    """Refuse what no caller of ours sends, before a route sees it, and answer every error with a problem document.

    A body over `MAX_BODY_BYTES` (413) or half-sent (408), one that is not JSON (415), what a foreign page sends (403).

    Args:
        only_loopback: nobody's token is checked, so a name that a foreign page has bent to this address (DNS rebinding)
            must not be answered.
        forms_below: path below which bodies are forms, whose route proves that our own page sent them.
        pushed_to: paths whose requests bring messages, and with them a trace (`push_answers.delivered`).
    """
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    _trace_requests(app, but=pushed_to | _PROBED)

    @app.before_request
    def refuse_early() -> None:
        if only_loopback and hostname_of(request) not in _LOOPBACK:
            raise CallerRefused(f"no token is checked here, so only loopback is served, not {request.host[:80]!r}")
        if request.method in _CHANGING and not (forms_below and request.path.startswith(forms_below)):
            check_site(request)
            _check_type(request)

    @app.after_request
    def confine(answer: Response) -> Response:
        for name, value in _SENSIBLE_HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    _answer_errors(app)


def _trace_requests(app: Flask, *, but: frozenset[str]) -> None:
    """Have each request be carried out within the trace that it names, or one of its own."""

    @app.before_request
    def begin() -> None:
        if request.path not in but:
            route = request.url_rule.rule if request.url_rule else None
            named = {"http.request.method": request.method, "http.route": route, "url.path": request.path}
            shown = f"{request.method} {route}" if route else request.method
            traceparent = request.headers.get("traceparent")
            g.traced = tracing.received(shown, traceparent, kind="SERVER", attributes=named)
            g.traced.__enter__()

    @app.after_request
    def note_status(answer: Response) -> Response:
        if "traced" in g:
            tracing.note({"http.response.status_code": answer.status_code})
        return answer

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        if traced := g.pop("traced", None):
            traced.__exit__(type(error) if error else None, error, None)


def check_site(asked: Request) -> None:
    """Let a request through that no page of another site made (F5).

    Raises:
        CallerRefused: the browser says that another site made it.
    """
    # A proxy on the operator's machine changes Host and not Origin, so the browser's own verdict goes first.
    site = asked.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise CallerRefused(f"the request was sent by another site ({site[:20]}); use the service's own pages")
    elif (origin := asked.headers.get("Origin")) and urlsplit(origin).netloc != asked.host:
        raise CallerRefused(f"the request was sent by another site ({origin[:80]}); use the service's own pages")


def hostname_of(asked: Request) -> str | None:
    """The name by which the service was called; None where the header holds none."""
    try:
        return urlsplit(f"//{asked.host}").hostname
    except ValueError:
        return None


def is_loopback(asked: Request) -> bool:
    """Whether the service was called by a name of this machine."""
    return hostname_of(asked) in _LOOPBACK


def problem(status: int, document: Mapping[str, object]) -> Response:
    """Answer with a problem document."""
    response = jsonify(document)
    response.status_code = status
    response.headers.update(headers_for(status))
    return response


def serve_health(
    app: Flask,
    *,
    service: str,
    running: Mapping[str, str],
    checks: Checks,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Serve `/health`, which asks nothing, and `/ready`, which asks every dependency (C3), each few seconds at most (F8).

    Args:
        running: what runs: revision and commit (D2).
        checks: by a dependency's name what really asks it, and raises a `TipoffError` where it does not answer as it should.
    """
    asked_lately = _AskedLately(checks, monotonic)

    @app.get("/health")
    def health() -> Response:
        return jsonify(service=service, status="alive", **running)

    @app.get("/ready")
    def ready() -> Response:
        found = asked_lately.answer()
        about = {**running, "logs": dataclasses.asdict(logs.stream_check())}
        if not found:
            return jsonify(service=service, status="ready", **about)
        _log.warning("not ready", extra={"json_fields": {"failing": found}})
        detail = "; ".join(f"{name}: {reason}" for name, reason in found.items())
        status, document = problem_of_status(503, detail=detail, instance=request.path)
        return problem(status, document | {"failing": found, **about})


class _AskedLately:
    """One caller asks, the others wait for his answer; it holds for `READY_SECONDS`."""

    def __init__(self, checks: Checks, monotonic: Callable[[], float]) -> None:
        self._checks = checks
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: tuple[dict[str, str], float] | None = None

    def answer(self) -> dict[str, str]:
        with self._lock:
            if self._kept is None or self._monotonic() - self._kept[1] >= READY_SECONDS:
                self._kept = self._failing(), self._monotonic()
            return self._kept[0]

    def _failing(self) -> dict[str, str]:
        failing = {}
        for name, check in self._checks.items():
            try:
                check()
            except TipoffError as error:
                failing[name] = str(error)
        return failing


def _check_type(asked: Request) -> None:
    """Refuse a body that is not JSON, by its headers alone: nothing is read before the caller is known."""
    has_body = bool(asked.content_length) or "Transfer-Encoding" in asked.headers
    if has_body and asked.mimetype != "application/json":
        raise UnsupportedMediaType(f"send the body as application/json, not {asked.mimetype[:80] or 'without a type'}")


def _answer_errors(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        refused = problem_of_status(error.code or 500, detail=error.description or "", instance=request.path)
        answer = problem(*refused)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return answer

    @app.errorhandler(BlockingIOError)
    def half_sent(_error: BlockingIOError) -> Response:
        # What a socket's own time-out looks like: see `when_ready` in gunicorn_conf.
        return refuse(RequestTimeout("the body did not come in time"))

    @app.errorhandler(TipoffError)
    def foreseen(error: TipoffError) -> Response:
        status, document = problem_of(error, instance=request.path)
        tracing.note({}, error=error if status >= 500 else None)
        _log.log(
            logging.ERROR if status >= 500 else logging.WARNING,
            "request not carried out",
            extra={"json_fields": {"path": request.path, "status": status, "reason": str(error)}},
        )
        return problem(status, document)

    @app.errorhandler(Exception)
    def last_resort(error: Exception) -> Response:
        tracing.note({}, error=error)
        _log.error("unexpected error", exc_info=error, extra={"json_fields": {"path": request.path}})
        return problem(*problem_of(error, instance=request.path))
