"""`tipoff cancel`: give a batch up."""

from __future__ import annotations

import click

from local.cli.coordinator_options import (
    Where,
    batch_argument,
    confirmation_of,
    coordinator_options,
    is_agreed,
    print_json,
    reason,
    why_option,
    yes_option,
)
from local.cli.exits import NO_SUCCESS
from local.cli.terminal import echo


@click.command(short_help="Cancel a live batch.")
@batch_argument
@yes_option
@why_option
@coordinator_options
def cancel(*, where: Where, batch: str, yes: bool, why: str, as_json: bool) -> int:
    """Cancel a live BATCH: what is still under way is recorded but never merged. Refused while its MERGE may land.
    BATCH is an id, or a game date for its newest batch.

    Example: tipoff cancel 20260130_0123456789abcdef --yes
    """
    with where.client() as client:
        path = f"/batches/{client.find(batch)}/cancel"
        if not is_agreed(confirmation_of(client, path, None), yes=yes):
            return NO_SUCCESS
        answer = client.post(path, {}, reason(why))
    if as_json:
        print_json(answer)
    else:
        echo(f"batch {answer['batch_id']} of {answer['game_date']} is {answer['state']}")
    return 0
