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
    traceparent: Callable[[], str]
    """The trace that the published requests carry on."""

    def publish_batch(self, batch: Batch) -> Batch:
        """Publish every shard that never was, and move the batch to RUNNING.

        A repeat goes on where the last call stopped (A10).

        Raises:
            Unavailable: some requests are not with Pub/Sub; the sweep or a repeat goes on.
        """
        never = [shard for shard in self.ledger.shards(batch.batch_id) if shard.published_at is None]
        for some in _chunks(never):
            self.publish(batch, {shard.number: shard.expected for shard in some}, some)
        return self._set_running(batch.batch_id)

    def publish(self, batch: Batch, players: Mapping[int, Collection[str]], shards: Sequence[Shard]) -> None:
        """Publish the requests of some players of some shards, the same bytes at every repeat, and note when (A13)."""
        wanted = sorted(player for number in players for player in players[number])
        found = self.warehouse.query(planning.requests_statement(batch.batch_id), {"players": wanted})
        planned = {player.player_lookup: player for player in planning.read_plan(found)}
        if lacking := [player for player in wanted if player not in planned]:
            raise Unavailable(f"the plan of {batch.batch_id} lacks {len(lacking)} players, such as {lacking[0]!r}")
        for shard in shards:
            self._publish_shard(batch, shard, [planned[player] for player in sorted(players[shard.number])])

    def _publish_shard(self, batch: Batch, shard: Shard, planned: Sequence[planning.PlannedPlayer]) -> None:
        self.requests.publish([self._message(batch, player) for player in planned])
        self.ledger.note_published(batch.batch_id, shard, at=self.clock())
        log.info(
            "requests published",
            extra={"json_fields": {"batch_id": batch.batch_id, "shard": shard.number, "players": len(planned)}},
        )

    def _message(self, batch: Batch, player: planning.PlannedPlayer) -> Outgoing:
        request = planning.request_of(
            player, batch_id=batch.batch_id, planned_at=batch.planned_at, late_until=batch.late_until
        )
        attributes = {"batch_id": batch.batch_id, "player_lookup": player.player_lookup}
        return Outgoing(planning.request_bytes(request), {**attributes, "traceparent": self.traceparent()})

    def _set_running(self, batch_id: str) -> Batch:
        def running(batch: Batch) -> Batch | None:
            if batch.status is not Status.PLANNED:  # a second publisher was faster, or a person cancelled
                return None
            return replace(batch, status=move(batch.status, Event.PUBLISHED))

        batch = self.ledger.change_batch(batch_id, running)
        if batch.status is Status.RUNNING:
            log.info("batch running", extra={"json_fields": {"batch_id": batch_id}})
        return batch


def _chunks(shards: Sequence[Shard]) -> Iterator[list[Shard]]:
    some: list[Shard] = []
    for shard in shards:
        some.append(shard)
        if sum(len(one.expected) for one in some) >= _PLAYERS_PER_QUERY:
            yield some
            some = []
    if some:
        yield some
