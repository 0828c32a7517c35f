"""The `tipoff` command. A user's mistake is one line on standard error and exit status 2."""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

from shared.errors import Conflict, InvalidInput, TipoffError

_GOOD_ENDS = ("COMPLETE", "PARTIAL", "EMPTY")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tipoff")
def main() -> None:
    """Tipoff: a daily batch of NBA player-points predictions that never loses, doubles or hides one."""


def _game_date(_context: click.Context, _parameter: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a date; write it as 2026-01-30") from error


def _export_file(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix not in (".csv", ".parquet"):
        raise click.BadParameter(f"{value.name!r} ends in neither .csv nor .parquet")
    return value


@main.command()
@click.option(
    "--game-date", callback=_game_date, metavar="YYYY-MM-DD", help="US Eastern date of the games. Needed with --data."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with player_game_logs*.csv[.gz] and, if you have them, points_lines*, scheduled_games*, "
    "injury_reports*. Without it a simulated sample season is used.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".tipoff"),
    show_default=True,
    help="Folder that keeps ledger, warehouse and undelivered messages between runs.",
)
@click.option(
    "--export",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_export_file,
    metavar="FILE",
    help="Write the date's active predictions to FILE.csv or FILE.parquet.",
)
@click.option(
    "--resume", is_flag=True, help="Finish the date's batch that an interrupted run left, instead of starting one."
)
@click.option("--force", is_flag=True, help="Cancel the date's live batch, if there is one, and start afresh.")
@click.option(
    "--timeout",
    "timeout_minutes",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    metavar="MINUTES",
    help="Give up waiting after so long; the batch can be resumed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def run(
    *,
    game_date: date | None,
    data: Path | None,
    state: Path,
    export: Path | None,
    resume: bool,
    force: bool,
    timeout_minutes: int,
    as_json: bool,
) -> None:
    """Predict one game date on this machine, from CSV files to the predictions table.

    Starts the coordinator and the worker, runs the date's batch through them and waits for its end. Running it again
    for the same date makes a newer batch, which updates the rows and inserts none twice.

    \b
    Examples:
      tipoff run                                        a day of the simulated sample season
      tipoff run --game-date 2026-01-30 --data DIR      your own data
      tipoff run --game-date 2026-01-30 --data DIR --export predictions.csv
      tipoff run --resume                               after an interruption

    Exits 0 when the batch is COMPLETE, PARTIAL or EMPTY, 1 when it failed, 2 when the call is mistaken.
    """
    if data is not None and game_date is None:
        _fail("--game-date: missing; say which date of your data to predict, such as --game-date 2026-01-30")
    if resume and force:
        _fail("--force: cannot go with --resume; choose whether to finish the live batch or to replace it")
    # Imported here so that --help and mistakes answer at once.
    from local.day import Day, run_day  # noqa: PLC0415 - as said above
    from local.report import print_report, progress_bar  # noqa: PLC0415 - as said above

    console = Console(stderr=as_json, highlight=False)
    wanted = Day(
        game_date=game_date,
        data=data,
        state=state,
        export=export,
        resume=resume,
        force=force,
        patience=timedelta(minutes=timeout_minutes),
    )
    try:
        with progress_bar(console) as bar:
            done = run_day(wanted, say=bar.say, shown=bar.show)
    except (InvalidInput, Conflict) as mistake:
        _fail(str(mistake))
    except TipoffError as trouble:
        click.echo(f"tipoff: {trouble}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("tipoff: interrupted; run again with --resume to finish the batch", err=True)
        sys.exit(130)
    if as_json:
        click.echo(json.dumps(done.as_object(), ensure_ascii=False))
    else:
        print_report(console, done)
    sys.exit(0 if done.seen.state in _GOOD_ENDS else 1)


def _fail(mistake: str) -> NoReturn:
    click.echo(f"tipoff: {' '.join(mistake.split())}", err=True)
    sys.exit(2)
