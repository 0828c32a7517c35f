"""The `tipoff` command. A user's mistake is one line on standard error and exit status 2."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from importlib.metadata import version
from typing import NoReturn

import click

from local.cli.exits import INTERRUPTED, MISTAKE, NO_SUCCESS
from local.cli.terminal import echo
from shared.adapters.traced import configure
from shared.errors import Conflict, InvalidInput, TipoffError


def main() -> NoReturn:
    """Run the command line, then exit: 0 for success, 1 for a batch that failed or did not end, 2 for a mistake in the
    call or the inputs, 130 for Ctrl-C."""
    # What a slice makes lives as long as the slice: looking for cycles among it took a tenth of predicting.
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


_COMMANDS = (
    *("acceptance", "accuracy", "adopt", "backfill", "backtest", "cancel", "consolidate", "dashboard", "diff"),
    *("explain", "gaps", "grade", "load", "policy", "quota", "redrive", "replay", "run", "schema", "serve", "status"),
    *("sweep", "train", "up"),
)


class _Commands(click.Group):
    """The commands, each `NAME` of the module `local.cli.NAME`, imported when it is asked for: a call waits for its own only."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name all."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import one; None where there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"local.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tipoff")
def commands() -> None:
    """Tipoff: a daily batch of NBA player-points predictions that never loses, doubles or hides one.

    A BATCH is named by its id, or by its game date, which means the date's newest. The commands that operate a batch ask
    the coordinator at --url (or TIPOFF_URL); without a URL they read the state folder of a run on this machine, --state.
    For an https URL gcloud gives the identity token, of the account that --impersonate names or of your own. On a terminal
    a command asks before what cannot be undone. A reason given by --why is kept with your account and the time.

    Exits 0 for success; 1 when a batch failed or did not end, or something that was needed did not work; 2 when the call
    or the inputs are mistaken, with one line that says what to correct; 130 on Ctrl-C.
    """
