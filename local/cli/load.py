"""`tipoff load`: a folder of CSV files, brought into the input tables that batches are planned from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from local.cli.options import json_option, max_input_option
from local.cli.targets import Target, target_options
from local.cli.terminal import echo, print_json


@click.command(short_help="Bring CSV files into the input tables of a project or a state folder.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@max_input_option
@json_option
@target_options
def load(*, target: Target, folder: Path, max_bytes: int, as_json: bool) -> None:
    """Bring a folder of CSV files, as `tipoff run --data` takes them, into the input tables.

    Any of player_game_logs*, scheduled_games*, points_lines* and injury_reports* will do. All files are checked before
    anything is written. Each table changes by one MERGE: a row that is there stays, a corrected one replaces what was
    there, a new one is added, and none is deleted; so a repeat changes nothing. Injury reports and lines are kept for
    each time at which they were reported.

    \b
    Examples:
      tipoff load DIR --project my-project --dataset nba --location US
      tipoff load DIR --state .tipoff
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    from local.one_machine.loading import load_into  # noqa: PLC0415 - so that --help answers at once

    with target.input_tables() as (warehouse, stage):
        loaded = load_into(warehouse, stage, folder=folder, max_bytes=max_bytes)
    if as_json:
        listed = [asdict(one) | {"unchanged": one.unchanged} for one in loaded]
        print_json({"target": target.name, "tables": listed})
        return
    for one in loaded:
        counts = f"{one.inserted:,} inserted, {one.updated:,} corrected, {one.unchanged:,} there already"
        echo(f"{one.table}: {one.rows:,} rows: {counts}")
