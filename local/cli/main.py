"""The `tipoff` command. A user's mistake is one line on standard error and exit status 2."""

from __future__ import annotations

import gc
import os
import sys
from importlib.metadata import version
from typing import NoReturn

import click

from local.cli.acceptance import acceptance
from local.cli.accuracy import accuracy
from local.cli.adopt import adopt
from local.cli.backfill import backfill
from local.cli.backtest import backtest
from local.cli.cancel import cancel
from local.cli.consolidate import consolidate
from local.cli.dashboard import dashboard
from local.cli.diff import diff
from local.cli.exits import INTERRUPTED, MISTAKE, NO_SUCCESS
from local.cli.explain import explain
from local.cli.gaps import gaps
from local.cli.grade import grade
from local.cli.load import load
from local.cli.policy import policy
from local.cli.quota import quota
from local.cli.redrive import redrive
from local.cli.replay import replay
from local.cli.run import run
from local.cli.schema import schema
from local.cli.serve import serve
from local.cli.status import status
from local.cli.sweep import sweep
from local.cli.terminal import echo
from local.cli.train import train
from local.cli.up import up
from shared.adapters.traced import configure
from shared.errors import Conflict, InvalidInput, TipoffError


def main() -> NoReturn:
    """Run the command line, then exit: 0 for success, 1 for a batch that failed or did not end, 2 for a mistake in the
    call or the inputs, 130 for Ctrl-C."""
    # What a slice makes lives as long as the slice: looking for cycles among it took a tenth of predicting.
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    try:
        configure(os.environ, service="tipoff", revision=f"local-{version('tipoff')}", project=None)
        sys.exit(commands.main(prog_name="tipoff", standalone_mode=False, obj=os.environ))
    except click.exceptions.NoArgsIsHelpError as asked:
        asked.show()
        sys.exit(MISTAKE)
    except click.UsageError as mistake:
        command = mistake.ctx.command_path if mistake.ctx else "tipoff"
        _end(MISTAKE, f"{mistake.format_message().rstrip('.')} (see {command} --help)")
    except (InvalidInput, Conflict) as mistake:
        _end(MISTAKE, str(mistake))
    except TipoffError as trouble:
        _end(NO_SUCCESS, str(trouble))
    except click.Abort:
        way_on = "with --resume to finish the batch" if sys.argv[1:2] == ["run"] else "again"
        _end(INTERRUPTED, f"interrupted; run the same command {way_on}")


def _end(status: int, why: str) -> NoReturn:
    echo(f"tipoff: {' '.join(why.split())}", err=True)
    sys.exit(status)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tipoff")
def commands() -> None:
    """Tipoff: a daily batch of NBA player-points predictions that never loses, doubles or hides one.

    A BATCH is named by its id, or by its game date, which means the date's newest. The commands that operate a batch ask
    the coordinator at --url (or TIPOFF_URL): a deployed one gets an identity token from gcloud, --impersonate names the
    service account to be, and one on loopback gets none. Without it they look into --state, the folder of a run on this
    machine. On a terminal a command asks before what cannot be undone. A reason given by --why is kept with your account and the time.

    Exits 0 for success; 1 when a batch failed or did not end, or something that was needed did not work; 2 when the call
    or the inputs are mistaken, with one line that says what to correct; 130 on Ctrl-C.
    """


for command in (
    acceptance,
    accuracy,
    adopt,
    backfill,
    backtest,
    cancel,
    consolidate,
    dashboard,
    diff,
    explain,
    gaps,
    grade,
    load,
    policy,
    quota,
    redrive,
    replay,
    run,
    schema,
    serve,
    status,
    sweep,
    train,
    up,
):
    commands.add_command(command)
