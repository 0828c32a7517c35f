"""A season through the real services against the backtest of the same model: time, errors, and the rows that differ.

Run as `python -m bench.season --data DIR --model MODEL.json --from 2025-10-21 --to 2026-01-31 --state DIR`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from local.one_machine.past_games import DAY_ZERO, read_past_games
from worker.history import past_players
from worker.model import read_model
from worker.systems import predict_all


def main() -> None:
    """Backfill, grade, measure, and compare row by row; prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "model", "state"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True)
    parser.add_argument("--to", dest="last", type=date.fromisoformat, required=True)
    options = parser.parse_args()
    span = ["--from", str(options.first), "--to", str(options.last), "--state", str(options.state), "--json"]
    began = time.monotonic()
    ran = _tipoff("backfill", *span, "--data", str(options.data), "--model", str(options.model))
    seconds = time.monotonic() - began
    measured = _tipoff("accuracy", *span)
    found = _compare(options.data, options.model, options.state, options.first, options.last)
    told = {"seconds": round(seconds, 1), "dates_run": len(ran["ran"]), "states": ran["season"]["states"]}
    sys.stdout.write(json.dumps(told | {"accuracy": measured["systems"], "intervals": measured["intervals"]} | found))
    sys.stdout.write("\n")


def _tipoff(*arguments: str) -> dict[str, Any]:
    code = "from local.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own command
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def _compare(data: Path, model: Path, state: Path, first: date, last: date) -> dict[str, object]:
    """The backtest's errors on the rows that were graded, and how far single rows are apart."""
    past = read_past_games(data, until=last + timedelta(days=1))
    logs, players = past.logs, past_players(past.logs)
    rows = np.flatnonzero((logs.day >= (first - DAY_ZERO).days) & (players.games > 0))
    place = {(str(logs.game_id[row]), str(logs.player_id[row])): at for at, row in enumerate(rows)}
    asked = past.offers.beside(players.take(rows), rows)
    said = {one.system_id: one.points for one in predict_all(asked, read_model(model.read_bytes(), name=str(model)))}
    came = logs.points[rows]
    with duckdb.connect(str(state / "warehouse.duckdb"), read_only=True) as file:
        graded = file.execute(
            "SELECT DISTINCT game_id, universal_player_id, system_id, exact_points FROM grades"
            " WHERE actual_points IS NOT NULL AND game_date BETWEEN ? AND ?",
            [first, last],
        ).fetchall()
    apart = [abs(points - said[system][place[game, player]]) for game, player, system, points in graded]
    of_both = sorted({place[game, player] for game, player, _, _ in graded})
    errors = {name: np.abs(each[of_both] - came[of_both]) for name, each in said.items()}
    backtest = {name: round(float(np.nanmean(each)), 4) for name, each in errors.items()}
    return {
        "backtest_on_the_same_rows": backtest,
        "rows_more_than_a_millionth_apart": int(sum(not each <= 1e-6 for each in apart)),
        "numbers_compared": len(apart),
        "largest_difference": round(float(np.nanmax(apart)), 6),
        "player_games_graded": len(of_both),
        "player_games_of_the_backtest": len(rows),
    }


if __name__ == "__main__":
    main()
