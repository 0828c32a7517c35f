"""Both services on one machine: wired over the embedded parts, served over real HTTP on loopback, in one process.

One process, because the embedded warehouse's file has one owner. The code of both services is the cloud's; only what
`coordinator.main` and `worker.main` do there is done here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from coordinator.app import create_app as serve_coordinator
from coordinator.assembly import Coordinator, Parts, assemble
from local.one_machine.coordinator_client import CoordinatorClient, client_of_url
from local.one_machine.push_topic import PushPolicy, PushTopic
from local.one_machine.serving import serving
from shared import logs
from shared.adapters.coalescing import CoalescingDocuments
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.model_files import read_file
from shared.adapters.sqlite import SqliteDocuments
from shared.adapters.traced import TracedPublisher, traced_documents, traced_warehouse
from shared.declared import every_spec
from shared.errors import InvalidInput, Unavailable
from shared.settings import PlanningRules, Policy
from worker.app import create_app as serve_worker
from worker.model import Model, read_model, shipped_model
from worker.service import Worker

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=10)
"""Short, since a run that was killed leaves its lease to expire before the next can consolidate."""
_OUTCOMES = PushPolicy(concurrency=4, minimum_backoff=timedelta(milliseconds=200), maximum_backoff=timedelta(seconds=5))
_REQUESTS = replace(_OUTCOMES, concurrency=16, maximum_attempts=20)
"""Workers that wait for one another's commit share the next one, so more of them at once cost less. A request that is
refused for more than a minute is a dead letter."""


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
        InvalidInput: the folder cannot be used, or another process uses it.
    """
    try:
        return _opened(state, opened, policy=policy or Policy(), rules=rules or PlanningRules())
    except OSError as error:
        raise InvalidInput("--state", f"{state} cannot be used: {error}") from error
    except Unavailable as error:
        problem = f"{state} is in use by another process, or damaged; wait for it, or name another folder ({error})"
        raise InvalidInput("--state", problem) from error


def _opened(state: Path, opened: ExitStack, *, policy: Policy, rules: PlanningRules) -> LocalParts:
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
            policy=policy,
            rules=rules,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStack:
    """The running system."""

    client: CoordinatorClient
    """Asks the coordinator."""
    coordinator_url: str
    warehouse: DuckdbWarehouse
    finished: PushTopic
    today: date
    """The date in US Eastern, as game dates go."""
    trained_until: date
    """The first date whose games the worker's model has not seen."""


def model_of(where: str | None) -> Model:
    """Read the model of a path or gs:// URL; the shipped one where none is named. Raises `InvalidInput`."""
    return shipped_model() if where is None else read_model(read_file(where), name=where)


@contextmanager
def local_stack(
    state: Path,
    *,
    policy: Policy | None = None,
    rules: PlanningRules | None = None,
    model: Model | None = None,
    worker_schema_version: int | None = None,
    port: int = 0,
) -> Iterator[LocalStack]:
    """Run the system over one state folder for the length of the block, at whose end all that was started is stopped.

    Opened again on the same folder it goes on where the last process stopped, however it ended: ledger, warehouse and
    undelivered messages are all in files.

    Args:
        state: the folder, made when absent; one process at a time.
        policy, rules: as the coordinator's settings would say.
        model: what the worker predicts from; the shipped one where none is given.
        worker_schema_version: what the worker writes; the coordinator's where none is given.
        port: where the coordinator listens; 0 takes a free one.

    Raises:
        InvalidInput: the folder or the port cannot be used.
    """
    rules, model = rules or PlanningRules(), model or shipped_model()
    with ExitStack() as opened:
        parts = open_parts(state, opened, policy=policy, rules=rules)
        worker = Worker(
            warehouse=traced_warehouse(parts.warehouse, system="duckdb"),
            outcomes=TracedPublisher(parts.outcomes, topic="outcomes"),
            revision=parts.revision,
            schema_version=worker_schema_version or rules.schema_version,
            model=model,
            clock=_now,
        )
        # Loopback only, and callers are this process's own topics: no tokens to check.
        open_to_all = serve_coordinator(parts.coordinator, guard=lambda _header, _callers: None)
        coordinator_url = opened.enter_context(serving(open_to_all, port=port))
        worker_url = opened.enter_context(serving(serve_worker(worker, guard=lambda _header: None)))
        client = opened.enter_context(client_of_url(coordinator_url))
        log.info("services listening", extra={"json_fields": {"coordinator": coordinator_url, "worker": worker_url}})
        parts.requests.start(f"{worker_url}/predict")
        parts.outcomes.start(f"{coordinator_url}/complete")
        parts.dead_letters.start(f"{coordinator_url}/dead-letter")
        yield LocalStack(
            client=client,
            coordinator_url=coordinator_url,
            warehouse=parts.warehouse,
            finished=parts.finished,
            today=parts.coordinator.parts.today(),
            trained_until=date.fromisoformat(model.document.trained_on.until),
        )


_ANY_SIZE = 1 << 62
"""Reading the embedded warehouse costs nothing."""


def _now() -> datetime:
    return datetime.now(UTC)
