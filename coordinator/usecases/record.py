"""Record outcomes and close batches: the use cases behind `/complete` and the close step that `/start` and the sweep share.

Closing is decided by reading the set after writing to it, so whoever writes last sees everything; a crash anywhere is
finished by a redelivery or the sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from coordinator.ledger import Ledger
from coordinator.rules import planning
from coordinator.rules.batch import Batch
from coordinator.rules.due import By, closing
from coordinator.rules.entries import AnyOutcome, Shard, check_outcome
from coordinator.rules.lifecycle import Status
from coordinator.usecases.consolidate import Consolidator, Report
from coordinator.usecases.publish import RequestPublishing
from schemas.messages import MAX_DETAIL, Failed, FailureCode, Outcomes
from shared.errors import InvalidInput, MalformedMessage, Permanent, TipoffError, Unavailable
from shared.push import SliceName

log = logging.getLogger(__name__)


def read_outcomes(data: bytes) -> Outcomes:
    """Read a message of outcomes, which are all of one batch.

    Raises:
        MalformedMessage: it is none; names the first field that is wrong.
    """
    try:
        found = Outcomes.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise MalformedMessage(f"no outcomes: {where}: {first['msg']}") from error
    if len({one.batch_id for one in found.outcomes}) > 1:
        raise MalformedMessage("no outcomes: batch_id: they are of several batches; send those of one")
    if not found.outcomes and found.unreadable is None:
        raise MalformedMessage("no outcomes: outcomes: there are none")
    return found


def who_gave_up(attributes: Mapping[str, str]) -> str:
    """Say of a dead letter who gave it up, and after how many deliveries (A12)."""
    attempts = attributes.get(f"{_DEAD_LETTER}DeliveryCount", "an unknown number of")
    subscription = attributes.get(f"{_DEAD_LETTER}Subscription", "an unknown subscription")
    return f"{subscription} gave the request up after {attempts} deliveries"


_DEAD_LETTER = "CloudPubSubDeadLetterSource"
"""How the attributes begin that Pub/Sub adds (https://cloud.google.com/pubsub/docs/handling-failures)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """The use cases, over their ports."""

    ledger: Ledger
    publishing: RequestPublishing
    consolidator: Consolidator
    clock: Callable[[], datetime]

    def record(self, outcomes: Sequence[AnyOutcome]) -> Report | None:
        """Record outcomes of one batch, then close the batch if they were the last ones awaited, or came late.

        A repeat writes the same entries again and changes nothing. After `late_until` an outcome is recorded as
        `failed(expired)`, since its rows may be gone (A19). What has no place in the ledger, since its player is not
        expected or was answered too often, is logged and left out.

        Returns:
            What a consolidation in this call came to; None when there was none.

        Raises:
            UnknownBatch: nothing to record them in.
            MalformedMessage: none of them has a place in the ledger.
            Transient: not recorded, or not consolidated; the redelivery goes on. So too where the store refuses the
                write, since an expected player's outcome must not be acknowledged and lost (F2).
        """
        batch = self.ledger.batch(outcomes[0].batch_id)
        now = self.clock()
        if now > batch.late_until:
            outcomes = [_expired(outcome) for outcome in outcomes]
        of_shard: dict[int, list[AnyOutcome]] = {}
        for outcome in outcomes:
            of_shard.setdefault(planning.shard_of(outcome.player_lookup, batch.shard_starts), []).append(outcome)
        refusals: list[MalformedMessage] = []
        recorded = [
            number for number, some in sorted(of_shard.items()) if self._record_in(batch, number, some, now, refusals)
        ]
        if not recorded:
            raise refusals[0]
        for refusal in refusals:
            fields = {"batch_id": batch.batch_id, "reason": str(refusal)}
            log.error("outcome refused", extra={"json_fields": fields})
        shards = [self.ledger.shard(batch.batch_id, number) for number in recorded]
        if not any(shard.is_settled for shard in shards) and batch.status in (Status.PLANNED, Status.RUNNING):
            # Someone else's outcome is still awaited here, and whoever records it reads these. An end by the deadline
            # or by force, decided in this very moment, is the sweep's to notice.
            return None
        return self.close(batch, *shards)

    def _record_in(
        self,
        batch: Batch,
        number: int,
        outcomes: Sequence[AnyOutcome],
        now: datetime,
        refusals: list[MalformedMessage],
    ) -> bool:
        """Record the outcomes that have a place in a shard, in one commit; whether there were any."""
        shard, fitting = self.ledger.shard(batch.batch_id, number), []
        for outcome in outcomes:
            try:
                check_outcome(outcome, shard)
            except MalformedMessage as refusal:
                refusals.append(refusal)
            else:
                fitting.append(outcome)
        try:
            if fitting:
                self.ledger.record(batch, fitting, at=now)
        except Permanent as error:
            raise self._refused(batch, number, error) from error
        for outcome in fitting:
            if isinstance(outcome, Failed):
                fields = outcome.model_dump(mode="json", include={"batch_id", "player_lookup", "code", "detail"})
                log.warning("player failed", extra={"json_fields": fields})
        return bool(fitting)

    def give_up(self, name: SliceName, code: FailureCode, reason: str) -> Report | None:
        """See to the players of a message that nobody could take or read: a single one failed, several are published again
        alone, so that none sinks his neighbours.

        A repeat publishes those who are still silent again, or changes nothing.

        Raises:
            UnknownBatch: nothing to record it in.
            MalformedMessage: the shard has no such players.
            Transient: not recorded or published; the redelivery goes on.
        """
        batch, shard = self.ledger.batch(name.batch_id), self.ledger.shard(name.batch_id, name.shard)
        players = shard.ordered[name.start : name.stop]
        if len(players) != name.stop - name.start:
            raise MalformedMessage(
                f"shard {name.shard} of batch {name.batch_id} has no players {name.start}:{name.stop}"
            )
        if len(players) == 1:
            failed = Failed(
                batch_id=name.batch_id,
                player_lookup=players[0],
                worker_revision="unknown",
                code=code,
                detail=reason[:MAX_DETAIL],
            )
            return self.record([failed])
        silent = shard.silent.intersection(players)
        fields = {"batch_id": name.batch_id, "shard": name.shard, "players": sorted(silent), "reason": reason}
        log.warning("slice given up", extra={"json_fields": fields})
        if silent and batch.is_live:
            self.publishing.publish_alone(batch, {shard.number: silent}, [shard])
        return None

    def _refused(self, batch: Batch, number: int, error: Permanent) -> Unavailable:
        """Make it seen that the store takes no more of a shard: an expected player's outcome waits for a person (F2)."""
        reason = error.problem if isinstance(error, InvalidInput) else str(error)
        fields = {"batch_id": batch.batch_id, "shard": number, "reason": reason}
        log.error("outcome not storable", extra={"json_fields": fields})
        refused = {number: reason[:MAX_DETAIL]}
        try:
            self.ledger.change_batch(
                batch.batch_id, lambda found: replace(found, refused_writes={**found.refused_writes, **refused})
            )
        except TipoffError as trouble:  # the outcome must come again all the same
            log.warning("refused write not noted", extra={"json_fields": {"reason": str(trouble)}})
        return Unavailable(f"shard {number} of batch {batch.batch_id} cannot be written: {reason}")

    def close(self, batch: Batch, *shards: Shard) -> Report | None:
        """Mark the shards that are settled, and consolidate when the batch is, or when an ended one has late news.

        Args:
            batch: as read at any time before.
            shards: shards as read after the last write that the caller knows of.
        """
        marks = {shard.number for shard in shards if shard.is_settled} - batch.settled_shards
        # Marks tell the others; where these are the last ones, nobody else waits for them.
        if marks and len(marks | batch.settled_shards) < len(batch.shard_starts):
            self.ledger.mark_settled(batch.batch_id, marks)
        entry = self.ledger.entry(batch.batch_id)
        look = self.ledger.look(entry.batch, day=entry.day, now=self.clock(), touched=shards)
        decided = closing(look)
        is_due = decided is not None and By.EVENT in decided.by and decided.at <= look.now
        return self.consolidator.consolidate(batch.batch_id, known=entry) if is_due else None


def _expired(outcome: AnyOutcome) -> Failed:
    return Failed(
        batch_id=outcome.batch_id,
        player_lookup=outcome.player_lookup,
        worker_revision=outcome.worker_revision,
        code=FailureCode.EXPIRED,
        detail=f"a {outcome.outcome} outcome came after the batch's late_until",
    )
