"""Options that several commands take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from local.one_machine.input_bound import MAX_INPUT_MB, MIB

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_STATE = Path(".tipoff")
"""The state folder where none is named."""

max_input_option = click.option(
    "--max-input-mb",
    "max_bytes",
    type=click.IntRange(min=1),
    callback=lambda _context, _parameter, mib: mib * MIB,
    default=MAX_INPUT_MB,
    show_default=True,
    metavar="MIB",
    help="The most that the input files may hold in all, unpacked; more is refused before it is read.",
)

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of CSV files, as `tipoff run` takes it. Without it the simulated sample season is used.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
impersonate_option = click.option(
    "--impersonate", metavar="ACCOUNT", help="Service account to act as, through gcloud; for https addresses."
)
audience_option = click.option("--audience", help="Audience of the identity token; the default is the URL.")
open_option = click.option("--open", "browse", is_flag=True, help="Open the page in a browser.")


def port_option(default: int) -> Callable[[Command], Command]:
    """The port to serve on."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=default,
        show_default=True,
        help="Port on this machine; 0 takes a free one.",
    )


def state_option(*, keeps: str) -> Callable[[Command], Command]:
    """The state folder; `keeps` says what is in it."""
    return click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_STATE,
        show_default=True,
        help=keeps,
    )


def timeout_option(*, ends: str, minutes: int = 30) -> Callable[[Command], Command]:
    """How long to wait, given in minutes, as `patience`; `ends` says what ends then."""
    return click.option(
        "--timeout",
        "patience",
        type=click.IntRange(min=1),
        callback=lambda _context, _parameter, given: timedelta(minutes=given),
        default=minutes,
        show_default=True,
        metavar="MINUTES",
        help=ends,
    )


def _date(_context: click.Context, parameter: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a date; write it as 2026-01-30", param=parameter) from error


def date_option(*names: str, help: str, required: bool = False) -> Callable[[Any], Any]:  # noqa: A002 - as click calls it
    """An option that takes a date, 2026-01-30, and gives the command a `date`, or None where it is left out."""
    return click.option(*names, callback=_date, metavar="YYYY-MM-DD", required=required, help=help)


def bundled(
    name: str, make: Callable[..., Any], *options: Callable[[Any], Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command some options, out of which, and the environment, `make` makes the one argument `name`; options that
    `make` does not take are the command's own."""
    wanted = inspect.signature(make).parameters

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.pass_obj
        @wraps(command)
        def with_one(environ: Mapping[str, str], /, **given: Any) -> Any:
            made = make(environ=environ, **{each: given.pop(each) for each in wanted if each in given})
            return command(**{name: made}, **given)

        wrapped: Callable[..., Any] = with_one
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate
