"""`tipoff run`: one game date on one machine, from CSV files to the predictions table."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from local.cli.exits import NO_SUCCESS
from local.cli.options import date_option, json_option, max_input_option, state_option, timeout_option
from local.cli.terminal import Terminal, echo, print_json, show
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from local.one_machine.day import Day, Done

_SHADOW = "shadow"
"""The shadow's state, within the folder of the system that it shadows."""


def _export_file(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() not in (".csv", ".parquet"):
        raise click.BadParameter(f"{value.name!r} ends in neither .csv nor .parquet")
    if value is not None and not value.parent.is_dir():
        raise click.BadParameter(f"{str(value.parent)!r} is not a folder; make it first, or name another one")
    return value


@click.command(short_help="Predict one game date on this machine.")
@date_option("--game-date", help="US Eastern date of the games. Needed with --data.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with player_game_logs*.csv[.gz] and, if you have them, points_lines*, scheduled_games*, "
    "injury_reports*. Without it (and without --resume) the simulated sample season is predicted, whatever the state "
    "folder holds.",
)
@max_input_option
@state_option(
    keeps="Folder that keeps ledger, warehouse and undelivered messages between runs; the sample season's are in its "
    "subfolder simulated."
)
@click.option(
    "--export",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_export_file,
    metavar="FILE",
    help="Write the date's active predictions to FILE.csv or FILE.parquet.",
)
@click.option(
    "--spreadsheet-safe",
    is_flag=True,
    help="Put an apostrophe before text of the CSV export that a spreadsheet would take for a formula.",
)
@click.option(
    "--model",
    metavar="MODEL.json",
    help="Predict from a file of `tipoff train`, or its gs:// URL, in place of the shipped model of the sample season.",
)
@click.option(
    "--resume", is_flag=True, help="Finish the date's batch that an interrupted run left, instead of starting one."
)
@click.option("--force", is_flag=True, help="Cancel the date's live batch, if there is one, and start afresh.")
@click.option(
    "--allow-retiring",
    is_flag=True,
    help="Let the batch retire any number of the date's earlier rows; without it more than half makes it fail.",
)
@click.option(
    "--allow-incomplete",
    is_flag=True,
    help="Plan even if more than a fifth of the last week's scheduled games have no box scores.",
)
@timeout_option(ends="Stop waiting after so many minutes; the batch can be resumed.")
@click.option(
    "--shadow",
    is_flag=True,
    help="Run in a state folder of its own, shadow, and compare with the date's newest batch; changes no prediction.",
)
@click.option("--open", "keep_open", is_flag=True, help="Keep the dashboard up after the run, until Ctrl-C.")
@json_option
def run(*, shadow: bool, keep_open: bool, as_json: bool, **options: Any) -> int:
    """Predict one game date on this machine, from CSV files to the predictions table.

    Starts the coordinator and the worker, runs the date's batch through them and waits for its end. Running it again
    for the same date makes a newer batch, which updates the rows and inserts none twice.

    \b
    Examples:
      tipoff run                                        a day of the simulated sample season
      tipoff run --game-date 2026-01-30 --data DIR      your own data
      tipoff run --game-date 2026-01-30 --data DIR --export predictions.csv
      tipoff run --resume                               finish what was interrupted
      tipoff run --json | jq .rows                      for programs
      tipoff run --shadow --model other.json            how would another model differ?

    Exits 0 when the batch is COMPLETE, PARTIAL or EMPTY, 1 when it failed or did not end in time, 2 when the call or
    the inputs are mistaken, 130 on Ctrl-C.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    _check(**options, shadow=shadow, keep_open=keep_open)
    from local.one_machine.day import Day  # noqa: PLC0415 - so that --help and mistakes answer at once

    return _run(Day(**options), shadow=shadow, as_json=as_json, keep_open=keep_open)


def _check(
    *,
    game_date: date | None,
    data: Path | None,
    export: Path | None,
    spreadsheet_safe: bool,
    resume: bool,
    force: bool,
    shadow: bool,
    keep_open: bool,
    **_others: object,
) -> None:
    """Refuse options that do not go together. Raises `InvalidInput`."""
    if data is not None and game_date is None:
        raise InvalidInput("--game-date", "missing; say which date of your data to predict, such as 2026-01-30")
    if spreadsheet_safe and (export is None or export.suffix.lower() != ".csv"):
        raise InvalidInput("--spreadsheet-safe", "is for CSV; add --export FILE.csv, or leave it out")
    if resume and force:
        raise InvalidInput("--force", "cannot go with --resume; choose to finish the live batch or to replace it")
    if shadow and (resume or force or export or keep_open):
        raise InvalidInput("--shadow", "cannot go with --resume, --force, --export or --open; it only compares")


def _run(wanted: Day, *, shadow: bool, as_json: bool, keep_open: bool) -> int:
    """Carry it out and print what came of it, or where nothing of it is to reach the predictions, how it differs; return
    the exit status."""
    from local.cli.diff import print_difference  # noqa: PLC0415 - as in `run`
    from local.cli.report import progress_bar, what_to_do  # noqa: PLC0415 - as in `run`
    from local.cli.state_client import compare_folders  # noqa: PLC0415 - as in `run`
    from local.one_machine.day import home_of_day, run_day  # noqa: PLC0415 - as in `run`

    shadowed = home_of_day(wanted) if shadow else None
    wanted = replace(wanted, state=wanted.state / _SHADOW) if shadow else wanted
    console = Terminal(stderr=as_json or shadow, highlight=False)
    with progress_bar(console) as bar:
        done = run_day(wanted, say=bar.say, shown=bar.show)
    if shadowed is None:
        _tell(console, done, wanted, as_json=as_json, keep_open=keep_open)
    elif done.seen.has_ended_well:
        found = compare_folders(shadowed, done.home, done.seen.game_date).model_dump(mode="json")
        if not as_json:
            echo(f"From batch {found['before']} to the shadow's {found['after']}; no prediction is changed")
        show(found, print_difference, as_json=as_json)
    if done.seen.has_ended_well:
        return 0
    echo(f"tipoff: {what_to_do(done)}", err=True)
    return NO_SUCCESS


def _tell(console: Terminal, done: Done, wanted: Day, *, as_json: bool, keep_open: bool) -> None:
    from local.cli.report import print_next, print_report  # noqa: PLC0415 - as in `run`

    if as_json:
        print_json(done.as_object())
    else:
        print_report(console, done)
    if keep_open:
        from local.cli.serve import DEFAULT_PORT, serve_folder  # noqa: PLC0415 - as in `run`

        serve_folder(done.home, port=DEFAULT_PORT, model=wanted.model, browse=True)
    elif not as_json:
        print_next(console, done, wanted.state)
