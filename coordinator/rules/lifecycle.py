"""A batch's states and the only moves between them, as one table.

Every other move is refused, and a refused move changes nothing. Must never learn why a move is wanted or what it costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from shared.errors import MoveRefused


class Status(StrEnum):
    """Where a batch stands. EMPTY is no state of its own: it is a COMPLETE of nobody."""

    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    CONSOLIDATING = "CONSOLIDATING"
    COMPLETE = "COMPLETE"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Event(StrEnum):
    """What happened to a batch."""

    PUBLISHED = "published"
    """Every request is with Pub/Sub."""
    CLAIMED = "claimed"
    """A lease holder began to consolidate it."""
    ATTEMPT_FAILED = "attempt_failed"
    """A consolidation met trouble that may pass."""
    MERGED_WHOLE = "merged_whole"
    """A verified MERGE of a snapshot in which every player is predicted or skipped."""
    MERGED_IN_PART = "merged_in_part"
    """A verified MERGE of a snapshot with failed or silent players within the tolerance, or by force."""
    REFUSED = "refused"
    """Too many players are missing, or a verification did not hold."""
    FORCED = "forced"
    """A person asked for a consolidation in spite of a refusal."""
    CANCELLED = "cancelled"


LIVE = frozenset({Status.PLANNED, Status.RUNNING, Status.CONSOLIDATING})
"""At most one batch of a game date is in one of these (A9)."""

MERGED = frozenset({Status.COMPLETE, Status.PARTIAL})

MOVES: Mapping[tuple[Status, Event], Status] = {
    (Status.PLANNED, Event.PUBLISHED): Status.RUNNING,
    (Status.PLANNED, Event.CANCELLED): Status.CANCELLED,
    (Status.RUNNING, Event.CANCELLED): Status.CANCELLED,
    (Status.RUNNING, Event.CLAIMED): Status.CONSOLIDATING,
    (Status.CONSOLIDATING, Event.CLAIMED): Status.CONSOLIDATING,  # a takeover from a holder that died
    (Status.CONSOLIDATING, Event.ATTEMPT_FAILED): Status.RUNNING,
    (Status.CONSOLIDATING, Event.MERGED_WHOLE): Status.COMPLETE,
    (Status.CONSOLIDATING, Event.MERGED_IN_PART): Status.PARTIAL,
    (Status.CONSOLIDATING, Event.REFUSED): Status.FAILED,
    (Status.FAILED, Event.FORCED): Status.CONSOLIDATING,
    # Later rounds leave the state where it is until they are verified; then it may only improve.
    (Status.FAILED, Event.MERGED_IN_PART): Status.PARTIAL,
    (Status.FAILED, Event.MERGED_WHOLE): Status.COMPLETE,
    (Status.PARTIAL, Event.MERGED_IN_PART): Status.PARTIAL,
    (Status.PARTIAL, Event.MERGED_WHOLE): Status.COMPLETE,
    (Status.COMPLETE, Event.MERGED_WHOLE): Status.COMPLETE,
}


def move(status: Status, event: Event) -> Status:
    """Return the state that `event` leads to from `status`.

    Raises:
        MoveRefused: the table has no such move.
    """
    try:
        return MOVES[status, event]
    except KeyError:
        raise MoveRefused(f"a {status} batch cannot be {event.replace('_', ' ')}") from None
