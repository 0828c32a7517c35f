"""`tipoff diff`: how what two batches said differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from local.cli.coordinator_options import CoordinatorAddress, console, coordinator_options
from local.cli.terminal import plain_table, show, some

_CHANGES_SHOWN = 15
_NAMES_SHOWN = 10


@click.command(short_help="Compare what two batches said.")
@click.argument("before", metavar="BATCH")
@click.argument("after", metavar="BATCH")
@coordinator_options
def diff(*, where: CoordinatorAddress, before: str, after: str, as_json: bool) -> None:
    """Compare the predictions of two batches, each an id, or a game date for its newest batch: who appears or vanishes,
    which systems changed and by how much.

    \b
    Examples:
      tipoff diff 20260130_0123456789abcdef 2026-01-30
      tipoff diff 2026-01-30 20260130_0123456789abcdef --json | jq .systems
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    with where.client() as client:
        found = client.get(f"/batches/{client.find(before)}/diff", {"with": client.find(after)})
    show(found, print_difference, as_json=as_json)


def print_difference(found: Mapping[str, Any]) -> None:
    """Print a difference for a person."""
    out = console()
    for what, players in (("appeared", found["appeared"]), ("vanished", found["vanished"])):
        out.print(f"{what}: {some(players, _NAMES_SHOWN) or 'nobody'}")
    out.print(f"on new lines: {found['lines_appeared']}, on lines that are gone: {found['lines_vanished']}\n")
    systems = plain_table("system", "compared", "changed", "mean change, points", "largest, points")
    for name, one in found["systems"].items():
        systems.add_row(
            name, f"{one['compared']:,}", f"{one['changed']:,}", f"{one['mean_change']:.3f}", f"{one['largest']:.1f}"
        )
    out.print(systems)
    out.print("changed: points, recommendation or confidence differ")
    if not found["changed"]:
        out.print("\nevery prediction that both have is the same")
        return
    table = plain_table("player", "system", "line", "before", "after", "by", "recommendation")
    for one in found["changed"][:_CHANGES_SHOWN]:
        sides = dict.fromkeys((one["before"]["recommendation"], one["after"]["recommendation"]))
        points = (one["before"]["predicted_points"], one["after"]["predicted_points"])
        table.add_row(
            one["player_lookup"], one["system_id"], one["line"] or "–", *points, f"{one['by']:+.1f}", " → ".join(sides)
        )
    out.print()
    out.print(table)
    if (more_changes := found["changes"] - _CHANGES_SHOWN) > 0:
        out.print(f"and {more_changes:,} more changed predictions")
