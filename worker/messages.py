"""How the bytes of a pushed message become a prediction request, or an address to complain to. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from schemas import names
from schemas.messages import PredictionRequest
from shared.errors import InvalidInput, MalformedMessage
from shared.push import Addressee, addressee_of, texts_in
from worker import inputs


def parse_request(data: bytes) -> PredictionRequest:
    """Read a request that can be predicted.

    Raises:
        InvalidInput: it is no JSON, lacks a field, has one of the wrong type, or contradicts itself.
        MalformedMessage: its player has a name that no player can have, so nothing can be recorded for him.
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
    addressee_of({"batch_id": request.batch_id, "player_lookup": request.player_lookup})
    inputs.check(request)
    return request


def addressee(data: bytes, attributes: Mapping[str, str], *, problem: str) -> Addressee:
    """Find out, from the body and else from the attributes, whom an unusable request was about.

    Raises:
        MalformedMessage: neither tells, so there is no batch to record the `problem` in; the text has both.
    """
    try:
        return addressee_of(dict(attributes) | texts_in(data))
    except MalformedMessage as error:
        raise MalformedMessage(f"{problem}; nor is it said for whom to record that: {error}") from error
