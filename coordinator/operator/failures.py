"""Failed players in groups of one cause: a hundred failures of one reason are one thing to mend, and to redrive.

Must never learn how the ledger is read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel

from coordinator.rules.entries import Shard, take_snapshot
from shared.errors import Conflict

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_NUMBERED = re.compile(r"[\w.+:-]*[0-9][\w.+:-]*")
"""Whatever has a digit in it: a number, a date, a time, an id, a revision."""


class FailureGroup(BaseModel):
    """Players of a batch who failed of one cause; `fingerprint` is the same for the same cause in every batch."""

    fingerprint: str
    code: str
    cause: str
    """What was said of it, without names and numbers."""
    count: int
    first_seen: datetime | None
    example: str
    """One player, and what was said of him word for word."""
    players: list[str]


def cause_of(detail: str, player: str) -> str:
    """What is said of a failure, less the player's name, whatever is quoted and whatever holds a digit."""
    said = _QUOTED.sub("…", detail.replace(player, "…"))
    return " ".join(_NUMBERED.sub("…", said).split())


def failure_groups(shards: Sequence[Shard]) -> list[FailureGroup]:
    """Group the players who count as failed, the largest group first."""
    codes = take_snapshot(shards).failed
    details = details_of(shards, codes)
    seen = {player: min(shard.answered_at[player]) for shard in shards for player in shard.failed if player in codes}
    found: dict[tuple[str, str], list[str]] = {}
    for player, detail in sorted(details.items()):
        found.setdefault((codes[player], cause_of(detail, player)), []).append(player)
    groups = [
        FailureGroup(
            fingerprint=hashlib.sha256(f"{code}\n{cause}".encode()).hexdigest()[:10],
            code=code,
            cause=cause,
            count=len(players),
            first_seen=min(seen[player] for player in players),
            example=f"{players[0]}: {details[players[0]] or code}",
            players=players,
        )
        for (code, cause), players in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.count, group.fingerprint))


def details_of(shards: Sequence[Shard], codes: Mapping[str, str]) -> Mapping[str, str]:
    """What was said of failures beyond their codes, by player."""
    return {
        player: answers.get(codes[player], "")
        for shard in shards
        for player, answers in shard.details.items()
        if player in codes
    }


def players_of(shards: Sequence[Shard], fingerprint: str) -> frozenset[str]:
    """The players of one group.

    Raises:
        Conflict: nobody failed of that cause.
    """
    groups = failure_groups(shards)
    for group in groups:
        if group.fingerprint == fingerprint:
            return frozenset(group.players)
    known = ", ".join(group.fingerprint for group in groups) or "none"
    raise Conflict(f"group: nobody of the batch failed in group {fingerprint!r}; its groups are: {known}")
