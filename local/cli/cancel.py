"""`tipoff cancel`: give a batch up."""

from __future__ import annotations

import click

from local.cli.coordinator_options import Where, action_options, ask_for, print_json
from local.cli.exits import NO_SUCCESS
from local.cli.terminal import echo


@click.command(short_help="Cancel a live batch.")
@action_options
def cancel(*, where: Where, batch: str, yes: bool, why: str, as_json: bool) -> int:
    """Cancel a live BATCH: what is still under way is recorded but never merged. Refused while its MERGE may land.
    BATCH is an id, or a game date for its newest batch.

    Example: tipoff cancel 20260130_0123456789abcdef --yes
    """
    with where.client() as client:
        answer = ask_for(client, batch, "cancel", {}, yes=yes, why=why, asks=True)
    if answer is None:
        return NO_SUCCESS
    if as_json:
        print_json(answer)
    else:
        echo(f"batch {answer['batch_id']} of {answer['game_date']} is {answer['state']}")
    return 0
