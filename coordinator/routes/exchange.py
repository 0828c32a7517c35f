"""Read requests and make answers: what every group of routes does alike."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar
from urllib.parse import unquote

from flask import g, request
from pydantic import BaseModel, TypeAdapter, ValidationError

from coordinator.assembly import Coordinator
from coordinator.rules.batch import AdminAction
from schemas import names
from shared.errors import InvalidInput, UnknownBatch

Body = TypeVar("Body", bound=BaseModel)
Kind = TypeVar("Kind")


class Caller(StrEnum):
    """Who may call a route; the guard knows the accounts."""

    PUSH = "push"
    SCHEDULER = "scheduler"
    ADMIN = "admin"
    VIEWER = "viewer"
    """Sees everything and changes nothing."""


MAX_KEY = 200
MAX_WHY = 500
WHY_HEADER = "Tipoff-Why"
"""Holds the caller's reason, percent-encoded, since headers are ASCII."""

_log = logging.getLogger(__name__)

Check = Callable[..., None]
"""The guard for the request at hand: takes the callers that may make it."""


def read_body(kind: type[Body]) -> Body:
    """Read the request's JSON body; an absent one has every default. Raises `InvalidInput`, naming the field."""
    raw = request.get_data()
    try:
        return kind.model_validate_json(raw) if raw else kind()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidInput(where, f"{first['msg']}; got {first['input']!r:.80}") from error


def query_value(name: str, adapter: TypeAdapter[Kind], default: Kind) -> Kind:
    """Read one parameter of the query. Raises `InvalidInput`, naming it."""
    given = request.args.get(name)
    if given is None:
        return default
    try:
        return adapter.validate_python(given)
    except ValidationError as error:
        raise InvalidInput(name, f"{error.errors()[0]['msg']}; got {given[:80]!r}") from error


def check_query(*known: str) -> None:
    """Refuse a parameter that the route does not know: a mistyped filter would show everything. Raises `InvalidInput`."""
    for name in request.args:
        if name not in known:
            raise InvalidInput(name[:80] or "query", f"no such parameter; there are {' and '.join(known)}")


def idempotency_key() -> str:
    """The caller's key; else Scheduler's job name, the same on its retries; else one that never comes again."""
    given = request.headers.get("Idempotency-Key", "").strip()
    if len(given) > MAX_KEY:
        raise InvalidInput("Idempotency-Key", f"is over {MAX_KEY} characters; send a shorter one")
    if given:
        return f"key:{given}"
    job = request.headers.get("X-CloudScheduler-JobName", "").strip()
    return f"job:{job}" if job else f"once:{uuid.uuid4()}"


def note_action(coordinator: Coordinator, batch_id: str, action: str, asked: BaseModel) -> None:
    """Keep who asked for what, and why, before it is done: in the batch's ledger, where nothing changes it, and in the log.

    Raises:
        InvalidInput: the reason is too long.
        Unavailable: it is not kept, so nothing is done either.
    """
    why = unquote(request.headers.get(WHY_HEADER, "")).strip()
    if len(why) > MAX_WHY:
        raise InvalidInput("why", f"is over {MAX_WHY} characters; say it in fewer")
    sent = asked.model_dump_json(exclude_unset=True)[:MAX_WHY]
    done = AdminAction(at=coordinator.parts.clock(), account=g.account, action=action, asked=sent, why=why)
    coordinator.ledger.note_action(batch_id, done, action_id=uuid.uuid4().hex)
    fields = {"batch_id": batch_id, "account": done.account, "action": action, "asked": sent, "why": why}
    _log.info("admin action", extra={"json_fields": fields})


def batch_id_of(text: str) -> str:
    """Return the batch id that a path holds. Raises `UnknownBatch` for what cannot be one."""
    try:
        return names.check_batch_id(text)
    except ValueError as error:
        raise UnknownBatch(str(error)) from error
