"""What the commands that run batches on this machine have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from local.one_machine.input_bound import MAX_INPUT_MB

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_STATE = Path(".tipoff")
"""The state folder where none is named."""

max_input_option = click.option(
    "--max-input-mb",
    type=click.IntRange(min=1),
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


def state_option(*, keeps: str) -> Callable[[Command], Command]:
    """The state folder; `keeps` says what is in it."""
    return click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_STATE,
        show_default=True,
        help=keeps,
    )


def timeout_option(*, ends: str) -> Callable[[Command], Command]:
    """Minutes of patience; `ends` says with what."""
    return click.option(
        "--timeout",
        "timeout_minutes",
        type=click.IntRange(min=1),
        default=30,
        show_default=True,
        metavar="MINUTES",
        help=ends,
    )
