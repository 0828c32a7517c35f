"""What every publisher refuses before it publishes anything: whatever Pub/Sub cannot carry.

Knows Pub/Sub's bounds (https://cloud.google.com/pubsub/quotas#resource_limits). Must never learn how messages travel.
The emulator enforces few of them; the service refuses the whole publish request, other messages of it included.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.errors import InvalidInput
from shared.ports import Outgoing

_ATTRIBUTES = 100
_NAME_BYTES = 256
_VALUE_BYTES = 1_024
_DATA_BYTES = 9_000_000
"""Below the 10,000,000 of a publish request, which holds names and attributes besides the data."""


def check_messages(messages: Sequence[Outgoing]) -> None:
    """Refuse messages that can never be published. Raises `InvalidInput`."""
    for message in messages:
        if not 0 < len(message.data) <= _DATA_BYTES:
            raise InvalidInput("message data", f"{len(message.data)} bytes; a message has 1 to {_DATA_BYTES:,}")
        if len(message.attributes) > _ATTRIBUTES:
            raise InvalidInput("message attributes", f"{len(message.attributes)} are over {_ATTRIBUTES}")
        for name, value in message.attributes.items():
            _check_attribute(name, value)


def _check_attribute(name: str, value: str) -> None:
    try:
        name_bytes, value_bytes = len(name.encode()), len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput("message attribute", f"{name!r:.80} is not valid UTF-8") from error
    if not 0 < name_bytes <= _NAME_BYTES or name.startswith("goog"):
        raise InvalidInput(
            "message attribute", f"{name!r:.80}: a name has 1 to {_NAME_BYTES} bytes, not beginning goog"
        )
    if value_bytes > _VALUE_BYTES:
        raise InvalidInput("message attribute", f"{name} has {value_bytes} bytes, over {_VALUE_BYTES}; shorten it")
