"""A whole no-op batch on one machine: planned, published, answered, recorded and consolidated by the real services.

Run as `python -m bench.peers.in_tipoff PLAYERS PLAYERS_A_MESSAGE`; prints one JSON object. Everybody has a line and no
history, so that the worker skips him: every message, ledger entry and check is a real one, and nothing is predicted.
With `--durable` every commit of ledger and messages waits for the disk, as Postgres does. With FIRESTORE_EMULATOR_HOST
in the environment the ledger is there in place of SQLite.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from bench.peers.players import digest, players_of, processor_seconds
from local.one_machine import stack as one_machine
from local.one_machine.run import Seen, follow, start_batch
from local.one_machine.stack import LocalStack, local_stack
from schemas.tables import Cell
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.firestore import FirestoreDocuments
from shared.settings import Policy

_GAME_DATE = date(2026, 1, 30)
_PATIENCE = timedelta(minutes=30)


class _EmulatedDocuments(FirestoreDocuments):
    """The ledger's store on the emulator, where a file would be."""

    def __init__(self, _file: Path) -> None:
        super().__init__(firestore.Client(project="tipoff-peers", credentials=AnonymousCredentials()))  # type: ignore[no-untyped-call]  # the client is untyped

    def close(self) -> None:
        """Leave the documents; the emulator ends with the bench."""


class _Durable(sqlite3.Connection):
    """A SQLite connection whose commits wait for the disk."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Run a statement; the adapters' own word on waiting is overruled."""
        return super().execute(sql.replace("synchronous = NORMAL", "synchronous = FULL"), *parameters)


def _load(warehouse: DuckdbWarehouse, players: list[str]) -> None:
    game: dict[str, Cell] = {"game_date": _GAME_DATE, "game_id": "0022500001"}
    warehouse.append("scheduled_games", [{**game, "home_team": "HOU", "away_team": "OKC"}])
    line = {**game, "team": "OKC", "sportsbook": "draftkings", "points_line": Decimal("20.5")}
    warehouse.append("points_lines", [{**line, "player_id": one, "player_lookup": one} for one in players])


def _run(stack: LocalStack) -> tuple[Seen, float]:
    began = datetime.now(UTC)
    begun = start_batch(stack, _GAME_DATE, allow_incomplete=True)
    ended = follow(stack, begun.batch_id, patience=_PATIENCE, shown=lambda _seen: None)
    if ended.state != "COMPLETE" or ended.finished_at is None:
        raise SystemExit(f"the batch ended {ended.state}: {ended.reason}")
    return ended, (ended.finished_at - began).total_seconds()


def main() -> None:
    """Measure one batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("players", type=int)
    parser.add_argument("players_a_message", type=int)
    parser.add_argument("--durable", action="store_true")
    asked = parser.parse_args()
    if "FIRESTORE_EMULATOR_HOST" in os.environ:
        vars(one_machine)["SqliteDocuments"] = _EmulatedDocuments
    if asked.durable:
        vars(sqlite3)["connect"] = partial(sqlite3.connect, factory=_Durable)
    policy = Policy(players_per_request=asked.players_a_message)
    with ExitStack() as opened:
        scratch = opened.enter_context(tempfile.TemporaryDirectory(prefix="tipoff-peers-"))
        stack = opened.enter_context(local_stack(Path(scratch), policy=policy))
        _load(stack.warehouse, players_of(asked.players))
        spent = processor_seconds(os.getpid())
        ended, seconds = _run(stack)
        spent = processor_seconds(os.getpid()) - spent
    count, found = digest(list(ended.skipped))
    print(json.dumps({"seconds": seconds, "processor_seconds": spent, "count": count, "digest": found}))  # noqa: T201 - the answer to the bench


if __name__ == "__main__":
    main()
