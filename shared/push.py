"""Knows how a Pub/Sub push request's body becomes a message, and refuses what can never become one.

Of what the message is about it knows which players of which batch; the bytes are parsed by whoever expects them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from pydantic import ValidationError

from schemas import names
from schemas.messages import MAX_PLAYER_BYTES, PushEnvelope
from shared.errors import MalformedMessage


@dataclass(frozen=True, slots=True)
class Pushed:
    """One delivery of one message; `delivery_attempt` counts from 1 and only comes where a dead-letter policy is set.
    `subscription` is the short name of the one that pushed it, which bears its topic's name."""

    data: bytes
    attributes: Mapping[str, str]
    message_id: str
    publish_time: datetime | None
    delivery_attempt: int | None
    subscription: str | None


def open_envelope(body: bytes) -> Pushed:
    """Take the message out of a push request's body.

    The snake_case doubles of its keys, which Pub/Sub and its emulator send as well, are ignored.

    Raises:
        MalformedMessage: the body is not JSON, not a push envelope, or its data is missing, empty or not base64.
    """
    envelope = _envelope_of(_json_object(body))
    return Pushed(
        data=_decoded(envelope.message.data),
        attributes=MappingProxyType(envelope.message.attributes),
        message_id=envelope.message.message_id,
        publish_time=envelope.message.publish_time,
        delivery_attempt=envelope.delivery_attempt,
        subscription=(envelope.subscription or "").rpartition("/")[2] or None,
    )


@dataclass(frozen=True, slots=True)
class SliceName:
    """Which players a message is about, even where the rest of it is unusable: those from `start` to before `stop` of a
    shard's sorted players."""

    batch_id: str
    shard: int
    start: int
    stop: int

    @property
    def attributes(self) -> dict[str, str]:
        """The name as a message's attributes say it."""
        return {"batch_id": self.batch_id, "shard": str(self.shard), "slice": f"{self.start}:{self.stop}"}


_SLICE = re.compile(r"([0-9]{1,7}):([0-9]{1,7})", re.ASCII)


def slice_of(attributes: Mapping[str, str]) -> SliceName:
    """Return which players a message is about.

    Raises:
        MalformedMessage: the attributes name no players of a batch.
    """
    try:
        batch_id = names.check_batch_id(attributes.get("batch_id", ""))
    except ValueError as error:
        raise MalformedMessage(f"batch_id: {error}") from error
    shard, found = attributes.get("shard", ""), _SLICE.fullmatch(attributes.get("slice", ""))
    if not re.fullmatch(r"[0-9]{1,7}", shard, re.ASCII) or found is None or not int(found[1]) < int(found[2]):
        named = f"shard {shard[:20]!r}, slice {attributes.get('slice', '')[:20]!r}"
        raise MalformedMessage(f"{named} name no players of batch {batch_id}")
    return SliceName(batch_id, int(shard), int(found[1]), int(found[2]))


def check_player(name: str) -> str:
    """Return a name that a player can have. Raises `MalformedMessage`."""
    try:
        is_name = 0 < len(name.encode()) <= MAX_PLAYER_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write and UTF-8 cannot (F3)
        is_name = False
    if not is_name:
        raise MalformedMessage(f"player_lookup: {name[:80]!r} is not a player's name")
    return name


def readable_attributes(push_body: bytes) -> dict[str, str]:
    """Read what attributes can be read of a push whose envelope is otherwise unusable; none is a fine answer."""
    message = _members(push_body).get("message")
    attributes = message.get("attributes") if isinstance(message, dict) else None
    return _texts(attributes if isinstance(attributes, dict) else {})


def _texts(members: Mapping[str, object]) -> dict[str, str]:
    return {name: text for name, text in members.items() if isinstance(text, str) and text}


def _members(data: bytes) -> dict[str, object]:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _json_object(body: bytes) -> dict[str, object]:
    if not body.strip():
        raise MalformedMessage("the push body is empty; Pub/Sub sends a JSON object with a message in it")
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage(f"the push body is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise MalformedMessage(f"the push body is a JSON {type(parsed).__name__}, not an object with a message in it")
    return parsed


def _envelope_of(parsed: dict[str, object]) -> PushEnvelope:
    try:
        return PushEnvelope.model_validate(parsed)
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}" for found in error.errors()]
        raise MalformedMessage(f"not a Pub/Sub push envelope: {'; '.join(problems)}") from error


def _decoded(data: str) -> bytes:
    try:
        decoded = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedMessage(f"message.data is not base64: {error}; it begins {data[:40]!r}") from error
    if not decoded:
        raise MalformedMessage("message.data holds no bytes")
    return decoded
