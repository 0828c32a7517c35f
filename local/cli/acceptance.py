"""`tipoff acceptance`: a small simulated day through a deployed system, and which of its laws were seen to hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from local.cli.exits import NO_SUCCESS
from local.cli.options import audience_option, bundled, impersonate_option, json_option, timeout_option
from local.cli.targets import Target, explaining_login
from local.cli.terminal import echo, print_json
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from local.emulated.cloud_faults import CloudClock, CloudLines, PubsubMessages
    from local.one_machine.law import Law


@click.command(short_help="Prove a deployed system by a small simulated day.")
@click.option("--url", required=True, help="The coordinator; an identity token is sent to https addresses.")
@bundled(
    "target",
    Target,
    click.option("--project", required=True, help="Google Cloud project of the datasets."),
    click.option("--dataset", required=True, help="BigQuery dataset of the predictions and inputs."),
    click.option("--staging-dataset", required=True, help="BigQuery dataset of the staging tables."),
    click.option("--location", required=True, help="Their location, such as US."),
)
@impersonate_option
@audience_option
@click.option("--requests-topic", help="Topic of the requests; with --outcomes-topic, outcomes are lost on purpose.")
@click.option("--outcomes-topic", help="Topic of the outcomes, whose subscription bears its name.")
@click.option(
    "--region", help="Region of Cloud Scheduler; its job is run, and the services' log lines are read, by gcloud."
)
@timeout_option(ends="Stop waiting for a batch after so many minutes.", minutes=20)
@click.option("--clean", "only_clean", is_flag=True, help="Only delete what a run that was killed has left.")
@json_option
def acceptance(
    *,
    target: Target,
    url: str,
    impersonate: str | None,
    audience: str | None,
    requests_topic: str | None,
    outcomes_topic: str | None,
    region: str | None,
    patience: timedelta,
    only_clean: bool,
    as_json: bool,
) -> int:
    """Run a day of invented players on a date in 2099 through a deployed system, report for each of its laws whether it was seen to
    hold, and delete the rows again. Predictions and inputs of other dates are not touched. Whoever subscribes to
    batch-finished receives three batches of that date. Laws that are not shown are named, with what shows them.

    With both topics, a third batch loses its outcomes, as when a revision is killed: for a minute or two the coordinator gets
    no outcomes at all, so this is left out while another batch lives. It needs your own right to change subscriptions.

    \b
    Example:
      tipoff acceptance --url URL --project P --dataset D --staging-dataset S --location US --impersonate OPERATOR \\
        --requests-topic requests --outcomes-topic outcomes --region us-east1

    Exits 0 when no law was seen to be broken, 1 when one was, 2 when the call is mistaken.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    from local.one_machine.acceptance import Acceptance, clean  # noqa: PLC0415 - so that --help answers at once
    from local.one_machine.coordinator_client import client_of_url, status_of  # noqa: PLC0415 - as above
    from local.one_machine.law import LawVerdict  # noqa: PLC0415 - as above

    messages = _messages(target, requests=requests_topic, outcomes=outcomes_topic)
    clock, read_lines = _of_project(target, region=region)
    with target.input_tables() as (warehouse, stage):
        if only_clean:
            clean(warehouse)
            return 0
        with client_of_url(
            url, audience=audience, impersonate=impersonate, search_path=target.environ.get("PATH")
        ) as client:
            day = Acceptance(
                client=client,
                warehouse=warehouse,
                stage=stage,
                stranger=lambda method, path, token: status_of(url, method, path, token),
                job_bytes=target.job_bytes,
                patience_seconds=patience.total_seconds(),
                messages=messages,
                clock=clock,
                read_lines=read_lines,
            )
            laws = list(_shown(day.run(), as_json=as_json))
    if as_json:
        print_json([asdict(law) for law in laws])
    return NO_SUCCESS if any(law.verdict is LawVerdict.BROKEN for law in laws) else 0


def _shown(laws: Iterator[Law], *, as_json: bool) -> Iterator[Law]:
    """The same laws, each printed for a person as soon as it is known."""
    from local.one_machine.law import line_of  # noqa: PLC0415 - so that --help answers at once

    for law in laws:
        if not as_json:
            echo(line_of(law))
        yield law


def _messages(target: Target, *, requests: str | None, outcomes: str | None) -> PubsubMessages | None:
    if requests is None and outcomes is None:
        return None
    if requests is None or outcomes is None:
        missing = "--requests-topic" if requests is None else "--outcomes-topic"
        raise InvalidInput(missing, "missing; name both topics, or none")
    from local.emulated.cloud_faults import PubsubMessages  # noqa: PLC0415 - so that --help answers at once
    from local.emulated.provision import Topics  # noqa: PLC0415 - as above

    with explaining_login():
        return PubsubMessages(
            Topics(target.project or "", requests=requests, outcomes=outcomes), environ=target.environ
        )


def _of_project(target: Target, *, region: str | None) -> tuple[CloudClock | None, CloudLines | None]:
    if region is None:
        return None, None
    from local.emulated.cloud_faults import CloudClock, CloudLines  # noqa: PLC0415 - so that --help answers at once
    from local.one_machine.gcloud import Gcloud  # noqa: PLC0415 - as above

    gcloud = Gcloud.found(target.environ.get("PATH"))
    if gcloud is None:
        raise InvalidInput("--region", "needs gcloud, which is not on the PATH; install the Google Cloud SDK")
    project = target.project or ""
    return CloudClock(gcloud=gcloud, project=project, region=region), CloudLines(gcloud=gcloud, project=project)
