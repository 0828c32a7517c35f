"""Ask a coordinator by its routes, over any transport; the one over HTTP is here.

A problem document becomes an error of the tree: a refusal is the caller's to mend, all else is trouble.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import requests

from local.one_machine.identity import Tokens, identity_token
from schemas import names
from shared.errors import Conflict, InvalidInput, Unavailable

REQUEST_SECONDS = 600
"""A consolidation may take as long as the coordinator's own patience."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered: status and JSON body."""

    status: int
    body: dict[str, Any]

    @property
    def detail(self) -> str:
        """What a problem document says happened."""
        return str(self.body.get("detail", self.body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, object] | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CoordinatorClient:
    """A coordinator's routes as a caller sees them; `runs` is false where nobody answers what it publishes, `is_local` true
    where it is on this machine, and checks no tokens."""

    send: Callable[[Ask], Answer]
    runs: bool
    is_local: bool = True

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Ask for something. Raises as `judged`."""
        return judged(self.ask("GET", path, query=query))

    def post(self, path: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Have something done. Raises as `judged`."""
        return judged(self.ask("POST", path, body=body, headers=headers))

    def patch(self, path: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Have something changed. Raises as `judged`."""
        return judged(self.ask("PATCH", path, body=body, headers=headers))

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return whatever is answered. Raises `Unavailable` where nothing is."""
        return self.send(Ask(method=method, path=path, query=query or {}, body=body, headers=headers or {}))

    def find(self, which: str | None) -> str:
        """Return the batch that a caller means: a batch id, a game date's newest batch, or the newest of all.

        Raises:
            InvalidInput: it is neither id nor date, or there is no batch of that date.
        """
        if which is not None and _is_batch_id(which):
            return which
        of_date = {"game_date": _game_date(which).isoformat()} if which is not None else {}
        found = self.get("/batches", {"limit": "1", **of_date})["batches"]
        if not found:
            if which is None:
                raise InvalidInput("BATCH", "there is no batch yet; start a date first")
            raise InvalidInput("BATCH", f"there is no batch of {which}; `tipoff status` lists all")
        return str(found[0]["batch_id"])


def judged(answer: Answer) -> dict[str, Any]:
    """Return the body of a success.

    Raises:
        Conflict: 409, the present state forbids it.
        InvalidInput: any other refusal (4xx); says what to mend.
        Unavailable: everything else (5xx).
    """
    detail = answer.detail
    match answer.status:
        case 200 | 202:
            return answer.body
        case 409:
            raise Conflict(detail, batch_id=answer.body.get("batch_id"))
        case 401 | 403:
            fix = "name a service account that may operate it with --impersonate"
            raise InvalidInput("identity token", f"the coordinator refused it: {detail}; {fix}")
        case 404 if answer.body.get("type") == "about:blank":
            raise InvalidInput("--url", "no such route there; is it a coordinator, and of this command's version?")
        case 404 if answer.body.get("type") == "urn:tipoff:problem:unknown-player":
            raise InvalidInput("PLAYER", detail)
        case 404:
            raise InvalidInput("BATCH", f"{detail}; `tipoff status` lists all")
        case status if status < _SERVER_ERROR:
            field = str(answer.body.get("field") or "request")
            raise InvalidInput(field, detail.removeprefix(f"{field}: "))
        case status:
            raise Unavailable(f"the coordinator answered {status}: {detail}; ask again, or look at its logs")


def client_of_url(
    url: str, *, audience: str | None = None, impersonate: str | None = None, search_path: str | None = None
) -> AbstractContextManager[CoordinatorClient]:
    """A client of a running coordinator. Takes and raises what `clients_of_url` does."""
    return clients_of_url(url, audience=audience, impersonate=impersonate, search_path=search_path)()


def clients_of_url(
    url: str, *, audience: str | None = None, impersonate: str | None = None, search_path: str | None = None
) -> Callable[[], AbstractContextManager[CoordinatorClient]]:
    """What opens clients of a running coordinator, each for one thread; they share their identity tokens.

    Args:
        url: https; or http on loopback, where no token is sent.
        audience: what the token is made for; the URL without it.
        impersonate, search_path: as `identity_token` takes them.

    Raises:
        InvalidInput: the URL would give the token away, or there is no account to be.
    """
    base = address_of(url)
    is_local = urlsplit(base).hostname in _LOOPBACK
    tokens = tokens_of(base, audience=audience, impersonate=impersonate, search_path=search_path)
    tokens.token()  # so that a missing right is told before anything is done

    @contextmanager
    def opened() -> Iterator[CoordinatorClient]:
        with requests.Session() as session:
            session.trust_env = not is_local

            def send(ask: Ask) -> Answer:
                return tokens.used(
                    lambda token: _over_http(session, base, ask, token), status=lambda answer: answer.status
                )

            yield CoordinatorClient(send, runs=True, is_local=is_local)

    return opened


def address_of(url: str) -> str:
    """Return a coordinator's address as paths are put after it.

    Raises:
        InvalidInput: it is no address, or would carry an identity token unencrypted.
    """
    base = url.rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(
            "--url", f"{url!r} is not an address; write it as https://coordinator-123.us-central1.run.app"
        )
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InvalidInput("--url", f"{url!r} would carry an identity token unencrypted; use https")
    return base


def tokens_of(
    base: str, *, audience: str | None = None, impersonate: str | None = None, search_path: str | None = None
) -> Tokens:
    """The identity tokens for an address; none for one on loopback."""
    if not base.startswith("https:"):
        return Tokens(lambda: None)
    return Tokens(lambda: identity_token(audience or base, impersonate=impersonate, search_path=search_path))


def status_of(url: str, method: str, path: str, token: str | None) -> int:
    """Ask as a stranger would, with a token of his own or with none; the status of the answer.

    Raises:
        Unavailable: nobody answers.
    """
    with requests.Session() as session:
        ask = Ask(method=method, path=path, query={}, body={} if method == "POST" else None, headers={})
        session.trust_env = False
        return _over_http(session, address_of(url), ask, token).status


def _over_http(session: requests.Session, base: str, ask: Ask, token: str | None) -> Answer:
    def authorised(request: requests.PreparedRequest) -> requests.PreparedRequest:
        # Given as a callable, since a .netrc file would replace a plain header.
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    try:
        response = session.request(
            ask.method,
            base + ask.path,
            params=ask.query,
            json=ask.body,
            headers=dict(ask.headers),
            auth=authorised,
            timeout=REQUEST_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        way_out = "look at the address, or leave --url out to look into a state folder"
        raise Unavailable(f"no coordinator answers at {base}: {_cause(error)}; {way_out}") from error
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        body = {"detail": f"{response.reason}: no JSON, so it may be no coordinator that answers at {base}"}
        status = response.status_code if response.status_code >= requests.codes.bad_request else _SERVER_ERROR
        return Answer(status, body)
    return Answer(response.status_code, body)


def _cause(error: BaseException) -> str:
    """The innermost reason, without the library's own wrapping."""
    inner = error
    while inner.__cause__ or inner.__context__:
        inner = inner.__cause__ or inner.__context__ or inner
    return str(inner) or type(inner).__name__


def _is_batch_id(text: str) -> bool:
    try:
        names.check_batch_id(text)
    except ValueError:
        return False
    return True


def _game_date(text: str) -> date:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise InvalidInput("BATCH", f"{text!r} is not a date; write it as 2026-01-30") from error
    raise InvalidInput(
        "BATCH", f"{text[:80]!r} is neither a batch id (20260130_0123456789abcdef) nor a game date (2026-01-30)"
    )
