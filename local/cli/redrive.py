"""`tipoff redrive`: a new batch for those who are not predicted."""

from __future__ import annotations

import uuid

import click

from local.cli.coordinator_options import (
    Where,
    batch_argument,
    confirmation_of,
    coordinator_options,
    is_agreed,
    print_json,
    reason,
    tell_later,
    why_option,
    yes_option,
)
from local.cli.exits import NO_SUCCESS
from local.cli.terminal import echo


@click.command(short_help="Start a new batch for the players who are not predicted.")
@batch_argument
@click.option("--group", help="Only who failed of one cause: its fingerprint, as `tipoff status BATCH` lists them.")
@yes_option
@why_option
@coordinator_options
def redrive(*, where: Where, batch: str, group: str | None, yes: bool, why: str, as_json: bool) -> int:
    """Plan and publish a new batch for those players of BATCH who are not predicted; only their rows are superseded.
    BATCH is an id, or a game date for its newest batch.

    \b
    Examples:
      tipoff redrive 2026-01-30
      tipoff redrive 2026-01-30 --group 0123456789 --why "the model is mended"
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    with where.client() as client:
        path = f"/batches/{client.find(batch)}/redrive"
        if not is_agreed(confirmation_of(client, path, None), yes=yes):
            return NO_SUCCESS
        answer = client.post(
            path, {"group": group} if group else {}, {"Idempotency-Key": str(uuid.uuid4()), **reason(why)}
        )
        if as_json:
            print_json(answer)
        else:
            expected, state = answer["expected"], answer["state"]
            echo(f"batch {answer['batch_id']} ({state}) redrives {expected:,} players of {answer['parent']}")
            if answer["not_expected"]:
                echo(f"not expected any more: {', '.join(answer['not_expected'])}")
        tell_later(where)
    return 0
