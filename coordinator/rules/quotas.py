"""Decides whether a batch of so many players fits Google Cloud's quotas and our own settings, before it exists (B18).

A forecast is arithmetic over documented limits and the sizes and rates named below; it must never learn what is
deployed or in use. A hard limit refuses the start. A soft one warns: what passes it is throttled and comes again, or
it is a setting of ours to raise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from coordinator.rules.planning import cut_size
from shared.errors import InvalidInput
from shared.settings import Policy

MB = 1_000_000
BIGQUERY = "BigQuery, Quotas and limits (cloud.google.com/bigquery/quotas)"
FIRESTORE = "Firestore, Quotas and limits (cloud.google.com/firestore/quotas)"
FIRESTORE_PRACTICE = "Firestore, Best practices (cloud.google.com/firestore/docs/best-practices)"
PUBSUB = "Pub/Sub, Quotas and limits (cloud.google.com/pubsub/quotas)"
OURS = "deploy/provision.sh and the settings"

ROWS_PER_PLAYER = 60
"""Rows of a player: seven systems times eight lines are 56, as if each of eight sportsbooks offered another line."""
REQUEST_BYTES = 6_000
"""Bytes of a request with 25 games, the larger end of what was seen."""
ROW_BYTES = 1_500
"""Bytes of a staged row of 75 columns, as the Write API counts them."""
ENTRY_BYTES = 800
"""Bytes of a player in his shard: expected, predicted by one delivery, carried and merged."""
MARK_BYTES = 100
"""Bytes of a player in a commit that marks him as merged: the path of the field, and his delivery."""
PARAMETER_BYTES = 80
"""Bytes of a player in the MERGE's array parameters, as JSON writes them: his delivery and, in a redrive, his name."""
ROWS_PER_APPEND = 2_000
"""Rows that the worker appends by one request at most, unless one player has more."""
PLAYERS_PER_READ = 2_000
"""Players whose requests are read from the plan by one query."""
SHARD_MARK_BYTES = 60
"""Bytes of a shard in the batch document: its first player, and its mark when it is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What deploy/provision.sh sets up, as far as rates depend on it."""

    worker_instances: int = 6
    worker_concurrency: int = 8
    slice_seconds: float = 1.0
    """From a message's arrival to its answer, with the append and the publishing: an assumption to be measured."""
    players_per_request: int = Policy().players_per_request
    deadline_minutes: int = Policy().deadline_minutes

    @property
    def slices_per_second(self) -> float:
        """The most messages that the workers answer together."""
        return self.worker_instances * self.worker_concurrency / self.slice_seconds

    @property
    def predictions_per_second(self) -> float:
        """The most players that the workers do together."""
        return self.slices_per_second * self.players_per_request


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit and what a batch is forecast to use of it, in the same unit."""

    name: str
    unit: str
    forecast: float
    limit: float
    source: str
    is_hard: bool = False

    @property
    def share(self) -> float:
        """The part of the limit that is used."""
        return self.forecast / self.limit

    @property
    def fits(self) -> bool:
        """Whether the batch stays within the limit."""
        return self.forecast <= self.limit


def forecast(
    players: int, *, rows_per_player: int = ROWS_PER_PLAYER, deployment: Deployment | None = None
) -> tuple[Quota, ...]:
    """Forecast what a batch uses of every limit that it touches, the most used first.

    Args:
        players: expected players.
        rows_per_player: prediction rows of one player, of all systems and lines.

    Raises:
        InvalidInput: a number is negative, or there is less than one row.
    """
    if players < 0:
        raise InvalidInput("players", f"{players} is negative; give 0 or more")
    if rows_per_player < 1:
        raise InvalidInput("rows_per_player", f"{rows_per_player} is too small; give 1 or more")
    deployment = deployment or Deployment()
    found = [
        *_sizes(players, rows_per_player, deployment),
        *_counts(players),
        *_bytes(players, rows_per_player),
        *_rates(players, rows_per_player, deployment),
    ]
    return tuple(sorted(found, key=lambda quota: (-quota.share, quota.name)))


def check_fits(players: int, *, deadline_minutes: int) -> None:
    """Let a plan pass whose batch can be finished.

    Raises:
        InvalidInput: it meets a hard limit; names each, with forecast, limit and source.
    """
    deployment = Deployment(deadline_minutes=deadline_minutes)
    over = [quota for quota in forecast(players, deployment=deployment) if quota.is_hard and not quota.fits]
    if over:
        raise InvalidInput(
            "players",
            f"a batch of {players:,} players cannot be finished: {'; '.join(map(_told, over))}. "
            "Plan fewer players, under another idempotency key",
        )


def _told(quota: Quota) -> str:
    return f"{quota.name}: {quota.forecast:,.0f} of {quota.limit:,.0f} {quota.unit} ({quota.source})"


def _sizes(players: int, rows_per_player: int, deployment: Deployment) -> list[Quota]:
    slice_players = min(players, deployment.players_per_request)
    appended = min(slice_players * rows_per_player, max(ROWS_PER_APPEND, rows_per_player))
    shard = min(players, cut_size(players))
    shards = math.ceil(players / cut_size(players))
    return [
        Quota("BigQuery request of the MERGE", "bytes", players * PARAMETER_BYTES, 10 * MB, BIGQUERY, is_hard=True),
        Quota("Firestore shard document", "bytes", shard * ENTRY_BYTES, 1_048_576, FIRESTORE, is_hard=True),
        Quota("Firestore batch document", "bytes", shards * SHARD_MARK_BYTES, 1_048_576, FIRESTORE, is_hard=True),
        # Twenty shards are marked as merged in one commit.
        Quota(
            "Firestore commit of merged marks",
            "bytes",
            20 * shard * MARK_BYTES,
            10 * 1_048_576,
            FIRESTORE,
            is_hard=True,
        ),
        Quota("Pub/Sub message", "bytes", slice_players * REQUEST_BYTES, 10 * MB, PUBSUB, is_hard=True),
        Quota("Write API request", "bytes", appended * ROW_BYTES, 20 * MB, BIGQUERY, is_hard=True),
    ]


def _counts(players: int) -> list[Quota]:
    """What does not grow with the players, so that it is seen not to, and the queries, which hardly do."""
    queries = 8 + math.ceil(players / PLAYERS_PER_READ)
    return [
        Quota("tables per query", "tables", 3, 1_000, BIGQUERY, is_hard=True),
        Quota("partitions changed by a MERGE", "partitions", 1, 4_000, BIGQUERY, is_hard=True),
        Quota("columns of staging", "columns", 75, 10_000, BIGQUERY, is_hard=True),
        Quota("load jobs on a table and day", "jobs", 0, 1_500, BIGQUERY),
        Quota("queued DML statements on the predictions table", "statements", 1, 20, BIGQUERY),
        Quota("queries of the batch, if all came in one second", "queries", queries, 100, BIGQUERY),
    ]


def _bytes(players: int, rows_per_player: int) -> list[Quota]:
    # How many rows there will be is not known at the start, so this cannot refuse.
    merged = 2 * players * rows_per_player * ROW_BYTES
    return [Quota("MERGE, of TIPOFF_MAX_BYTES_PER_QUERY", "bytes", merged, 10_000 * MB, OURS)]


def _rates(players: int, rows_per_player: int, deployment: Deployment) -> list[Quota]:
    per_second = min(players, deployment.predictions_per_second)
    slices = min(math.ceil(players / deployment.players_per_request), deployment.slices_per_second)
    shards = max(1, math.ceil(players / cut_size(players)))
    lasting = players / deployment.predictions_per_second
    written = per_second * rows_per_player * ROW_BYTES
    connections = min(slices, deployment.worker_instances * deployment.worker_concurrency)
    return [
        Quota(
            "workers' time before the deadline",
            "seconds",
            lasting,
            deployment.deadline_minutes * 60,
            OURS,
            is_hard=True,
        ),
        Quota("Write API connections at once, in a region", "connections", connections, 5_000, BIGQUERY),
        Quota("Write API throughput, in a region", "bytes/s", written, 300 * MB, BIGQUERY),
        # Bursts pass; joined commits of one instance make it fewer.
        Quota("writes of one shard document", "writes/s", slices / shards, 1, FIRESTORE_PRACTICE),
        Quota("writes of new documents at first", "writes/s", slices, 500, FIRESTORE_PRACTICE),
        Quota("Pub/Sub publishing, in a small region", "bytes/s", per_second * REQUEST_BYTES, 50 * MB, PUBSUB),
        Quota("Pub/Sub pushing, in a large region", "bytes/s", per_second * REQUEST_BYTES, 20 * MB, PUBSUB),
    ]
