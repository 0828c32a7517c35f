"""`tipoff grade`: what became of the predictions, by the box scores."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import click

from local.cli.coordinator_options import CoordinatorAddress, console, coordinator_options
from local.cli.options import date_option
from local.cli.terminal import plain_table, show
from shared.errors import InvalidInput

_GAMES_SHOWN = 10


@click.command(short_help="Grade the predictions of what was played.")
@date_option("--from", "first", help="First date; without --from and --to, the last eight days.")
@date_option("--to", "last", help="Last date; the default is today.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of CSV files with newer box scores, to be loaded into the state folder first.",
)
@coordinator_options
def grade(
    *, where: CoordinatorAddress, first: date | None, last: date | None, data: Path | None, as_json: bool
) -> None:
    """Grade every active prediction whose game has a box score: the points scored, the error, whether they lay in
    the intervals, and how the recommendation ended. A corrected box score changes the grades that it concerns; a repeat
    changes nothing. Games without a box score yet are named as ungraded. A date that cannot be graded stops no other;
    the command then fails and says why.

    \b
    Examples:
      tipoff grade --from 2026-01-23 --to 2026-01-30
      tipoff grade --data DIR                            newer box scores first
      tipoff grade --url https://coordinator-123.us-central1.run.app --json
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    if data is not None:
        _load(where, data, last or first)
    body = {name: day.isoformat() for name, day in (("from", first), ("to", last)) if day is not None}
    with where.client() as client:
        answer = client.post("/grade", body)
    show(answer, _print, as_json=as_json)


def _load(where: CoordinatorAddress, data: Path, game_date: date | None) -> None:
    if where.url is not None:
        raise InvalidInput("--data", "is for a state folder; a running coordinator reads its own tables")
    from local.cli.state_client import parts_of_state  # noqa: PLC0415 - so that --help answers at once
    from local.one_machine.csv_inputs import load_folder  # noqa: PLC0415 - as above

    with parts_of_state(where.state_folder) as parts:
        load_folder(parts.warehouse, folder=data, game_date=game_date or parts.coordinator.parts.today())


def _print(answer: Mapping[str, Any]) -> None:
    out = console()
    if not answer["dates"]:
        out.print(f"nothing is predicted from {answer['first']} to {answer['last']}")
        return
    table = plain_table("game date", "graded", "new", "changed", "unchanged", "removed", "ungraded")
    for one in answer["dates"]:
        counts = ("graded", "inserted", "updated", "unchanged", "retired", "ungraded")
        table.add_row(one["game_date"], *(f"{one[name]:,}" for name in counts))
    out.print(table)
    for game in answer["ungraded_games"][:_GAMES_SHOWN]:
        out.print(
            f"ungraded: game {game['game_id']} of {game['game_date']} has no box score yet; {game['players']} players wait"
        )
    if (more := len(answer["ungraded_games"]) - _GAMES_SHOWN) > 0:
        out.print(f"and {more:,} more games without a box score")
