"""Decides how an error of the tree looks to a caller over HTTP: status and application/problem+json (RFC 9457).

Knows no web framework; the apps put these values into their responses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from shared import errors
from shared.errors import Conflict, InvalidInput

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 10
"""What a caller is told to wait before it repeats a request that met passing trouble."""


_KINDS: Mapping[type[Exception], tuple[HTTPStatus, str]] = {
    # 422, not 400: the request was understood, a value in it is unusable (RFC 9110, 15.5.21).
    InvalidInput: (HTTPStatus.UNPROCESSABLE_ENTITY, "A value is unusable"),
    errors.MalformedMessage: (HTTPStatus.BAD_REQUEST, "The message cannot be understood"),
    errors.NotAuthorised: (HTTPStatus.UNAUTHORIZED, "The caller is not known"),
    errors.CallerRefused: (HTTPStatus.FORBIDDEN, "The caller may not do this"),
    errors.UnknownBatch: (HTTPStatus.NOT_FOUND, "No such batch"),
    errors.UnknownPlayer: (HTTPStatus.NOT_FOUND, "No such player"),
    Conflict: (HTTPStatus.CONFLICT, "Another batch is in the way"),
    errors.InputsIncomplete: (HTTPStatus.CONFLICT, "The inputs are not whole"),
    errors.MoveRefused: (HTTPStatus.CONFLICT, "The batch's state does not allow this"),
    errors.ConfirmationNeeded: (HTTPStatus.CONFLICT, "A person has to confirm this"),
    errors.VerificationRefused: (HTTPStatus.CONFLICT, "A check did not hold"),
    errors.LeaseLost: (HTTPStatus.SERVICE_UNAVAILABLE, "Another instance took the work over"),
    errors.Unavailable: (HTTPStatus.SERVICE_UNAVAILABLE, "A dependency did not answer"),
    errors.Transient: (HTTPStatus.SERVICE_UNAVAILABLE, "Trouble that may pass; try again"),
    errors.Permanent: (HTTPStatus.INTERNAL_SERVER_ERROR, "The request could not be carried out"),
    Exception: (HTTPStatus.INTERNAL_SERVER_ERROR, "Something unforeseen went wrong"),
}
"""Status and title of an error; the last words of the problem's type are the error's name."""
_SLUGS: Mapping[type, str] = {errors.Permanent: "internal", Exception: "unexpected"}


def problem_of(error: Exception, *, instance: str) -> tuple[int, dict[str, object]]:
    """Return the status and problem document for an error; `instance` is the path that was asked.

    An error from outside the tree becomes a 500 that says nothing of its text, which may hold anything.
    """
    kind = next(ancestor for ancestor in type(error).__mro__ if ancestor in _KINDS)
    status, title = _KINDS[kind]
    slug = _SLUGS.get(kind) or re.sub("(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
    document: dict[str, object] = {
        "type": f"urn:tipoff:problem:{slug}",
        "title": title,
        "status": status.value,
        "detail": "the logs hold the reason" if kind is Exception else str(error),
        "instance": instance,
    }
    return status.value, document | _members_of(error)


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
