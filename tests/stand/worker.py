"""A worker with its real edge over a real embedded warehouse and an in-memory topic, and a way to push at it."""

from __future__ import annotations

import base64
import io
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from schemas import names
from schemas.messages import Failed, Outcomes, Predicted, PredictionRequest, Skipped, Slice
from schemas.tables import Row
from shared import logs
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.traced import TracedPublisher
from shared.push import SliceName
from tests.memory_publisher import MemoryPublisher
from tests.requests_factory import BATCH_ID, PLANNED_AT
from tests.stand.world import WAREHOUSE, made
from worker.app import create_app
from worker.model import shipped_model
from worker.service import Worker

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MESSAGE_ID = "13579"


def a_name(players: int = 1, batch_id: str = BATCH_ID) -> dict[str, str]:
    """The attributes that name a slice: the first so many players of shard 0."""
    return SliceName(batch_id, 0, 0, players).attributes


@dataclass
class WorkerStand:
    """What a test pushes at and looks into; `now` is what the worker's clock says."""

    warehouse: DuckdbWarehouse
    outcomes: MemoryPublisher
    client: FlaskClient
    schema_version: int
    now: datetime

    def push(self, *requests: PredictionRequest, attempt: int = 1) -> TestResponse:
        """Push a slice of requests as Pub/Sub does."""
        data = Slice(requests=requests).model_dump_json().encode()
        attributes = a_name(len(requests), requests[0].batch_id) | {"traceparent": TRACEPARENT}
        return self.push_data(data, attributes, attempt=attempt)

    def push_data(self, data: bytes, attributes: dict[str, str] | None = None, *, attempt: int = 1) -> TestResponse:
        """Push any bytes in a sound envelope."""
        message = {
            "data": base64.b64encode(data).decode(),
            "messageId": MESSAGE_ID,
            "publishTime": "2026-01-30T15:00:01Z",
            "attributes": attributes or {},
        }
        return self.push_body({"message": message, "subscription": "requests", "deliveryAttempt": attempt})

    def push_body(self, body: dict[str, Any] | bytes) -> TestResponse:
        """Push any body."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post("/predict", data=raw, content_type="application/json")

    def published(self) -> list[Predicted | Skipped | Failed]:
        """Every outcome the coordinator would hear of."""
        return [
            one for message in self.outcomes.messages for one in Outcomes.model_validate_json(message.data).outcomes
        ]

    def unreadable(self) -> list[str]:
        """What the coordinator would hear of messages that could not be read."""
        said = [Outcomes.model_validate_json(message.data).unreadable for message in self.outcomes.messages]
        return [why for why in said if why is not None]

    def staged(self) -> list[Row]:
        """Every staged row of the factory's batch, copies included; none when there is no table."""
        table = names.staging_table(self.schema_version)
        if self.warehouse.columns(table) is None:
            return []
        return self.warehouse.query(f"SELECT * FROM `{table}` ORDER BY prediction_id")


@contextmanager
def a_stand(
    folder: Path, *, revision: str = "worker-00001", schema_version: int = 2, name: str = "warehouse"
) -> Iterator[WorkerStand]:
    """WorkerStand a worker up in a folder, whose warehouse has every table that lasts."""
    # The warehouse lives in the tests' time too, or its tables' expiry would depend on the day the tests run.
    shutil.copyfile(made() / WAREHOUSE, folder / f"{name}.duckdb")
    warehouse, outcomes = DuckdbWarehouse(folder / f"{name}.duckdb", clock=lambda: PLANNED_AT), MemoryPublisher()
    try:
        with another_worker(warehouse, outcomes, revision=revision, schema_version=schema_version) as stand:
            yield stand
    finally:
        warehouse.close()


@contextmanager
def another_worker(
    warehouse: DuckdbWarehouse, outcomes: MemoryPublisher, *, revision: str, schema_version: int = 2
) -> Iterator[WorkerStand]:
    """WorkerStand another process's worker up over the same warehouse and topic."""
    stand: WorkerStand
    worker = Worker(
        warehouse=warehouse,
        outcomes=TracedPublisher(outcomes, topic="outcomes"),
        revision=revision,
        schema_version=schema_version,
        model=shipped_model(),
        clock=lambda: stand.now,
    )
    client = create_app(worker, guard=lambda _authorization: None).test_client()
    stand = WorkerStand(warehouse, outcomes, client, schema_version, now=PLANNED_AT)
    yield stand


LoggedLines = Callable[[], list[dict[str, Any]]]
"""Reads every line logged so far."""


@contextmanager
def listening() -> Iterator[LoggedLines]:
    """Configure this process's logs as the service does, into memory, and put the former ones back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(service="worker", revision="worker-00001", project="a-project", stream=stream)
    try:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
