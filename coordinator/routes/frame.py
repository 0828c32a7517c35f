"""The frame of every page: style, script, the form's token, words left for it, and trouble said in words."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from importlib import resources

from flask import Response, make_response, render_template, request
from markupsafe import Markup

from coordinator.operator.dashboard import words
from coordinator.routes import forms
from shared.errors import TipoffError
from shared.problems import problem_of

_templates = resources.files("coordinator.operator.dashboard") / "templates"
STYLE = (_templates / "dashboard.css").read_text(encoding="utf-8")
SCRIPT = (_templates / "dashboard.js").read_text(encoding="utf-8")
_HEADERS = forms.page_headers(style=STYLE, script=SCRIPT)

log = logging.getLogger(__name__)


def show(build: Callable[[], Response]) -> Response:
    """Build an answer; trouble becomes a page that says so in words."""
    try:
        answer = build()
    except TipoffError as error:
        status, document = problem_of(error, instance=request.path)
        log.warning(
            "page not shown", extra={"json_fields": {"path": request.path, "status": status, "why": str(error)}}
        )
        answer = page("trouble.html", status=status, title=str(document["title"]), detail=str(document["detail"]))
    answer.headers.update(_HEADERS)
    return answer


def page(template: str, *, status: int = 200, **shown: object) -> Response:
    """Render a page of ours from its template and what it shows."""
    token = forms.token_for(request)
    said = forms.words_for(request)
    html = render_template(
        template,
        words=words,
        style=Markup(STYLE),  # noqa: S704 - our own file, none of it from a request
        script=Markup(SCRIPT),  # noqa: S704 - as above
        form_field=forms.FORM_FIELD,
        form_token=token,
        once=str(uuid.uuid4()),
        said=said,
        is_refused=said.startswith(words.REFUSED),
        **shown,
    )
    answer = make_response(html, status)
    forms.keep_token(answer, request, token)
    forms.take_words(answer, request)
    return answer
