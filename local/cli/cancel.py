"""`tipoff cancel`: give a batch up."""

from __future__ import annotations

import click

from local.cli.coordinator_options import CoordinatorAddress, action_options, ask_for
from local.cli.terminal import echo, show


@click.command(short_help="Cancel a live batch.")
@action_options
def cancel(*, where: CoordinatorAddress, batch: str, yes: bool, why: str, as_json: bool) -> None:
    """Cancel a live BATCH: what is still under way is recorded but never merged. Refused while its MERGE may land.
    BATCH is an id, or a game date for its newest batch.

    Example: tipoff cancel 20260130_0123456789abcdef --yes
    """
    with where.client() as client:
        answer = ask_for(client, batch, "cancel", {}, yes=yes, why=why, asks=True)
    sentence = f"batch {answer['batch_id']} of {answer['game_date']} is {answer['state']}"
    show(answer, lambda _: echo(sentence), as_json=as_json)
