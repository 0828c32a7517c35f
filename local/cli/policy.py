"""`tipoff policy`: what a batch tolerates, shown or changed while it runs."""

from __future__ import annotations

from collections.abc import Callable

import click

from local.cli.coordinator_options import CoordinatorAddress, batch_argument, coordinator_options, reason, why_option
from local.cli.terminal import echo, print_json
from shared.errors import InvalidInput
from shared.settings import Policy


def _policy_options(command: Callable[..., None]) -> Callable[..., None]:
    """One option for each value of a policy, with its bounds and meaning."""
    for name, declared in reversed(Policy.model_json_schema()["properties"].items()):
        kind = click.IntRange if declared["type"] == "integer" else click.FloatRange
        bounds = kind(declared["minimum"], declared["maximum"])
        command = click.option(f"--{name.replace('_', '-')}", type=bounds, help=f"{declared['description']}.")(command)
    return command


@click.command(short_help="Show or change what a batch tolerates.")
@batch_argument
@_policy_options
@why_option
@coordinator_options
def policy(*, where: CoordinatorAddress, batch: str, why: str, as_json: bool, **changes: float | None) -> None:
    """Show what BATCH tolerates or, with options, change it. BATCH is an id, or a game date for its newest batch.

    \b
    Examples:
      tipoff policy 2026-01-30
      tipoff policy 2026-01-30 --deadline-minutes 240
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    wanted = {name: value for name, value in changes.items() if value is not None}
    with where.client() as client:
        path = f"/batches/{client.find(batch)}"
        view = client.patch(f"{path}/policy", wanted, reason(why)) if wanted else client.get(path)
    if "policy" not in view:
        raise InvalidInput("--url", "that coordinator is of an older revision, which shows no policy; deploy this one")
    if as_json:
        print_json(view if wanted else view["policy"])
        return
    echo(f"batch {view['batch_id']} is {view['state']}; deadline {view['deadline_at']}")
    for name, value in view["policy"].items():
        echo(f"  {name.replace('_', '-'):<26} {value}")
