"""What several unit tests start."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.bigquery_wire import Wire


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    thread = threading.Thread(target=wire.server.serve_forever)
    thread.start()
    yield wire
    wire.server.shutdown()
    thread.join()
    wire.server.server_close()
