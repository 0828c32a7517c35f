"""`tipoff redrive`: a new batch for those who are not predicted."""

from __future__ import annotations

import click

from local.cli.coordinator_options import CoordinatorAddress, action_options, ask_for, tell_later
from local.cli.terminal import echo, print_json


@click.command(short_help="Start a new batch for the players who are not predicted.")
@click.option("--group", help="Only who failed of one cause: its fingerprint, as `tipoff status BATCH` lists them.")
@action_options
def redrive(*, where: CoordinatorAddress, batch: str, group: str | None, yes: bool, why: str, as_json: bool) -> None:
    """Plan and publish a new batch for those players of BATCH who are not predicted; only their rows are superseded.
    BATCH is an id, or a game date for its newest batch.

    \b
    Examples:
      tipoff redrive 2026-01-30
      tipoff redrive 2026-01-30 --group 0123456789 --why "the model is mended"
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    with where.client() as client:
        answer = ask_for(client, batch, "redrive", {"group": group} if group else {}, yes=yes, why=why, asks=True)
    if as_json:
        print_json(answer)
    else:
        expected, state = answer["expected"], answer["state"]
        echo(f"batch {answer['batch_id']} ({state}) redrives {expected:,} players of {answer['parent']}")
        if answer["not_expected"]:
            echo(f"not expected any more: {', '.join(answer['not_expected'])}")
    tell_later(where)
