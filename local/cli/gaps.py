"""`tipoff gaps`: where each player of a batch got stuck, by name."""

from __future__ import annotations

import click

from local.cli.coordinator_options import CoordinatorAddress, console, coordinator_options, newest_argument
from local.cli.terminal import plain_table, print_json

_WELL = ("merged", "skipped")
"""Stages at which nothing is missing: their players are named with --all only."""


@click.command(short_help="Name the players who got stuck, by stage.")
@newest_argument
@click.option("--all", "with_all", is_flag=True, help="Name the merged and skipped players as well.")
@coordinator_options
def gaps(*, where: CoordinatorAddress, batch: str | None, with_all: bool, as_json: bool) -> None:
    """Name every expected player of a batch by the stage he reached: unpublished, undelivered, failed, predicted but not
    staged, staged but not merged, merged, skipped. BATCH is an id, or a game date for its newest batch.

    \b
    Examples:
      tipoff gaps 2026-01-30
      tipoff gaps 20260130_0123456789abcdef --json | jq -r '.stages[] | select(.name=="failed").players[].player'
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    with where.client() as client:
        answer = client.get(f"/batches/{client.find(batch)}/gaps")
    if as_json:
        print_json(answer)
        return
    out = console()
    table = plain_table("stage", "players", "meaning", right=("players",), wrapped=("meaning",))
    for stage in answer["stages"]:
        table.add_row(stage["name"].replace("_", " "), f"{stage['count']:,}", stage["meaning"])
    out.print(f"Batch {answer['batch_id']}\n")
    out.print(table)
    for stage in answer["stages"]:
        if stage["players"] and (with_all or stage["name"] not in _WELL):
            out.print(f"\n{stage['name'].replace('_', ' ')}:")
            for player in stage["players"]:
                out.print(f"  {player['player']}: {player['detail']}")
