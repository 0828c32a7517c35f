"""What happened to a batch and when, as far as its ledger has times for it, in their order.

Must never learn how the ledger is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from coordinator.rules.batch import AdminAction, Batch
from coordinator.rules.entries import Shard


class Moment(BaseModel):
    """Something that happened, or will at the latest."""

    at: datetime
    text: str


def timeline(
    batch: Batch, shards: Sequence[Shard], outcome_times: Sequence[datetime], actions: Sequence[AdminAction]
) -> list[Moment]:
    """List a batch's moments, earliest first; its deadline while that decides something, and its last day."""
    published = [shard.published_at for shard in shards if shard.published_at is not None]
    ended_at = batch.result.at if batch.result else None
    moments = [Moment(at=batch.planned_at, text=f"planned for {batch.expected_count:,} players; shards: {len(shards)}")]
    if published:
        often = max(shard.publishes for shard in shards)
        again = "" if often == 1 else f" (again: up to {often} times)"
        moments.append(Moment(at=min(published), text=f"requests published{again}, first shard"))
    if len(set(published)) > 1:
        moments.append(Moment(at=max(published), text="requests published, last shard"))
    if outcome_times:
        moments.append(Moment(at=min(outcome_times), text="first outcome"))
        moments.append(Moment(at=max(outcome_times), text="last outcome"))
    if isinstance(ended_at, datetime):
        merges = sum(merge.state == "done" for merge in batch.merges)
        moments.append(
            Moment(at=ended_at, text=f"ended as {batch.state} after {merges} MERGE{'' if merges == 1 else 's'}")
        )
    if batch.is_live:
        moments.append(Moment(at=batch.deadline_at, text="deadline: decided without the silent players"))
    moments += [Moment(at=one.at, text=_asked(one)) for one in actions]
    moments.append(Moment(at=batch.late_until, text="late outcomes count until here"))
    return sorted(moments, key=lambda moment: moment.at)


def _asked(action: AdminAction) -> str:
    given = ", ".join(_in_words(json.loads(action.asked)))
    what = f"{action.action} ({given})" if given else action.action
    return f"{action.account} asked: {what}; {f'why: {action.why}' if action.why else 'no reason given'}"


def _in_words(asked: Mapping[str, Any]) -> Iterator[str]:
    """A request's fields as people say them, those of an object one by one."""
    for name, value in asked.items():
        if isinstance(value, dict):
            yield from _in_words(value)
        else:
            yield f"{name.replace('_', ' ')}: {value}"
