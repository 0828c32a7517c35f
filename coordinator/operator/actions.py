"""What a person could do with a batch now: the admin actions that make sense, each as the exact command and request.

Explanations, the dashboard's buttons and the command's hints all ask here, so that they never offer different things.
Must never learn how an action is carried out; whether it is still possible then is decided there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from coordinator.rules.due import CLOSING, By, Look, Step, due_now, named
from coordinator.rules.lifecycle import MERGED, Event, Status
from shared.settings import MAX_MINUTES

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
    """The question that a person has to confirm first."""


def actions_for(look: Look) -> tuple[Action, ...]:
    """Return the admin actions that make sense now, the one to try first in front."""
    offered = (offer(look) for offer in _OFFERS)
    return tuple(action for action in offered if action is not None)


def _sweep(look: Look) -> Action | None:
    is_open = look.batch.is_live and look.batch.status is not Status.CONSOLIDATING and not look.is_past_late
    steps = {one.step for one in due_now(look, By.SWEEP)} - {Step.RECORD_FROM_STAGING}
    if look.overtaken_by or not (is_open or steps):
        return None
    return Action(
        label="Sweep",
        effect="A sweep now does whatever is due instead of waiting for the scheduled one; it looks at every batch.",
        command="tipoff sweep",
        path="/sweep",
        body={},
    )


def _consolidate(look: Look) -> Action | None:
    due_for_people = [one.step for one in due_now(look, By.PERSON) if one.step in CLOSING]
    if (
        not due_for_people
        or look.overtaken_by
        or (due_for_people == [Step.DECIDE] and not isinstance(look.ending, Event))
    ):
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
    if not (is_stuck or is_refused) or (batch.status is Status.FAILED and look.other_live):
        return None
    left_out = f"{len(missing):,} players are left out: {named(missing)}. " if missing else ""
    retiring = "Any number of the date's earlier rows may be retired."
    return _post(
        look,
        "consolidate",
        label="Consolidate by force",
        flags="--force",
        effect="Consolidating by force ignores who is missing, an earlier refusal, and how many of the date's earlier rows "
        f"it retires; every other check is made. {left_out}".strip(),
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
        effect=f"A redrive plans a new batch for the players who are not predicted: {named(missing)}.",
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
        effect="Cancelling ends the batch: outcomes that still arrive are recorded but never merged.",
        confirm=f"Cancel {batch.batch_id}? Nothing of it will ever be merged.",
    )


_OFFERS: tuple[Callable[[Look], Action | None], ...] = (_sweep, _consolidate, _redrive, _more_time, _force, _cancel)


def _post(
    look: Look,
    verb: str,
    *,
    label: str,
    effect: str,
    body: dict[str, bool | int] | None = None,
    flags: str = "",
    confirm: str | None = None,
) -> Action:
    batch_id = look.batch.batch_id
    return Action(
        label=label,
        effect=effect,
        command=" ".join(filter(None, ("tipoff", verb, batch_id, flags))),
        path=f"/batches/{batch_id}/{verb}",
        body=body,
        confirm=confirm,
    )
