"""Publish a batch's requests from its frozen plan, shard by shard, so that a crash leaves the rest known by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from coordinator.ledger import Ledger
from coordinator.rules import planning
from coordinator.rules.batch import Batch
from coordinator.rules.entries import Shard
from coordinator.rules.lifecycle import Event, Status, move
from shared.errors import Unavailable
from shared.ports import Outgoing, Publisher, Warehouse
from shared.push import SliceName

log = logging.getLogger(__name__)

_PLAYERS_PER_QUERY = 2_000
"""Requests read from the plan at once: about 12 MB of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPublishing:
    """The use case, over its ports."""

    ledger: Ledger
    warehouse: Warehouse
    requests: Publisher
    clock: Callable[[], datetime]

    def publish_batch(self, batch: Batch) -> Batch:
        """Publish, in slices, every shard that never was, and move the batch to RUNNING.

        A repeat goes on where the last call stopped (A10).

        Raises:
            Unavailable: some requests are not with Pub/Sub; the sweep or a repeat goes on.
        """
        size = batch.policy.players_per_request
        shards = self.ledger.shards(batch.batch_id)
        self._publish(batch, [(shard, _cut(batch, shard, size)) for shard in shards if shard.published_at is None])
        return self._set_running(batch.batch_id)

    def publish_alone(self, batch: Batch, players: Mapping[int, Collection[str]], shards: Sequence[Shard]) -> None:
        """Publish players of some shards again, each in a message of his own, so that none can sink another.

        The same requests at every repeat; notes when (A13).
        """
        alone = []
        for shard in shards:
            ordered, wanted = shard.ordered, players[shard.number]
            alone.append((shard, [one for one in _cut(batch, shard, 1) if ordered[one.start] in wanted]))
        self._publish(batch, alone)

    def _publish(self, batch: Batch, shards: Sequence[tuple[Shard, Sequence[SliceName]]]) -> None:
        for some in _chunks(shards):
            wanted = [player for shard, slices in some for of_slice in _players(shard, slices) for player in of_slice]
            found = self.warehouse.query(planning.requests_statement(batch.batch_id), {"players": wanted})
            planned = {player.player_lookup: player for player in planning.read_plan(found)}
            if lacking := [player for player in wanted if player not in planned]:
                raise Unavailable(f"the plan of {batch.batch_id} lacks {len(lacking)} players, such as {lacking[0]!r}")
            for shard, slices in some:
                self._publish_shard(batch, shard, slices, planned)

    def _publish_shard(
        self, batch: Batch, shard: Shard, slices: Sequence[SliceName], planned: Mapping[str, planning.PlannedPlayer]
    ) -> None:
        of_batch, messages = planning.OfBatch(batch.batch_id, batch.planned_at, batch.late_until), []
        for name, players in zip(slices, _players(shard, slices), strict=True):
            data = planning.slice_bytes([planned[player] for player in players], of_batch)
            messages.append(Outgoing(data, name.attributes))
        self.requests.publish(messages)
        self.ledger.note_published(batch.batch_id, shard, at=self.clock())
        count = sum(one.stop - one.start for one in slices)
        fields = {"batch_id": batch.batch_id, "shard": shard.number, "messages": len(messages), "players": count}
        log.info("requests published", extra={"json_fields": fields})

    def _set_running(self, batch_id: str) -> Batch:
        def running(batch: Batch) -> Batch | None:
            if batch.status is not Status.PLANNED:  # a second publisher was faster, or a person cancelled
                return None
            return replace(batch, status=move(batch.status, Event.PUBLISHED))

        batch = self.ledger.change_batch(batch_id, running)
        if batch.status is Status.RUNNING:
            log.info("batch running", extra={"json_fields": {"batch_id": batch_id}})
        return batch


def _cut(batch: Batch, shard: Shard, size: int) -> list[SliceName]:
    """Cut a shard's sorted players into slices of at most so many."""
    count = len(shard.expected)
    starts = range(0, count, size)
    return [SliceName(batch.batch_id, shard.number, start, min(start + size, count)) for start in starts]


def _players(shard: Shard, slices: Sequence[SliceName]) -> list[tuple[str, ...]]:
    ordered = shard.ordered
    return [ordered[one.start : one.stop] for one in slices]


def _chunks(shards: Sequence[tuple[Shard, Sequence[SliceName]]]) -> Iterator[list[tuple[Shard, Sequence[SliceName]]]]:
    """Shards by as many as are read from the plan at once."""
    some: list[tuple[Shard, Sequence[SliceName]]] = []
    players = 0
    for shard, slices in shards:
        if not slices:
            continue
        some.append((shard, slices))
        players += sum(one.stop - one.start for one in slices)
        if players >= _PLAYERS_PER_QUERY:
            yield some
            some, players = [], 0
    if some:
        yield some
