"""What several unit tests start."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient

from shared.adapters.bigquery import BigqueryWarehouse
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


@pytest.fixture
def warehouse(wire: Wire) -> BigqueryWarehouse:
    credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]  # the client is untyped
    endpoint = f"http://127.0.0.1:{wire.server.server_address[1]}"
    return BigqueryWarehouse(
        bigquery.Client(project="p", credentials=credentials, client_options={"api_endpoint": endpoint}),
        BigQueryWriteClient(credentials=credentials),  # type: ignore[no-untyped-call]  # the client is untyped
        dataset="d",
        location="us-east1",
        max_bytes_billed=10**9,
    )
