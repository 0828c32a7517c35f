"""`tipoff dashboard`: the dashboard of a deployed coordinator, in the browser of this machine."""

from __future__ import annotations

from collections.abc import Mapping

import click

from local.cli.options import audience_option, impersonate_option, open_option, port_option
from local.cli.terminal import announce, until_stopped
from shared.errors import InvalidInput

DEFAULT_PORT = 8322


@click.command(short_help="Open the dashboard of a deployed coordinator.")
@click.option("--url", help="Address of the coordinator; the default is the environment variable TIPOFF_URL.")
@impersonate_option
@audience_option
@port_option(DEFAULT_PORT)
@open_option
@click.pass_obj
def dashboard(
    environ: Mapping[str, str],
    *,
    url: str | None,
    impersonate: str | None,
    audience: str | None,
    port: int,
    browse: bool,
) -> int:
    """Serve the dashboard of a deployed coordinator on this machine, until Ctrl-C.

    The service is private and a browser has no identity token to show, so a proxy adds it to each request. Whoever can
    connect to the port on this machine acts as the account meanwhile: to look only, impersonate tipoff-viewer.

    \b
    Examples:
      tipoff dashboard --url https://tipoff-coordinator-123.us-east1.run.app \\
        --impersonate tipoff-viewer@my-project.iam.gserviceaccount.com
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    from local.one_machine.coordinator_client import address_of, tokens_of  # noqa: PLC0415 - so that --help answers at once
    from local.one_machine.proxy import create_proxy  # noqa: PLC0415 - as above
    from local.one_machine.serving import serving  # noqa: PLC0415 - as above

    given = url or environ.get("TIPOFF_URL")
    if not given:
        raise InvalidInput(
            "--url", "missing; name the coordinator, such as https://coordinator-123.us-central1.run.app"
        )
    base = address_of(given)
    tokens = tokens_of(base, audience=audience, impersonate=impersonate, search_path=environ.get("PATH"))
    tokens.token()  # so that a missing right is told here, and not in the browser
    ends = until_stopped()
    with serving(create_proxy(base, tokens), port=port) as address:
        announce(base, address, browse=browse)
        ends.wait()
    return 0
