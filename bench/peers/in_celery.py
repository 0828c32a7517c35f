"""A Celery chord over Redis: one no-op task a slice of players, and a callback that gets all of what they say.

Runs in the peers' own environment: python in_celery.py REDIS_URL REDIS_PROCESS PLAYERS PLAYERS_A_TASK. Starts one worker of one
process, waits until it answers, and prints one JSON object. A task is acknowledged after it ran, and comes again when
its worker dies.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from celery import Celery, chord
from players import cut, digest, players_of, processor_seconds
from redis import Redis

_WORKER = ("worker", "--pool=solo", "--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat")
_READY_SECONDS = 60
_PATIENCE_SECONDS = 1_800

app = Celery("in_celery")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=64,  # what Celery's guide advises for many short tasks
    broker_connection_retry_on_startup=True,
)


@app.task(name="answer")
def answer(players: list[str]) -> list[str]:
    """Do nothing for these players."""
    return players


@app.task(name="gather")
def gather(answers: list[list[str]]) -> tuple[int, str]:
    """Tell who answered."""
    return digest([player for some in answers for player in some])


def main() -> None:
    """Measure one chord."""
    url, server, players, size = sys.argv[1], *map(int, sys.argv[2:])
    Redis.from_url(url).flushall()
    app.conf.update(broker_url=url, result_backend=url)
    command = [sys.executable, "-m", "celery", "-A", "in_celery", "-b", url, "--result-backend", url, *_WORKER]
    worker = subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    try:
        given_up_at = time.monotonic() + _READY_SECONDS
        while not app.control.ping(timeout=1):
            if worker.poll() is not None or time.monotonic() > given_up_at:
                raise SystemExit("the Celery worker did not start")
        wanted = players_of(players)
        spent, began = processor_seconds(server, os.getpid()), time.perf_counter()
        waiting = chord(answer.s(some) for some in cut(wanted, size))(gather.s())
        # A failed task fails the callback too; to look at every task again and again while waiting takes longer than all else.
        count, found = waiting.get(timeout=_PATIENCE_SECONDS, interval=0.02, follow_parents=False)
        seconds = time.perf_counter() - began
        spent = processor_seconds(server, os.getpid()) - spent
    finally:
        worker.terminate()
        worker.wait()
    print(json.dumps({"seconds": seconds, "processor_seconds": spent, "count": count, "digest": found}))  # noqa: T201 - the answer to the bench


if __name__ == "__main__":
    main()
