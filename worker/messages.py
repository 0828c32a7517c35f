"""How the bytes of a pushed message become a prediction request, or an address to complain to. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from schemas import names
from schemas.messages import PredictionRequest
from shared.errors import InvalidInput, MalformedMessage
from worker import inputs


@dataclass(frozen=True, slots=True)
class Addressee:
    """The player of a batch that a message is about, even where the rest of it is unusable."""

    batch_id: str
    player_lookup: str


def parse_request(data: bytes) -> PredictionRequest:
    """Read a request that can be predicted.

    Raises:
        InvalidInput: it is no JSON, lacks a field, has one of the wrong type, or contradicts itself.
    """
    try:
        request = PredictionRequest.model_validate_json(data)
        names.check_batch_id(request.batch_id)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "request"
        raise InvalidInput(field, f"{first['msg']} ({error.error_count()} problems in all)") from error
    except ValueError as error:
        raise InvalidInput("batch_id", str(error)) from error
    inputs.check(request)
    return request


def addressee(data: bytes, attributes: Mapping[str, str], *, problem: str) -> Addressee:
    """Find out, from the body and else from the attributes, whom an unusable request was about.

    Raises:
        MalformedMessage: neither tells, so there is no batch to record the `problem` in; the text has both.
    """
    told = dict(attributes) | _texts_in(_members(data))
    batch_id, player_lookup = told.get("batch_id", ""), told.get("player_lookup", "")
    try:
        names.check_batch_id(batch_id)
        player_lookup.encode()
    except ValueError as error:
        raise MalformedMessage(f"{problem}; nor is it said in which batch to record that: {error}") from error
    if not player_lookup:
        raise MalformedMessage(f"{problem}; nor is it said for which player of batch {batch_id} to record that")
    return Addressee(batch_id, player_lookup)


def readable_attributes(push_body: bytes) -> dict[str, str]:
    """Read what attributes can be read of a push whose envelope is otherwise unusable; none is a fine answer."""
    message = _members(push_body).get("message")
    attributes = message.get("attributes") if isinstance(message, dict) else None
    return _texts_in(attributes if isinstance(attributes, dict) else {})


def _texts_in(members: Mapping[str, object]) -> dict[str, str]:
    return {name: text for name, text in members.items() if isinstance(text, str) and text}


def _members(data: bytes) -> dict[str, object]:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
