"""What a person could do with a batch now: the admin actions that make sense, each as the exact command and request.

Explanations, the dashboard's buttons and the command's hints all ask here, so that they never offer different things.
Must never learn how an action is carried out; whether it is still possible then is decided there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from coordinator.rules.batch import MAX_MINUTES, Batch, DateRecord
from coordinator.rules.entries import Snapshot, TooManyMissing, Waiting, decide
from coordinator.rules.lifecycle import MERGED, Event, Status

NAMES_SHOWN = 5
_MORE_TIME = timedelta(hours=1)


class Action(BaseModel):
    """One thing that a person can do: as a command, and as the request that the command makes."""

    model_config = ConfigDict(frozen=True)

    label: str
    effect: str
    """What it does, as a sentence."""
    command: str
    method: Literal["POST", "PATCH"] = "POST"
    path: str
    body: dict[str, bool | int] | None = None
    confirm: str | None = None
    """What a person is to say yes to first."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a batch, its ledger and its date, at one moment."""

    batch: Batch
    snapshot: Snapshot
    day: DateRecord
    now: datetime

    @property
    def overtaken_by(self) -> str | None:
        """The newer root that has merged: after it this batch never will."""
        mark = self.day.overtakes(self.batch)
        return self.batch.overtaken_by or (mark.batch_id if mark else None)

    @property
    def is_busy(self) -> bool:
        """Whether an instance holds the date's lease."""
        return self.day.lease.is_held(self.now)

    @property
    def ending(self) -> Event | TooManyMissing | Waiting:
        """How the batch would end if the deadline were now."""
        return decide(self.snapshot.players, self.batch.policy, past_deadline=True, forced=False)

    @property
    def is_within_policy(self) -> bool:
        """Whether the batch could be merged as it stands, once nobody is waited for any more."""
        return isinstance(self.ending, Event)

    @property
    def is_past_deadline(self) -> bool:
        """Whether silent players no longer hold the batch open."""
        return self.now >= self.batch.deadline_at

    @property
    def is_past_late(self) -> bool:
        """Whether nothing that comes now counts any more; plan and staging may be gone."""
        return self.now > self.batch.late_until

    @property
    def has_late_news(self) -> bool:
        """Whether an ended batch has more to merge, and is not past it."""
        is_open = not self.batch.is_live and self.batch.status is not Status.CANCELLED
        is_open = is_open and self.overtaken_by is None and not self.is_past_late
        if self.batch.status is Status.FAILED:
            return is_open and (self.batch.result or {}).get("code") == "too_many_missing" and self.is_within_policy
        return is_open and self.snapshot.has_news(missing_at_end=self.batch.missing_at_end)

    @property
    def is_notified(self) -> bool:
        """Whether downstream was told of the present end state."""
        return self.batch.is_live or self.batch.notified == self.batch.event_id

    @property
    def may_still_land(self) -> bool:
        """Whether a MERGE that was submitted may have changed the predictions table, or yet may."""
        last = self.batch.last_merge
        return last is not None and last.state != "failed"


def actions_for(batch: Batch, snapshot: Snapshot, day: DateRecord, *, now: datetime) -> tuple[Action, ...]:
    """Return the admin actions that make sense now, the one to try first in front."""
    look = Look(batch, snapshot, day, now)
    offered = (offer(look) for offer in _OFFERS)
    return tuple(action for action in offered if action is not None)


def named(players: Collection[str]) -> str:
    """The first names of some players, and how many more there are."""
    shown = sorted(players)[:NAMES_SHOWN]
    more = len(players) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _sweep(look: Look) -> Action | None:
    has_news = look.has_late_news and look.batch.late_refusal is None
    is_due = look.batch.is_live or has_news or not look.is_notified
    if look.is_past_late or not is_due or (look.batch.status is Status.CONSOLIDATING and look.is_busy):
        return None
    return Action(
        label="Sweep",
        effect="A sweep now does whatever is due instead of waiting for the scheduled one; it looks at every batch.",
        command="tipoff sweep",
        path="/sweep",
        body={},
    )


def _consolidate(look: Look) -> Action | None:
    if look.overtaken_by or look.is_busy:
        return None
    match look.batch.status:
        case Status.RUNNING:
            is_due = look.is_within_policy and (not look.snapshot.silent or look.is_past_deadline)
        case Status.CONSOLIDATING:
            is_due = True
        case Status.COMPLETE | Status.PARTIAL | Status.FAILED:
            is_due = look.has_late_news and look.batch.late_refusal is None
        case Status.PLANNED | Status.CANCELLED:
            is_due = False
    if not is_due:
        return None
    return _post(
        look,
        "consolidate",
        label="Consolidate",
        effect="Consolidating now verifies and merges what has been recorded.",
        body={"force": False},
    )


def _force(look: Look) -> Action | None:
    batch, missing = look.batch, look.snapshot.missing
    if look.overtaken_by or look.is_busy or not look.snapshot.spoken_for or (look.is_past_late and not batch.is_live):
        return None
    is_stuck = batch.status is Status.RUNNING and bool(missing) and not look.may_still_land
    is_refused = batch.status is Status.FAILED or (batch.status in MERGED and batch.late_refusal is not None)
    if not (is_stuck or is_refused):
        return None
    left_out = f"{len(missing):,} players are left out: {named(missing)}. " if missing else ""
    retiring = "Any number of the date's earlier rows may be retired."
    return _post(
        look,
        "consolidate",
        label="Consolidate by force",
        flags="--force",
        effect=f"Consolidating by force goes on in spite of who is missing and of a former refusal; no check is skipped. "
        f"{left_out}".strip(),
        body={"force": True},
        confirm=f"Consolidate {batch.batch_id} by force? {left_out}{retiring}",
    )


def _redrive(look: Look) -> Action | None:
    batch, missing = look.batch, look.snapshot.missing
    is_newest = look.day.newest.batch_id == batch.batch_id
    if not missing or not is_newest or look.overtaken_by or batch.status not in (Status.PARTIAL, Status.FAILED):
        return None
    return _post(
        look,
        "redrive",
        label="Redrive",
        effect=f"A redrive plans a new batch of those who are not predicted: {named(missing)}.",
        body=None,
        confirm=f"Start a new batch for the players of {batch.batch_id} who are not predicted?",
    )


def _more_time(look: Look) -> Action | None:
    batch = look.batch
    if batch.status not in (Status.PLANNED, Status.RUNNING) or not look.snapshot.silent:
        return None
    until = max(look.now, batch.deadline_at) + _MORE_TIME
    minutes = -(-(until - batch.planned_at) // timedelta(minutes=1))
    if minutes > MAX_MINUTES:
        return None
    return Action(
        label="Wait longer",
        effect="A later deadline gives the silent players an hour more.",
        command=f"tipoff policy {batch.batch_id} --deadline-minutes {minutes}",
        method="PATCH",
        path=f"/batches/{batch.batch_id}/policy",
        body={"deadline_minutes": minutes},
    )


def _cancel(look: Look) -> Action | None:
    batch = look.batch
    if batch.status not in (Status.PLANNED, Status.RUNNING) or look.may_still_land:
        return None
    return _post(
        look,
        "cancel",
        label="Cancel",
        effect="Cancelling gives the batch up: what is still under way is recorded but never merged.",
        body=None,
        confirm=f"Cancel {batch.batch_id}? Nothing of it will ever be merged.",
    )


_OFFERS: tuple[Callable[[Look], Action | None], ...] = (_sweep, _consolidate, _redrive, _more_time, _force, _cancel)


def _post(
    look: Look,
    verb: str,
    *,
    label: str,
    effect: str,
    body: Mapping[str, bool | int] | None,
    flags: str = "",
    confirm: str | None = None,
) -> Action:
    batch_id = look.batch.batch_id
    return Action(
        label=label,
        effect=effect,
        command=" ".join(filter(None, ("tipoff", verb, batch_id, flags))),
        path=f"/batches/{batch_id}/{verb}",
        body=dict(body) if body is not None else None,
        confirm=confirm,
    )
