"""The staging tables may lie in a dataset of their own, the only one that the worker may write to."""

from __future__ import annotations

from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient

from shared.adapters.bigquery import BigqueryWarehouse
from tests.bigquery_wire import Wire, error, job_answer


def test_staging_tables_are_asked_for_in_their_own_dataset_and_the_others_in_theirs(
    wire: Wire,
) -> None:
    credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]  # the client is untyped
    endpoint = f"http://127.0.0.1:{wire.server.server_address[1]}"
    warehouse = BigqueryWarehouse(
        bigquery.Client(project="p", credentials=credentials, client_options={"api_endpoint": endpoint}),
        BigQueryWriteClient(credentials=credentials),  # type: ignore[no-untyped-call]  # the client is untyped
        dataset="d",
        location="us-east1",
        staging_dataset="staging",
    )
    wire.answers = [job_answer("RUNNING"), error(404, "notFound"), error(404, "notFound")]

    warehouse.submit("MERGE INTO `player_prop_predictions` USING `_staging_v2`", {}, job_id="merge_1")
    found = [warehouse.columns("_staging_v2"), warehouse.columns("player_prop_predictions")]

    assert found == [None, None]
    (_, _, job), (_, staging, _), (_, predictions, _) = wire.asked
    assert job["configuration"]["query"]["query"] == (
        "MERGE INTO `player_prop_predictions` USING `staging`.`_staging_v2`"
    )
    assert staging.endswith("/datasets/staging/tables/_staging_v2")
    assert predictions.endswith("/datasets/d/tables/player_prop_predictions")
