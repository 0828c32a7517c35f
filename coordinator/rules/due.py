"""What is due for a batch, decided in this one place: each step with its reason, its time, and who may take it.

The sweep executes it, `/complete` the part that events may, explanations and the dashboard render it, and a dry run prints
it; so what is promised is what is then done. Must never learn how a ledger is read or how a step is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from coordinator.rules.batch import Batch, DateRecord
from coordinator.rules.entries import Shard, Snapshot, TooManyMissing, ending, take_snapshot
from coordinator.rules.lifecycle import Event, Status

LOOK_AGAIN = timedelta(hours=1)
"""How often staging is looked through for the missing players of an ended batch; a look costs a query."""
NAMES_SHOWN = 5


class Step(StrEnum):
    """What can be due, in the order in which it is done."""

    PUBLISH = "publish"
    RECORD_FROM_STAGING = "record_from_staging"
    PUBLISH_AGAIN = "publish_again"
    CONSOLIDATE = "consolidate"
    """Every player has an outcome, or enough of the missing have come."""
    DECIDE = "decide"
    """The deadline passes: consolidate or fail by the policy."""
    TAKE_OVER = "take_over"
    MERGE_LATE = "merge_late"
    NOTIFY = "notify"
    ASK = "ask"
    """No repetition helps; a person decides."""


CLOSING = frozenset({Step.CONSOLIDATE, Step.DECIDE, Step.TAKE_OVER, Step.MERGE_LATE})
"""The steps that one consolidation is."""


class By(StrEnum):
    """Who may take a step."""

    EVENT = "event"
    """Whoever records an outcome, within the same request."""
    SWEEP = "sweep"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Due:
    """One step. `to_do` completes "it is due to ..."; `at` is when it becomes due, past or to come."""

    step: Step
    to_do: str
    at: datetime
    by: frozenset[By]
    players: frozenset[str] = frozenset()


@dataclass(kw_only=True, eq=False)
class Look:
    """One look at a batch, its ledger and its date, at one moment; what a question needs is read when it is first asked.

    Args:
        read_shards: reads every shard of the batch.
        read_day: reads what the batches of its date share.
        read_living: reads the batch of the date that lives, if one does.
        touched: shards as read after a write; whether the batch is settled, or has news, is judged by these and the marks
            on the batch alone, so that recording an outcome reads no other shard.
    """

    batch: Batch
    read_shards: Callable[[], Sequence[Shard]]
    read_day: Callable[[], DateRecord]
    read_living: Callable[[], Batch | None]
    now: datetime
    touched: Sequence[Shard] = ()

    @cached_property
    def shards(self) -> Sequence[Shard]:
        """Every shard, in order."""
        return self.read_shards()

    @cached_property
    def snapshot(self) -> Snapshot:
        """How every expected player stands."""
        return take_snapshot(self.shards)

    @cached_property
    def day(self) -> DateRecord:
        """What the batches of the date share."""
        return self.read_day()

    @property
    def overtaken_by(self) -> str | None:
        """The newer root that has merged: after it this batch never will."""
        mark = None if self.batch.overtaken_by else self.day.overtakes(self.batch)
        return mark.batch_id if mark else self.batch.overtaken_by

    @cached_property
    def other_live(self) -> str | None:
        """Another batch of the date that lives: while it does, this one may not live again."""
        living = self.read_living()
        return living.batch_id if living is not None and living.batch_id != self.batch.batch_id else None

    @property
    def is_busy(self) -> bool:
        """Whether an instance holds the date's lease."""
        return self.day.lease.is_held(self.now)

    @property
    def ending(self) -> Event | TooManyMissing:
        """How the batch would end if it were consolidated now."""
        return ending(self.snapshot.players, self.batch.policy)

    @property
    def is_settled(self) -> bool:
        """Whether every expected player has an outcome."""
        seen = {shard.number for shard in self.touched or self.shards if shard.is_settled}
        return self.batch.settled_shards | seen >= set(range(len(self.batch.shard_starts)))

    @property
    def is_past_deadline(self) -> bool:
        """Whether silent players no longer hold the batch open."""
        return self.now >= self.batch.deadline_at

    @property
    def is_past_late(self) -> bool:
        """Whether nothing that comes now counts any more."""
        return self.now > self.batch.late_until

    @property
    def has_news(self) -> bool:
        """Whether an ended batch has more to merge than it merged; one that a person has to decide has none until then."""
        batch = self.batch
        if batch.is_live or batch.status is Status.CANCELLED or self.is_past_late:
            return False
        if batch.late_refusal is not None or batch.overtaken_by is not None:
            return False
        if batch.status is Status.FAILED:
            return batch.failed_for_missing_players and isinstance(self.ending, Event)
        if batch.status is Status.COMPLETE and batch.predicted_at_end == batch.expected_count:
            return False  # nothing can have come, and no shard need be read to know
        # Some shards cannot tell how many players are missing in all; the sweep brings all of them.
        seen = take_snapshot(self.touched) if self.touched else self.snapshot
        return seen.has_news(missing_at_end=0 if self.touched else batch.missing_at_end)

    @property
    def is_notified(self) -> bool:
        """Whether `batch-finished` was published for the present end state."""
        return self.batch.is_live or self.batch.notified == self.batch.event_id

    @property
    def may_still_land(self) -> bool:
        """Whether a MERGE that was submitted may have changed the predictions table, or yet may; one that failed after it
        takes nothing back."""
        return any(merge.state != "failed" for merge in self.batch.merges)


def due(look: Look) -> tuple[Due, ...]:
    """Return what is due for a batch, now or later, in the order in which it is done; nothing past its `late_until`."""
    if look.is_past_late:
        return ()
    decided = (_publish(look), _record(look), _publish_again(look), closing(look), _notify(look), _ask(look))
    return tuple(one for one in decided if one is not None)


def due_now(look: Look, by: By) -> tuple[Due, ...]:
    """Return what somebody may do now."""
    return tuple(one for one in due(look) if by in one.by and one.at <= look.now)


def closing(look: Look) -> Due | None:
    """Return the consolidation that is due, now or later."""
    batch = look.batch
    match batch.status:
        case Status.CONSOLIDATING:
            step, to_do, by = Step.TAKE_OVER, "take over the consolidation of a holder that died", _SWEEP_OR_PERSON
        case Status.RUNNING if look.is_settled:
            step, to_do, by = Step.CONSOLIDATE, "consolidate, since every player has an outcome", _ANYBODY
        case Status.RUNNING:
            to_do = "decide by the policy without the silent players"
            return None if batch.overtaken_by else Due(Step.DECIDE, to_do, batch.deadline_at, _SWEEP_OR_PERSON)
        case Status.FAILED if look.has_news:
            step, to_do, by = Step.CONSOLIDATE, "consolidate, since missing players have answered", _ANYBODY
        case Status.COMPLETE | Status.PARTIAL if look.has_news:
            step, to_do, by = Step.MERGE_LATE, "merge the late rows", _ANYBODY
        case _:
            return None
    if batch.overtaken_by is not None:
        return None
    if look.overtaken_by:
        to_do = f"give way to {look.overtaken_by}, which has merged since"
    lease = look.day.lease
    at = lease.expires_at if look.is_busy and lease.expires_at is not None else look.now
    if step is Step.TAKE_OVER and not look.is_settled:  # its holder was forced to go on without whoever is silent
        at = max(at, batch.deadline_at)
    return Due(step, to_do, at, by)


_SWEEP = frozenset({By.SWEEP})
_SWEEP_OR_PERSON = _SWEEP | {By.PERSON}
_ANYBODY = _SWEEP_OR_PERSON | {By.EVENT}


def _publish(look: Look) -> Due | None:
    if look.batch.status is not Status.PLANNED:
        return None
    return Due(Step.PUBLISH, "publish what was never published", look.batch.planned_at, _SWEEP)


def _record(look: Look) -> Due | None:
    """A look into staging for deliveries whose outcomes were lost.

    A live batch's: when somebody is silent past `republish_after`, and at the deadline. An ended one's: for its missing
    players. Never sooner after the last look than `republish_after`, or `LOOK_AGAIN` for an ended batch.
    """
    batch, looked = look.batch, look.batch.staging_looked_at
    match batch.status:
        case Status.RUNNING:
            after = batch.policy.republish_after
            at = min([batch.deadline_at, *(_silent_past(batch, shard) for shard in look.shards if shard.silent)])
            if looked is not None:
                at = max(at, min(looked + after, batch.deadline_at) if looked < batch.deadline_at else looked + after)
        case Status.PARTIAL | Status.FAILED:
            at = look.now if looked is None else looked + LOOK_AGAIN
        case _:
            return None
    missing = look.snapshot.missing
    if not missing or batch.overtaken_by:
        return None
    return Due(Step.RECORD_FROM_STAGING, f"look in staging for {named(missing)}", at, _SWEEP, frozenset(missing))


def _publish_again(look: Look) -> Due | None:
    """What is silent past `republish_after`, measured from its last publishing (A13)."""
    batch = look.batch
    if batch.status is not Status.RUNNING or batch.overtaken_by:
        return None
    shards = [shard for shard in look.shards if shard.silent and shard.publishes <= batch.policy.max_republishes]
    if not shards:
        return None
    times = {shard.number: _silent_past(batch, shard) for shard in shards}
    first = min(times.values())
    # Shards are published one after the other: what is due within a minute of the first is counted with it.
    until = look.now if first <= look.now else first + timedelta(minutes=1)
    together = [shard for shard in shards if times[shard.number] <= until]
    at = max(times[shard.number] for shard in together)
    silent = frozenset(player for shard in together for player in shard.silent)
    said = f"published {together[0].publishes} of at most {batch.policy.max_republishes + 1} times"
    return Due(Step.PUBLISH_AGAIN, f"publish {silent_players(len(silent))} again ({said})", at, _SWEEP, silent)


def silent_players(count: int) -> str:
    """So many of them, in words."""
    return f"{count} silent player{'' if count == 1 else 's'}"


def _silent_past(batch: Batch, shard: Shard) -> datetime:
    """When the silent players of a shard are due to be published again; what was never published, at once."""
    return batch.planned_at if shard.published_at is None else shard.published_at + batch.policy.republish_after


def _notify(look: Look) -> Due | None:
    return None if look.is_notified else Due(Step.NOTIFY, "publish batch-finished", look.now, _SWEEP)


def _ask(look: Look) -> Due | None:
    """What no sweep will finish, unless a newer batch has made it needless."""
    batch = look.batch
    if batch.is_live:
        if batch.overtaken_by is None:
            return None
        why = f"the newer batch {batch.overtaken_by} of the date has merged, so this one never will"
    else:
        reason = batch.reason or None if batch.status is Status.FAILED else batch.late_refusal
        if reason is None or look.has_news or look.overtaken_by:
            return None
        why = str(reason)
    return Due(Step.ASK, why, look.now, frozenset({By.PERSON}))


def named(players: Collection[str]) -> str:
    """The first names of some players, and how many more there are."""
    shown = sorted(players)[:NAMES_SHOWN]
    more = len(players) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
