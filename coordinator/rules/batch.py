"""A batch and what the batches of a game date share, as frozen values. Must never learn where they are stored.

Their annotations say how a value lies in a document where that differs from the value itself: `coordinator.documents`
reads and writes all of them by these alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, SerializerFunctionWrapHandler, WrapSerializer

from coordinator.rules.lifecycle import LIVE, Status
from schemas import names
from schemas.messages import PlayerCounts, RowCounts
from shared.settings import Policy


def _by_number(merges: tuple[Merge, ...], dump: SerializerFunctionWrapHandler) -> dict[str, object]:
    return {str(fields.pop("number")): fields for fields in dump(merges)}


def _in_order(stored: object) -> object:
    if not isinstance(stored, Mapping):
        return stored
    return [{**fields, "number": int(number)} for number, fields in sorted(stored.items(), key=lambda one: int(one[0]))]


GameDate = Annotated[date, PlainSerializer(date.isoformat)]
Marks = Annotated[
    frozenset[int],
    BeforeValidator(lambda stored: list(stored) if isinstance(stored, Mapping) else stored),
    PlainSerializer(lambda numbers: {str(number): True for number in sorted(numbers)}),
]
"""A set that lies as a map of marks, so that marks of several instances commute."""
Reasons = Annotated[
    Mapping[int, str], PlainSerializer(lambda reasons: {str(number): reasons[number] for number in sorted(reasons)})
]
Merges = Annotated["tuple[Merge, ...]", BeforeValidator(_in_order), WrapSerializer(_by_number)]
State = Annotated[Status, PlainSerializer(lambda status: status.value)]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedResult:
    """How a batch ended whose snapshot is in the predictions table."""

    reason: str
    players: PlayerCounts
    rows: RowCounts
    at: datetime
    code: Literal["merged"] = "merged"


RefusalCode = Literal["too_many_missing", "confirmation_needed", "verification_refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedResult:
    """How a batch ended that was not consolidated; staging keeps its rows."""

    code: RefusalCode
    reason: str
    players: PlayerCounts
    rows: RowCounts
    at: datetime


Result = Annotated[MergedResult | RefusedResult, Field(discriminator="code")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """One numbered MERGE of a batch; recorded under the lease before its job is submitted (A16)."""

    number: int
    job_id: str
    state: Literal["submitted", "done", "failed"]
    counts: RowCounts
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One run for one game date. `shard_starts` holds each shard's first player, in order."""

    batch_id: str
    game_date: GameDate
    planned_at: datetime
    deadline_at: datetime
    late_until: datetime
    schema_version: int
    shard_starts: tuple[str, ...]
    expected_count: int
    policy: Policy = field(default_factory=Policy)
    kind: Literal["root", "redrive"] = "root"
    parent: str | None = None
    status: State = Status.PLANNED
    settled_shards: Marks = frozenset()
    refused_writes: Reasons = field(default_factory=dict)
    """Shards into which the store refused to write an expected player's outcome, and its reason (F2)."""
    merges: Merges = ()
    result: Result | None = None
    notified: str | None = None
    overtaken_by: str | None = None
    """The newer root that merged before this batch's late rows could; they never will."""
    late_refusal: str | None = None
    """Why a later round of an ended batch was refused."""
    left_out: tuple[str, ...] = ()
    """Players who were to be redriven, and whom the fresh plan does not expect any more."""
    input_gaps: tuple[str, ...] = ()
    """What was lacking of the inputs when it was planned, in sentences."""
    staging_looked_at: datetime | None = None
    """When the sweep last looked in staging for deliveries whose outcomes were lost."""
    revision: str = ""
    schema_fingerprint: str = ""
    """Of the schema version's columns, as the coordinator that planned the batch knew them."""
    version: str = field(default="", compare=False)

    @property
    def is_live(self) -> bool:
        """Whether the batch may still change what the date is waiting for."""
        return self.status in LIVE

    @property
    def state(self) -> str:
        """The status as people and downstream see it: EMPTY for a COMPLETE of nobody."""
        return "EMPTY" if self.status is Status.COMPLETE and self.expected_count == 0 else self.status.value

    @property
    def last_merge(self) -> Merge | None:
        """The MERGE that was recorded last."""
        return self.merges[-1] if self.merges else None

    @property
    def merged_rows(self) -> RowCounts:
        """What all finished MERGEs of the batch did together; what is staged and was neither inserted nor updated is
        unchanged."""
        done = [merge.counts for merge in self.merges if merge.state == "done"]
        staged = done[-1].staged if done else 0
        inserted, updated = sum(c.inserted for c in done), sum(c.updated for c in done)
        superseded = sum(c.superseded for c in done)
        unchanged = max(0, staged - inserted - updated)
        return RowCounts(staged=staged, inserted=inserted, updated=updated, unchanged=unchanged, superseded=superseded)

    @property
    def reason(self) -> str:
        """Why the batch ended as it did; empty before its end."""
        return self.result.reason if self.result else ""

    @property
    def missing_at_end(self) -> int:
        """Failed and silent players in the snapshot that the batch last ended with; 0 before its end."""
        return self.result.players.failed + self.result.players.silent if self.result else 0

    @property
    def failed_for_missing_players(self) -> bool:
        """Whether it failed for its missing players only: it improves by itself once they come; any other failure needs
        a person."""
        return self.result is not None and self.result.code == "too_many_missing"

    @property
    def predicted_at_end(self) -> int:
        """Predicted players in the snapshot that the batch last ended with; 0 before its end."""
        return self.result.players.predicted if self.result else 0

    @property
    def event_id(self) -> str:
        """The id of the news of the batch's present end state."""
        done = [merge.number for merge in self.merges if merge.state == "done"]
        return names.event_id(self.batch_id, self.state, done[-1] if done else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminAction:
    """What somebody asked to be done with a batch, whatever came of it; never changed afterwards."""

    at: datetime
    account: str
    """As the caller's token proves it."""
    action: str
    asked: str
    """The request's body, as JSON."""
    why: str
    """Empty where no reason was given."""


@dataclass(frozen=True, slots=True)
class BatchMark:
    """A batch and its place in the date's one order of time."""

    batch_id: str
    planned_at: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may consolidate for a game date, until when. `merge_no` is the MERGE that was recorded for submission
    and not yet seen to end."""

    epoch: int = 0
    holder: str | None = None
    batch_id: str | None = None
    merge_no: int | None = None
    expires_at: datetime | None = None

    def is_held(self, now: datetime) -> bool:
        """Whether somebody else has to keep away."""
        return self.holder is not None and self.expires_at is not None and now < self.expires_at

    def taken_by(self, holder: str, batch_id: str, *, until: datetime) -> Lease:
        """The next holder's lease: a new epoch, so that nothing the former holder writes counts any more. A MERGE of the
        same batch that may be in flight stays known."""
        in_flight = self.merge_no if batch_id == self.batch_id else None
        return Lease(epoch=self.epoch + 1, holder=holder, batch_id=batch_id, merge_no=in_flight, expires_at=until)

    def released(self) -> Lease:
        """Free for anyone; a MERGE that was submitted and not seen to end stays known."""
        return replace(self, holder=None, expires_at=None)


@dataclass(frozen=True, slots=True)
class DateRecord:
    """What all batches of one game date share: `dates/{game_date}`."""

    newest: BatchMark
    merged: BatchMark | None = None
    lease: Lease = Lease()
    version: str = field(default="", compare=False)

    def overtakes(self, batch: Batch) -> BatchMark | None:
        """The newer root that has merged, if there is one: after it an older batch never merges."""
        if self.merged is not None and self.merged.planned_at > batch.planned_at:
            return self.merged
        return None
