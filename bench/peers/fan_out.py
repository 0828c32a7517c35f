"""Part 1: a no-op fan-out and fan-in, Tipoff's whole batch beside a Celery chord and a DBOS workflow, in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from typing import Any

import click

from bench.peers.environment import run_ours, run_peer
from bench.peers.players import digest, players_of
from bench.peers.servers import Server, postgres, redis
from local.emulated.emulators import firestore_emulator

SIZES = (450, 2_000, 20_000, 100_000)
ROUNDS = {450: 3, 2_000: 3, 20_000: 1, 100_000: 1}
"""Of the greater sizes one: the peers take minutes."""
OURS = "Tipoff"
_SLICE = 25
_ALL_SIDES = 20_000
"""Beyond that Tipoff alone is measured."""

Side = Callable[[int], Mapping[str, Any]]


def measure(sizes: Sequence[int]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Measure every side at every size: its name, the players, and what it took.

    Raises:
        click.ClickException: a side did not answer for every player, exactly once.
    """
    with ExitStack() as opened:
        sides = _sides(opened)
        for size in sizes:
            expected = digest(players_of(size))
            for _ in range(ROUNDS.get(size, 1)):
                for name, side in sides.items():
                    if size > _ALL_SIDES and name != OURS:
                        continue
                    took = side(size)
                    if (took["count"], took["digest"]) != expected:
                        raise click.ClickException(f"{name}: {took['count']} of {size} players answered, or others did")
                    yield name, size, took


def servers(opened: ExitStack) -> tuple[Server, Server]:
    """Redis and Postgres, until `opened` is closed."""
    return opened.enter_context(redis()), opened.enter_context(postgres())


def _sides(opened: ExitStack) -> Mapping[str, Side]:
    broker, database = servers(opened)
    emulator = opened.enter_context(firestore_emulator())
    numbers = count()

    def tipoff(*options: str, size: int = _SLICE, environ: Mapping[str, str] | None = None) -> Side:
        return lambda players: run_ours("bench.peers.in_tipoff", players, size, *options, environ=environ)

    def celery(size: int) -> Side:
        return lambda players: run_peer("in_celery.py", broker.url, broker.pid, players, size)

    def dbos(size: int) -> Side:
        # A database each, so that nobody pays for what another left.
        return lambda players: run_peer(
            "in_dbos.py", f"{database.url}/peers_{next(numbers)}", database.pid, players, size
        )

    return {
        OURS: tipoff(),
        "Tipoff, every commit on the disk": tipoff("--durable"),
        "Tipoff, ledger on the Firestore emulator": tipoff(environ={emulator.variable: emulator.address}),
        "Tipoff, one player a message": tipoff(size=1),
        "Celery chord, one player a task": celery(1),
        "Celery chord, 25 players a task": celery(_SLICE),
        "DBOS, one player a workflow": dbos(1),
        "DBOS, 25 players a workflow": dbos(_SLICE),
    }
