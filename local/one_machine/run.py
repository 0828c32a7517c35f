"""Run one batch through the running services, as an operator or Cloud Scheduler would: start it, sweep, look, wait.

Knows only what the coordinator's endpoints and the predictions table show.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from coordinator.rules.lifecycle import LIVE
from local.one_machine.stack import LocalStack
from schemas import names
from schemas.messages import PlayerCounts, RowCounts
from shared.errors import Unavailable

_GOOD_ENDS = ("COMPLETE", "PARTIAL", "EMPTY")
_LOOK_EVERY = timedelta(milliseconds=100)
SWEEP_EVERY = timedelta(seconds=2)
"""How often the local Cloud Scheduler posts `/sweep`."""
_SHARE = 0.05
"""The most of the time that looking on may take, and that sweeping may: both read the whole ledger of a large batch."""


class Seen(BaseModel):
    """What the run reads of `GET /batches/{id}`."""

    model_config = ConfigDict(extra="ignore")

    batch_id: str
    game_date: date
    state: str
    reason: str
    planned_at: datetime
    players: PlayerCounts
    rows: RowCounts
    last_outcome_at: datetime | None
    finished_at: datetime | None
    silent: list[str]
    failed: dict[str, str]
    skipped: dict[str, str]

    @property
    def has_ended(self) -> bool:
        """Whether the batch is no longer live."""
        return self.state not in LIVE

    @property
    def has_ended_well(self) -> bool:
        """Whether the batch's rows are in the predictions table."""
        return self.state in _GOOD_ENDS

    @property
    def answered(self) -> int:
        """Players with an outcome."""
        return self.players.expected - self.players.silent


@dataclass(slots=True)
class Phases:
    """Wall-clock seconds by phase, in the order they came."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the time spent inside to a phase."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Sample:
    """One prediction as a person reads it."""

    player_lookup: str
    current_points_line: Decimal | None
    line_source: str
    predicted_points: Decimal
    recommendation: str
    confidence_score: Decimal


def find_batch(stack: LocalStack, game_date: date | None) -> Seen | None:
    """The newest batch of a date, or of all dates, in this state folder, whatever became of it."""
    of_date = {"game_date": game_date.isoformat()} if game_date else {}
    found = stack.client.get("/batches", {"limit": "1"} | of_date)["batches"]
    return look(stack, found[0]["batch_id"]) if found else None


def look(stack: LocalStack, batch_id: str) -> Seen:
    """Ask the coordinator how a batch stands."""
    return Seen.model_validate(stack.client.get(f"/batches/{batch_id}"))


def start_batch(
    stack: LocalStack,
    game_date: date,
    *,
    force: str | None = None,
    allow_retiring: bool = False,
    allow_incomplete: bool = False,
) -> Seen:
    """Post `/start` with a key that never comes again.

    Args:
        force: id of the live batch to cancel first.
        allow_retiring: let the batch retire any share of the date's earlier rows.
        allow_incomplete: plan on box scores of whatever age.

    Raises:
        Conflict: another batch of the date lives, or too many of the last week's games have no box scores.
        InvalidInput: the inputs of the date are unusable.
        Unavailable: the coordinator could not plan or publish for now.
    """
    body: dict[str, Any] = {"game_date": game_date.isoformat(), "policy": {}}
    if force:
        body["force"] = force
    if allow_retiring:
        body["policy"]["max_retired_share"] = 1.0
    if allow_incomplete:
        body["policy"]["min_inputs_share"] = 0.0
    begun = stack.client.post("/start", body, {"Idempotency-Key": str(uuid.uuid4())})
    return look(stack, begun["batch_id"])


def follow(stack: LocalStack, batch_id: str, *, patience: timedelta, shown: Callable[[Seen], None]) -> Seen:
    """Wait until a batch has ended, sweeping as Cloud Scheduler would; `shown` is called at every look.

    Looking on reads the whole ledger, so it rests in proportion; the news that a batch has finished ends the rest.

    Raises:
        Unavailable: it has not ended within `patience`; names who is silent.
    """
    began = time.monotonic()
    next_sweep = began + SWEEP_EVERY.total_seconds()
    while True:
        looked_at, heard = time.monotonic(), stack.finished.depth()
        seen = look(stack, batch_id)
        now = time.monotonic()
        shown(seen)
        if seen.has_ended:
            return seen
        pause = max(_LOOK_EVERY.total_seconds(), (now - looked_at) / _SHARE)
        if now - began > patience.total_seconds():
            silent = ", ".join(seen.silent[:5])
            raise Unavailable(
                f"batch {batch_id} is still {seen.state} after {patience}; silent: {silent or 'nobody'}; "
                "run again with --resume to go on"
            )
        if now > next_sweep:
            stack.client.ask("POST", "/sweep", body={})
            swept_at = time.monotonic()
            next_sweep = swept_at + max(SWEEP_EVERY.total_seconds(), (swept_at - now) / _SHARE)
        rested_at = time.monotonic() + pause
        while time.monotonic() < rested_at and stack.finished.depth() == heard:
            time.sleep(_LOOK_EVERY.total_seconds())


def samples(stack: LocalStack, game_date: date) -> tuple[Sample, ...]:
    """The ensemble's ten highest predictions of a date, one a player."""
    rows = stack.warehouse.query(_SAMPLES, {"game_date": game_date})
    return tuple(Sample(**cast("Mapping[str, Any]", row)) for row in rows)


_SAMPLES = f"""\
SELECT `player_lookup`, `current_points_line`, `line_source`, `predicted_points`, `recommendation`, `confidence_score`
FROM (
  SELECT
    `player_lookup`, `current_points_line`, `line_source`, `predicted_points`, `recommendation`, `confidence_score`,
    ROW_NUMBER() OVER (PARTITION BY `player_lookup` ORDER BY `current_points_line`) AS `nth`
  FROM `{names.PREDICTIONS_TABLE}`
  WHERE `game_date` = @game_date AND `is_active` AND `system_id` = 'ensemble'
)
WHERE `nth` = 1
ORDER BY `predicted_points` DESC, `player_lookup`
LIMIT 10"""
