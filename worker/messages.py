"""How the bytes of a pushed message become requests that can be predicted. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import ValidationError

from schemas import names
from schemas.messages import MAX_DETAIL, Failed, FailureCode, PredictionRequest, Slice
from shared.errors import InvalidInput, MalformedMessage
from shared.push import check_player
from worker import inputs


@dataclass(frozen=True, slots=True)
class Read:
    """What a message asks for: requests to answer, and the failures of those that ask for nothing that can be done."""

    requests: tuple[PredictionRequest, ...]
    failed: tuple[Failed, ...] = ()


def read_slice(data: bytes, *, revision: str) -> Read:
    """Read the requests of a message, each by itself where they are not all sound.

    Raises:
        MalformedMessage: it is no JSON object of requests, or a request that is unusable does not say for whom it is.
    """
    try:
        requests = Slice.model_validate_json(data).requests
    except ValidationError:
        return _read_each(data, revision)
    failed = tuple(
        _failed(one.batch_id, one.player_lookup, problem, revision)
        for one in requests
        if (problem := _problem_of(one)) is not None
    )
    lost = {(one.batch_id, one.player_lookup) for one in failed}
    return Read(tuple(one for one in requests if (one.batch_id, one.player_lookup) not in lost), failed)


def _read_each(data: bytes, revision: str) -> Read:
    try:
        found = json.loads(data)
        members = found["requests"]
        if not isinstance(members, list) or not members:
            raise MalformedMessage("requests: there are none")
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise MalformedMessage(f"not a slice of requests: {error!r:.200}") from error
    requests, failed = [], []
    for member in members:
        try:
            request = PredictionRequest.model_validate_json(json.dumps(member))
        except (ValidationError, ValueError, RecursionError) as error:
            failed.append(_failed(*_named(member), _said(error), revision))
            continue
        if (problem := _problem_of(request)) is None:
            requests.append(request)
        else:
            failed.append(_failed(request.batch_id, request.player_lookup, problem, revision))
    return Read(tuple(requests), tuple(failed))


def _named(member: object) -> tuple[str, str]:
    """Batch and player that an unusable request is for. Raises `MalformedMessage` where that is not said."""
    fields = member if isinstance(member, dict) else {}
    batch_id, player = fields.get("batch_id"), fields.get("player_lookup")
    if not isinstance(batch_id, str) or not isinstance(player, str):
        raise MalformedMessage("a request is unusable and does not say for which player of which batch it is")
    return batch_id, check_player(player)


def _problem_of(request: PredictionRequest) -> str | None:
    """Say what is wrong with a request beyond its form. Raises `MalformedMessage` where nobody can have such a name."""
    try:
        inputs.check(request)
    except InvalidInput as error:
        return str(error)
    return None


def _failed(batch_id: str, player: str, problem: str, revision: str) -> Failed:
    return Failed(
        batch_id=batch_id,
        player_lookup=player,
        worker_revision=revision,
        code=FailureCode.BAD_REQUEST,
        detail=problem[:MAX_DETAIL],
    )


def check_names(read: Read) -> None:
    """Refuse names that no batch or player can have. Raises `MalformedMessage`."""
    for batch_id, player in (
        *((one.batch_id, one.player_lookup) for one in read.requests),
        *((one.batch_id, one.player_lookup) for one in read.failed),
    ):
        check_player(player)
        try:
            names.check_batch_id(batch_id)
        except ValueError as error:
            raise MalformedMessage(f"batch_id: {error}") from error


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "request"
        return f"{field}: {first['msg']} ({error.error_count()} problems in all)"
    return str(error)
