"""The one edge to a person's terminal: whatever is printed passes here, and control characters come out as text (F10)."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

Answer = TypeVar("Answer")

# C0 without tab and newline, DEL and C1; separators and overrides that reorder a line; halves of surrogate pairs.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


_ANY_WIDTH = 10_000
"""Wider than any table."""


def printable(text: str) -> str:
    """The text with control characters as JSON would escape them, so that JSON stays the same JSON."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def called() -> str:
    """How a person types the command here: `tipoff`, or the path by which this process was called where that finds none."""
    return "tipoff" if shutil.which("tipoff") or Path(sys.argv[0]).stem != "tipoff" else sys.argv[0]


def echo(text: str, *, err: bool = False) -> None:
    """Print a line on standard output, or standard error."""
    click.echo(printable(text), err=err)


def print_json(answer: object) -> None:
    """Print an answer for programs."""
    echo(json.dumps(answer, ensure_ascii=False, allow_nan=False))


def show(answer: Answer, tell: Callable[[Answer], object], *, as_json: bool) -> None:
    """Print an answer for programs, or have it shown to a person."""
    if as_json:
        print_json(answer)
    else:
        tell(answer)


def some(named: Sequence[str], shown: int) -> str:
    """The first of them on a line, and how many more there are."""
    more = len(named) - shown
    return ", ".join(named[:shown]) + (f" and {more:,} more" if more > 0 else "")


def plain_table(*titles: str, right: Collection[str] = (), wrapped: Collection[str] = ()) -> Table:
    """A table without lines. Cells are broken in the columns `wrapped` alone, and end below each other in those `right`."""
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left", no_wrap=title not in wrapped)
    return table


def until_stopped() -> threading.Event:
    """What Ctrl-C and SIGTERM set from now on, in place of ending the process."""
    ends = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: ends.set())
    return ends


def announce(name: object, address: str, *, browse: bool) -> None:
    """Say where a dashboard is, and open it where that is asked for on a terminal."""
    Terminal(highlight=False, soft_wrap=True).print(f"Dashboard of {name}: {address}/  (Ctrl-C stops it)")
    if browse and sys.stdout.isatty():
        import webbrowser  # noqa: PLC0415 - it looks for programs when imported

        webbrowser.open(address)


def errors_table(systems: Mapping[str, Mapping[str, float | None]]) -> Table:
    """The errors of systems in points, by name."""
    table = plain_table("system", "player-games", "mean absolute error", "rmse", "bias")
    for name, found in systems.items():
        errors = (found[figure] for figure in ("mae", "rmse", "bias"))
        table.add_row(name, f"{found['n']:,}", *("–" if error is None else f"{error:.4f}" for error in errors))
    return table


class Terminal(Console):
    """A console whose text is printable, and whose tables are never cut; colours and the cursor's moves are its own."""

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as ever; a table as wide as it is where nobody's window bounds it, or where its cells would be cut."""
        widest = max((self._needed(table) for table in objects if isinstance(table, Table)), default=0)
        if widest <= self.width:
            super().print(*objects, **how)
            return
        bound, self._width = self._width, widest
        try:
            super().print(*objects, **{**how, "crop": False})
        finally:
            self._width = bound

    def _needed(self, table: Table) -> int:
        """How many columns a table takes: a window may break cells at their blanks, a file gets every row on one line."""
        for column in table.columns:
            column.overflow = "fold"
        found = Measurement.get(self, self.options.update(max_width=_ANY_WIDTH), table)
        return found.maximum if found.minimum > self.width or not self.is_terminal else found.minimum

    def render_str(self, text: str, **how: Any) -> Text:
        """Take plain text in: printable from the start, so that its width is right."""
        return super().render_str(printable(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as ever; made printable is what came in otherwise, such as a `Text`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
