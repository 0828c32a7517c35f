"""A game date on a simulated cloud: instances of both services, topics that push, a league, operators and a scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from coordinator.assembly import Coordinator, Parts, assemble
from coordinator.ledger import Ledger
from coordinator.routes.pushes import _complete, _give_up
from shared.errors import Permanent, TipoffError, Transient
from shared.ports import Outgoing
from shared.push import Pushed
from shared.settings import PlanningRules, Policy
from tests.simulation.laws import Laws
from tests.simulation.league import GAME_DATE, GAME_ID, PlannedPlayer, Revision, simulated_staged
from tests.simulation.memory_documents import MemoryDocuments
from tests.simulation.memory_warehouse import MemoryWarehouse
from tests.simulation.parts import SimulatedDocuments, SimulatedTopic, SimulatedWarehouse
from tests.simulation.world import CALM, SECOND, Climate, Instance, World
from worker.service import Worker

MORNING = datetime(2026, 1, 30, 15, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)
MINUTE = timedelta(minutes=1)
_RULES = PlanningRules()
POLICY = Policy(deadline_minutes=30, republish_after_minutes=4, players_per_request=2, max_republishes=3)


@dataclass
class Message:
    """One message of a topic on its way to a push endpoint."""

    topic: str
    number: int
    sent: Outgoing
    attempt: int = 1

    @property
    def key(self) -> tuple[str, int, int]:
        """The delivery, among all."""
        return self.topic, self.number, self.attempt


@dataclass
class Running:
    """An instance with what it runs."""

    instance: Instance
    coordinator: Coordinator | None = None
    worker: Worker | None = None
    open: dict[tuple[str, int, int], Message] = field(default_factory=dict)
    """The deliveries that it has not answered."""


@dataclass
class Day:
    """The world of one schedule.

    Args:
        players: whom the plan finds, until `plan_otherwise`.
        revisions: those of the workers that start, by turns.
        attempts: deliveries after which a request is dead-lettered.
    """

    seed: int
    players: tuple[PlannedPlayer, ...]
    climate: Climate = CALM
    revisions: tuple[Revision, ...] = (Revision("worker-1"),)
    attempts: int = 5
    skews: tuple[timedelta, ...] = (timedelta(0),)
    coordinators: int = 2
    told: bool = False
    in_order: bool = False
    policy: Policy = POLICY
    alive: dict[str, list[Running]] = field(default_factory=lambda: {"coordinator": [], "worker": []})
    started: dict[str, int] = field(default_factory=lambda: {"coordinator": 0, "worker": 0})
    draining: list[Running] = field(default_factory=list)
    acted_at: datetime = MORNING
    """When a person asked for something last, after which the sweeps need their time again."""
    under_way: int = 0
    """Messages that are not yet acknowledged."""

    def __post_init__(self) -> None:
        self.world = World(self.seed, now=MORNING, climate=self.climate, told=self.told, in_order=self.in_order)
        self.world.on_kill = self._replace_later
        self.documents = MemoryDocuments(trusting=True)
        self.warehouse = MemoryWarehouse(
            plan=lambda _parameters: [dict(player.row) for player in self.players],
            started=self._run_job,
            refuses=lambda row: any(p.poison == "append" and p.name == row["player_lookup"] for p in self.players),
        )
        self.laws = Laws(self.world, self.documents, self.warehouse, self.revisions)
        self._messages = 0
        for _ in range(self.coordinators):
            self.new_instance("coordinator")
            self.new_instance("worker")

    def tip_off(self, after: timedelta) -> None:
        """Have the schedule tell that the date's game begins so long after the morning."""
        self.warehouse.tipoffs[GAME_ID] = self.world.began + after
        self.world.say("world", f"the game begins {after} from now")

    # --- instances ---

    def new_instance(self, service: str) -> Running:
        """Start another instance of a service."""
        number = self.started[service]
        self.started[service] += 1
        instance = Instance(f"{service}-{number}", service, skew=self.skews[number % len(self.skews)])
        running = Running(instance)
        if service == "coordinator":
            running.coordinator = self._coordinator(instance)
        else:
            running.worker = self._worker(instance, self.revisions[number % len(self.revisions)])
        self.alive[service].append(running)
        return running

    def _coordinator(self, instance: Instance) -> Coordinator:
        parts = Parts(
            documents=SimulatedDocuments(self.world, self.documents, self.laws.committed),
            warehouse=SimulatedWarehouse(self.world, self.warehouse, self.laws.submitted),
            requests=SimulatedTopic(self.world, "requests", self._request_published),
            finished=SimulatedTopic(self.world, "finished", self._finished_published),
            clock=lambda: self.world.now + instance.skew,
            holder=instance.name,
            revision="coordinator-1",
            policy=self.policy,
            rules=_RULES,
            lease=LEASE,
            renew_every=20 * SECOND,
            max_bytes=1 << 40,
        )
        return assemble(parts)

    def _worker(self, instance: Instance, revision: Revision) -> Worker:
        return Worker(
            warehouse=SimulatedWarehouse(self.world, self.warehouse, self.laws.submitted),
            outcomes=SimulatedTopic(self.world, "outcomes", self._outcome_published),
            revision=revision.name,
            schema_version=revision.version,
            model=cast(Any, revision),
            make_rows=cast(Any, simulated_staged),
            clock=lambda: self.world.now + instance.skew,
        )

    def _replace_later(self, dead: Instance) -> None:
        is_drained = any(one.instance is dead for one in self.draining)
        for one in (*self.alive[dead.service], *self.draining):
            if one.instance is dead:
                for message in list(one.open.values()):
                    self._redeliver(message, one)
        if is_drained:
            return  # its successor runs already
        self.alive[dead.service] = [one for one in self.alive[dead.service] if one.instance is not dead]
        self.world.after(self.world.rng.choice((1, 30)) * SECOND, lambda: self._replace(dead.service))

    def _replace(self, service: str) -> None:
        running = self.new_instance(service)
        self.world.say(running.instance.name, "starts")

    def drain(self, instance: Instance) -> None:
        """Send SIGTERM: no further request for the instance, a successor at once, and its end 10 s later."""
        self.world.say(instance.name, "is drained")
        for one in self.alive[instance.service]:
            if one.instance is instance:
                self.draining.append(one)
        self.alive[instance.service] = [one for one in self.alive[instance.service] if one.instance is not instance]
        self._replace(instance.service)
        self.world.after(10 * SECOND, lambda: self.world.kill(instance))

    def any_of(self, service: str) -> Running | None:
        """One of a service's instances; None while all are down."""
        alive = self.alive[service]
        return self.world.rng.choice(alive) if alive else None

    # --- topics that push ---

    def _request_published(self, sent: Outgoing) -> None:
        self._send("requests", sent)

    def _outcome_published(self, sent: Outgoing) -> None:
        self.laws.announced(sent)
        self._send("outcomes", sent)

    def _finished_published(self, sent: Outgoing) -> None:
        self.laws.told(sent)

    def _send(self, topic: str, sent: Outgoing) -> None:
        self._messages += 1
        self.under_way += 1
        climate, rng = self.world.climate, self.world.rng
        delay = timedelta(milliseconds=rng.randrange(1, 2000))
        if climate.delayed and rng.random() < climate.delayed:
            delay = rng.choice((5, 60, 400)) * SECOND
        if climate.long_delayed and rng.random() < climate.long_delayed:
            delay = rng.choice((20, 45, 120)) * MINUTE
        self._deliver_after(delay, Message(topic, self._messages, sent))

    def _deliver_after(self, delay: timedelta, message: Message) -> None:
        self.world.after(delay, lambda: self._deliver(message))

    def _deliver(self, message: Message) -> None:
        running = self.any_of("worker" if message.topic == "requests" else "coordinator")
        if running is None:
            self._deliver_after(10 * SECOND, message)
            return
        world, instance = self.world, running.instance

        def push() -> None:
            world.say(f"{message.topic} {message.number}", f"delivery {message.attempt} to {instance.name}")
            try:
                self._take(message, running)
            except Transient as trouble:
                world.say(world.current.name, f"answers 503: {trouble}")
                self._redeliver(message, running)
                return
            except Permanent as refusal:
                world.say(world.current.name, f"answers 204: {refusal}")
            with world.noticing():
                self.laws.acknowledged(message.topic, message.sent)
            if world.climate.ack_lost and world.rng.random() < world.climate.ack_lost:
                world.say(f"{message.topic} {message.number}", "its acknowledgement is lost")
                self._redeliver(message, running)
            elif running.open.pop(message.key, None):
                self.under_way -= 1

        running.open[message.key] = message
        world.spawn(f"{instance.name} {message.topic}", push, instance=instance)
        if world.climate.pause:  # who sleeps past the ack deadline has his message delivered to another
            world.after(600 * SECOND, lambda: self._redeliver(message, running))

    def _redeliver(self, message: Message, running: Running) -> None:
        """Deliver a message again, unless this delivery of it was answered or given up before."""
        if running.open.pop(message.key, None) is None:
            return
        attempt = message.attempt
        if message.topic == "requests" and attempt >= self.attempts:
            self.world.say(f"requests {message.number}", "is dead-lettered")
            letters = {"CloudPubSubDeadLetterSourceDeliveryCount": str(attempt)}
            dead = replace(message.sent, attributes={**message.sent.attributes, **letters})
            self._deliver_after(SECOND, Message("dead-requests", message.number, dead))
            return
        self._deliver_after(min(10 * 2 ** min(attempt, 5), 300) * SECOND, replace(message, attempt=attempt + 1))

    def _take(self, message: Message, running: Running) -> None:
        sent = message.sent
        pushed = Pushed(sent.data, sent.attributes, str(message.number), None, message.attempt, message.topic)
        if message.topic == "requests":
            assert running.worker is not None
            running.worker.predict_slice(pushed.data, pushed.attributes)
            return
        assert running.coordinator is not None
        (_complete if message.topic == "outcomes" else _give_up)(running.coordinator, pushed)

    # --- jobs ---

    def _run_job(self, job_id: str) -> None:
        climate, rng = self.world.climate, self.world.rng
        lasting = rng.choice((1, 3, 8)) * SECOND
        if climate.job_slow and rng.random() < climate.job_slow:
            lasting = rng.choice((70, 200, 500)) * SECOND
        error = "the job's worker was lost" if climate.job_failed and rng.random() < climate.job_failed else None
        self.world.after(lasting, lambda: self._end_job(job_id, error))

    def _end_job(self, job_id: str, error: str | None) -> None:
        before = self.laws.before_job(job_id)
        self.warehouse.finish(job_id, error=error)
        job = self.warehouse.jobs[job_id]
        self.world.say("warehouse", f"job {job_id} ends: {job.effect or job.error or 'nothing to do'}")
        with self.world.noticing():
            self.laws.job_ended(job_id, before)

    # --- operators ---

    def ask(self, name: str, act: Callable[[Coordinator], object], *, tries: int = 1) -> None:
        """Have somebody ask a coordinator, as often as the answer is that it may help to try again."""
        if name != "sweep":
            self.acted_at = self.world.now
        running = self.any_of("coordinator")
        if running is None or running.coordinator is None:
            if tries > 1:
                self.world.after(20 * SECOND, lambda: self.ask(name, act, tries=tries - 1))
            return
        coordinator, answered = running.coordinator, []

        def request() -> None:
            try:
                self.world.say(self.world.current.name, "begins")
                answer = act(coordinator)
                self.world.say(self.world.current.name, f"is answered: {str(answer)[:200]}")
                answered.append(True)
            except Transient as trouble:
                self.world.say(self.world.current.name, f"answers 503: {trouble}")
            except TipoffError as refusal:
                answered.append(True)
                self.world.say(self.world.current.name, f"is refused: {refusal}")

        self.world.spawn(f"{running.instance.name} {name}", request, instance=running.instance)
        if tries > 1:

            def again() -> None:
                if not answered:
                    self.ask(name, act, tries=tries - 1)

            self.world.after(90 * SECOND, again)

    def start(self, key: str = "day", *, force: str | None = None, tries: int = 6) -> None:
        """Have Cloud Scheduler start the date."""
        self.ask(
            "start",
            lambda c: c.starter.start(GAME_DATE, key=key, policy=self.policy, force=force).batch.state,
            tries=tries,
        )

    def sweep(self) -> None:
        """Have Cloud Scheduler sweep."""
        self.ask("sweep", lambda c: [(one.verdict.value, one.did, one.why) for one in c.sweeper.sweep()])

    @property
    def ledger(self) -> Ledger:
        """The ledger as it is, read outside of the simulation."""
        return Ledger(self.documents)

    def newest(self) -> str | None:
        """The date's newest batch."""
        day = self.ledger.day(GAME_DATE)
        return day.newest.batch_id if day else None

    # --- the end ---

    def go_to_the_end(self) -> None:
        """Without further faults, sweep every five minutes until the deadline, and on until no message is under way.

        Raises:
            LawBroken: what should have ended by then has not, or the end is not as it should be.
        """
        world, every = self.world, 6 * MINUTE
        world.calm_down()
        self.acted_at = world.now
        sweeps_when_idle = 0
        while sweeps_when_idle < _SWEEPS_AT_THE_END:
            self.sweep()
            world.run(until=world.now + every)
            ends_by = max([self.acted_at, *(batch.deadline_at for batch in self.laws.batches())]) + _PATIENCE
            if world.now < ends_by:
                continue
            self.laws.nothing_is_stuck()
            if not self.under_way:
                sweeps_when_idle += 1
            elif (next_at := world.next_timer()) is not None:
                world.run(until=next_at)
        # Missing players of an ended batch are looked for in staging once an hour.
        world.run(until=world.now + 61 * MINUTE)
        self.sweep()
        world.run(until=world.now + every)
        self.laws.hold_at_the_end()


_SWEEPS_AT_THE_END = 2
_PATIENCE = 16 * MINUTE
"""After the deadline and the last fault: the longest job of the simulation, a lease, and a few sweeps."""
