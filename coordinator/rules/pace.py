"""Decides by the pace so far when a batch's last player will have answered, and whether that is in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from coordinator.rules.batch import Batch
from coordinator.rules.due import Look
from coordinator.rules.lifecycle import Status

YOUNG = timedelta(minutes=5)
"""Before this age a pace says nothing: workers start, and the first messages are under way."""


GRACE = timedelta(minutes=15)
"""After its deadline a batch is decided by the next sweep, and its MERGE takes a while."""


def is_on_time(batch: Batch) -> bool:
    """Whether a batch has ended with its rows in the predictions table, by its deadline or the decision that follows it."""
    is_merged = batch.status in (Status.COMPLETE, Status.PARTIAL)
    return is_merged and batch.result is not None and batch.result.at <= batch.deadline_at + GRACE


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a batch's players answer; `ends_at` is None where nobody has answered yet."""

    answered: int
    a_minute: float
    ends_at: datetime | None
    deadline_at: datetime

    @property
    def is_late(self) -> bool:
        """Whether, going on like this, somebody is silent at the deadline."""
        return self.ends_at is None or self.ends_at > self.deadline_at


def pace_of(look: Look) -> Pace | None:
    """Measure a batch that waits for answers; None for every other one, and for one that is too young to tell."""
    batch, age = look.batch, look.now - look.batch.planned_at
    silent = len(look.snapshot.silent) if batch.status is Status.RUNNING and age >= YOUNG else 0
    if not silent or look.is_past_deadline:
        return None
    answered = batch.expected_count - silent
    ends_at = look.now + age * (silent / answered) if answered else None
    return Pace(answered, answered / (age / timedelta(minutes=1)), ends_at, batch.deadline_at)
