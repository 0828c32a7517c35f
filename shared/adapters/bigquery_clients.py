"""The clients of a BigQuery warehouse, of the real service or of an emulator: decides which of the two is spoken to."""

from __future__ import annotations

from collections.abc import Mapping

import grpc  # type: ignore[import-untyped]  # it ships no types
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport

from shared.adapters.bigquery import BigqueryWarehouse
from shared.adapters.traced import traced_warehouse
from shared.errors import InvalidInput
from shared.ports import Warehouse

EMULATOR = "BIGQUERY_EMULATOR_HOST"
"""`http://host:port` of an emulator's REST API; Google's own client reads this variable too."""
STORAGE_EMULATOR = "BIGQUERY_STORAGE_EMULATOR_HOST"
"""`host:port` of the same emulator's Storage API. Google's client has no such variable: the name is ours."""


def connect(
    environ: Mapping[str, str],
    *,
    project: str,
    dataset: str,
    location: str,
    max_bytes_billed: int | None = None,
    staging_dataset: str | None = None,
) -> Warehouse:
    """Make a warehouse on the real service, or on the emulator that both variables name; contacts nothing yet.

    Its calls are spans where spans are sent, so `traced.configure` comes first.

    Args:
        environ: only `EMULATOR` and `STORAGE_EMULATOR` are looked at; an empty one counts as absent.
        project, dataset, location, max_bytes_billed, staging_dataset: as `BigqueryWarehouse` takes them.

    Raises:
        InvalidInput: only one of the variables is set, so that rows would be appended to the other world.
    """
    client, write_client = clients(environ, project=project, location=location)
    warehouse = BigqueryWarehouse(
        client,
        write_client,
        dataset=dataset,
        location=location,
        max_bytes_billed=max_bytes_billed,
        staging_dataset=staging_dataset,
    )
    return traced_warehouse(warehouse, system="gcp.bigquery")


def clients(environ: Mapping[str, str], *, project: str, location: str) -> tuple[bigquery.Client, BigQueryWriteClient]:
    """Make the two clients of a warehouse, for set-up code that needs them; as `connect`."""
    rest, storage = environ.get(EMULATOR), environ.get(STORAGE_EMULATOR)
    if not rest and not storage:
        return bigquery.Client(project=project, location=location), BigQueryWriteClient()  # type: ignore[no-untyped-call]  # the client is untyped
    if not rest or not storage:
        missing, given = (EMULATOR, STORAGE_EMULATOR) if not rest else (STORAGE_EMULATOR, EMULATOR)
        raise InvalidInput(missing, f"missing, while {given} is set; set both for an emulator, or none")
    client = bigquery.Client(
        project=project,
        location=location,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # the client is untyped
        client_options={"api_endpoint": rest},
    )
    transport = BigQueryWriteGrpcTransport(channel=grpc.insecure_channel(storage))
    return client, BigQueryWriteClient(transport=transport)  # type: ignore[no-untyped-call]  # the client is untyped
