"""`/ready` is asked before a revision takes traffic: it fails of a mistyped dataset, a missing table and a missing right."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient

from coordinator.rules import planning
from schemas import names
from shared.adapters.bigquery import BigqueryWarehouse
from shared.declared import every_spec
from tests.bigquery_wire import Wire, error
from tests.stand.front import Front, assert_problem
from tests.stand.world import Stand

A_TABLE: tuple[int, dict[str, Any]] = (
    200,
    {
        "tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"},
        "schema": {"fields": [{"name": "game_date", "type": "DATE"}]},
    },
)


@pytest.fixture
def wire() -> Iterator[Wire]:
    listening = Wire()
    thread = threading.Thread(target=listening.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield listening
    listening.server.shutdown()
    thread.join()
    listening.server.server_close()


@pytest.fixture
def front(stand: Stand, wire: Wire) -> Front:
    """A coordinator whose BigQuery answers what the test says, asked by Google's own client."""
    client = bigquery.Client(
        project="p",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # the client is untyped
        client_options={"api_endpoint": f"http://127.0.0.1:{wire.server.server_port}"},
    )
    never_asked = BigQueryWriteClient(credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # as above
    warehouse = BigqueryWarehouse(client, never_asked, dataset="mistyped", location="US", staging_dataset="staged")
    return Front(stand, stand.new_coordinator("one", warehouse=warehouse))


def failing(front: Front) -> dict[str, Any]:
    found = assert_problem(front.get("/ready"), 503)["failing"]
    assert isinstance(found, dict)
    return found


def test_a_mistyped_dataset_is_not_ready(front: Front, wire: Wire) -> None:
    wire.answers = [error(404, "notFound") for _ in every_spec()]

    found = failing(front)

    assert found.keys() == {"warehouse"}
    assert names.PREDICTIONS_TABLE in found["warehouse"]
    assert "tipoff schema apply" in found["warehouse"]
    assert {path for _, path, _ in wire.asked} >= {
        f"/bigquery/v2/projects/p/datasets/mistyped/tables/{names.PREDICTIONS_TABLE}",
        f"/bigquery/v2/projects/p/datasets/staged/tables/{names.staging_table(2)}",
    }


def test_who_may_look_at_tables_and_run_no_query_is_not_ready(front: Front, wire: Wire) -> None:
    wire.answers = [*(A_TABLE for _ in every_spec()), error(403, "accessDenied")]

    assert "accessDenied" in failing(front)["warehouse"]


def test_the_query_is_a_dry_run_of_the_one_that_a_start_begins_with(front: Front, wire: Wire) -> None:
    dry = {"jobReference": {"projectId": "p", "jobId": "j"}, "configuration": {"dryRun": True, "query": {"query": ""}}}
    dry |= {"status": {"state": "DONE"}, "statistics": {"totalBytesProcessed": "0", "query": {}}}
    wire.answers = [*(A_TABLE for _ in every_spec()), (200, dry)]

    assert front.get("/ready").status_code == 200

    method, path, job = wire.asked[-1]
    assert (method, path) == ("POST", "/bigquery/v2/projects/p/jobs")
    assert job["configuration"]["dryRun"] is True
    assert job["configuration"]["query"]["query"] == planning.check_query()


@pytest.mark.parametrize("table", ["scheduled_games", "player_game_logs"])
def test_a_missing_input_table_is_not_ready(stand: Stand, table: str) -> None:
    stand.warehouse.drop(table)

    assert table in failing(Front(stand))["warehouse"]
