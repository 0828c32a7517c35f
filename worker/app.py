"""The worker over HTTP: takes a push, asks the use case, turns its end into a status and exactly one log line (C7).

Every non-2xx answer makes Pub/Sub deliver the message again, so only what repetition may cure gets one.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from flask import Flask, Response, request

from schemas.messages import Failed, Outcomes
from shared import edge, push_answers, tracing
from shared.auth import token_header
from shared.edge import problem
from shared.errors import MalformedMessage, Permanent, TipoffError, Unavailable
from shared.problems import problem_of
from shared.push import open_envelope, readable_attributes
from worker.service import Worker

_log = logging.getLogger(__name__)

Guard = Callable[[str | None], object]
"""Takes the header of a push that holds the token; raises an error of the tree for anybody who may not push."""


def create_app(
    worker: Worker, *, guard: Guard, commit: str = "unknown", model: str = "unknown", only_loopback: bool = True
) -> Flask:
    """Serve a worker: `POST /predict`, `GET /health`, `GET /ready`.

    Args:
        commit: the source commit of the code that runs, shown by `/health` and `/ready` (D2).
        model: the version of the model, shown there too.
        only_loopback: serve calls by a name of this machine only, as must be where `guard` lets everybody in.
    """
    app = Flask("worker")
    edge.guard(app, only_loopback=only_loopback, pushed_to=frozenset({"/predict"}))
    running = {"revision": worker.revision, "commit": commit, "model": model}
    edge.serve_health(app, service="worker", running=running, checks=worker.checks)

    @app.post("/predict")
    def predict() -> Response:
        guard(token_header(request.headers))
        body = request.get_data()
        try:
            pushed = open_envelope(body)
        except MalformedMessage as error:
            attributes, reason = readable_attributes(body), str(error)
            with push_answers.delivered(attributes):
                return _answer(lambda: worker.refuse(attributes, reason=reason))
        with push_answers.delivered(pushed.attributes, pushed):
            return _answer(lambda: worker.predict_slice(pushed.data, pushed.attributes))

    return app


def _answer(act: Callable[[], Outcomes]) -> Response:
    """Let the use case act, and turn its end into one log line and a status."""
    began = time.monotonic()
    try:
        outcomes = act()
    except MalformedMessage as error:
        return push_answers.poison(error, log=_log, message="request refused")
    except Exception as error:  # noqa: BLE001 - the edge's last resort: whatever it was, the message must come again
        _log_trouble(error, seconds=time.monotonic() - began)
        tracing.note({}, error=error)
        # A missing dataset or right is mended by a person, and the request must be there then.
        passing = Unavailable(str(error)) if isinstance(error, Permanent) else error
        return problem(*problem_of(passing, instance=request.path))
    _log_end(outcomes, seconds=time.monotonic() - began)
    return push_answers.done()


def _log_end(outcomes: Outcomes, *, seconds: float) -> None:
    """One line for the message; who failed is named in it."""
    counts = Counter[str](one.outcome for one in outcomes.outcomes)
    failed = [
        one.model_dump(mode="json", include={"player_lookup", "code", "detail"})
        for one in outcomes.outcomes
        if isinstance(one, Failed)
    ]
    level = logging.ERROR if failed or outcomes.unreadable else logging.INFO
    fields: dict[str, object] = {
        **dict(counts),
        "failures": failed,
        "unreadable": outcomes.unreadable,
        "seconds": round(seconds, 3),
    }
    _log.log(level, "requests finished", extra={"json_fields": fields})


def _log_trouble(error: Exception, *, seconds: float) -> None:
    text = "request not finished, to be delivered again"
    fields = {"reason": str(error), "seconds": round(seconds, 3)}
    if isinstance(error, TipoffError):
        _log.warning(text, extra={"json_fields": {**fields, "cause": repr(error.__cause__)}})
    else:
        _log.error(text, exc_info=error, extra={"json_fields": fields})
