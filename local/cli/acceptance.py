"""`tipoff acceptance`: a small simulated day through a deployed system, and which of its laws were seen to hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import click

from local.cli.exits import NO_SUCCESS
from local.cli.targets import Target
from local.cli.terminal import echo


@click.command(short_help="Prove a deployed system by a small simulated day.")
@click.option("--url", required=True, help="The coordinator; an identity token is sent to https addresses.")
@click.option("--project", required=True, help="Google Cloud project of the datasets.")
@click.option("--dataset", required=True, help="BigQuery dataset of the predictions and inputs.")
@click.option("--staging-dataset", required=True, help="BigQuery dataset of the staging tables.")
@click.option("--location", required=True, help="Their location, such as US.")
@click.option("--impersonate", metavar="ACCOUNT", help="Service account to be, through gcloud; for https.")
@click.option("--audience", help="What the identity token is made for; the URL without it.")
@click.option(
    "--timeout", "minutes", type=click.IntRange(min=1), default=20, show_default=True, help="Minutes for a batch."
)
@click.option("--clean", "only_clean", is_flag=True, help="Only delete what a run that was killed has left.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.pass_obj
def acceptance(
    environ: Mapping[str, str],
    *,
    url: str,
    project: str,
    dataset: str,
    staging_dataset: str,
    location: str,
    impersonate: str | None,
    audience: str | None,
    minutes: int,
    only_clean: bool,
    as_json: bool,
) -> int:
    """Run a day of invented players on a date in 2099 through a deployed system, say of each of its laws whether it was seen to
    hold, and delete the rows again. Predictions and inputs of other dates are not touched. Whoever subscribes to
    batch-finished hears of two batches of that date. Laws that cannot be seen from outside are named as such.

    \b
    Example:
      tipoff acceptance --url URL --project P --dataset D --staging-dataset S --location US --impersonate OPERATOR

    Exits 0 when no law was seen to be broken, 1 when one was, 2 when the call is mistaken.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    from local.one_machine.acceptance import Acceptance, Verdict, clean, told  # noqa: PLC0415 - so that --help answers at once
    from local.one_machine.coordinator_client import client_of_url, status_of  # noqa: PLC0415 - as above

    target = Target(
        environ=environ,
        state=None,
        project=project,
        dataset=dataset,
        location=location,
        staging_dataset=staging_dataset,
    )
    with target.input_tables() as (warehouse, stage):
        if only_clean:
            clean(warehouse)
            return 0
        with client_of_url(url, audience=audience, impersonate=impersonate, search_path=environ.get("PATH")) as client:
            day = Acceptance(
                client=client,
                warehouse=warehouse,
                stage=stage,
                stranger=lambda method, path, token: status_of(url, method, path, token),
                job_bytes=target.job_bytes,
                patience_seconds=60.0 * minutes,
            )
            laws = []
            for law in day.run():
                laws.append(law)
                if not as_json:
                    echo(told(law))
    if as_json:
        echo(json.dumps([asdict(law) for law in laws], ensure_ascii=False))
    return NO_SUCCESS if any(law.verdict is Verdict.BROKEN for law in laws) else 0
