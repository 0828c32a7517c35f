"""Options that say which dates a command is about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import click


def _date(_context: click.Context, parameter: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a date; write it as 2026-01-30", param=parameter) from error


def date_option(*names: str, help: str, required: bool = False) -> Callable[[Any], Any]:  # noqa: A002 - as click calls it
    """An option that takes a date, 2026-01-30, and gives the command a `date`, or None where it is left out."""
    return click.option(*names, callback=_date, metavar="YYYY-MM-DD", required=required, help=help)
