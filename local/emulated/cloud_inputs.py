"""A folder of CSV files becomes BigQuery's input tables, by way of the one-machine run's own checks."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

from google.api_core import exceptions as api
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from requests.exceptions import RequestException

from local.one_machine.csv_inputs import INPUT_TABLES, InputSummary, load_folder
from schemas import tables
from schemas.tables import Column
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import Unavailable

_LOAD_SECONDS = 300.0


def load_inputs(
    client: bigquery.Client, dataset: str, *, folder: Path, game_date: date, max_bytes: int
) -> InputSummary:
    """Replace the dataset's four input tables by what the folder's CSV files hold, each by one load job.

    The files are read and checked by `local.one_machine.csv_inputs.load_folder`, so a refused folder leaves the tables as they were.
    Repeating it gives the same tables; one that is interrupted may leave some of them replaced.

    Raises:
        InvalidInput: as `load_folder`.
        Unavailable: BigQuery did not take a table.
    """
    with closing(DuckdbWarehouse(":memory:")) as checked, tempfile.TemporaryDirectory(prefix="tipoff-") as scratch:
        summary = load_folder(checked, folder=folder, game_date=game_date, max_bytes=max_bytes)
        for table in INPUT_TABLES:
            file = Path(scratch) / f"{table}.parquet"
            with closing(checked.cursor()) as cursor:
                cursor.execute(f"COPY {table} TO '{file}' (FORMAT parquet)")
            load_file(client, f"{client.project}.{dataset}.{table}", tables.load(table).columns, file)
    return summary


def load_file(client: bigquery.Client, target: str, columns: Sequence[Column], file: Path) -> None:
    """Replace a table (`project.dataset.table`), partitioned by `game_date`, by a Parquet file's rows, by one load job.

    Raises:
        Unavailable: BigQuery did not take it.
    """
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        schema=[bigquery.SchemaField.from_api_repr(column.api_repr()) for column in columns],
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
        time_partitioning=bigquery.TimePartitioning(field="game_date"),
    )
    try:
        with file.open("rb") as content:
            client.load_table_from_file(content, target, job_config=config).result(timeout=_LOAD_SECONDS)
    except (api.GoogleAPIError, GoogleAuthError, RequestException) as error:
        raise Unavailable(f"table {target.rpartition('.')[2]}: {error}") from error
