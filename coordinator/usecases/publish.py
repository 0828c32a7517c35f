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


@dataclass(frozen=True, slots=True)
class _Part:
    """Some players of a shard, from a place in its order on: a slice to publish."""

    start: int
    players: tuple[str, ...]


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
        never = [shard for shard in self.ledger.shards(batch.batch_id) if shard.published_at is None]
        size = batch.policy.players_per_request
        self._publish(batch, [(shard, _cut(shard, size)) for shard in never])
        return self._set_running(batch.batch_id)

    def publish_alone(self, batch: Batch, players: Mapping[int, Collection[str]], shards: Sequence[Shard]) -> None:
        """Publish players of some shards again, each in a message of his own, so that none can sink another.

        The same requests at every repeat; notes when (A13).
        """
        alone = [
            (shard, [one for one in _cut(shard, 1) if one.players[0] in players[shard.number]]) for shard in shards
        ]
        self._publish(batch, alone)

    def _publish(self, batch: Batch, shards: Sequence[tuple[Shard, Sequence[_Part]]]) -> None:
        for some in _chunks(shards):
            wanted = [player for _, parts in some for part in parts for player in part.players]
            found = self.warehouse.query(planning.requests_statement(batch.batch_id), {"players": wanted})
            planned = {player.player_lookup: player for player in planning.read_plan(found)}
            if lacking := [player for player in wanted if player not in planned]:
                raise Unavailable(f"the plan of {batch.batch_id} lacks {len(lacking)} players, such as {lacking[0]!r}")
            for shard, parts in some:
                self._publish_shard(batch, shard, parts, planned)

    def _publish_shard(
        self, batch: Batch, shard: Shard, parts: Sequence[_Part], planned: Mapping[str, planning.PlannedPlayer]
    ) -> None:
        self.requests.publish([self._message(batch, shard, part, planned) for part in parts])
        self.ledger.note_published(batch.batch_id, shard, at=self.clock())
        players = sum(len(part.players) for part in parts)
        fields = {"batch_id": batch.batch_id, "shard": shard.number, "messages": len(parts), "players": players}
        log.info("requests published", extra={"json_fields": fields})

    def _message(
        self, batch: Batch, shard: Shard, part: _Part, planned: Mapping[str, planning.PlannedPlayer]
    ) -> Outgoing:
        of_batch = planning.OfBatch(batch.batch_id, batch.planned_at, batch.late_until)
        data = planning.slice_bytes([planned[player] for player in part.players], of_batch)
        name = SliceName(batch.batch_id, shard.number, part.start, part.start + len(part.players))
        return Outgoing(data, name.attributes)

    def _set_running(self, batch_id: str) -> Batch:
        def running(batch: Batch) -> Batch | None:
            if batch.status is not Status.PLANNED:  # a second publisher was faster, or a person cancelled
                return None
            return replace(batch, status=move(batch.status, Event.PUBLISHED))

        batch = self.ledger.change_batch(batch_id, running)
        if batch.status is Status.RUNNING:
            log.info("batch running", extra={"json_fields": {"batch_id": batch_id}})
        return batch


def _cut(shard: Shard, size: int) -> list[_Part]:
    """Cut a shard's sorted players into slices of at most so many."""
    ordered = shard.ordered
    return [_Part(start, ordered[start : start + size]) for start in range(0, len(ordered), size)]


def _chunks(shards: Sequence[tuple[Shard, Sequence[_Part]]]) -> Iterator[list[tuple[Shard, Sequence[_Part]]]]:
    """Shards by as many as are read from the plan at once."""
    some: list[tuple[Shard, Sequence[_Part]]] = []
    players = 0
    for shard, parts in shards:
        if not parts:
            continue
        some.append((shard, parts))
        players += sum(len(part.players) for part in parts)
        if players >= _PLAYERS_PER_QUERY:
            yield some
            some, players = [], 0
    if some:
        yield some
