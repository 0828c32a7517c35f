"""How fast the worker predicts: rows a second of its compute for many players at once, beside one player at a time, and
the processor time of answering a day's requests. Run `make bench-predictions`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from local.one_machine.past_games import read_past_games
from local.sample.season import SAMPLE_GAME_DATE, write
from schemas.messages import Slice
from tests.requests_factory import a_line, a_matchup, a_request, some_games
from worker import messages
from worker.absences import APPEARED
from worker.calibration import beside_market
from worker.history import past_players
from worker.model import Model, shipped_model
from worker.players import Floats, Players
from worker.rows import staged_rows
from worker.systems import SYSTEMS, forecasts, market
from worker.systems.forecast import Situation

PLAYERS = 450
SLICE = 25
LINES = 5
"""Distinct lines a player: more than the two of a usual day."""


def main() -> None:
    """Measure and print."""
    model, console = shipped_model(), Console(width=120, highlight=False)
    players = _players()
    at_once, alone = _seconds(lambda: _compute(players, model)), _seconds(lambda: _one_by_one(players, model), rounds=2)
    sliced = _seconds(lambda: _in_slices(players, model), rounds=3)
    rows = PLAYERS * LINES * len(SYSTEMS)
    answering = {size: _seconds(partial(_answer, _messages(size), model), rounds=3) for size in (SLICE, 1)}
    table = Table("what", "processor s", "rows a second", box=None, pad_edge=False)
    table.add_row(f"{PLAYERS} players at once, compute", f"{at_once:.3f}", f"{rows / at_once:,.0f}")
    table.add_row(f"{PLAYERS} players in slices of {SLICE}, compute", f"{sliced:.3f}", f"{rows / sliced:,.0f}")
    table.add_row(f"{PLAYERS} players one by one, compute", f"{alone:.3f}", f"{rows / alone:,.0f}")
    for size, seconds in answering.items():
        shown = f"{PLAYERS} requests, {size} a message: read, predict, make and check rows"
        table.add_row(shown, f"{seconds:.3f}", f"{rows / seconds:,.0f}")
    console.print(
        f"{LINES} lines a player, {len(SYSTEMS)} systems, {rows:,} rows; numpy {np.__version__}, Python {sys.version.split()[0]}"
    )
    console.print(table)


def _players() -> Players:
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch))
        past = past_players(read_past_games(Path(scratch), until=SAMPLE_GAME_DATE).logs, APPEARED)
    players = past.take(np.flatnonzero(past.games >= 10)[:PLAYERS])
    lines = np.round(players.points.mean(axis=1, where=np.isfinite(players.points)))[:, None] + np.arange(LINES) - 1.5
    return replace(players, offered_lines=lines, fair_over=np.full(lines.shape, 0.5))


def _messages(size: int) -> list[bytes]:
    """All requests, so many a message."""
    lines = tuple(a_line(f"{20 + place}.5") for place in range(LINES))
    requests = [
        a_request(
            player_lookup=f"player-{number}",
            lines=lines,
            matchup=a_matchup(),
            recent_games=some_games([number % 30, *range(10, 34)]),
            recent_games_wanted=25,
        )
        for number in range(PLAYERS)
    ]
    slices = [tuple(requests[start : start + size]) for start in range(0, PLAYERS, size)]
    return [Slice(requests=one).model_dump_json().encode() for one in slices]


def _compute(players: Players, model: Model) -> Floats:
    """Every calibrated probability of every system on every line."""
    situation = Situation.of(players, model)
    mean, around = market.implied(situation)
    found = []
    for forecast in forecasts(situation):
        deviation = model.spread.deviation(forecast.points, players.points)
        for line in players.offered_lines.T:
            raw = model.spread.probability_over(line, predicted=forecast.points, deviation=deviation)
            found.append(beside_market(raw, market.probability_over(line, points=mean, deviation=around)))
    return np.array(found)


def _in_slices(players: Players, model: Model) -> None:
    for start in range(0, len(players), SLICE):
        _compute(players.take(slice(start, start + SLICE)), model)


def _one_by_one(players: Players, model: Model) -> None:
    for place in range(len(players)):
        _compute(players.take(slice(place, place + 1)), model)


def _answer(slices: list[bytes], model: Model) -> None:
    for data in slices:
        read = messages.read_slice(data, revision="bench")
        staged_rows(read.requests, model, schema_version=2)


def _seconds(act: Callable[[], object], *, rounds: int = 5) -> float:
    """The least processor time of some rounds, after one that warms up."""
    act()
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        act()
        taken.append(time.process_time() - began)
    return min(taken)


if __name__ == "__main__":
    main()
