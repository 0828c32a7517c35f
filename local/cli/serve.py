"""`tipoff serve`: the coordinator with its dashboard over a state folder, kept running until Ctrl-C."""

from __future__ import annotations

from pathlib import Path

import click

from local.cli.options import open_option, port_option, state_option
from local.cli.terminal import announce, until_stopped

DEFAULT_PORT = 8321
SWEEP_SECONDS = 30.0
"""How often the local Cloud Scheduler posts `/sweep`."""


@click.command(short_help="Serve the dashboard over a state folder.")
@state_option(
    keeps="State folder of `tipoff run` or `tipoff backfill`; the sample season's is found in its subfolder simulated."
)
@port_option(DEFAULT_PORT)
@click.option("--model", metavar="MODEL.json", help="Model that the worker predicts with when a button asks it to.")
@open_option
def serve(*, state: Path, port: int, model: str | None, browse: bool) -> int:
    """Serve the coordinator and its dashboard over a state folder, on this machine only, until Ctrl-C. The worker runs
    too, so that the buttons of a page do what they say; a sweep is made every half minute.

    \b
    Examples:
      tipoff serve
      tipoff serve --state DIR --port 9000 --open

    Exits 0 on Ctrl-C, 2 when the folder or the port cannot be used.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    from local.cli.state_client import home_of  # noqa: PLC0415 - so that --help answers at once

    return serve_folder(home_of(state), port=port, model=model, browse=browse)


def serve_folder(home: Path, *, port: int, model: str | None, browse: bool) -> int:
    """Serve a folder until Ctrl-C or SIGTERM; return the exit status.

    Raises:
        InvalidInput: the folder or the port cannot be used.
    """
    from local.one_machine.stack import local_stack, model_of  # noqa: PLC0415 - so that --help answers at once

    ends = until_stopped()
    with local_stack(home, model=model_of(model), port=port) as stack:
        announce(home, stack.coordinator_url, browse=browse)
        while not ends.wait(SWEEP_SECONDS):
            stack.client.ask("POST", "/sweep", body={})
    return 0
