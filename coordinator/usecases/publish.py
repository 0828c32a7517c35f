"""Publish a batch's requests from its frozen plan, shard by shard, so that a crash leaves the rest known by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from coordinator.rules import planning
from coordinator.rules.batch import Batch, shard_path, shards_path
from coordinator.rules.ledger import Shard, read_shard
from coordinator.rules.lifecycle import Event, Status, move
from coordinator.usecases.leases import get_batch
from schemas import names, tables
from shared.errors import Unavailable, VersionChanged
from shared.ports import DocumentStore, FieldPath, Outgoing, Publisher, TableSpec, Update, Value, Warehouse
from shared.staging import staging_spec

log = logging.getLogger(__name__)

_DISTURBANCES = 50

_PLAYERS_PER_QUERY = 2_000
"""Requests read from the plan at once: about 12 MB of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPublishing:
    """The use case, over its ports."""

    documents: DocumentStore
    warehouse: Warehouse
    requests: Publisher
    clock: Callable[[], datetime]
    traceparent: Callable[[], str]
    """The trace that the published requests carry on."""

    def publish_batch(self, batch: Batch) -> Batch:
        """Make the staging table, publish every shard that never was, and move the batch to RUNNING.

        A repeat goes on where the last call stopped (A10).

        Raises:
            Unavailable: some requests are not with Pub/Sub; the sweep or a repeat goes on.
        """
        self._create_tables(batch)
        never = [shard for shard in self.read_shards(batch.batch_id) if shard.published_at is None]
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
        noted: dict[FieldPath, Value] = {("published_at",): self.clock(), ("publishes",): shard.publishes + 1}
        self.documents.commit([Update(shard_path(batch.batch_id, shard.number), noted)])
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

    def read_shards(self, batch_id: str) -> list[Shard]:
        """Read every shard of a batch, in order."""
        shards = [read_shard(document) for document in self.documents.query(shards_path(batch_id))]
        return sorted(shards, key=lambda shard: shard.number)

    def _create_tables(self, batch: Batch) -> None:
        self.warehouse.create(
            staging_spec(batch.batch_id, schema_version=batch.schema_version, late_until=batch.late_until)
        )
        self.warehouse.create(
            TableSpec(
                names.PREDICTIONS_TABLE,
                tables.load(names.PREDICTIONS_TABLE).columns,
                partition_by="game_date",
                cluster_by=("player_lookup", "system_id"),
            )
        )

    def _set_running(self, batch_id: str) -> Batch:
        for _ in range(_DISTURBANCES):
            batch = get_batch(self.documents, batch_id)
            if batch.status is not Status.PLANNED:  # a second publisher was faster, or a person cancelled
                return batch
            running = move(batch.status, Event.PUBLISHED)
            try:
                self.documents.commit([Update(batch.path, {("status",): running.value}, if_version=batch.version)])
            except VersionChanged:
                continue
            log.info("batch running", extra={"json_fields": {"batch_id": batch_id}})
            return get_batch(self.documents, batch_id)
        raise Unavailable(f"batch {batch_id} was disturbed {_DISTURBANCES} times in a row")


def _chunks(shards: Sequence[Shard]) -> Iterator[list[Shard]]:
    some: list[Shard] = []
    for shard in shards:
        some.append(shard)
        if sum(len(one.expected) for one in some) >= _PLAYERS_PER_QUERY:
            yield some
            some = []
    if some:
        yield some
