"""Decides how an error of the tree looks to a caller over HTTP: status and application/problem+json (RFC 9457).

Knows no web framework; the apps put these values into their responses.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from shared.errors import (
    CallerRefused,
    ConfirmationNeeded,
    Conflict,
    InputsIncomplete,
    InvalidInput,
    LeaseLost,
    MalformedMessage,
    MoveRefused,
    NotAuthorised,
    Permanent,
    Transient,
    Unavailable,
    UnknownBatch,
    UnknownPlayer,
    VerificationRefused,
)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 10
"""What a caller is told to wait before it repeats a request that met passing trouble."""


@dataclass(frozen=True, slots=True)
class _Kind:
    status: HTTPStatus
    slug: str
    title: str


_UNEXPECTED = _Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "unexpected", "Something unforeseen went wrong")

_KINDS: dict[type[Exception], _Kind] = {
    # 422, not 400: the request was understood, a value in it is unusable (RFC 9110, 15.5.21).
    InvalidInput: _Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-input", "A value is unusable"),
    MalformedMessage: _Kind(HTTPStatus.BAD_REQUEST, "malformed-message", "The message cannot be understood"),
    NotAuthorised: _Kind(HTTPStatus.UNAUTHORIZED, "not-authorised", "The caller is not known"),
    CallerRefused: _Kind(HTTPStatus.FORBIDDEN, "caller-refused", "The caller may not do this"),
    UnknownBatch: _Kind(HTTPStatus.NOT_FOUND, "unknown-batch", "No such batch"),
    UnknownPlayer: _Kind(HTTPStatus.NOT_FOUND, "unknown-player", "No such player"),
    Conflict: _Kind(HTTPStatus.CONFLICT, "conflict", "Another batch is in the way"),
    InputsIncomplete: _Kind(HTTPStatus.CONFLICT, "inputs-incomplete", "The inputs are not whole"),
    MoveRefused: _Kind(HTTPStatus.CONFLICT, "move-refused", "The batch's state does not allow this"),
    ConfirmationNeeded: _Kind(HTTPStatus.CONFLICT, "confirmation-needed", "A person has to confirm this"),
    VerificationRefused: _Kind(HTTPStatus.CONFLICT, "verification-refused", "A check did not hold"),
    LeaseLost: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "lease-lost", "Another instance took the work over"),
    Unavailable: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "A dependency did not answer"),
    Transient: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "transient", "Trouble that may pass; try again"),
    Permanent: _Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The request could not be carried out"),
}


def problem_of(error: Exception, *, instance: str) -> tuple[int, dict[str, object]]:
    """Return the status and problem document for an error; `instance` is the path that was asked.

    An error from outside the tree becomes a 500 that says nothing of its text, which may hold anything.
    """
    kind = next((_KINDS[ancestor] for ancestor in type(error).__mro__ if ancestor in _KINDS), _UNEXPECTED)
    detail = "the logs hold the reason" if kind is _UNEXPECTED else str(error)
    document: dict[str, object] = {
        "type": f"urn:tipoff:problem:{kind.slug}",
        "title": kind.title,
        "status": kind.status.value,
        "detail": detail,
        "instance": instance,
    }
    return kind.status.value, document | _members_of(error)


def problem_of_status(status: int, *, detail: str, instance: str) -> tuple[int, dict[str, object]]:
    """Return the problem document for a bare HTTP status (unknown path, wrong method), which needs no type."""
    title = HTTPStatus(status).phrase
    return status, {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": instance}


def headers_for(status: int) -> dict[str, str]:
    """Return the headers that belong to a problem: its content type, when to retry, how to authenticate."""
    headers = {"Content-Type": CONTENT_TYPE}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def _members_of(error: Exception) -> dict[str, object]:
    if isinstance(error, InvalidInput):
        return {"field": error.field}
    if isinstance(error, Conflict) and error.batch_id is not None:
        return {"batch_id": error.batch_id}
    return {}
