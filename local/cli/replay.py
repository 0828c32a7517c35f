"""`tipoff replay`: predict a player again from his frozen request, and compare every cell with what was written."""

from __future__ import annotations

import click

from local.cli.coordinator_options import CoordinatorAddress, batch_argument, console, coordinator_options
from local.cli.exits import NO_SUCCESS
from local.cli.terminal import print_json
from shared.errors import InvalidInput


@click.command(short_help="Predict a player again and compare.")
@batch_argument
@click.argument("player", metavar="PLAYER")
@click.option(
    "--model", metavar="MODEL.json", help="Model that the batch was predicted with; the default is the shipped model."
)
@coordinator_options
def replay(*, where: CoordinatorAddress, batch: str, player: str, model: str | None, as_json: bool) -> int:
    """Predict a player of a batch once more, from his request as the plan froze it, and compare every cell of every row
    with what the worker wrote. BATCH is an id, or a game date for its newest batch.

    \b
    Examples:
      tipoff replay 2026-01-30 lebron-james
      tipoff replay 20260130_0123456789abcdef lebron-james --model model.json --url https://coordinator-123.us-central1.run.app

    Exits 0 when every cell is the same, 1 when one differs, 2 when the call is mistaken.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    from local.one_machine.replaying import replay_rows  # noqa: PLC0415 - so that --help answers at once
    from local.one_machine.stack import model_of  # noqa: PLC0415 - as above

    fitted = model_of(model)
    with where.client() as client:
        batch_id = client.find(batch)
        found = client.get(f"/batches/{batch_id}/player", {"name": player})
    made_by = {row["model_version"] for row in found["rows"]}
    if made_by != {fitted.version}:
        named = ", ".join(sorted(map(str, made_by)))
        raise InvalidInput("--model", f"the batch was predicted by {named}, this is {fitted.version}; name that model")
    differences = replay_rows(found, fitted)
    if as_json:
        print_json({"batch_id": batch_id, "player": player, "rows": len(found["rows"]), "differences": differences})
    elif not differences:
        console().print(f"same: every cell of {len(found['rows'])} rows of {player} in {batch_id}")
    else:
        for one in differences:
            console().print(f"{one['prediction_id']} {one['column']}: written {one['written']}, now {one['now']}")
    return NO_SUCCESS if differences else 0
