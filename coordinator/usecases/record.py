"""Record outcomes and close batches: the use cases behind `/complete` and the close step that `/start` and the sweep share.

Closing is decided by reading the set after writing to it, so whoever writes last sees everything; a crash anywhere is
finished by a redelivery or the sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
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
from schemas import names
from schemas.messages import MAX_DETAIL, OUTCOME, Failed, FailureCode
from shared.errors import InvalidInput, MalformedMessage, Permanent, TipoffError, Unavailable
from shared.push import addressee_of, texts_in

log = logging.getLogger(__name__)


def read_outcome(data: bytes) -> AnyOutcome:
    """Read an outcome message.

    Raises:
        MalformedMessage: it is none; names the first field that is wrong.
    """
    try:
        outcome = OUTCOME.validate_json(data)
        names.check_batch_id(outcome.batch_id)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise MalformedMessage(f"not an outcome: {where}: {first['msg']}") from error
    except ValueError as error:
        raise MalformedMessage(f"not an outcome: batch_id: {error}") from error
    return outcome


def unreadable(attributes: Mapping[str, str], *, reason: str) -> Failed:
    """The outcome to record for a message that is none: failed, for the player that its attributes name.

    Raises:
        MalformedMessage: they name no batch and player.
    """
    about = addressee_of(attributes)
    return Failed(
        batch_id=about.batch_id,
        player_lookup=about.player_lookup,
        worker_revision="unknown",
        code=FailureCode.BAD_REQUEST,
        detail=f"unreadable outcome: {reason}",
    )


def dead_lettered(data: bytes, attributes: Mapping[str, str]) -> Failed:
    """The outcome to record for a request that nobody could take (A12): its player failed.

    Whose it was its attributes tell; where they do not, the request itself.

    Raises:
        MalformedMessage: neither names batch and player.
    """
    told = {**texts_in(data), **{name: text for name, text in attributes.items() if text}}
    about = addressee_of(told)
    attempts = told.get(f"{_DEAD_LETTER}DeliveryCount", "an unknown number of")
    subscription = told.get(f"{_DEAD_LETTER}Subscription", "an unknown subscription")
    return Failed(
        batch_id=about.batch_id,
        player_lookup=about.player_lookup,
        worker_revision="none",
        code=FailureCode.DEAD_LETTERED,
        detail=f"{subscription} gave the request up after {attempts} deliveries",
    )


_DEAD_LETTER = "CloudPubSubDeadLetterSource"
"""How the attributes begin that Pub/Sub adds (https://cloud.google.com/pubsub/docs/handling-failures)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """The use cases, over their ports."""

    ledger: Ledger
    consolidator: Consolidator
    clock: Callable[[], datetime]

    def record_outcome(self, outcome: AnyOutcome) -> Report | None:
        """Record an outcome, then close the batch if it was the last one awaited, or came late.

        A repeat writes the same entry again and changes nothing. After `late_until` the outcome is recorded as
        `failed(expired)`, since its rows may be gone (A19).

        Returns:
            What a consolidation in this call came to; None when there was none.

        Raises:
            UnknownBatch: nothing to record it in.
            MalformedMessage: the shard has no place for it: the player is not expected, or was answered too often.
            Transient: not recorded, or not consolidated; the redelivery goes on. So too where the store refuses the
                write, since an expected player's outcome must not be acknowledged and lost (F2).
        """
        batch = self.ledger.batch(outcome.batch_id)
        now = self.clock()
        if now > batch.late_until:
            outcome = _expired(outcome)
        number = planning.shard_of(outcome.player_lookup, batch.shard_starts)
        check_outcome(outcome, self.ledger.shard(batch.batch_id, number))
        try:
            self.ledger.record(batch, [outcome], at=now)
        except Permanent as error:
            raise self._refused(batch, number, error) from error
        shard = self.ledger.shard(batch.batch_id, number)
        log.info(
            "outcome recorded",
            extra={
                "json_fields": {"batch_id": batch.batch_id, "player": outcome.player_lookup, "kind": outcome.outcome}
            },
        )
        if not shard.is_settled and batch.status in (Status.PLANNED, Status.RUNNING):
            # Someone else's outcome is still awaited here, and whoever records it reads this one. An end by the
            # deadline or by force, decided in this very moment, is the sweep's to notice.
            return None
        return self.close(batch.batch_id, shard)

    def _refused(self, batch: Batch, number: int, error: Permanent) -> Unavailable:
        """Make it seen that the store takes no more of a shard: an expected player's outcome waits for a person (F2)."""
        reason = error.problem if isinstance(error, InvalidInput) else str(error)
        log.error(
            "outcome not storable",
            extra={"json_fields": {"batch_id": batch.batch_id, "shard": number, "reason": reason}},
        )
        refused = {number: reason[:MAX_DETAIL]}
        try:
            self.ledger.change_batch(
                batch.batch_id, lambda found: replace(found, refused_writes={**found.refused_writes, **refused})
            )
        except TipoffError as trouble:  # the outcome must come again all the same
            log.warning("refused write not noted", extra={"json_fields": {"reason": str(trouble)}})
        return Unavailable(f"shard {number} of batch {batch.batch_id} cannot be written: {reason}")

    def close(self, batch_id: str, *shards: Shard) -> Report | None:
        """Mark the shards that are settled, and consolidate when the batch is, or when an ended one has late news.

        Args:
            shards: shards as read after the last write that the caller knows of.
        """
        batch = self.ledger.batch(batch_id)
        settled = {shard.number for shard in shards if shard.is_settled}
        if marks := settled - batch.settled_shards:
            self.ledger.mark_settled(batch_id, marks)
            batch = self.ledger.batch(batch_id)
        look = self.ledger.look(batch, now=self.clock(), touched=shards)
        decided = closing(look)
        is_due = decided is not None and By.EVENT in decided.by and decided.at <= look.now
        return self.consolidator.consolidate(batch_id) if is_due else None


def _expired(outcome: AnyOutcome) -> Failed:
    return Failed(
        batch_id=outcome.batch_id,
        player_lookup=outcome.player_lookup,
        worker_revision=outcome.worker_revision,
        code=FailureCode.EXPIRED,
        detail=f"a {outcome.outcome} outcome came after the batch's late_until",
    )
