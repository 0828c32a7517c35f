"""How the cost of a day grows with its players: `tipoff run` for the sample season's league, copied, beside its floor.

Each size is a process of its own, started from nothing: seconds by phase, players a second, calls a player, peak memory.
The floor reads the same files, plans, predicts, makes the rows and loads them once, with nothing that keeps them safe.
Run `make bench-scale`, with ARGS="--leagues 3,28" for fewer sizes.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bench.many_players import write_copies
from bench.run_day import Cost, timed
from local.sample.season import SAMPLE_GAME_DATE

LEAGUES = "3,28,142,710"
"""With 141 players on the date each: 423, 3,948, 20,022 and 100,110."""
_FLOOR_LEAGUES = 142
"""Beyond that the floor's own list of rows does not fit a small machine's memory."""


@dataclass(frozen=True, slots=True)
class Size:
    """What one size took."""

    run: Cost
    floor: Cost | None
    report: dict[str, Any]
    calls: dict[str, int]

    @property
    def players(self) -> int:
        """Those whom the batch expected."""
        return int(self.report["players"]["expected"])

    def phase(self, name: str) -> float:
        """Seconds of a phase."""
        return float(self.report["seconds_by_phase"][name])


@click.command()
@click.option("--leagues", default=LEAGUES, show_default=True, help="Copies of the league, by commas.")
@click.option("--no-floor", is_flag=True, help="Leave the floor out.")
def main(leagues: str, no_floor: bool) -> None:
    """Measure each size, and print the figures."""
    sizes = []
    for copies in map(int, leagues.split(",")):
        with tempfile.TemporaryDirectory(prefix="tipoff-bench-") as scratch:
            sizes.append(_measure(Path(scratch), copies, with_floor=not no_floor and copies <= _FLOOR_LEAGUES))
        click.echo(f"{sizes[-1].players:,} players: {sizes[-1].run.wall_seconds:.1f} s", err=True)
    _print(sizes)


def _measure(scratch: Path, copies: int, *, with_floor: bool) -> Size:
    folder, counts, date = scratch / "season", scratch / "counts.json", SAMPLE_GAME_DATE.isoformat()
    folder.mkdir()
    write_copies(folder, copies=copies)
    where = ["--data", str(folder), "--game-date", date, "--state", str(scratch / "state")]
    bounds = ["--max-input-mb", "4096", "--timeout", "60"]
    run, printed = timed(
        [sys.executable, "-m", "bench.counted", str(counts), "run", "--json", *where, *bounds], scratch
    )
    report = json.loads(printed)
    if report["state"] != "COMPLETE":
        raise click.ClickException(f"the batch of {copies} leagues is {report['state']}: {report['reason']}")
    floor = None
    if with_floor:
        floor, _ = timed(
            [sys.executable, "-m", "bench.floor", str(folder), date, str(scratch / "floor.duckdb")], scratch
        )
    return Size(run, floor, report, json.loads(counts.read_text(encoding="utf-8")))


def _print(sizes: list[Size]) -> None:
    console = Console(width=120, highlight=False)
    console.print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the end; one run of each size\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for size in sizes:
        table.add_column(f"{size.players:,}", justify="right")
    rows = {
        "rows": lambda size: f"{size.report['rows']['inserted']:,}",
        "wall, s": lambda size: f"{size.run.wall_seconds:.1f}",
        "  load inputs": lambda size: f"{size.phase('load'):.1f}",
        "  plan and publish": lambda size: f"{size.phase('plan'):.1f}",
        "  predict the rest": lambda size: f"{size.phase('predict'):.1f}",
        "  consolidate": lambda size: f"{size.phase('consolidate'):.1f}",
        "players a second, plan to predicted": lambda size: (
            f"{size.players / (size.phase('plan') + size.phase('predict')):,.0f}"
        ),
        "players a second, in all": lambda size: f"{size.players / size.run.wall_seconds:,.0f}",
        "processor, ms a player": lambda size: f"{1e3 * size.run.processor_seconds / size.players:.1f}",
        "peak memory, MB": lambda size: f"{size.run.peak_megabytes:,.0f}",
        "documents, calls a player": lambda size: f"{size.calls['documents'] / size.players:.3f}",
        "warehouse, calls a player": lambda size: f"{size.calls['warehouse'] / size.players:.3f}",
        "messages a player": lambda size: f"{size.calls['messages'] / size.players:.3f}",
        "floor, wall s": lambda size: f"{size.floor.wall_seconds:.1f}" if size.floor else "",
        "ratio to the floor": lambda size: (
            f"{size.run.wall_seconds / size.floor.wall_seconds:.2f}" if size.floor else ""
        ),
    }
    for title, figure in rows.items():
        table.add_row(title, *map(figure, sizes))
    console.print(table)


if __name__ == "__main__":
    main()
