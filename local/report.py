"""How a run looks to a person: a progress bar while it lasts, two tables at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from local.day import Done
from local.run import Phases, Sample, Seen

_STATE_COLOURS = {"COMPLETE": "green", "EMPTY": "green", "PARTIAL": "yellow"}
_NAMES_SHOWN = 5


class Bar:
    """The progress bar of one batch: players with an outcome, out of those expected."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None)

    def say(self, what: str) -> None:
        """Show what is going on before there is a batch."""
        self._progress.update(self._task, description=what)

    def show(self, seen: Seen) -> None:
        """Show how the batch stands."""
        description = "merging" if seen.state == "CONSOLIDATING" else "predicting"
        self._progress.update(
            self._task, description=description, total=max(seen.players.expected, 1), completed=seen.answered
        )


@contextmanager
def progress_bar(console: Console) -> Iterator[Bar]:
    """A bar on the console for as long as the block lasts; nothing is drawn where the console is no terminal."""
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress)


def print_report(console: Console, done: Done) -> None:
    """Print what came of a day."""
    seen = done.seen
    if done.is_simulated:
        console.print("Simulated sample season: invented players and teams. Your own data: --data DIR --game-date DATE")
    for warning in done.inputs.warnings:
        console.print(f"note: {warning}", markup=False)
    colour = _STATE_COLOURS.get(seen.state, "red")
    console.print(
        f"Batch [bold]{seen.batch_id}[/bold] of {seen.game_date} is [bold {colour}]{seen.state}[/]: {seen.reason}"
    )
    console.print(_counts(seen, done.phases))
    for what, named in (("failed", seen.failed), ("skipped", seen.skipped)):
        if named:
            console.print(f"{what}: {_some(named)}")
    if done.samples:
        console.print(_predictions(done.samples))
    if done.export is not None:
        console.print(f"{done.exported_rows:,} active predictions written to {done.export}")


def _counts(seen: Seen, phases: Phases) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("players", "rows", "seconds"):
        table.add_column(title)
        table.add_column("", justify="right")
    players = list(seen.players.model_dump().items())
    rows = list(seen.rows.model_dump().items())
    seconds = [*((name, f"{value:.2f}") for name, value in phases.seconds.items())]
    seconds.append(("in all", f"{sum(phases.seconds.values()):.2f}"))
    for index in range(max(len(players), len(rows), len(seconds))):
        cells: list[str] = []
        for column in (players, rows, seconds):
            name, value = column[index] if index < len(column) else ("", "")
            cells += [name, f"{value:,}" if isinstance(value, int) else str(value)]
        table.add_row(*cells)
    return table


def _predictions(samples: Sequence[Sample]) -> Table:
    table = Table(
        title="The ensemble's highest predictions", title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    table.add_column("player")
    for title in ("line", "source", "points", "recommendation", "confidence"):
        table.add_column(title, justify="left" if title in ("source", "recommendation") else "right")
    for sample in samples:
        line = "–" if sample.points_line is None else str(sample.points_line)
        table.add_row(
            sample.player_lookup,
            line,
            sample.line_source,
            str(sample.predicted_points),
            sample.recommendation,
            str(sample.confidence_score),
        )
    return table


def _some(named: dict[str, str]) -> str:
    shown = [f"{player} ({why})" for player, why in sorted(named.items())[:_NAMES_SHOWN]]
    more = len(named) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
