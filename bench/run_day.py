"""How long `tipoff run` takes for a day, beside the floor for the same files and date, in turns in one run.

Both are processes of their own, timed from start to end by their wall clock, processor time and peak memory; each
round starts from nothing. The rows of both are compared, so that the floor's work is the same work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import duckdb
from rich.console import Console
from rich.table import Table

from bench.spread import spread
from local.sample.season import SAMPLE_GAME_DATE, write

_ROOT = Path(__file__).parents[1]
_TIPOFF = "from local.cli.main import main; main()"
_SAME = (
    "SELECT prediction_id, predicted_points, recommendation, confidence_score FROM predictions ORDER BY prediction_id"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took."""

    wall_seconds: float
    processor_seconds: float
    peak_megabytes: float


@dataclass(frozen=True, slots=True)
class Round:
    """`tipoff run` and the floor, once each."""

    run: Cost
    floor: Cost
    report: Mapping[str, Any]
    """What `tipoff run --json` printed."""


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Default: sample season.")
@click.option("--date", "game_date", default=SAMPLE_GAME_DATE.isoformat(), show_default=True)
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True)
def main(data: Path | None, game_date: str, runs: int) -> None:
    """Measure, and print the figures."""
    with tempfile.TemporaryDirectory(prefix="tipoff-bench-") as scratch:
        folder = data or Path(scratch) / "season"
        if data is None:
            write(folder)
        rounds = [_round(folder, game_date, Path(scratch) / str(number)) for number in range(runs)]
    _print(rounds, f"{game_date}, {'your data' if data else 'sample season'}")


def _round(folder: Path, game_date: str, scratch: Path) -> Round:
    scratch.mkdir()
    where = ["--data", str(folder), "--game-date", game_date, "--state", str(scratch / "state")]
    run, printed = timed([sys.executable, "-c", _TIPOFF, "run", "--json", *where], scratch)
    bare = scratch / "floor.duckdb"
    floor, _nothing = timed([sys.executable, "-m", "bench.floor", str(folder), game_date, str(bare)], scratch)
    if _rows(scratch / "state/warehouse.duckdb") != _rows(bare):
        raise click.ClickException("the floor's predictions are not those of tipoff run: the ratio would mean nothing")
    return Round(run, floor, json.loads(printed))


def timed(command: Sequence[str], scratch: Path) -> tuple[Cost, str]:
    """Run a command to its end; tell what it took and printed."""
    out = scratch / "printed"
    with out.open("w", encoding="utf-8") as file:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=file, cwd=_ROOT)  # noqa: S603 - our own two commands
        _pid, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise click.ClickException(f"exit status {process.returncode} of {' '.join(command)}")
    # Linux tells the peak in kilobytes, macOS in bytes.
    peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return Cost(wall, usage.ru_utime + usage.ru_stime, peak), out.read_text(encoding="utf-8")


def _rows(file: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(_SAME).fetchall()


# --- figures --------------------------------------------------------------------------------------------------


def _print(rounds: Sequence[Round], what: str) -> None:
    console = Console(width=120, highlight=False)
    report = rounds[-1].report
    counted = f"{report['players']['predicted']:,} players, {report['rows']['staged']:,} rows"
    console.print(f"{what}: {counted}; {len(rounds)} rounds on {os.cpu_count()} processors; min / median / max\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "tipoff run", "floor", "ratio"):
        table.add_column(title, justify="left" if not title else "right")
    _add(table, "wall, s", rounds, lambda cost: cost.wall_seconds)
    _add(table, "processor, s", rounds, lambda cost: cost.processor_seconds)
    _add(table, "peak memory, MB", rounds, lambda cost: cost.peak_megabytes)
    console.print(table)
    console.print("\nwhere tipoff run's wall seconds go:\n")
    console.print(_phases(rounds))


def _add(table: Table, title: str, rounds: Sequence[Round], figure: Callable[[Cost], float]) -> None:
    run, floor = [figure(each.run) for each in rounds], [figure(each.floor) for each in rounds]
    ratios = [mine / bare for mine, bare in zip(run, floor, strict=True)]
    digits = 0 if "MB" in title else 2
    table.add_row(title, spread(run, digits), spread(floor, digits), spread(ratios, 2))


def _phases(rounds: Sequence[Round]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("phase")
    table.add_column("s", justify="right")
    for phase in rounds[0].report["seconds_by_phase"]:
        table.add_row(phase, spread([each.report["seconds_by_phase"][phase] for each in rounds], 2))
    outside = [each.run.wall_seconds - each.report["seconds"] for each in rounds]
    table.add_row("Python's start, imports, stop", spread(outside, 2))
    return table


if __name__ == "__main__":
    main()
