"""The dashboard: pages for people, and their buttons, which do exactly what the routes that they stand for do."""

from __future__ import annotations

import io
import json
import logging
import re
import uuid
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, make_response, request
from pydantic import TypeAdapter
from werkzeug.wrappers import Response as WerkzeugResponse

from coordinator.assembly import Coordinator
from coordinator.operator.bodies import GameDate
from coordinator.operator.dashboard import buttons, pages
from coordinator.operator.schema_view import view_schema
from coordinator.operator.views import BatchSummary, BatchView
from coordinator.routes import forms
from coordinator.routes.exchange import MAX_WHY, Caller, Check, batch_id_of, query_value
from coordinator.routes.frame import page, show
from coordinator.rules.lifecycle import LIVE
from shared.errors import InvalidInput

BATCHES_LISTED = 60
LIVE_COUNTED = 5
"""So many live batches are read whole for the list; there is one per game date, and its redrives."""

_GAME_DATE: TypeAdapter[date | None] = TypeAdapter(GameDate)
_PASSED_ON = frozenset(
    {
        *("SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "SCRIPT_NAME", "REMOTE_ADDR", "HTTP_HOST"),
        *("HTTP_AUTHORIZATION", "HTTP_X_SERVERLESS_AUTHORIZATION", "HTTP_TRACEPARENT", "HTTP_X_CLOUD_TRACE_CONTEXT"),
    }
)
"""Of a button's request, what the request that it makes has too: who asks, and within which trace."""

log = logging.getLogger(__name__)


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve `/` and what is below `/dashboard`."""

    @app.get("/")
    def dashboard() -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return show(lambda: _list(coordinator))

    @app.get("/dashboard/batches/<batch_id>")
    def dashboard_batch(batch_id: str) -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return show(lambda: _batch(coordinator, batch_id_of(batch_id)))

    @app.get("/dashboard/batches/<batch_id>/gaps")
    def dashboard_gaps(batch_id: str) -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return show(lambda: _gaps(coordinator, batch_id_of(batch_id)))

    @app.get("/dashboard/schema")
    def dashboard_schema() -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return show(lambda: _schema(coordinator))

    @app.post("/dashboard/sweep")
    def dashboard_sweep() -> Response:
        check(Caller.ADMIN)
        return show(lambda: _swept(app))

    @app.post("/dashboard/batches/<batch_id>/<action>")
    def dashboard_action(batch_id: str, action: str) -> Response:
        check(Caller.ADMIN)
        return show(lambda: _act(app, batch_id_of(batch_id), action))


# --- pages ----------------------------------------------------------------------------------------------------


def _list(coordinator: Coordinator) -> Response:
    # An empty field of the filter's form means all dates.
    chosen = query_value("game_date", _GAME_DATE, None) if request.args.get("game_date") else None
    views = coordinator.views
    found: list[BatchView | BatchSummary] = list(views.batches(game_date=chosen, limit=BATCHES_LISTED))
    live = [number for number, batch in enumerate(found) if batch.state in LIVE]
    for number in live[:LIVE_COUNTED]:
        found[number] = views.batch(found[number].batch_id)
    listed = pages.list_page(found, chosen=chosen, now=coordinator.parts.clock())
    return page("batches.html", page=listed, is_cut=len(found) == BATCHES_LISTED)


def _batch(coordinator: Coordinator, batch_id: str) -> Response:
    view = coordinator.views.batch(batch_id)
    explanation = coordinator.diagnosis.explain(batch_id)
    return page("batch.html", page=pages.batch_page(view, explanation, now=coordinator.parts.clock()))


def _gaps(coordinator: Coordinator, batch_id: str) -> Response:
    found = coordinator.diagnosis.find_gaps(batch_id)
    return page("gaps.html", batch_id=batch_id, groups=pages.gap_groups(found))


def _schema(coordinator: Coordinator) -> Response:
    parts = coordinator.parts
    return page("schema.html", schema=view_schema(parts.warehouse, coordinator.ledger))


# --- buttons --------------------------------------------------------------------------------------------------


def _act(app: Flask, batch_id: str, action: str) -> Response:
    """Carry out a button of a batch's page, then show the batch that it made or changed, with what came of it."""
    forms.check_form(request)
    method, path, body = request_of(batch_id, action)
    status, answer = _ask(app, method, path, body)
    shown = str(answer.get("batch_id") or batch_id) if action == "redrive" else batch_id
    return _told(f"/dashboard/batches/{shown}", buttons.answer_words(action, status, answer))


def _swept(app: Flask) -> Response:
    forms.check_form(request)
    return _told("/", buttons.answer_words("sweep", *_ask(app, "POST", "/sweep", {})))


def request_of(batch_id: str, action: str) -> tuple[str, str, Mapping[str, object]]:
    """The request that a button stands for: method, path, body. Raises `InvalidInput` where there is no such button."""
    match action:
        case "sweep":
            return "POST", "/sweep", {}
        case "consolidate" | "force":
            return "POST", f"/batches/{batch_id}/consolidate", {"force": action == "force"}
        case "redrive" if group := request.form.get("group", ""):
            return "POST", f"/batches/{batch_id}/redrive", {"group": group[:64]}
        case "redrive" | "cancel":
            return "POST", f"/batches/{batch_id}/{action}", {}
        case "policy":
            return "PATCH", f"/batches/{batch_id}/policy", {"deadline_minutes": _minutes()}
        case _:
            raise InvalidInput("action", f"there is no action {action!r}; use the buttons of the batch's page")


def _minutes() -> int:
    given = request.form.get("minutes", "")
    if not re.fullmatch(r"[0-9]{1,6}", given):
        raise InvalidInput("minutes", f"{given[:20]!r} is not a number of minutes; give one such as 240")
    return int(given)


def _told(where: str, words: str) -> Response:
    answer = make_response("", 303, {"Location": where})
    forms.say_next(answer, request, words)
    return answer


def _ask(app: Flask, method: str, path: str, body: Mapping[str, object]) -> tuple[int, Mapping[str, Any]]:
    """Send a request to one of our own routes as the same caller: it is guarded, carried out and logged as ever."""
    sent = json.dumps(body).encode()
    environ = {name: value for name, value in request.environ.items() if name in _PASSED_ON or name.startswith("wsgi.")}
    environ |= {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": io.BytesIO(sent),
        "HTTP_TIPOFF_WHY": quote(request.form.get("why", "")[:MAX_WHY], safe=" "),
        # Made with the page, so that a second click means the same.
        "HTTP_IDEMPOTENCY_KEY": request.form.get("once", "")[:100] or str(uuid.uuid4()),
    }
    answer = WerkzeugResponse.from_app(app.wsgi_app, environ, buffered=True)
    said = answer.get_json(silent=True) if answer.is_json else None
    return answer.status_code, said if isinstance(said, dict) else {}
