"""One thread of control over many tasks: a seeded scheduler that switches at every port call, and the faults it makes.

A task runs until its next port call. There the scheduler may let any other task go on, let it sleep, kill its instance
before or after the effect, refuse service, or carry the effect out and say that there was trouble. All chance comes from
one seed, so a schedule can be told again.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]  # it ships no types

from shared.errors import TipoffError, Unavailable

T = TypeVar("T")
SECOND = timedelta(seconds=1)


class LawBroken(AssertionError):
    """A law of the system did not hold."""


class Killed(BaseException):
    """The instance was killed; not an Exception, so that nothing but the simulation catches it."""


@dataclass(frozen=True, kw_only=True)
class Climate:
    """How often what goes wrong, per port call or message; 0 is never."""

    unavailable: float = 0.0
    ambiguous: float = 0.0
    """Done, but the caller is told that there was trouble."""
    lands_later: float = 0.0
    """The caller is told that there was trouble, and afterwards it is done after all."""
    killed_before: float = 0.0
    killed_after: float = 0.0
    pause: float = 0.0
    """Sleep, at times past a lease."""
    ack_lost: float = 0.0
    delayed: float = 0.0
    long_delayed: float = 0.0
    job_slow: float = 0.0
    job_failed: float = 0.0
    found_late: float = 0.0
    """A look right after a submission does not see the job."""

    @classmethod
    def drawn(cls, rng: random.Random) -> Climate:
        """A climate in which about half of the faults occur, each as often as its own draw says."""
        most = {
            "unavailable": 0.08,
            "ambiguous": 0.06,
            "lands_later": 0.04,
            "killed_before": 0.03,
            "killed_after": 0.03,
            "pause": 0.06,
            "ack_lost": 0.3,
            "delayed": 0.5,
            "long_delayed": 0.15,
            "job_slow": 0.5,
            "job_failed": 0.4,
            "found_late": 0.4,
        }
        return cls(**{name: rng.random() * top if rng.random() < 0.5 else 0.0 for name, top in most.items()})


CALM = Climate()


_WEIGHTS = {"warehouse.submit": 6}
"""Where trouble is worth more than elsewhere: a schedule has few MERGEs, and its laws are about them."""


@dataclass(eq=False)
class Instance:
    """One running copy of a service, with its own clock."""

    name: str
    service: str
    skew: timedelta = timedelta(0)
    is_dead: bool = False
    tasks: set[Task] = field(default_factory=set)


@dataclass(eq=False)
class Task:
    """One request on one instance, or something that the world does."""

    name: str
    run: Callable[[], None]
    instance: Instance | None
    effects: int = 0
    thread: _Thread | None = None
    """What carries it, from its begin to its end."""


class _Thread(greenlet):  # type: ignore[misc]  # it ships no types
    """Carries tasks, one after the other: to begin a greenlet takes as long as several port calls."""

    task: Task

    def __init__(self) -> None:
        super().__init__(self._carry)

    def _carry(self) -> None:
        while True:
            with suppress(Killed):
                self.task.run()
            self.task.thread = None
            del self.task
            _IDLE.append(self)
            self.parent.switch()


_IDLE: list[_Thread] = []
"""Those that carry nothing, of whatever world."""


class World:
    """Time, tasks, chance and faults. `story` collects what happened, when there is one.

    Args:
        seed: all chance follows from it.
        climate: which faults occur, until `calm_down`.
        in_order: let tasks take turns as they come, instead of by chance.
    """

    def __init__(
        self, seed: int, *, now: datetime, climate: Climate = CALM, told: bool = False, in_order: bool = False
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - a simulation's chance
        self.now = now
        self.began = now
        self.climate = climate
        self.in_order = in_order
        self.story: list[str] | None = [] if told else None
        self.broken: LawBroken | None = None
        self.kills = 0
        self.calls = 0
        self.effect_hooks: list[Callable[[Task, str, bool], None]] = []
        """Called before (False) and after (True) every effect; may raise `Killed` by `kill`."""
        self.call_hook: Callable[[Task, str, bool], None] | None = None
        """Called before every port call, with whether it writes; may sleep, kill or refuse service."""
        self._ready: list[Task] = []
        self._timers: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = 0
        self._numbers: dict[str, int] = {}
        self._hub = getcurrent()
        self.author: Task | None = None
        """Whose port call is carried out, be it now or late."""
        self.on_kill: Callable[[Instance], None] = lambda _instance: None
        self._noticing = _Noticing(self)

    # --- time and tasks ---

    def calm_down(self) -> None:
        """No more faults from here on."""
        self.say("world", "no more faults from here on")
        self.climate = CALM

    def after(self, delay: timedelta, act: Callable[[], None]) -> None:
        """Do something when so much time has passed."""
        self._order += 1
        heapq.heappush(self._timers, (self.now + delay, self._order, act))

    def spawn(self, name: str, run: Callable[[], None], *, instance: Instance | None = None) -> Task:
        """Begin a task; it runs when the scheduler lets it."""
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        task = Task(f"{name}#{number}", run, instance)
        if instance is not None:
            instance.tasks.add(task)
        self._ready.append(task)
        return task

    def run(self, *, until: datetime | None = None) -> None:
        """Go on until nothing is left to do, or until a moment.

        Raises:
            LawBroken: a law did not hold; by whichever task noticed it.
        """
        timers = self._timers
        while True:
            while timers and timers[0][0] <= self.now:
                heapq.heappop(timers)[2]()
            if not self._ready:
                next_at = timers[0][0] if timers else None
                if next_at is None or (until is not None and next_at > until):
                    break
                self.now = next_at
                continue
            self._resume(self._chosen())
        if until is not None and self.now < until:
            self.now = until

    def _chosen(self) -> Task:
        """Choose who goes on; it is a little later by then."""
        task = self._ready.pop(0 if self.in_order else self._below(len(self._ready)))
        draw = self.rng.getrandbits
        while (passed := draw(16)) >= 39_999:  # as `_below`, of which a call for every port call would be dear
            pass
        self.now += timedelta(0, 0, 1 + passed)
        return task

    def _let_others_go_on(self, task: Task) -> None:
        """Stop here until the scheduler chooses this task again. Where it has nobody else to choose and nothing else to
        do, as mostly, it chooses without a switch to it and back."""
        self._ready.append(task)
        is_due = bool(self._timers) and self._timers[0][0] <= self.now
        is_dead = task.instance is not None and task.instance.is_dead
        if len(self._ready) == 1 and not is_due and not is_dead and self.broken is None:
            self._chosen()
        else:
            self._hub.switch()

    def _below(self, end: int) -> int:
        """A number from 0, as `randrange` draws it at three times the cost; most of a schedule's draws are made here."""
        bits = end.bit_length()
        while (drawn := self.rng.getrandbits(bits)) >= end:
            pass
        return drawn

    def _resume(self, task: Task) -> None:
        if task.instance is not None and task.instance.is_dead:
            return
        if task.thread is None:
            task.thread = _IDLE.pop() if _IDLE else _Thread()
            task.thread.task, task.thread.parent = task, self._hub
        task.thread.switch()
        if self.broken is not None:
            raise self.broken
        if task.thread is None and task.instance is not None:
            task.instance.tasks.discard(task)

    def sleep(self, lasting: timedelta) -> None:
        """Let a task do nothing for so long."""
        task = self.current
        self.after(lasting, lambda: self._ready.append(task))
        self._hub.switch()

    @property
    def current(self) -> Task:
        """The task that runs."""
        thread = getcurrent()
        assert isinstance(thread, _Thread), "port calls of a simulation are made by its tasks"
        return thread.task

    def kill(self, instance: Instance) -> None:
        """Kill an instance with all its tasks, as kill -9 does; the calling task ends here if it is one of them."""
        if instance.is_dead:
            return
        instance.is_dead = True
        self.kills += 1
        self.say(instance.name, "is killed")
        own = getcurrent()
        for task in sorted(instance.tasks, key=lambda one: one.name):
            if task.thread is not None and task.thread is not own:
                task.thread.parent = own  # where control goes on when it has ended
                task.thread.throw(Killed)
        self._ready = [task for task in self._ready if task.instance is not instance]
        self.on_kill(instance)
        if isinstance(own, _Thread) and own.task.instance is instance:
            raise Killed

    def next_timer(self) -> datetime | None:
        """When something happens by itself next."""
        return self._timers[0][0] if self._timers else None

    # --- port calls ---

    def call(self, what: str, effect: Callable[[], T], *, writes: bool, about: Callable[[], str] | None = None) -> T:
        """Make a port call of the current task, with whatever the climate does to it."""
        task, rng = self.current, self.rng
        self.calls += 1
        self._let_others_go_on(task)
        climate = self.climate
        if self.call_hook is not None:
            self.call_hook(task, what, writes)
        if climate is CALM:
            return self._carry_out(task, what, effect, writes=writes, about=about)
        weight = _WEIGHTS.get(what, 1)
        if climate.pause and rng.random() < climate.pause:
            lasting = SECOND * rng.choice((5, 30, 70, 200, 900))
            self.say(task.name, f"sleeps {lasting} before {what}")
            self.sleep(lasting)
        if writes and climate.killed_before and task.instance and rng.random() < weight * climate.killed_before:
            self.say(task.name, f"dies before {what}")
            self.kill(task.instance)
        if climate.unavailable and rng.random() < climate.unavailable:
            self.say(task.name, f"{what}: refused service")
            raise Unavailable(f"{what}: no answer")
        if not writes:
            return self._carry_out(task, what, effect, writes=False, about=about)
        if climate.lands_later and rng.random() < weight * climate.lands_later:
            delay = SECOND * rng.choice((1, 10, 100, 400))
            self.say(task.name, f"{what}: no answer, and it lands {delay} later  {about() if about else ''}")
            self.after(delay, lambda: self._land(task, what, effect))
            raise Unavailable(f"{what}: no answer")
        found = self._carry_out(task, what, effect, writes=True, about=about)
        if climate.killed_after and task.instance and rng.random() < weight * climate.killed_after:
            self.say(task.name, f"dies after {what}")
            self.kill(task.instance)
        if climate.ambiguous and rng.random() < weight * climate.ambiguous:
            self.say(task.name, f"{what}: done, but the caller is told of trouble")
            raise Unavailable(f"{what}: no answer")
        return found

    def _carry_out(
        self, task: Task, what: str, effect: Callable[[], T], *, writes: bool, about: Callable[[], str] | None
    ) -> T:
        if writes:
            for hook in self.effect_hooks:
                hook(task, what, False)
        self.author = task
        try:
            found = effect()
        except LawBroken:
            raise
        except Exception as error:
            self.say(task.name, f"{what}: {type(error).__name__}: {error}")
            raise
        if self.story is not None:
            self.say(task.name, f"{what}  {about() if about else ''}".rstrip())
        if writes:
            task.effects += 1
            for hook in self.effect_hooks:
                hook(task, what, True)
        return found

    def _land(self, task: Task, what: str, effect: Callable[[], Any]) -> None:
        """Carry out what its caller has given up, whatever came of it meanwhile."""
        self.author = task
        try:
            effect()
        except TipoffError as error:
            self.say(task.name, f"{what}: lands late and is refused: {error}")
        else:
            self.say(task.name, f"{what}: lands late")

    # --- the story ---

    def say(self, who: str, what: str) -> None:
        """Add a line to the story, if one is kept."""
        if self.story is not None:
            passed = self.now - self.began
            minutes, seconds = divmod(passed.total_seconds(), 60)
            self.story.append(f"{int(minutes):4d}:{seconds:06.3f}  {who:<22} {what}")

    def noticing(self) -> AbstractContextManager[None]:
        """Let a broken law end the run, whichever task noticed it and whatever would swallow it there."""
        return self._noticing


@dataclass(frozen=True)
class _Noticing(AbstractContextManager[None]):
    """It keeps nothing of its own, so one serves all tasks of a world."""

    world: World

    def __exit__(self, _kind: object, raised: BaseException | None, _trace: object) -> None:
        if isinstance(raised, LawBroken) and self.world.broken is None:
            self.world.broken = raised
