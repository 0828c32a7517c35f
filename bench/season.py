"""A season through the real services against the backtest of the same model: time, errors, and the rows that differ.

Run `make bench-season DATA=DIR`. The model is trained here, on the games before the season.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import duckdb
import numpy as np
from rich.console import Console
from rich.table import Table

from local.one_machine.past_games import DAY_ZERO, read_past_games
from worker.history import past_players
from worker.model import read_model
from worker.systems import predict_all

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True)
@click.option("--from", "first", type=_DAY, default="2025-10-21", show_default="2025-10-21")
@click.option("--to", "last", type=_DAY, default="2026-01-31", show_default="2026-01-31")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def main(data: Path, first: datetime, last: datetime, as_json: bool) -> None:
    """Train, backfill, grade, compare row by row, and print the figures."""
    with tempfile.TemporaryDirectory(prefix="tipoff-bench-") as scratch:
        found = _measure(data, first.date(), last.date(), Path(scratch))
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print(found)


def _measure(data: Path, first: date, last: date, scratch: Path) -> dict[str, Any]:
    model, state = scratch / "model.json", scratch / "state"
    _tipoff("train", "--data", str(data), "--until", str(first), "--out", str(model), "--json")
    span = ["--from", str(first), "--to", str(last), "--state", str(state), "--json"]
    began = time.monotonic()
    ran = _tipoff("backfill", *span, "--data", str(data), "--model", str(model))
    seconds = time.monotonic() - began
    measured = _tipoff("accuracy", *span)
    told = {"seconds": round(seconds, 1), "dates_run": len(ran["ran"]), "states": ran["season"]["states"]}
    graded = {"accuracy": measured["systems"], "intervals": measured["intervals"]}
    return {"from": str(first), "to": str(last)} | told | graded | _compare(data, model, state, first, last)


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
        ((stored,),) = file.execute("SELECT COUNT(*) FROM predictions").fetchall()
    apart = [abs(points - said[system][place[game, player]]) for game, player, system, points in graded]
    of_both = sorted({place[game, player] for game, player, _, _ in graded})
    errors = {name: np.abs(each[of_both] - came[of_both]) for name, each in said.items()}
    backtest = {name: round(float(np.nanmean(each)), 4) for name, each in errors.items()}
    return {
        "rows": stored,
        "backtest_on_the_same_rows": backtest,
        "rows_more_than_a_millionth_apart": int(sum(not each <= 1e-6 for each in apart)),
        "numbers_compared": len(apart),
        "largest_difference": round(float(np.nanmax(apart)), 6),
        "player_games_graded": len(of_both),
        "player_games_of_the_backtest": len(rows),
    }


def _print(found: dict[str, Any]) -> None:
    console = Console(width=120, highlight=False)
    states = ", ".join(f"{count} {state}" for state, count in found["states"].items())
    console.print(f"{found['from']} to {found['to']}: {found['dates_run']} dates ({states}), {found['rows']:,} rows")
    console.print(f"backfilled and graded in {found['seconds']:.0f} s\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("system", "games", "mean error, points", "the backtest's"):
        table.add_column(title, justify="left" if title == "system" else "right", no_wrap=True)
    for system, measured in found["accuracy"].items():
        backtest = found["backtest_on_the_same_rows"][system]
        table.add_row(system, f"{measured['n']:,}", f"{measured['mae']:.4f}", f"{backtest:.4f}")
    console.print(table)
    held = ", ".join(f"{float(asked):.0%} held {share:.1%}" for asked, share in found["intervals"].items())
    console.print(f"\nintervals of {held}")
    apart, compared = found["rows_more_than_a_millionth_apart"], found["numbers_compared"]
    farthest = found["largest_difference"]
    console.print(
        f"{apart:,} of {compared:,} predictions are more than a millionth of a point apart, by at most {farthest}"
    )


if __name__ == "__main__":
    main()
