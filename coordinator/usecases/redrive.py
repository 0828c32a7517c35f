"""Redrive: a new batch for the players of the date's newest root who are not predicted, planned afresh."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from coordinator.ledger import Ledger
from coordinator.rules.batch import Batch, DateRecord
from coordinator.rules.entries import take_snapshot
from coordinator.rules.lifecycle import Status
from coordinator.usecases.start import NewBatch, Started, Starter
from schemas import names
from shared.errors import Conflict

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriver:
    """The use case, over its ports and the starting of batches."""

    ledger: Ledger
    starter: Starter

    def redrive(self, batch_id: str, *, key: str, only: Collection[str] | None = None) -> Started:
        """Plan and publish a child batch of a root's players who are neither predicted by it nor by its redrives so far.

        It runs under the root's policy, speaks for its own players only and is planned with the inputs of now; whom the
        fresh plan does not expect any more (one who is OUT) is named in `left_out`. Of a redrive, its root is redriven. A
        repeat with the same key answers with the same batch.

        Args:
            only: of those players, nobody but these.

        Raises:
            UnknownBatch: there is none of that id.
            Conflict: the root is not the date's newest, it or a redrive of it still lives, it was cancelled, or all of
                its players are predicted.
            InvalidInput, Unavailable: as a start.
        """
        asked = self.ledger.batch(batch_id)
        root = self.ledger.batch(asked.parent) if asked.parent else asked
        child_id = names.batch_id(root.game_date, f"redrive:{root.batch_id}:{key}")
        started = self.starter.begin(root.game_date, child_id, lambda day: self._choose(root.batch_id, day, only))
        if started.is_new:
            batch = started.batch
            fields = {"batch_id": child_id, "parent": root.batch_id, "players": batch.expected_count}
            log.info("redrive started", extra={"json_fields": {**fields, "left_out": list(batch.left_out)}})
        return started

    def _choose(self, root_id: str, day: DateRecord | None, only: Collection[str] | None) -> NewBatch:
        root = self.ledger.batch(root_id)
        if day is not None:
            self._check_newest(root, day)
        if root.is_live:
            raise Conflict(
                f"batch {root_id} is {root.state}: the sweep still publishes its silent players again; wait for its end",
                batch_id=root_id,
            )
        if (other := self.ledger.living(root.game_date)) is not None:
            raise Conflict(
                f"batch {other.batch_id} of {root.game_date} is {other.state}; wait for its end",
                batch_id=other.batch_id,
            )
        if root.status is Status.CANCELLED:
            raise Conflict(f"batch {root_id} is cancelled; start the date again instead", batch_id=root_id)
        players = tuple(player for player in self._not_predicted(root) if only is None or player in only)
        if not players:
            raise Conflict(
                f"all players{'' if only is None else ' of that group'} of batch {root_id} are predicted; there is nobody to redrive",
                batch_id=root_id,
            )
        return NewBatch(policy=root.policy, parent=root_id, players=players)

    def _check_newest(self, root: Batch, day: DateRecord) -> None:
        newest = self.ledger.batch(day.newest.batch_id)
        if root.batch_id not in (newest.batch_id, newest.parent):
            raise Conflict(
                f"batch {newest.batch_id} of {root.game_date} is newer; only the newest batch is redriven",
                batch_id=newest.batch_id,
            )
        if newest.is_live and newest.batch_id != root.batch_id:
            raise Conflict(
                f"batch {newest.batch_id} already redrives {root.batch_id} and is {newest.state}; wait for its end",
                batch_id=newest.batch_id,
            )

    def _not_predicted(self, root: Batch) -> tuple[str, ...]:
        """Expected minus predicted, by the root or by a redrive of it that was not given up."""
        predicted, expected = self._predicted_and_expected(root.batch_id)
        for one in self.ledger.batches_of(root.game_date):
            if one.parent == root.batch_id and one.status is not Status.CANCELLED:
                predicted |= self._predicted_and_expected(one.batch_id)[0]
        return tuple(sorted(expected - predicted))

    def _predicted_and_expected(self, batch_id: str) -> tuple[frozenset[str], frozenset[str]]:
        shards = self.ledger.shards(batch_id)
        expected = frozenset(player for shard in shards for player in shard.expected)
        return frozenset(take_snapshot(shards).predicted), expected
