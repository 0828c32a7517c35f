"""`tipoff quota`: what a batch would use of Google Cloud's quotas."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from local.cli.exits import NO_SUCCESS
from local.cli.options import json_option
from local.cli.terminal import Terminal, plain_table, print_json

if TYPE_CHECKING:
    from coordinator.rules.quotas import Quota


@click.command(short_help="Forecast what a batch uses of the quotas.")
@click.option(
    "--players", type=click.IntRange(min=0), required=True, metavar="N", help="Expected players of the batch."
)
@click.option(
    "--rows-per-player",
    type=click.IntRange(min=1),
    metavar="N",
    help="Rows of one player over all systems and lines; default 60.",
)
@json_option
def quota(*, players: int, rows_per_player: int | None, as_json: bool) -> int:
    """Forecast how much of each quota a batch of so many players uses, the most used quota first.

    A hard limit refuses: /start does not plan a batch that would meet one. A soft one warns: what is over it is slowed
    down and delivered again, or is a setting to raise.

    \b
    Examples:
      tipoff quota --players 450
      tipoff quota --players 100000 --json | jq '.quotas[0]'

    Exits 0 when the batch fits, 1 when a hard limit is met.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    from coordinator.rules import quotas  # noqa: PLC0415 - so that --help answers at once

    found = quotas.forecast(players, rows_per_player=rows_per_player or quotas.ROWS_PER_PLAYER)
    over = [one for one in found if one.is_hard and not one.fits]
    if as_json:
        quotas_found = [{**dataclasses.asdict(one), "share": round(one.share, 6), "fits": one.fits} for one in found]
        print_json({"players": players, "fits": not over, "quotas": quotas_found})
    else:
        _print(players, found, fits=not over)
    return NO_SUCCESS if over else 0


def _print(players: int, found: tuple[Quota, ...], *, fits: bool) -> None:
    console = Terminal(highlight=False, soft_wrap=True)
    table = plain_table("quota", "forecast", "limit", "unit", "share", "kind", right=("forecast", "limit", "share"))
    for one in found:
        kind = ("hard" if one.is_hard else "soft") + ("" if one.fits else ": OVER")
        table.add_row(one.name, _shown(one.forecast), _shown(one.limit), one.unit, f"{one.share:.1%}", kind)
    console.print(table)
    console.print("\nSources:", *sorted({one.source for one in found}), sep="\n  ")
    over = ", ".join(one.name for one in found if one.is_hard and not one.fits)
    verdict = "fits" if fits else f"does not fit: {over} would be over its limit. Plan fewer players in one batch"
    console.print(f"\nA batch of {players:,} players {verdict}.")


def _shown(amount: float) -> str:
    return f"{amount:,.1f}" if 0 < amount < 10 and not float(amount).is_integer() else f"{amount:,.0f}"
