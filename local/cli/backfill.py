"""`tipoff backfill`: every date of a span as a batch of its own, as of that date."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from local.cli.coordinator_options import CoordinatorAddress, named_coordinator_options
from local.cli.exits import NO_SUCCESS
from local.cli.options import data_option, date_option, max_input_option, timeout_option
from local.cli.terminal import Terminal, echo, plain_table, print_json
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from local.one_machine.backfill import DueDate
    from local.one_machine.coordinator_client import CoordinatorClient

_SWEEP_SECONDS = 15.0
_TONES = {"COMPLETE": "green", "EMPTY": "green", "PARTIAL": "yellow", "FAILED": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user asked for."""

    first: date
    last: date
    data: Path | None
    max_bytes: int
    where: CoordinatorAddress
    model: str | None
    patience: timedelta
    dry_run: bool
    again: bool
    only_failed: bool
    allow_hindsight: bool
    as_json: bool


@click.command(short_help="Run every date of a span, as of that date.")
@date_option("--from", "first", required=True, help="First date.")
@date_option("--to", "last", required=True, help="Last date.")
@data_option
@max_input_option
@click.option(
    "--model",
    metavar="MODEL.json",
    help="A file of `tipoff train`, or its gs:// URL; the default is the shipped model.",
)
@timeout_option(ends="Stop waiting for a date after so many minutes.")
@click.option("--dry-run", is_flag=True, help="List what would be done, and do nothing.")
@click.option("--again", is_flag=True, help="Run dates that are COMPLETE too.")
@click.option("--only-failed", is_flag=True, help="Run those dates only whose newest batch failed, in part or whole.")
@click.option(
    "--allow-hindsight", is_flag=True, help="Let a model predict dates it was trained on; every row is marked."
)
@named_coordinator_options
def backfill(**options: Any) -> int:
    """Run every date with games from --from to --to as its own batch, as of that date: nothing that came later is seen.
    Each is graded as it ends, two dates at once, so that a date's intervals learn from the grades of two days before and
    earlier. Dates whose newest batch is COMPLETE are skipped, a batch that was interrupted is finished, and a date that
    fails does not stop the others; the same command again goes on where the last one stopped.

    \b
    Examples:
      tipoff backfill --from 2025-10-21 --to 2026-01-31 --data DIR --model model.json --state DIR
      tipoff backfill --from 2025-10-21 --to 2026-01-31 --data DIR --model model.json --dry-run
      tipoff backfill --from 2025-10-21 --to 2026-01-31 --data DIR --model model.json --only-failed
      tipoff backfill --from 2025-10-21 --to 2026-01-31 --url URL --impersonate OPERATOR

    Exits 0 when every date is COMPLETE or EMPTY, 1 when one is not, 2 when the call or the inputs are mistaken, 130 on
    Ctrl-C.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    wanted = Wanted(**options)
    if wanted.last < wanted.first:
        raise InvalidInput("--to", f"{wanted.last} is before --from {wanted.first}; give the later date")
    if wanted.again and wanted.only_failed:
        raise InvalidInput("--only-failed", "cannot go with --again; choose which dates to run")
    url = wanted.where.url
    if url is not None:
        if wanted.data is not None or wanted.model is not None:
            raise InvalidInput(
                "--url", "cannot go with --data or --model; the coordinator has its own tables and workers"
            )
        return _run(wanted, wanted.where.clients_at(url), trained_until=None)
    return _on_this_machine(wanted)


def _on_this_machine(wanted: Wanted) -> int:
    from local.one_machine.coordinator_client import clients_of_url  # noqa: PLC0415 - so that --help answers at once
    from local.one_machine.csv_inputs import load_folder  # noqa: PLC0415 - as above
    from local.one_machine.day import folder_of  # noqa: PLC0415 - as above
    from local.one_machine.stack import local_stack, model_of  # noqa: PLC0415 - as above

    state = wanted.where.state_folder
    home = state / "simulated" if wanted.data is None else state
    folder = folder_of(wanted.data, home)
    console = Terminal(stderr=True, highlight=False)
    with local_stack(home, model=model_of(wanted.model)) as stack:
        if wanted.last > stack.today:
            problem = f"{wanted.last} has not been played, today is {stack.today}; `tipoff run` predicts it"
            raise InvalidInput("--to", problem)
        with console.status("loading inputs"):
            load_folder(
                stack.warehouse, folder=folder, game_date=wanted.first, last=wanted.last, max_bytes=wanted.max_bytes
            )
        with _sweeping(stack.coordinator_url):
            return _run(wanted, clients_of_url(stack.coordinator_url), trained_until=stack.trained_until)


@contextmanager
def _sweeping(url: str) -> Iterator[None]:
    """Post `/sweep` now and then for as long as the block lasts, as Cloud Scheduler would."""
    from local.one_machine.coordinator_client import client_of_url  # noqa: PLC0415 - so that --help answers at once

    ends = threading.Event()

    def sweep() -> None:
        with client_of_url(url) as client:
            while not ends.wait(_SWEEP_SECONDS):
                client.ask("POST", "/sweep", body={})

    thread = threading.Thread(target=sweep, name="backfill-sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def _run(
    wanted: Wanted,
    open_client: Callable[[], AbstractContextManager[CoordinatorClient]],
    *,
    trained_until: date | None,
) -> int:
    from rich.progress import TimeRemainingColumn  # noqa: PLC0415 - so that --help answers at once

    from local.cli.report import progress_bar  # noqa: PLC0415 - as above
    from local.one_machine.backfill import DateStep, carry_out, check_hindsight, decide  # noqa: PLC0415 - as above

    with open_client() as client:
        span = {"from": wanted.first.isoformat(), "to": wanted.last.isoformat()}
        due = decide(client.get("/season", span), again=wanted.again, only_failed=wanted.only_failed)
        if not due:
            raise InvalidInput(
                "--from", f"no games from {wanted.first} to {wanted.last}; choose dates that the data cover"
            )
        if trained_until is not None:
            check_hindsight(due, trained_until, allowed=wanted.allow_hindsight)
        if wanted.dry_run:
            return _print_due(due, as_json=wanted.as_json)
        total, done = sum(one.step is not DateStep.SKIP for one in due), count(1)
        with progress_bar(Terminal(stderr=True, highlight=False), TimeRemainingColumn()) as bar:
            ended = carry_out(
                due,
                open_client=open_client,
                patience=wanted.patience,
                shown=lambda one: bar.count(str(one.game_date), done=next(done), of=total, things="dates"),
            )
        season = client.get("/season", span)
    failed = [one for one in ended if not one.is_whole]
    if wanted.as_json:
        listed = [
            {"game_date": str(one.game_date), "batch_id": one.batch_id, "state": one.state, "why": one.why}
            for one in ended
        ]
        print_json({"ran": listed, "skipped": len(due) - len(ended), "season": season})
    else:
        print_matrix(season)
        echo(f"{len(ended)} dates run, {len(due) - len(ended)} skipped, {len(failed)} not complete")
        graded, ungraded = (sum(one[name] for one in season["dates"]) for name in ("graded", "ungraded"))
        echo(f"{graded:,} predictions graded, {ungraded:,} ungraded")
    for one in failed:
        echo(f"tipoff: {one.game_date}: {one.state or 'not ended'}: {one.why}", err=True)
    return NO_SUCCESS if failed else 0


def _print_due(due: Sequence[DueDate], *, as_json: bool) -> int:
    if as_json:
        listed = [
            {"game_date": str(one.game_date), "games": one.games, "state": one.state, "step": one.step.value}
            for one in due
        ]
        print_json({"due": listed})
        return 0
    table = plain_table("game date", "games", "state", "would")
    for one in due:
        table.add_row(str(one.game_date), str(one.games), one.state or "–", one.step.value)
    Terminal(highlight=False).print(table)
    return 0


def print_matrix(season: Mapping[str, Any]) -> None:
    """Print dates by the state of their batch."""
    table = plain_table("game date", "games", "state", "players", "rows", "graded", "ungraded")
    for one in season["dates"]:
        state = Text(one["state"] or "–", style=_TONES.get(one["state"], ""))
        counts = (f"{one[name]:,}" for name in ("players", "rows", "graded", "ungraded"))
        table.add_row(one["game_date"], str(one["games"]), state, *counts)
    console = Terminal(highlight=False)
    console.print(table)
    console.print(", ".join(f"{count} {state}" for state, count in sorted(season["states"].items())))
