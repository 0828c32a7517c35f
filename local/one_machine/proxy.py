"""A proxy on this machine to a deployed coordinator: a browser cannot add an identity token to its requests, so this does.

What the browser says of where a request came from, and its cookies, travel on as they are: the coordinator's own checks of
forms decide, as without a proxy. Nothing but a name of this machine is answered, so no foreign page reads through it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from flask import Flask, Response, request

from local.one_machine.identity import Tokens
from shared.edge import is_loopback

REQUEST_SECONDS = 900
"""A button may have the coordinator consolidate, which may take as long as Cloud Run lets it."""

_PASSED_ON = (
    *("Accept", "Accept-Language", "Content-Type", "Cookie", "Idempotency-Key"),
    *("Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User"),
)
_NOT_PASSED_BACK = {
    *("connection", "content-encoding", "content-length", "keep-alive", "set-cookie", "transfer-encoding"),
    *("alt-svc", "date", "server", "strict-transport-security"),
}
"""What is of the connection between proxy and service, or would be false of the one to the browser."""


def create_proxy(base: str, tokens: Tokens) -> Flask:
    """Make the proxy to the coordinator at `base`, an address without a slash at its end."""
    app = Flask("proxy", static_folder=None)

    @app.before_request  # whatever the path
    def pass_on() -> Response:
        if not is_loopback(request):
            return Response("this proxy is for browsers of this machine only\n", 403, content_type="text/plain")
        try:
            answer = tokens.used(lambda token: _ask(base, token), status=lambda answer: answer.status_code)
        except requests.RequestException as error:
            return Response(f"no coordinator answers at {base}: {error}\n", 502, content_type="text/plain")
        return _passed_back(answer)

    return app


def _ask(base: str, token: str | None) -> requests.Response:
    headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    if origin := request.headers.get("Origin"):
        # To the coordinator its own pages come from its own address, and every other one stays what it is.
        headers["Origin"] = base if urlsplit(origin).netloc == request.host else origin

    def authorised(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        if token is not None:
            prepared.headers["Authorization"] = f"Bearer {token}"
        return prepared

    path = request.full_path if request.query_string else request.path
    return requests.request(
        request.method,
        base + path,
        headers=headers,
        data=request.get_data(),
        auth=authorised,
        timeout=REQUEST_SECONDS,
        allow_redirects=False,
    )


def _passed_back(answer: requests.Response) -> Response:
    passed = Response(answer.content, answer.status_code)
    del passed.headers["Content-Type"]
    for name, value in answer.headers.items():
        if name.lower() not in _NOT_PASSED_BACK:
            passed.headers[name] = value
    for cookie in answer.raw.headers.getlist("Set-Cookie"):
        # The way from the browser to here is this machine's own loopback, on which there is no TLS to ask for.
        parts = [part for part in cookie.split(";") if part.strip().lower() != "secure"]
        passed.headers.add("Set-Cookie", ";".join(parts))
    return passed
