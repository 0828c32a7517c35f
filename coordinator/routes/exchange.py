"""Read requests and make answers: what every group of routes does alike."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import unquote

from flask import g, request
from pydantic import BaseModel, ValidationError

from coordinator.assembly import Coordinator
from coordinator.operator.bodies import DATE_PATTERN
from coordinator.rules.batch import AdminAction
from schemas import names
from shared.errors import InvalidInput, UnknownBatch

Body = TypeVar("Body", bound=BaseModel)


class Caller(StrEnum):
    """Who may call a route; the guard knows the accounts."""

    PUSH = "push"
    SCHEDULER = "scheduler"
    ADMIN = "admin"
    VIEWER = "viewer"
    """Sees everything and changes nothing."""


MAX_KEY, MAX_WHY = 200, 500
_WHY = "Tipoff-Why"
WHY_HEADER: Mapping[str, dict[str, Any]] = {
    _WHY: {
        "type": "string",
        "maxLength": MAX_WHY,
        "pattern": "^[ -~]*$",
        "description": "The caller's reason, percent-encoded; it is kept with the account and the time.",
    }
}
KEY_AND_WHY_HEADERS: Mapping[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "type": "string",
        "maxLength": MAX_KEY,
        "description": "A repeat with the same key answers with the same batch.",
    },
    **WHY_HEADER,
}

_log = logging.getLogger(__name__)

Check = Callable[..., None]
"""The guard for the request at hand: takes the callers that may make it."""


def read_body(kind: type[Body]) -> Body:
    """Read the request's JSON body; an absent one has every default. Raises `InvalidInput`, naming the field."""
    raw = request.get_data()
    return _read(lambda: kind.model_validate_json(raw) if raw else kind())


def read_as(kind: type[Body], given: Mapping[str, object]) -> Body:
    """Read what a form says as a route's body. Raises `InvalidInput`, naming the field."""
    return _read(lambda: kind.model_validate(given))


def _read(validate: Callable[[], Body]) -> Body:
    try:
        return validate()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidInput(where, f"{first['msg']}; got {first['input']!r:.80}") from error


def read_query(kind: type[Body], *, is_page: bool) -> Body:
    """Read the request's query. Raises `InvalidInput`, naming the parameter.

    Args:
        is_page: a field that is left empty in a page's form, and one that is none of the page's, say nothing.
    """
    given = request.args.to_dict()
    fields = {field.alias or name: field for name, field in kind.model_fields.items()}
    if is_page:
        given = {name: value for name, value in given.items() if value and name in fields}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        match first["type"]:
            case "extra_forbidden":
                problem = f"no such parameter; there are {' and '.join(fields)}"
            case "missing":
                problem = f"missing; give {fields[name].description}"
            case _:
                problem = f"{first['msg']}; got {first['input']!r:.80}"
        raise InvalidInput(name[:80] or "query", problem) from error


def idempotency_key() -> str:
    """The caller's key, which a page's form has from when it was made; else Scheduler's job name, the same on its retries; else
    one that never comes again."""
    given = (request.headers.get("Idempotency-Key") or request.form.get("once", "")).strip()
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
    why = (unquote(request.headers.get(_WHY, "")) or request.form.get("why", "")).strip()
    if len(why) > MAX_WHY:
        raise InvalidInput("why", f"is over {MAX_WHY} characters; shorten it")
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


def game_date_of(text: str) -> date:
    """Return the game date that a path holds. Raises `InvalidInput` for what is none."""
    if not re.fullmatch(DATE_PATTERN, text):
        raise InvalidInput("game_date", f"{text[:20]!r} is not a date; write it as 2026-01-30")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("game_date", f"{text!r} is not in the calendar; write a date as 2026-01-30") from error
