"""`tipoff policy`: what a batch tolerates, shown or changed while it runs."""

from __future__ import annotations

import click

from local.cli.coordinator_options import Where, batch_argument, coordinator_options, print_json
from local.cli.terminal import echo
from shared.errors import InvalidInput

_SHARE = click.FloatRange(0, 1)


@click.command(short_help="Show or change what a batch tolerates.")
@batch_argument
@click.option("--deadline-minutes", type=click.IntRange(min=1), help="Age at which silent players are given up.")
@click.option("--republish-after-minutes", type=click.IntRange(min=0), help="Silence before a request is sent again.")
@click.option("--max-republishes", type=click.IntRange(min=0), help="How often a request is sent again.")
@click.option("--tolerated-failed-share", type=_SHARE, help="Share of failed players that a PARTIAL may have.")
@click.option("--tolerated-silent-share", type=_SHARE, help="Share of silent players that a PARTIAL may have.")
@click.option("--max-retired-share", type=_SHARE, help="Share of the date's active rows that may be retired.")
@click.option(
    "--max-merge-attempts", type=click.IntRange(min=1), help="Failed MERGE jobs in a row before it is FAILED."
)
@coordinator_options
def policy(*, where: Where, batch: str, as_json: bool, **changes: float | None) -> None:
    """Show what BATCH tolerates or, with options, change it. BATCH is an id, or a game date for its newest batch.

    \b
    Examples:
      tipoff policy 2026-01-30
      tipoff policy 2026-01-30 --deadline-minutes 240
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    wanted = {name: value for name, value in changes.items() if value is not None}
    with where.client() as client:
        path = f"/batches/{client.find(batch)}"
        view = client.patch(f"{path}/policy", wanted) if wanted else client.get(path)
    if "policy" not in view:
        raise InvalidInput("--url", "that coordinator is of an older revision, which shows no policy; deploy this one")
    if as_json:
        print_json(view if wanted else view["policy"])
        return
    echo(f"batch {view['batch_id']} is {view['state']}; deadline {view['deadline_at']}")
    for name, value in view["policy"].items():
        echo(f"  {name.replace('_', '-'):<26} {value}")
