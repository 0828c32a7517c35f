"""The real `tipoff` command as a process of its own, what it leaves behind, and a tiny league to run it on."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).parents[1]
# A shell may start its background jobs with Ctrl-C ignored, which a child would inherit.
_CODE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from local.cli.main import main; main()"
)
_SECONDS = 120

DAY = "2026-01-30"
Table = list[dict[str, str]]


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        parsed = json.loads(self.out)
        assert isinstance(parsed, dict)
        return parsed


def command(*arguments: str | Path) -> list[str]:
    """The command line of `tipoff` with these arguments."""
    return [sys.executable, "-c", _CODE, *map(str, arguments)]


def environment() -> dict[str, str]:
    """Our own environment, with the project importable from any folder and a terminal of a known width."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}


def tipoff(*arguments: str | Path, cwd: Path | None = None) -> Ran:
    """Run the command to its end."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(), cwd=cwd, timeout=_SECONDS, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def read_csv(path: Path) -> Table:
    """The rows of a CSV file, every cell as its text."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def without(rows: Table, *columns: str) -> Table:
    """The rows less some columns."""
    return [{name: cell for name, cell in row.items() if name not in columns} for row in rows]


def finished_events(home: Path) -> list[dict[str, Any]]:
    """The batch-finished events that a system published; on one machine nobody takes them from the topic."""
    with closing(sqlite3.connect(home / "finished.sqlite")) as file:
        return [json.loads(data) for (data,) in file.execute("SELECT data FROM messages ORDER BY message_id")]


def stored_predictions(home: Path) -> tuple[int, int]:
    """How many rows the predictions table of a system holds, active or not, and of how many prediction ids."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as file:
        ((rows, ids),) = file.execute("SELECT COUNT(*), COUNT(DISTINCT prediction_id) FROM predictions").fetchall()
    return int(rows), int(ids)


def write_league(folder: Path, *, players: Mapping[str, Sequence[int]], game_date: str = DAY) -> Path:
    """Write the box scores of two teams that met in past games and meet again on `game_date`.

    Args:
        folder: made when absent.
        players: name → points in the past games, first to last; odd places play at home.
        game_date: the games come before it, one a day.
    """
    folder.mkdir(parents=True, exist_ok=True)
    games = max(len(points) for points in players.values())
    header = "game_date,season,game_id,player_id,player_name,team,opponent,is_home,minutes,points"
    lines = [header]
    for number in range(games):
        for place, (name, points) in enumerate(players.items()):
            sides = "EAST,WEST,1" if place % 2 else "WEST,EAST,0"
            lines.append(f"2026-01-{10 + number},2025-26,g{number},{name},{name},{sides},30,{points[number]}")
    (folder / "player_game_logs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    schedule = f"game_date,game_id,home_team,away_team,season\n{game_date},today,EAST,WEST,2025-26\n"
    (folder / "scheduled_games.csv").write_text(schedule, encoding="utf-8")
    return folder
