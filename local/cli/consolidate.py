"""`tipoff consolidate`: merge a batch now."""

from __future__ import annotations

import click

from local.cli.coordinator_options import CoordinatorAddress, action_options, ask_for
from local.cli.terminal import echo, print_json


@click.command(short_help="Merge a batch now.")
@click.option(
    "--force",
    is_flag=True,
    help="Merge without the missing players, in spite of a refusal, and however many earlier rows it retires; every other "
    "check is made.",
)
@action_options
def consolidate(*, where: CoordinatorAddress, batch: str, force: bool, yes: bool, why: str, as_json: bool) -> None:
    """Verify and merge what is recorded of BATCH, and wait for the end of it. BATCH is an id, or a game date for its
    newest batch.

    \b
    Examples:
      tipoff consolidate 2026-01-30
      tipoff consolidate 20260130_0123456789abcdef --force
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    with where.client() as client:
        answer = ask_for(client, batch, "consolidate", {"force": force}, yes=yes, why=why, asks=force)
    if as_json:
        print_json(answer)
        return
    view = answer["batch"]
    echo(f"batch {view['batch_id']} of {view['game_date']} is {view['state']}: {view['reason']}")
    echo(f"rows: {', '.join(f'{count:,} {fate}' for fate, count in view['rows'].items())}")
