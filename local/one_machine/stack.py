"""Both services on one machine: wired over the embedded parts, served over real HTTP on loopback, in one process.

One process, because the embedded warehouse's file has one owner. The code of both services is the cloud's; only what
`coordinator.main` and `worker.main` do there is done here.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

import requests
from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from coordinator.app import create_app as serve_coordinator
from coordinator.assembly import US_EASTERN, Coordinator, Parts, assemble
from local.one_machine.coordinator_client import Answer
from local.one_machine.push import PushPolicy, PushTopic
from shared import logs
from shared.adapters.coalescing import CoalescingDocuments
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.sqlite import SqliteDocuments
from shared.adapters.traced import TracedPublisher, traced_documents, traced_warehouse
from shared.declared import every_spec
from shared.errors import InvalidInput, Unavailable
from shared.settings import PlanningRules, Policy
from worker.app import create_app as serve_worker
from worker.model import Model, shipped_model
from worker.service import Worker

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=10)
"""Short, since a run that was killed leaves its lease to expire before the next can consolidate."""
_OUTCOMES = PushPolicy(concurrency=4, minimum_backoff=timedelta(milliseconds=200), maximum_backoff=timedelta(seconds=5))
_REQUESTS = replace(_OUTCOMES, concurrency=16, maximum_attempts=20)
"""Workers that wait for one another's commit share the next one, so more of them at once cost less. A request that is
refused for more than a minute is a dead letter."""
_REQUEST_SECONDS = 600
_STOP_SECONDS = 0.02
"""How often a server looks whether it is to stop."""


class _Silent(WSGIRequestHandler):
    """Leaves access lines out: the services log every request's end."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write no access line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalParts:
    """What a state folder holds, opened: nobody is served yet, and no message delivered."""

    warehouse: DuckdbWarehouse
    coordinator: Coordinator
    requests: PushTopic
    outcomes: PushTopic
    dead_letters: PushTopic
    finished: PushTopic
    revision: str


def open_parts(
    state: Path, opened: ExitStack, *, policy: Policy | None = None, rules: PlanningRules | None = None
) -> LocalParts:
    """Open a state folder, made when absent, until `opened` is closed; the log goes to its file there.

    Args:
        policy, rules: as the coordinator's settings would say.

    Raises:
        OSError: the folder cannot be used.
        Unavailable: another process uses it.
    """
    state.mkdir(parents=True, exist_ok=True)
    revision = f"local-{version('tipoff')}"
    _log_to(state / "tipoff.log", opened, revision=revision)
    warehouse = DuckdbWarehouse(state / "warehouse.duckdb")
    opened.callback(warehouse.close)
    for spec in every_spec():
        warehouse.create(spec)
    documents = SqliteDocuments(state / "ledger.sqlite")
    opened.callback(documents.close)
    finished, dead_letters = _topic(state, "finished", opened), _topic(state, "dead-letters", opened)
    requests_topic = _topic(state, "requests", opened, policy=_REQUESTS, dead_letter=dead_letters)
    outcomes = _topic(state, "outcomes", opened)
    coordinator = assemble(
        Parts(
            documents=traced_documents(CoalescingDocuments(documents), system="sqlite"),
            warehouse=traced_warehouse(warehouse, system="duckdb"),
            requests=TracedPublisher(requests_topic, topic="requests"),
            finished=TracedPublisher(finished, topic="finished"),
            clock=_now,
            # The state folder has one process at a time, so its start is enough to tell holders apart.
            holder=f"{revision}/{_now().isoformat()}",
            revision=revision,
            policy=policy or Policy(),
            rules=rules or PlanningRules(),
            lease=LEASE,
            renew_every=LEASE / 4,
            max_bytes=_ANY_SIZE,
        )
    )
    return LocalParts(
        warehouse=warehouse,
        coordinator=coordinator,
        requests=requests_topic,
        outcomes=outcomes,
        dead_letters=dead_letters,
        finished=finished,
        revision=revision,
    )


def _topic(
    state: Path,
    name: str,
    opened: ExitStack,
    *,
    policy: PushPolicy = _OUTCOMES,
    dead_letter: PushTopic | None = None,
) -> PushTopic:
    topic = PushTopic(state / f"{name}.sqlite", name=name, clock=_now, policy=policy, dead_letter=dead_letter)
    opened.callback(topic.stop)
    return topic


def _log_to(path: Path, opened: ExitStack, *, revision: str) -> None:
    stream = path.open("a", encoding="utf-8")
    logs.configure(service="local", revision=revision, project=None, stream=stream)
    opened.callback(stream.close)
    opened.callback(logging.getLogger().handlers.clear)


class LocalStack:
    """The running system over one state folder; a context manager that stops everything it started.

    Opened again on the same folder it goes on where the last process stopped, however it ended: ledger, warehouse and
    undelivered messages are all in files.

    Args:
        state: the folder, made when absent; one process at a time.
        policy, rules: as the coordinator's settings would say.
        model: what the worker predicts from; the shipped one where none is given.
        worker_schema_version: what the worker writes; the coordinator's where none is given.
        port: where the coordinator listens; 0 takes a free one.

    Raises:
        InvalidInput: the folder cannot be used.
        Unavailable: another process uses it.
    """

    def __init__(
        self,
        state: Path,
        *,
        policy: Policy | None = None,
        rules: PlanningRules | None = None,
        model: Model | None = None,
        worker_schema_version: int | None = None,
        port: int = 0,
    ) -> None:
        self._state = state
        self._policy = policy or Policy()
        self._rules = rules or PlanningRules()
        self._model = model or shipped_model()
        self._worker_schema_version = worker_schema_version or self._rules.schema_version
        self._port = port
        self._exit = ExitStack()
        self._stopping = threading.Event()
        self._session = requests.Session()
        self._session.trust_env = False
        self.revision = ""
        self.coordinator_url = ""
        self.worker_url = ""

    def __enter__(self) -> Self:
        try:
            with self._exit:
                self._start()
                self._exit = self._exit.pop_all()
        except OSError as error:
            raise InvalidInput("--state", f"{self._state} cannot be used: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._exit.close()

    # --- as a client of the services --------------------------------------------------------------------------

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """Ask the coordinator; any status but 200 raises `Unavailable`."""
        response = self._session.get(self.coordinator_url + path, params=query, timeout=_REQUEST_SECONDS)
        answer = Answer(response.status_code, response.json())
        if answer.status != 200:
            raise Unavailable(f"GET {path} answered {answer.status}: {answer.detail}")
        return answer

    def post(self, path: str, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
        """Post JSON to the coordinator."""
        response = self._session.post(
            self.coordinator_url + path, json=body, headers=dict(headers or {}), timeout=_REQUEST_SECONDS
        )
        return Answer(response.status_code, response.json())

    def today(self) -> date:
        """The date in US Eastern, as game dates go."""
        return _now().astimezone(US_EASTERN).date()

    @property
    def trained_until(self) -> date:
        """The first date whose games the worker's model has not seen."""
        return date.fromisoformat(self._model.document.trained_on.until)

    def pause(self, lasting: timedelta) -> None:
        """Wait, unless the stack is being stopped."""
        self._stopping.wait(lasting.total_seconds())

    # --- wiring -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        parts = open_parts(self._state, self._exit, policy=self._policy, rules=self._rules)
        self.warehouse, self.finished, self.revision = parts.warehouse, parts.finished, parts.revision
        worker = Worker(
            warehouse=traced_warehouse(self.warehouse, system="duckdb"),
            outcomes=TracedPublisher(parts.outcomes, topic="outcomes"),
            revision=self.revision,
            schema_version=self._worker_schema_version,
            model=self._model,
            clock=_now,
        )
        self._serve(parts.coordinator, worker)
        parts.requests.start(f"{self.worker_url}/predict")
        parts.outcomes.start(f"{self.coordinator_url}/complete")
        parts.dead_letters.start(f"{self.coordinator_url}/dead-letter")

    def _serve(self, coordinator: Coordinator, worker: Worker) -> None:
        # Loopback only, and callers are this process's own topics: no tokens to check.
        self.coordinator_url = self._listen(
            serve_coordinator(coordinator, guard=lambda _header, _callers: None), port=self._port
        )
        self.worker_url = self._listen(serve_worker(worker, guard=lambda _header: None))
        log.info(
            "services listening",
            extra={"json_fields": {"coordinator": self.coordinator_url, "worker": self.worker_url}},
        )

    def _listen(self, app: Flask, *, port: int = 0) -> str:
        with _bound(port) as bound:
            address = f"http://127.0.0.1:{bound.getsockname()[1]}"
            server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Silent, fd=bound.fileno())
        thread = threading.Thread(
            target=server.serve_forever, args=(_STOP_SECONDS,), name=f"http-{app.name}", daemon=True
        )
        thread.start()
        self._exit.callback(_stop_serving, server, thread)
        return address


def _bound(port: int) -> socket.socket:
    """A socket that listens on a port of this machine. Raises `InvalidInput` where it is taken."""
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise InvalidInput("--port", f"{port} cannot be used: {error.strerror}; name another, or 0 for any") from error
    return bound


_ANY_SIZE = 1 << 62
"""Reading the embedded warehouse costs nothing."""


def _now() -> datetime:
    return datetime.now(UTC)


def _stop_serving(server: BaseWSGIServer, thread: threading.Thread) -> None:
    server.shutdown()
    thread.join()
    server.server_close()
