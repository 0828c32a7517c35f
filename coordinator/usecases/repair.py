"""Repair the ledger from staging: record the `predicted` outcome of a whole delivery whose own outcome was lost.

That a delivery found here is whole is certain, not guessed from its number of rows: a worker appends all rows of a
player in one request to the table's default stream, and one append request is taken whole or not at all (as one
transaction by the embedded warehouse). So either none of a delivery's rows can be seen or all of them; a repeated append
adds copies of the same ids. Only rows beyond 9 MB would go in several requests: a delivery that could be as large is left
to its own outcome. Rows and digest are computed as the worker computes them, and the consolidation compares both with
staging once more, so that even a wrong entry here would be refused there and not merged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from coordinator.ledger import Ledger
from coordinator.rules import merge
from coordinator.rules.batch import Batch
from coordinator.rules.sql_text import union
from schemas import digest, names, tables
from schemas.messages import Predicted
from schemas.tables import Row
from shared.ports import Parameters, Warehouse

log = logging.getLogger(__name__)

MAX_ROWS = 1_000
"""Rows that surely fit into one append request of 9 MB: a row has about 2 kB."""


def deliveries_query(batch: Batch) -> str:
    """Find what is staged of @players: per delivery its distinct ids, their digest and its foreign rows."""
    selects = (
        f"""\
SELECT
  `player_lookup`,
  `_delivery`,
  {version} AS `_version`,
  COUNT(DISTINCT `prediction_id`) AS `distinct_rows`,
  {digest.IN_SQL} AS `digest`,
  COUNTIF(`game_date` != @game_date OR `updated_at` IS NULL OR `updated_at` != @planned_at) AS `foreign_rows`
{merge.rows_of_batch(version, batch.batch_id, batch.planned_at)}
  AND `player_lookup` IN UNNEST(@players)
GROUP BY `player_lookup`, `_delivery`"""
        for version in tables.versions(names.PREDICTIONS_TABLE)
    )
    return union(selects)


def deliveries_parameters(batch: Batch, players: Sequence[str]) -> Parameters:
    """What `deliveries_query` needs."""
    return {"players": players, "game_date": batch.game_date, "planned_at": batch.planned_at}


def lost_outcome(batch: Batch, row: Row) -> Predicted | None:
    """The outcome of a staged delivery, or None of one that cannot be vouched for: it is too large, or has rows of another
    date or batch."""
    rows = int(str(row["distinct_rows"]))
    if row["foreign_rows"] or not 1 <= rows <= MAX_ROWS:
        return None
    return Predicted(
        batch_id=batch.batch_id,
        player_lookup=str(row["player_lookup"]),
        worker_revision="found-in-staging",
        delivery=str(row["_delivery"]),
        schema_version=int(str(row["_version"])),
        rows=rows,
        digest=str(row["digest"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingRepair:
    """The use case, over its ports."""

    ledger: Ledger
    warehouse: Warehouse
    clock: Callable[[], datetime]

    def find(self, batch: Batch, players: Sequence[str]) -> list[Predicted]:
        """Find the lost outcomes of players; reads only. Raises `Unavailable`."""
        if not players:
            return []
        found = self.warehouse.query(deliveries_query(batch), deliveries_parameters(batch, players))
        outcomes = [lost_outcome(batch, row) for row in found]
        if doubtful := [str(row["player_lookup"]) for row, one in zip(found, outcomes, strict=True) if one is None]:
            fields = {"batch_id": batch.batch_id, "players": sorted(doubtful)}
            log.warning("staged rows that nobody can vouch for", extra={"json_fields": fields})
        return sorted((one for one in outcomes if one is not None), key=lambda one: (one.player_lookup, one.delivery))

    def note_look(self, batch: Batch) -> None:
        """Remember that staging was looked through now."""
        now = self.clock()
        self.ledger.change_batch(batch.batch_id, lambda found: replace(found, staging_looked_at=now))

    def record(self, batch: Batch, outcomes: Sequence[Predicted]) -> None:
        """Record outcomes as their own messages would have; a repeat, or those messages, change nothing more.

        The shards that this settles are marked, so that the last answer still to come finishes the batch and need not wait
        for the next sweep.
        """
        self.ledger.record(batch, outcomes, at=self.clock())
        settled = {shard.number for shard in self.ledger.shards(batch.batch_id) if shard.is_settled}
        if settled - batch.settled_shards:
            self.ledger.mark_settled(batch.batch_id, settled - batch.settled_shards)
        fields = {"batch_id": batch.batch_id, "players": [one.player_lookup for one in outcomes]}
        log.warning("lost outcomes recorded from staging", extra={"json_fields": fields})
