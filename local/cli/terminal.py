"""The one edge to a person's terminal: whatever is printed passes here, and control characters come out as text (F10)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

# C0 without tab and newline, DEL and C1; separators and overrides that reorder a line; halves of surrogate pairs.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with control characters as JSON would escape them, so that JSON stays the same JSON."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def echo(text: str, *, err: bool = False) -> None:
    """Print a line on standard output, or standard error."""
    click.echo(printable(text), err=err)


class Terminal(Console):
    """A console whose text is printable; colours and the cursor's moves are its own."""

    def render_str(self, text: str, **how: Any) -> Text:
        """Take plain text in: printable from the start, so that its width is right."""
        return super().render_str(printable(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as ever; made printable is what came in otherwise, such as a `Text`."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
