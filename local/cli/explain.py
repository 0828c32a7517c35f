"""`tipoff explain`: why a batch stands where it does, and what a person can do."""

from __future__ import annotations

import click

from local.cli.coordinator_options import Where, console, coordinator_options, newest_argument, print_json


@click.command(short_help="Say why a batch is not finished, and what to do.")
@newest_argument
@coordinator_options
def explain(*, where: Where, batch: str | None, as_json: bool) -> None:
    """Say in sentences what a batch waits for, since when and for whom, what happens next and when, and which commands
    help. BATCH is an id, or a game date for its newest batch; the newest of all without it.

    \b
    Examples:
      tipoff explain
      tipoff explain 2026-01-30 --url https://coordinator-123.us-central1.run.app
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    with where.client() as client:
        answer = client.get(f"/batches/{client.find(batch)}/explain")
    if as_json:
        print_json(answer)
        return
    out = console()
    out.print(answer["headline"])
    out.print()
    for sentence in answer["sentences"]:
        if sentence["action"] is None:
            out.print(f"- {sentence['text']}")
    actions = [sentence for sentence in answer["sentences"] if sentence["action"]]
    if actions:
        out.print("\nWhat you can do:")
    for sentence in actions:
        out.print(f"  {sentence['action']['command']}")
        out.print(f"      {sentence['text']}")
