"""A push body becomes a message, or is refused with a reason that a person can act on."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedMessage
from shared.push import open_envelope


def body(**changes: object) -> bytes:
    """Return a push body as Pub/Sub sends it, with changed members of its message."""
    message: dict[str, object] = {
        "data": base64.b64encode(b'{"a": 1}').decode(),
        "attributes": {"batch_id": "b1"},
        "messageId": "42",
        "message_id": "42",
        "publishTime": "2026-01-30T10:00:00.123Z",
        "publish_time": "2026-01-30T10:00:00.123Z",
    }
    kept = {name: value for name, value in (message | changes).items() if value is not None}
    return json.dumps({"message": kept, "subscription": "projects/p/subscriptions/s", "deliveryAttempt": 3}).encode()


def test_a_push_of_pubsub_is_opened() -> None:
    pushed = open_envelope(body())

    assert pushed.data == b'{"a": 1}'
    assert pushed.attributes == {"batch_id": "b1"}
    assert pushed.message_id == "42"
    assert pushed.publish_time == datetime(2026, 1, 30, 10, 0, 0, 123000, tzinfo=UTC)
    assert pushed.delivery_attempt == 3


def test_attributes_publish_time_and_attempt_may_be_absent() -> None:
    pushed = open_envelope(b'{"message": {"data": "eA==", "messageId": "1"}}')

    assert (pushed.data, pushed.attributes, pushed.publish_time, pushed.delivery_attempt) == (b"x", {}, None, None)


@given(st.binary(min_size=1))
def test_data_comes_out_as_it_went_in(data: bytes) -> None:
    assert open_envelope(body(data=base64.b64encode(data).decode())).data == data


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"not json", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "JSON list, not an object"),
        (b"null", "JSON NoneType, not an object"),
        (b"{}", "message: Field required"),
        (b'{"message": "text"}', "message: "),
        (body(data=None), "message.data: Field required"),
        (body(data=""), "message.data: "),
        (body(data=7), "message.data: "),
        (body(messageId=None), "message.messageId: Field required"),
        (body(attributes={"a": 1}), "message.attributes.a: "),
        (body(publishTime="yesterday"), "message.publishTime: "),
        (body(data="eA"), "not base64"),
        (body(data="e A=="), "not base64"),
        (body(data="eA==eA=="), "not base64"),
        (body(data="-_-_"), "not base64"),
        (body(data="é==="), "not base64"),
        (body(data="\ud800"), "message.data: "),
        (b'{"message": {"data": "base64data", "messageId": "test123"}}', "not base64.*'base64data'"),
    ],
)
def test_a_malformed_body_is_refused_with_its_reason(refused: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        open_envelope(refused)


@given(
    st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_whatever_arrives_is_refused_and_never_breaks(refused: bytes) -> None:
    with pytest.raises(MalformedMessage):
        open_envelope(refused)
