"""The ports of one instance over the world: every call is a switch of the scheduler and a chance for a fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from schemas.tables import Column, FittedRows, Row
from shared.errors import DocumentExists, VersionChanged
from shared.ports import Create, Document, Job, JobState, Outgoing, Parameters, Path, Table, TableSpec, Where, Write
from tests.simulation.memory_documents import MemoryDocuments
from tests.simulation.memory_warehouse import MemoryWarehouse, rows_of, understood
from tests.simulation.world import SECOND, World

_SEEN_AFTER = 5 * SECOND
"""A look right after a submission may miss the job: BigQuery's `get` may answer 404 just after its 409."""

Committed = Callable[[Sequence[Write], Mapping[Path, Document | None]], None]


@dataclass(frozen=True)
class SimulatedDocuments:
    """The document store as one instance sees it; `committed` is told what stood there before each commit."""

    world: World
    inner: MemoryDocuments
    committed: Committed

    def get(self, path: Path) -> Document | None:
        return self.world.call("documents.get", lambda: self.inner.get(path), writes=False, about=lambda: _named(path))

    def commit(self, writes: Sequence[Write]) -> list[str]:
        versions = self.world.call(
            "documents.commit", lambda: self._commit(writes), writes=True, about=lambda: _told(writes)
        )
        self._perhaps_seen_as_refused(writes)
        return versions

    def _perhaps_seen_as_refused(self, writes: Sequence[Write]) -> None:
        """A client that repeats a commit whose answer was lost may be told that its own write came between."""
        climate, rng = self.world.climate, self.world.rng
        if not climate.ambiguous or rng.random() >= climate.ambiguous / 2:
            return
        if any(isinstance(write, Create) for write in writes):
            self.world.say(self.world.current.name, "documents.commit: done, and seen as already there")
            raise DocumentExists("it exists already")
        if any(not isinstance(write, Create) and write.if_version for write in writes):
            self.world.say(self.world.current.name, "documents.commit: done, and seen as disturbed")
            raise VersionChanged("another version")

    def _commit(self, writes: Sequence[Write]) -> list[str]:
        before = {write.path: self.inner.get(write.path) for write in writes}
        versions = self.inner.commit(writes)
        with self.world.noticing():
            self.committed(writes, before)
        return versions

    def query(self, collection: Path, where: Sequence[Where] = (), *, limit: int | None = None) -> list[Document]:
        return self.world.call(
            "documents.query",
            lambda: self.inner.query(collection, where, limit=limit),
            writes=False,
            about=lambda: _named(collection),
        )


@dataclass(frozen=True)
class SimulatedWarehouse:
    """The warehouse as one instance sees it; `submitted` is told of each job before it begins."""

    world: World
    inner: MemoryWarehouse
    submitted: Callable[[str, str], None]

    def query(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        form = understood(sql).form
        return self.world.call(
            f"warehouse.query {form}", lambda: self.inner.query(sql, parameters), writes=form == "freeze"
        )

    def estimate(self, sql: str, parameters: Parameters | None = None) -> int:
        return self.world.call("warehouse.estimate", lambda: self.inner.estimate(sql, parameters), writes=False)

    def submit(self, sql: str, parameters: Parameters, *, job_id: str) -> None:
        def begin() -> None:
            with self.world.noticing():
                self.submitted(job_id, sql)
            self.inner.submit(sql, parameters, job_id=job_id)
            job = self.inner.jobs[job_id]
            job.began_at = job.began_at or self.world.now

        self.world.call("warehouse.submit", begin, writes=True, about=lambda: job_id)

    def job(self, job_id: str, *, wait: timedelta = timedelta(0)) -> Job:
        world = self.world
        found = world.call("warehouse.job", lambda: self.inner.job(job_id), writes=False, about=lambda: job_id)
        if found.state is not JobState.ABSENT and world.climate.found_late:
            began_at = self.inner.jobs[job_id].began_at
            is_fresh = began_at is not None and world.now < began_at + _SEEN_AFTER
            if is_fresh and world.rng.random() < world.climate.found_late:
                world.say(world.current.name, f"job {job_id} is not seen yet")
                return Job(job_id, JobState.ABSENT)
        waited = timedelta(0)
        while found.state is JobState.RUNNING and waited < wait:
            step = min(wait - waited, 5 * SECOND)
            world.sleep(step)
            waited += step
            found = self.inner.job(job_id)
        world.say(world.current.name, f"job {job_id} is {found.state}")
        return found

    def append(self, table: str, rows: Sequence[Row] | FittedRows) -> None:
        self.world.call(
            "warehouse.append",
            lambda: self.inner.append(table, rows),
            writes=True,
            about=lambda: f"{table}: rows of {', '.join(sorted({str(one['player_lookup']) for one in rows_of(rows)}))}",
        )

    def create(self, spec: TableSpec) -> None:
        self.world.call("warehouse.create", lambda: self.inner.create(spec), writes=True)

    def columns(self, table: str) -> tuple[Column, ...] | None:
        return self.world.call("warehouse.columns", lambda: self.inner.columns(table), writes=False)

    def add_columns(self, table: str, columns: Sequence[Column]) -> None:
        self.world.call("warehouse.add_columns", lambda: self.inner.add_columns(table, columns), writes=True)

    def list_tables(self, prefix: str) -> list[Table]:
        return self.world.call("warehouse.list_tables", lambda: self.inner.list_tables(prefix), writes=False)

    def drop(self, table: str) -> None:
        self.world.call("warehouse.drop", lambda: self.inner.drop(table), writes=True)


@dataclass(frozen=True)
class SimulatedTopic:
    """One topic as one instance sees it; `published` is what the topic does with a message."""

    world: World
    name: str
    published: Callable[[Outgoing], None]

    def publish(self, messages: Sequence[Outgoing]) -> None:
        self.world.call(
            f"{self.name}.publish", lambda: self._publish(messages), writes=True, about=self._about(messages)
        )

    def _about(self, messages: Sequence[Outgoing]) -> Callable[[], str]:
        return lambda: "; ".join(
            " ".join(f"{key}={value}" for key, value in message.attributes.items()) for message in messages
        )

    def _publish(self, messages: Sequence[Outgoing]) -> None:
        with self.world.noticing():
            for message in messages:
                self.published(message)

    def check(self) -> None:
        return


def _named(path: Path) -> str:
    return "/".join(path)


def _told(writes: Sequence[Write]) -> str:
    return "; ".join(
        f"{'create' if isinstance(write, Create) else 'update'} {_named(write.path)} "
        + (
            ""
            if isinstance(write, Create)
            else ", ".join(f"{'.'.join(at)}={_short(value)}" for at, value in sorted(write.fields.items()))
        )
        for write in writes
    )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 160 else text[:157] + "..."
