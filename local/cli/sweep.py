"""`tipoff sweep`: do whatever is due, or say what it would be."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import click

from local.cli.coordinator_options import CoordinatorAddress, console, coordinator_options, tell_later
from local.cli.exits import NO_SUCCESS
from local.cli.terminal import echo, plain_table, show


@click.command(short_help="Repair or finish whatever events did not.")
@click.option("--dry-run", is_flag=True, help="Change nothing; say what a sweep would do.")
@coordinator_options
def sweep(*, where: CoordinatorAddress, dry_run: bool, as_json: bool) -> int:
    """Look at every batch that may still change and do what is due, as Cloud Scheduler does every few minutes:
    publish, publish again, repair, consolidate, decide at the deadline.

    \b
    Examples:
      tipoff sweep --dry-run
      tipoff sweep --url https://coordinator-123.us-central1.run.app

    Exits 1 when a batch met trouble that may pass: sweep again.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    from local.one_machine.coordinator_client import judged  # noqa: PLC0415 - so that --help answers at once

    with where.client() as client:
        answer = client.ask("POST", "/sweep", body={"dry_run": True} if dry_run else {})
        if "batches" not in answer.body:
            judged(answer)
        show(answer.body, partial(_print, dry_run), as_json=as_json)
        if not dry_run and any("published" in step for one in answer.body.get("batches", ()) for step in one["did"]):
            tell_later(where)
    if "detail" in answer.body:
        echo(f"tipoff: {answer.body['detail']}", err=True)
        return NO_SUCCESS
    return 0


def _print(dry_run: bool, body: Mapping[str, Any]) -> None:
    out = console()
    if not body["batches"]:
        out.print("no batch to look at")
        return
    done = "would do" if dry_run else "did"
    table = plain_table("batch", "state", "verdict", done, wrapped=(done,))
    for one in body["batches"]:
        table.add_row(one["batch_id"], one["state"], one["verdict"].replace("_", " "), "; ".join(one["did"]))
    out.print(table)
    for one in body["batches"]:
        if one["why"]:
            out.print(f"{one['batch_id']}: {one['why']}")
        if one["command"]:
            out.print(f"  {one['command']}")
