"""local-bigquery as a peer of the contract suites: the official clients over its REST and gRPC, a dataset per test."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient

from local.emulated.local_bigquery import local_bigquery
from local.emulated.provision import provision_dataset
from shared.adapters import bigquery_clients
from shared.adapters.bigquery import BigqueryWarehouse
from shared.errors import InvalidInput, Unavailable
from tests.emulators import skip_or_fail

LOCATION = "US"

BIGQUERY = pytest.param("bigquery", marks=pytest.mark.xdist_group("local_bigquery"))
"""A parameter whose tests run in one process, so that one server serves them all."""


class BigqueryPeer:
    """A server's one project. Every further project would slow down all that the server does."""

    def __init__(self, client: bigquery.Client, write_client: BigQueryWriteClient) -> None:
        self._client = client
        self._write_client = write_client

    @contextmanager
    def new_warehouse(self) -> Iterator[BigqueryWarehouse]:
        """A dataset for the length of the block. Job ids are the project's: every test needs its own."""
        dataset = f"test_{uuid.uuid4().hex}"
        provision_dataset(self._client, dataset, location=LOCATION)
        yield BigqueryWarehouse(self._client, self._write_client, dataset=dataset, location=LOCATION)
        # What is left slows down all that comes after.
        self._client.delete_dataset(dataset, delete_contents=True)


@contextmanager
def running_peer() -> Iterator[BigqueryPeer]:
    """Run a server of one's own for the length of the block; skips (CI: fails) where there is no Python for it."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="tipoff-")))
        try:
            server = running.enter_context(local_bigquery(folder, environ=os.environ, log=folder / "log"))
        except InvalidInput as missing:
            skip_or_fail(str(missing))
        except Unavailable as trouble:
            pytest.fail(str(trouble))
        yield BigqueryPeer(*bigquery_clients.clients(server.environment, project="test", location=LOCATION))


def cannot_hold(*_: object) -> Any:
    """In the place of a seam that the server has not: skips the test that asks for it."""
    pytest.skip("local-bigquery's clock cannot be set nor its jobs be held")
