"""What all commands that read a folder of input files have in common."""

from __future__ import annotations

import click

from local.one_machine.input_bound import MAX_INPUT_MB

max_input_option = click.option(
    "--max-input-mb",
    type=click.IntRange(min=1),
    default=MAX_INPUT_MB,
    show_default=True,
    metavar="MIB",
    help="The most that the input files may hold in all, unpacked; more is refused before it is read.",
)
