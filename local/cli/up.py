"""`tipoff up`: the emulated cloud for a person, kept running until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from local.cli.exits import INTERRUPTED
from local.cli.options import data_option, date_option, max_input_option, state_option
from local.cli.terminal import Terminal, plain_table
from local.sample.season import SAMPLE_GAME_DATE
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from local.emulated.cloud_stack import CloudStack

_LOOK_SECONDS = 1.0
_KEPT = (
    "Kept in {folder}: all tables; the ledger, if this command ends by Ctrl-C; the logs. "
    "Not kept: undelivered messages (POST /sweep publishes their requests again)."
)


@click.command(short_help="Keep the whole system running on the official emulators.")
@date_option("--game-date", help="Needed with --data.")
@data_option
@max_input_option
@state_option(
    keeps="Folder that keeps tables, ledger and logs, in its subfolder up; the sample season's are in simulated/up."
)
@click.pass_obj
def up(environ: Mapping[str, str], *, game_date: date | None, data: Path | None, max_bytes: int, state: Path) -> int:
    """Start coordinator and worker under gunicorn on the Firestore and Pub/Sub emulators and local-bigquery, load
    inputs, and keep everything running until Ctrl-C.

    Needs Java, the Google Cloud SDK with both emulators, and Python 3.13 for local-bigquery, whose environment (850 MB)
    is made once per machine in the cache folder. A service that ends is started again, as Cloud Run would; kill one to see it.

    Exits 0 on Ctrl-C (130 while still starting), 1 when a part does not start, 2 when the call or the inputs are mistaken.
    """
    # Imported here so that --help answers at once.
    from local.emulated.cloud_stack import CloudStack  # noqa: PLC0415 - as said above
    from local.one_machine.day import folder_of  # noqa: PLC0415 - as said above

    console = Terminal(highlight=False, soft_wrap=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if data is not None and game_date is None:
            raise InvalidInput("--game-date", "missing; say which date of your data the games are of")
        home = (state if data else state / "simulated") / "up"
        console.print("starting (the first time takes a minute longer)")
        with CloudStack(home, environ=environ) as stack:
            day = game_date or SAMPLE_GAME_DATE
            for warning in stack.load(folder_of(data, home), day, max_bytes=max_bytes).warnings:
                console.print(f"note: {warning}")
            _introduce(console, stack, home, game_date=day)
            _keep_running(console, stack)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _introduce(console: Terminal, stack: CloudStack, home: Path, *, game_date: date) -> None:
    """Say what runs where, and what to try."""
    table = plain_table("part", "address", "pid", "log")
    for part in stack.parts():
        table.add_row(part.name, part.address, str(part.pid or ""), part.log.name if part.log else "")
    console.print(table)
    console.print(f"""
Try, in another terminal:
  curl -X POST -H 'Content-Type: application/json' -d '{{"game_date": "{game_date}"}}' {stack.coordinator_url}/start
  curl '{stack.coordinator_url}/batches?game_date={game_date}'
  curl -X POST {stack.coordinator_url}/sweep
  curl {stack.coordinator_url}/ready
In a browser: {stack.coordinator_url}/
""")
    console.print(_KEPT.format(folder=home))
    console.print("Ctrl-C stops everything.")


def _keep_running(console: Terminal, stack: CloudStack) -> None:
    """Start again whatever service ends, until Ctrl-C; a second one must not cut the stopping short."""
    ends = threading.Event()
    try:
        while not ends.wait(_LOOK_SECONDS):
            for service in ("coordinator", "worker"):
                if stack.has_ended(service):
                    stack.start(service)
                    address = next(part.address for part in stack.parts() if part.name == service)
                    console.print(f"{service} had ended; it runs again at {address}")
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        console.print("stopping")
