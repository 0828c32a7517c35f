"""The system as it runs in the cloud, on this machine: both services under gunicorn, on the official Firestore and
Pub/Sub emulators and on local-bigquery.

Each part is a process on a free loopback port. The services' code, their commands and the set-up code are those of the
cloud; only the addresses differ.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from local.emulated.cloud_inputs import load_inputs
from local.emulated.emulators import Emulator, firestore_emulator, pubsub_emulator
from local.emulated.local_bigquery import LocalBigquery, local_bigquery
from local.emulated.processes import Process
from local.emulated.provision import (
    PushTerms,
    Topics,
    provision_dataset,
    provision_tables,
    provision_topics,
    pubsub_clients,
)
from local.one_machine.csv_inputs import InputSummary
from local.one_machine.input_bound import MAX_INPUT_MB, MIB
from shared.adapters import bigquery_clients
from shared.adapters.bigquery import BigqueryWarehouse
from shared.errors import InvalidInput, Unavailable

COMMANDS = {
    service: ("gunicorn", "--config", "python:shared.gunicorn_conf", f"{service}.main:create_app()")
    for service in ("coordinator", "worker")
}
"""The services' commands, those of their Dockerfiles."""

PROJECT = "tipoff-local"
LOCATION = "US"
DATASET = "nba"
STAGING_DATASET = "nba_staging"
TOPICS = Topics(PROJECT)
RETRYING = PushTerms(backoff=None, maximum_attempts=100)
"""The emulator never again delivers what was refused three times under a retry policy of whatever length; without one it
tries every second."""

_ROOT = Path(__file__).parents[2]
_LISTENING = "Listening at: http://127.0.0.1:"
_LEDGER = "ledger"
_ADMIN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class RunningPart:
    """A running part as a person wants to know it."""

    name: str
    address: str
    pid: int | None = None
    """None: it is not one of the services, which may be killed to see what happens."""
    log: Path | None = None
    """None: it writes nothing worth keeping."""


class CloudStack:
    """The running system; a context manager that stops everything it started, whatever happens inside.

    Args:
        folder: holds logs and data, made when absent; one process at a time. Opened again on the same folder it has the
            tables again, and the ledger as it was at the last orderly end. Undelivered messages are not kept; a sweep
            publishes their requests again.
        environ: where to look for programs and caches; the services get it too, less every `TIPOFF_` setting.
        settings: `TIPOFF_` settings that differ from the stack's own.
        delivery: of the push subscriptions.

    Raises:
        InvalidInput: this machine lacks a part, or the folder cannot be used.
        Unavailable: a part did not start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        environ: Mapping[str, str],
        settings: Mapping[str, str] | None = None,
        delivery: PushTerms = RETRYING,
    ) -> None:
        self._folder = folder.absolute()
        self._environ = {name: value for name, value in environ.items() if not name.startswith("TIPOFF_")}
        self._changes = dict(settings or {})
        self._delivery = delivery
        self._exit = ExitStack()
        self._services: dict[str, Process] = {}
        self._urls: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput("--state", f"{self._folder} cannot be used: {error}") from error
        with self._exit:
            self._take_folder()
            self._start_emulators()
            self.start("coordinator")
            self.start("worker")
            self._exit = self._exit.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit.close()

    @property
    def coordinator_url(self) -> str:
        """Where the coordinator answers."""
        return self._urls["coordinator"]

    @property
    def worker_url(self) -> str:
        """Where the worker answers."""
        return self._urls["worker"]

    def parts(self) -> list[RunningPart]:
        """Every running part."""
        bigquery_log = self._log("local-bigquery")
        return [
            *(
                RunningPart(name, self._urls[name], process.pid, self._log(name))
                for name, process in self._services.items()
            ),
            RunningPart("Firestore emulator", self.firestore.address),
            RunningPart("Pub/Sub emulator", self.pubsub.address),
            RunningPart("local-bigquery", self.bigquery.rest, log=bigquery_log),
            RunningPart("local-bigquery storage", self.bigquery.grpc, log=bigquery_log),
        ]

    def has_ended(self, service: str, *, within: float = 0.0) -> bool:
        """Wait up to so many seconds for a service's end, and tell whether it came."""
        return self._services[service].has_ended(within=within)

    def start(self, service: str) -> None:
        """Start a service on a free port and have its subscriptions push to it; one that runs is left alone.

        Raises:
            Unavailable: it did not start, or does not find its dependencies.
        """
        running = self._services.get(service)
        if running is not None and not running.has_ended():
            return
        process = Process(
            [str(Path(sys.executable).parent / COMMANDS[service][0]), *COMMANDS[service][1:]],
            environ=self._environment(),
            folder=_ROOT,
            log=self._log(service),
        )
        self._exit.callback(process.stop)
        self._services[service] = process
        self._urls[service] = f"http://127.0.0.1:{process.wait_for_line(_LISTENING).split()[0]}"
        if len(self._urls) == len(COMMANDS):
            provision_topics(
                self.publisher,
                self.subscriber,
                TOPICS,
                worker_url=self.worker_url,
                coordinator_url=self.coordinator_url,
                delivery=self._delivery,
            )
            for name, url in self._urls.items():
                if not self._services[name].is_ready(f"{url}/ready"):
                    raise self._services[name].failure("is not ready")

    def load(self, folder: Path, game_date: date, *, max_bytes: int = MAX_INPUT_MB * MIB) -> InputSummary:
        """Replace the input tables by a folder's CSV files; see `load_inputs`."""
        return load_inputs(self._bigquery_client, DATASET, folder=folder, game_date=game_date, max_bytes=max_bytes)

    def kill(self, service: str) -> None:
        """End a service at once, as a crash would; what is pushed to it meanwhile comes again."""
        self._services[service].kill()

    def _take_folder(self) -> None:
        lock = self._exit.enter_context((self._folder / "lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(
                "--state", f"{self._folder} is in use by another process; name another folder"
            ) from error

    # --- wiring -----------------------------------------------------------------------------------------------

    def _start_emulators(self) -> None:
        started = self._exit.enter_context
        self.bigquery: LocalBigquery = started(
            local_bigquery(self._folder / "bigquery", environ=self._environ, log=self._log("local-bigquery"))
        )
        self.pubsub: Emulator = started(pubsub_emulator())
        kept = self._folder / _LEDGER / f"{_LEDGER}.overall_export_metadata"
        self.firestore: Emulator = started(
            firestore_emulator(*([f"--seed_from_export={kept}"] if kept.is_file() else []))
        )
        # Last in, first out: the ledger is written down after the services have stopped and before the emulator does.
        self._exit.callback(self._keep_ledger)
        self.publisher, self.subscriber = pubsub_clients(self.pubsub.address)
        self._exit.callback(self.publisher.transport.close)
        self._exit.callback(self.subscriber.transport.close)
        clients = bigquery_clients.clients(self.bigquery.environment, project=PROJECT, location=LOCATION)
        self._bigquery_client = clients[0]
        for dataset in (DATASET, STAGING_DATASET):
            provision_dataset(self._bigquery_client, dataset, location=LOCATION)
        self.warehouse = BigqueryWarehouse(
            *clients, dataset=DATASET, location=LOCATION, staging_dataset=STAGING_DATASET
        )
        provision_tables(self.warehouse)

    def _environment(self) -> dict[str, str]:
        return {
            **self._environ,
            "TIPOFF_PROJECT": PROJECT,
            "TIPOFF_LOCATION": LOCATION,
            "TIPOFF_DATASET": DATASET,
            "TIPOFF_STAGING_DATASET": STAGING_DATASET,
            "TIPOFF_FIRESTORE_DATABASE": "(default)",
            "TIPOFF_REQUESTS_TOPIC": TOPICS.requests,
            "TIPOFF_OUTCOMES_TOPIC": TOPICS.outcomes,
            "TIPOFF_FINISHED_TOPIC": TOPICS.finished,
            "TIPOFF_AUTH": "off",
            "K_REVISION": f"local-{version('tipoff')}",
            self.firestore.variable: self.firestore.address,
            self.pubsub.variable: self.pubsub.address,
            **self.bigquery.environment,
            # The command itself is the image's; it would listen on every interface.
            "GUNICORN_CMD_ARGS": "--bind 127.0.0.1:0",
            "PYTHONUNBUFFERED": "1",
            **self._changes,
        }

    def _keep_ledger(self) -> None:
        """Have the emulator write the ledger down, in the place of the last one."""
        body = {
            "database": f"projects/{PROJECT}/databases/(default)",
            "export_directory": str(self._folder),
            "export_name": _LEDGER,
        }
        url = f"http://{self.firestore.address}/emulator/v1/projects/{PROJECT}:export"
        try:
            with requests.Session() as session:
                session.trust_env = False
                session.post(url, json=body, timeout=_ADMIN_SECONDS).raise_for_status()
        except requests.RequestException as error:
            raise Unavailable(f"the ledger was not kept in {self._folder}: {error}") from error

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"
