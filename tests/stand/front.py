"""A coordinator's HTTP front over a stand, as Pub/Sub, Cloud Scheduler and people meet it, and services that go down."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from coordinator.app import create_app
from coordinator.assembly import Coordinator
from coordinator.routes.exchange import Caller
from coordinator.rules.entries import AnyOutcome
from schemas.messages import Outcomes
from shared.errors import TipoffError, Unavailable
from shared.ports import Outgoing
from shared.push import SliceName
from tests.plan_inputs import GAME_DATE
from tests.stand.world import Stand

MESSAGE_ID = "14"
START = {"game_date": GAME_DATE.isoformat()}


class Front:
    """One instance's routes. `asked` is who the guard was told may call, in order; `refusal` is what it answers."""

    def __init__(self, stand: Stand, coordinator: Coordinator | None = None) -> None:
        self.asked: list[frozenset[Caller]] = []
        self.refusal: TipoffError | None = None
        self.coordinator = coordinator or stand.coordinator
        self.app: Flask = create_app(self.coordinator, guard=self._guard)
        self.client = self.app.test_client()

    def start(self, body: object = START, *, key: str | None = "a-key", **headers: str) -> TestResponse:
        """Post to `/start`; bytes are sent as they are."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            given["Idempotency-Key"] = key
        return self.post("/start", body, headers=given)

    def post(self, path: str, body: object = b"", *, headers: dict[str, str] | None = None) -> TestResponse:
        """Post JSON, or bytes as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(path, data=raw, headers=headers, content_type="application/json")

    def get(self, path: str) -> TestResponse:
        """Get a path."""
        return self.client.get(path)

    def push(self, data: bytes, **attributes: str) -> TestResponse:
        """Push a message to `/complete` as Pub/Sub does."""
        return self.push_to("/complete", data, attributes)

    def push_to(self, path: str, data: bytes, attributes: Mapping[str, str]) -> TestResponse:
        """Push a message as Pub/Sub does."""
        message = {"data": base64.b64encode(data).decode(), "messageId": MESSAGE_ID, "attributes": dict(attributes)}
        return self.post(path, {"message": message, "subscription": "a-subscription", "deliveryAttempt": 1})

    def dead_letter(self, request: Outgoing, **changes: str) -> TestResponse:
        """Push a request that was published as the dead-letter topic brings it."""
        added = {
            "CloudPubSubDeadLetterSourceDeliveryCount": "20",
            "CloudPubSubDeadLetterSourceSubscription": "requests",
        }
        return self.push_to("/dead-letter", request.data, {**request.attributes, **added, **changes})

    def complete(self, *outcomes: AnyOutcome) -> TestResponse:
        """Push the outcomes of a slice, with the attributes that a worker sends along."""
        data = Outcomes(outcomes=outcomes).model_dump_json().encode()
        return self.push(data, **SliceName(outcomes[0].batch_id, 0, 0, len(outcomes)).attributes)

    def _guard(self, _authorization: str | None, callers: frozenset[Caller]) -> None:
        self.asked.append(callers)
        if self.refusal is not None:
            raise self.refusal


class Outage:
    """Any port, whose service stops answering while `is_down`, from the `after`-th call on."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self._left: int | None = None

    def goes_down(self, *, after: int = 0) -> None:
        """Answer so many calls more, then none."""
        self._left = after

    def comes_back(self) -> None:
        """Answer again."""
        self._left = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)

        def ask(*args: Any, **kwargs: Any) -> Any:
            if self._left == 0:
                raise Unavailable("the service does not answer")
            if self._left is not None:
                self._left -= 1
            return found(*args, **kwargs)

        return ask


def assert_problem(answer: TestResponse, status: int, *mentions: str) -> dict[str, Any]:
    """Hold an answer to the form of a problem document, and to what its detail has to mention; return it."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    document: dict[str, Any] = answer.get_json()
    assert document["status"] == status
    assert document["title"]
    for text in mentions:
        assert text in document["detail"]
    return document


def error_reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The reasons of the ERROR lines so far, in order."""
    return [
        getattr(record, "json_fields", {}).get("reason", "") for record in caplog.records if record.levelname == "ERROR"
    ]
