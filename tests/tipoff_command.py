"""The real `tipoff` command as a process of its own, what it leaves behind, and a tiny league to run it on.

A command that runs to its end is a fork of one interpreter that has imported the code, since importing takes longer than most
commands do; `command` starts an interpreter of its own, for what is to be killed, interrupted or put on a terminal."""

from __future__ import annotations

import atexit
import csv
import functools
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).parents[1]
# A shell may start its background jobs with Ctrl-C ignored, which a child would inherit.
_CODE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from local.cli.main import main; main()"
)

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


class Interpreter:
    """One interpreter that imports the code of a folder at the first command, and forks for each."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def run(self, *arguments: str | Path, cwd: Path, environ: Mapping[str, str]) -> Ran:
        """Run `tipoff` with these arguments to its end, in a folder and an environment of its own."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        out, err = self._folder / "out", self._folder / "err"
        call = {"arguments": [*map(str, arguments)], "cwd": str(cwd), "environ": dict(environ)}
        self._process.stdin.write(json.dumps(call | {"out": str(out), "err": str(err)}) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return Ran(status, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


@contextmanager
def interpreter(code: Path) -> Iterator[Interpreter]:
    """An interpreter over the project in that folder, ended with the block."""
    started = [sys.executable, "-m", "tests.tipoff_forks"]
    path = os.pathsep.join(map(str, dict.fromkeys((code, ROOT))))
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            started,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=code,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        ) as process,
    ):
        yield Interpreter(process, Path(folder))


@functools.cache
def our_interpreter() -> Interpreter:
    """The interpreter over this very project, which ends with the test process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(interpreter(ROOT))


def tipoff(*arguments: str | Path, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> Ran:
    """Run the command to its end."""
    return our_interpreter().run(
        *arguments, cwd=cwd or Path.cwd(), environ=environment() if environ is None else environ
    )


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
