"""A DBOS workflow on Postgres that enqueues one no-op workflow a slice of players, and awaits all their results.

Runs in the peers' own environment: python in_dbos.py POSTGRES_URL POSTGRES_PROCESS PLAYERS PLAYERS_A_TASK. One process enqueues, runs
and awaits; prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import time

from dbos import DBOS
from players import cut, digest, players_of, processor_seconds

_QUEUE = "players"
_POLL_SECONDS = 0.05
"""The default of a second would decide the small sizes."""
_SETTLING_SECONDS = 2.5
"""DBOS looks for new queues once a second, which is no part of the work."""


@DBOS.workflow()
def answer(players: list[str]) -> list[str]:
    """Do nothing for these players."""
    return players


@DBOS.workflow()
def fan_out(players: list[str], size: int) -> tuple[int, str]:
    """Enqueue every slice, await every answer, tell who answered."""
    waiting = [DBOS.enqueue_workflow(_QUEUE, answer, some) for some in cut(players, size)]
    return digest([player for handle in waiting for player in handle.get_result(polling_interval_sec=_POLL_SECONDS)])


def main() -> None:
    """Measure one fan-out."""
    url, server, players, size = sys.argv[1], *map(int, sys.argv[2:])
    DBOS(config={"name": "peers", "system_database_url": url, "console_log_level": "ERROR"})
    DBOS.launch()
    DBOS.register_queue(_QUEUE, polling_interval_sec=_POLL_SECONDS)
    time.sleep(_SETTLING_SECONDS)
    wanted = players_of(players)
    spent, began = processor_seconds(server, os.getpid()), time.perf_counter()
    count, found = DBOS.start_workflow(fan_out, wanted, size).get_result(polling_interval_sec=_POLL_SECONDS)
    seconds = time.perf_counter() - began
    spent = processor_seconds(server, os.getpid()) - spent
    DBOS.destroy()
    print(json.dumps({"seconds": seconds, "processor_seconds": spent, "count": count, "digest": found}))  # noqa: T201 - the answer to the bench


if __name__ == "__main__":
    main()
