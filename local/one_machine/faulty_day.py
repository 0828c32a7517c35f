"""A day on which outcomes are lost, as when a revision is killed before it has recorded them, and one request is given up.

Decides what is disturbed and what then counts as seen, and what the log lines of a day must say of its trace. How messages
are held, the clock's job is run and lines are read is the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from coordinator.rules.lifecycle import LIVE
from local.one_machine.coordinator_client import CoordinatorClient
from local.one_machine.law import Law, LawVerdict, judged
from shared.errors import Conflict
from shared.push import SliceName

View = dict[str, Any]
"""A batch as `GET /batches/{id}` shows it."""
Pause = Callable[[float], None]
"""Waits so many seconds."""
Seen = TypeVar("Seen")

LOST = "the sweep finishes what a killed revision has left"
CLOCK = "Cloud Scheduler's calls arrive"
DEAD_LETTER = "a dead letter becomes a failed player"
TRACE = "one trace leads from the start to the end"
SWEEP_JOB = "tipoff-sweep"

_OF_THE_DAY = (
    ("coordinator", "batch planned"),
    ("worker", "requests finished"),
    ("coordinator", "push finished"),
    ("coordinator", "batch ended"),
)
"""Which lines each day has, and of which service."""
_LOOK_EVERY_SECONDS = 2.0
_SWEEP_SECONDS = 20.0
"""How long a sweep is waited for before the next."""
_LOG_SECONDS = 180.0
"""Lines may be read some seconds after they were written, seldom minutes."""


class Messages(Protocol):
    """The messages between the services, as an operator gets hold of them."""

    def held(self) -> AbstractContextManager[None]:
        """Keep outcomes from the coordinator for the length of the block; those that are not taken away come after it.

        Raises:
            InvalidInput: they are kept from it already.
            Unavailable: Pub/Sub did not do it.
        """

    def lose(self, batch_id: str) -> int:
        """Take away the outcomes of a batch that are held by now; how many messages that were. Raises `Unavailable`."""

    def give_up(self, name: SliceName) -> None:
        """Have a request of these players be a dead letter. Raises `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What Cloud Scheduler tells of a job's last attempt; no problem where it was answered 2xx."""

    at: str
    problem: str | None


class Clock(Protocol):
    """The job that sweeps by the clock."""

    def run(self) -> None:
        """Have it call now. Raises `Unavailable`."""

    def last(self) -> Attempt:
        """What it tells of its last attempt. Raises `Unavailable`."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A log line of a service (`coordinator`, `worker`), and the trace that it names."""

    service: str
    message: str
    trace: str


ReadLines = Callable[[str], Sequence[LogLine]]
"""The lines that name a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultyDay:
    """The day, over a coordinator.

    Args:
        messages, clock: None where there are none to be had.
        start: starts a batch of the scratch date under a policy; its id.
        staged: how many distinct rows of a batch are staged.
        pause: waits so many seconds.
        patience_seconds: how long a batch, or a part of it, may take.
    """

    client: CoordinatorClient
    messages: Messages | None
    clock: Clock | None
    start: Callable[[dict[str, int]], str]
    staged: Callable[[View], int]
    pause: Pause
    patience_seconds: float

    def run(self, *, rows: int) -> Iterator[Law]:
        """Have outcomes be lost and a request be given up, and see what becomes of it; `rows` are those of the whole day.

        Raises:
            TipoffError: the day cannot go on.
        """
        others = [one for one in self.client.get("/batches")["batches"] if one["state"] in LIVE]
        if self.messages is None or others:
            why = f"batch {others[0]['batch_id']} lives, and its outcomes would wait" if others else _BY_HAND
            yield from (Law(name, LawVerdict.NOT_SHOWN, why) for name in (DEAD_LETTER, LOST))
        else:
            yield from self._disturbed(self.messages, rows)
        if self.clock is None:
            yield Law(
                CLOCK, LawVerdict.NOT_SHOWN, f"gcloud scheduler jobs describe {SWEEP_JOB} tells of its last attempt"
            )

    def _disturbed(self, messages: Messages, rows: int) -> Iterator[Law]:
        with messages.held():
            batch_id = self.start({"republish_after_minutes": 0})
            view = self._until(batch_id, lambda found: self.staged(found) >= rows)
            messages.give_up(SliceName(batch_id, shard=0, start=0, stop=1))
            view = self._until(batch_id, lambda found: bool(found["failed"]))
            codes = set(view["failed"].values())
            yield judged(DEAD_LETTER, codes == {"dead_lettered"}, f"batch {batch_id}: {view['failed']}")
            lost = messages.lose(batch_id)
            view = self.client.get(f"/batches/{batch_id}")
        left = f"{lost} messages of outcomes lost, {len(view['silent'])} players silent in {view['state']}"
        before = self.clock.last() if self.clock else None
        view = self._swept(batch_id)
        whole = bool(lost) and view["state"] == "COMPLETE" and not view["silent"]
        yield judged(LOST, whole, f"{left}; swept, {view['state']} with {view['players']['predicted']} predicted")
        if self.clock and before:
            yield self._of_clock(self.clock, before)

    def _swept(self, batch_id: str) -> View:
        """Sweep until the batch has ended: who has no rows, being skipped, is asked for again by the first sweep."""
        for _ in range(math.ceil(self.patience_seconds / _SWEEP_SECONDS)):
            if self.clock:
                self.clock.run()
            else:
                self.client.post("/sweep", {"dry_run": False})
            with suppress(Conflict):
                return wait_for(self.client, batch_id, has_ended, pause=self.pause, seconds=_SWEEP_SECONDS)
        raise _not_in_time(batch_id)

    def _of_clock(self, clock: Clock, before: Attempt) -> Law:
        last = look_until(clock.last, lambda one: one.at != before.at, pause=self.pause, seconds=self.patience_seconds)
        saw = f"{SWEEP_JOB} was told to run; its last attempt, at {last.at or 'no time'}, {last.problem or 'was answered 2xx'}"
        return judged(CLOCK, last.at != before.at and last.problem is None, saw)

    def _until(self, batch_id: str, is_so: Callable[[View], bool]) -> View:
        return wait_for(self.client, batch_id, is_so, pause=self.pause, seconds=self.patience_seconds)


def look_until(look: Callable[[], Seen], is_so: Callable[[Seen], bool], *, pause: Pause, seconds: float) -> Seen:
    """Look every two seconds until it is so, for so long at the most; what was seen last."""
    seen = look()
    while not is_so(seen) and seconds > 0:
        pause(_LOOK_EVERY_SECONDS)
        seconds, seen = seconds - _LOOK_EVERY_SECONDS, look()
    return seen


def wait_for(
    client: CoordinatorClient, batch_id: str, is_so: Callable[[View], bool], *, pause: Pause, seconds: float
) -> View:
    """Look at a batch until it is so. Raises `Conflict` where that takes longer than so many seconds."""
    view = look_until(lambda: client.get(f"/batches/{batch_id}"), is_so, pause=pause, seconds=seconds)
    if not is_so(view):
        raise _not_in_time(batch_id)
    return view


def has_ended(view: View) -> bool:
    """Whether a batch is no longer live."""
    return view["state"] not in LIVE


def _not_in_time(batch_id: str) -> Conflict:
    return Conflict(f"batch {batch_id} did not go on in time; `tipoff explain {batch_id}` says why", batch_id=batch_id)


_BY_HAND = "takes --requests-topic and --outcomes-topic, whose subscriptions it disturbs"


def law_of_trace(batch_id: str, read_lines: ReadLines | None, *, pause: Pause) -> Law:
    """Look whether each line that a day has was written, all within one trace; asks again while some may still come.

    Raises:
        Unavailable: the lines cannot be read.
    """
    if read_lines is None:
        asked = f"gcloud logging read 'labels.batch_id=\"{batch_id}\"' shows the lines and their traces"
        return Law(TRACE, LawVerdict.NOT_SHOWN, asked)
    lines = look_until(lambda: read_lines(batch_id), lambda seen: not _lacking(seen), pause=pause, seconds=_LOG_SECONDS)
    of_day = [line for line in lines if (line.service, line.message) in _OF_THE_DAY]
    traces = {line.trace for line in of_day}
    saw = f"{len(of_day)} lines of both services in {', '.join(sorted(traces)) or 'no trace'}"
    if lacking := _lacking(lines):
        return judged(TRACE, False, f"{saw}; there is no line {' or '.join(lacking)}")
    return judged(TRACE, len(traces) == 1 and "" not in traces, saw)


def _lacking(lines: Sequence[LogLine]) -> list[str]:
    there = {(line.service, line.message) for line in lines}
    return [f"{message!r} of the {service}" for service, message in _OF_THE_DAY if (service, message) not in there]
