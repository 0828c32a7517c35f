"""How a run looks to a person: a progress bar while it lasts, two tables at its end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from local.cli.options import DEFAULT_STATE
from local.cli.terminal import Terminal, called, plain_table, some
from local.one_machine.day import Done
from local.one_machine.run import Phases, Sample, Seen

_STATE_COLOURS = {"COMPLETE": "green", "EMPTY": "green", "PARTIAL": "yellow"}
_SOURCES = {"ACTUAL_PROP": "sportsbook", "ESTIMATED_AVG": "estimated", "NO_PROP_LINE": "none"}
_NAMES_SHOWN = 5
_SIMULATED = "Simulated sample season: invented players and teams"


class ProgressBar:
    """A progress bar: what is going on, and how much of it is done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None, counted="")

    def say(self, what: str) -> None:
        """Show what is going on where there is nothing to count."""
        self._progress.update(self._task, description=what)

    def count(self, what: str, *, done: int, of: int, things: str) -> None:
        """Show how many things of how many are done, and how fast."""
        speed = self._progress.tasks[0].speed
        counted = f"{done:,} of {of:,} {things}" + (f", {60 * speed:,.0f} a minute" if speed else "")
        self._progress.update(self._task, description=what, total=max(of, 1), completed=done, counted=counted)

    def show(self, seen: Seen) -> None:
        """Show how a batch stands: players with an outcome, out of those expected."""
        expected = seen.players.expected
        what = "predicting" if seen.answered < expected else "merging"
        self.count(what, done=seen.answered, of=expected, things="players")


@contextmanager
def progress_bar(console: Terminal, *columns: ProgressColumn) -> Iterator[ProgressBar]:
    """A bar on the console for as long as the block lasts; nothing is drawn where the console is no terminal."""
    texts = (
        TextColumn("{task.description:<17}"),
        BarColumn(),
        TextColumn("{task.fields[counted]}"),
        TimeElapsedColumn(),
    )
    with Progress(*texts, *columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield ProgressBar(bar)


def print_report(console: Terminal, done: Done) -> None:
    """Print what came of a day."""
    seen = done.seen
    if done.is_simulated:
        _line(console, _SIMULATED)
    for warning in done.inputs.warnings if done.inputs else ():
        _line(console, f"note: {warning}")
    colour = _STATE_COLOURS.get(seen.state, "red")
    state = Text(seen.state, style=f"bold {colour}")
    _line(console, Text.assemble(f"Batch {seen.batch_id} of {seen.game_date} is ", state, f": {seen.reason}"))
    console.print()
    console.print(_counts(seen, done.phases))
    console.print()
    for what, named in (("failed", seen.failed), ("skipped", seen.skipped)):
        if named:
            _line(console, f"{what}: {_named(named)}")
    if done.samples:
        _line(console, "The ensemble's highest predictions, at one points line per player:")
        console.print(_predictions(done.samples))
    if done.has_shipped_model:
        _line(
            console,
            "note: the shipped model was trained on simulated games and knows no real player; `tipoff train` makes one for --model",
        )
    if done.exported_rows is not None:
        _line(console, f"{done.exported_rows:,} active predictions written to {done.export}")


def print_next(console: Terminal, done: Done, state: Path) -> None:
    """Print what a person may want to do after a run over a state folder, as commands that can be typed."""
    tipoff, folder = called(), "" if state == DEFAULT_STATE else f" --state {shlex.quote(str(state))}"
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row(f"  {tipoff} serve{folder}", "the dashboard, in a browser")
    table.add_row(f"  {tipoff} explain{folder}", "why the batch stands as it does, and what helps")
    if done.is_simulated:
        table.add_row(f"  {tipoff} run --game-date DATE --data DIR", "your own games: a folder of CSV files")
    _line(console, "\nWhat you can do next:")
    console.print(table)


def what_to_do(done: Done) -> str:
    """Tell in one line why a batch did not end well and what helps."""
    seen = done.seen
    if seen.state == "CANCELLED":
        return f"batch {seen.batch_id} was cancelled; run without --resume to start a new one"
    named = f": {_named(seen.failed)}" if seen.failed else ""
    return (
        f"batch {seen.batch_id} {seen.state}: {seen.reason}{named}. Nothing was merged or exported; mend the inputs and "
        f"run again, with --allow-retiring if earlier rows are to go. Details: {done.log}"
    )


def _line(console: Terminal, text: str | Text) -> None:
    """Print a line as it is: a person's terminal wraps it, a file does not get it in pieces."""
    console.print(text, markup=False, soft_wrap=True)


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
    numbers = ("points", "line", "confidence")
    table = plain_table("player", "points", "line", "source", "recommendation", "confidence", right=numbers)
    for sample in samples:
        table.add_row(
            sample.player_lookup,
            str(sample.predicted_points),
            "–" if sample.current_points_line is None else str(sample.current_points_line),
            _SOURCES.get(sample.line_source, sample.line_source),
            sample.recommendation,
            f"{sample.confidence_score} %",
        )
    return table


def _named(players: dict[str, str]) -> str:
    return some([f"{player} ({why})" for player, why in sorted(players.items())], _NAMES_SHOWN)
