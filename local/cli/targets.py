"""Where a command's tables and ledger are: in a state folder on this machine, or in a project of Google Cloud.

The cloud is an emulator where BIGQUERY_EMULATOR_HOST (with BIGQUERY_STORAGE_EMULATOR_HOST) and FIRESTORE_EMULATOR_HOST say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from local.cli.options import DEFAULT_STATE, bundled
from shared.errors import InvalidInput, Unavailable
from shared.ports import DocumentStore, TableSpec, Warehouse

if TYPE_CHECKING:
    from google.cloud import bigquery

    from local.one_machine.loading import StageFile
    from schemas.tables import Column
    from shared.adapters.duckdb import DuckdbWarehouse

_WAREHOUSE, _LEDGER = "warehouse.duckdb", "ledger.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the options say; a project makes it the cloud."""

    environ: Mapping[str, str]
    state: Path | None = None
    project: str | None
    dataset: str | None
    location: str | None
    staging_dataset: str | None = None
    firestore_database: str | None = None

    def __post_init__(self) -> None:
        if self.project is None:
            for name in ("dataset", "location", "staging_dataset", "firestore_database"):
                if getattr(self, name) is not None:
                    problem = "given without --project; name the project too, or leave it out for the state folder"
                    raise InvalidInput(_option(name), problem)
            return
        if self.state is not None:
            raise InvalidInput("--state", "cannot go with --project; choose the state folder or the cloud")
        for name in ("dataset", "location"):
            if getattr(self, name) is None:
                raise InvalidInput(_option(name), "missing; --project needs the dataset and its location")

    @property
    def home(self) -> Path:
        """The state folder that holds a warehouse; the sample season's where only that was run."""
        state = self.state or DEFAULT_STATE
        simulated = state / "simulated"
        return simulated if not (state / _WAREHOUSE).exists() and (simulated / _WAREHOUSE).exists() else state

    @property
    def name(self) -> str:
        """What a person calls it."""
        return str(self.home) if self.project is None else f"{self.project}.{self.dataset}"

    @contextmanager
    def warehouse(self, *, is_made: bool = False) -> Iterator[Warehouse]:
        """Open the warehouse for the length of the block.

        Args:
            is_made: make the state folder's file where there is none; else an empty one stands in, and nothing is kept.

        Raises:
            InvalidInput: another process uses the state folder.
        """
        if self.project is not None:
            yield self._bigquery()
            return
        with _embedded(self.home, is_made=is_made) as embedded:
            yield embedded

    @contextmanager
    def input_tables(self) -> Iterator[tuple[Warehouse, StageFile]]:
        """Open the warehouse whose input tables are to be filled, and the way to get a file there; made where absent.

        A state folder is the one that is named, never the simulated season's within it.

        Raises:
            InvalidInput: another process uses the state folder.
        """
        from local.one_machine.csv_inputs import copy_in  # noqa: PLC0415 - as above

        if self.project is None:
            with _embedded(self.state or DEFAULT_STATE, is_made=True) as embedded:
                yield embedded, partial(copy_in, embedded)
            return
        from local.emulated.cloud_inputs import load_file  # noqa: PLC0415 - as above

        client, warehouse = self._client(), self._bigquery()

        def load(table: str, columns: Sequence[Column], file: Path) -> None:
            tomorrow = datetime.now(UTC) + timedelta(days=1)
            warehouse.create(TableSpec(table, tuple(columns), partition_by="game_date", expires_at=tomorrow))
            load_file(client, f"{self.name}.{table}", columns, file)

        yield warehouse, load

    def job_bytes(self, job_id: str) -> int | None:
        """How many bytes a job of the project processed; None where BigQuery does not tell.

        Raises:
            Unavailable: BigQuery did not answer.
        """
        from local.emulated.provision import naming_refusals  # noqa: PLC0415 - as above

        with naming_refusals("job", job_id):
            found = self._client().get_job(job_id, location=self.location)
        return int(getattr(found, "total_bytes_processed", None) or 0) or None

    @contextmanager
    def documents(self) -> Iterator[DocumentStore]:
        """Open the ledger for the length of the block.

        Raises:
            InvalidInput: the options name none, or the state folder has none.
        """
        if self.project is not None:
            yield self._firestore()
            return
        from shared.adapters.sqlite import SqliteDocuments  # noqa: PLC0415 - as above

        file = self.home / _LEDGER
        if not file.exists():
            raise InvalidInput("--state", f"{self.home} holds no run yet; name the folder of a `tipoff run`")
        with closing(SqliteDocuments(file)) as opened:
            yield opened

    @contextmanager
    def documents_if_any(self) -> Iterator[DocumentStore | None]:
        """Open the ledger, or give None where the state folder never had one."""
        if self.project is None and not (self.home / _LEDGER).exists():
            yield None
            return
        with self.documents() as opened:
            yield opened

    def _client(self) -> bigquery.Client:
        from shared.adapters import bigquery_clients  # noqa: PLC0415 - as above

        with explaining_login():
            return bigquery_clients.clients(self.environ, project=self.project or "", location=self.location or "")[0]

    def _bigquery(self) -> Warehouse:
        from shared.adapters import bigquery_clients  # noqa: PLC0415 - as above

        # `__post_init__` has seen to it that none is missing.
        project, dataset, location = self.project or "", self.dataset or "", self.location or ""
        with explaining_login():
            return bigquery_clients.connect(
                self.environ,
                project=project,
                dataset=dataset,
                location=location,
                staging_dataset=self.staging_dataset,
            )

    def _firestore(self) -> DocumentStore:
        from google.cloud import firestore  # noqa: PLC0415 - as above

        from shared.adapters.firestore import FirestoreDocuments  # noqa: PLC0415 - as above

        if self.firestore_database is None:
            raise InvalidInput(
                "--firestore-database",
                "missing; name the database of the ledger, FIRESTORE_DATABASE of deploy/config.env",
            )
        with explaining_login():
            return FirestoreDocuments(firestore.Client(project=self.project, database=self.firestore_database))


@contextmanager
def _embedded(home: Path, *, is_made: bool) -> Iterator[DuckdbWarehouse]:
    from shared.adapters.duckdb import DuckdbWarehouse  # noqa: PLC0415 - so that --help answers at once

    file = home / _WAREHOUSE
    if is_made:
        home.mkdir(parents=True, exist_ok=True)
    try:
        embedded = DuckdbWarehouse(file if is_made or file.exists() else ":memory:")
    except Unavailable as error:
        problem = f"{home} is in use by another process, or damaged; wait for it, or name another ({error})"
        raise InvalidInput("--state", problem) from error
    with closing(embedded):
        yield embedded


@contextmanager
def explaining_login() -> Iterator[None]:
    """Say what Google's clients need: credentials of their own, which gcloud's login does not make."""
    from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415 - as above

    try:
        yield
    except DefaultCredentialsError as error:
        problem = "needs Application Default Credentials; make them with `gcloud auth application-default login`"
        raise InvalidInput("--project", problem) from error


_OPTIONS = (
    click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        help="State folder of `tipoff run` on this machine; .tipoff unless --project is given.",
    ),
    click.option("--project", help="Google Cloud project of the dataset, instead of a state folder."),
    click.option("--dataset", help="BigQuery dataset; needed with --project."),
    click.option("--location", help="The dataset's location, such as US; needed with --project."),
    click.option("--staging-dataset", help="BigQuery dataset of the staging tables; without it they are in --dataset."),
)

target_options = bundled("target", Target, *_OPTIONS)
"""Give a command the options of a target, which it takes as the one argument `target`."""

target_with_ledger_options = bundled(
    "target",
    Target,
    *_OPTIONS,
    click.option("--firestore-database", help="Firestore database of the ledger; needed with --project."),
)
"""The same, of one whose ledger is wanted too."""


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
