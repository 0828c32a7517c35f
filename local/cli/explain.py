"""`tipoff explain`: why a batch stands where it does, and what a person can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from local.cli.coordinator_options import CoordinatorAddress, console, coordinator_options, newest_argument
from local.cli.terminal import print_json

_RESUMING = (
    "Nothing runs on a state folder by itself, not even a sweep. This runs both services until the batch has ended."
)
_SERVING = "The same with the dashboard, until Ctrl-C."


@click.command(short_help="Say why a batch is not finished, and what to do.")
@newest_argument
@coordinator_options
def explain(*, where: CoordinatorAddress, batch: str | None, as_json: bool) -> None:
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
    offered = _offered(answer["sentences"], where)
    if offered:
        out.print("\nWhat you can do:")
    for command, effect in offered:
        out.print(f"  {command}")
        out.print(f"      {effect}")


def _offered(sentences: Sequence[Mapping[str, Any]], where: CoordinatorAddress) -> list[tuple[str, str]]:
    """The commands that help, each with its effect. What a sweep would do on a state folder a run does, or the dashboard's."""
    actions = [(one["action"], one["text"]) for one in sentences if one["action"]]
    typed = [(f"{action['command']}{where.again}", text) for action, text in actions]
    if where.url is not None:
        return typed
    is_sweep = [action["path"] == "/sweep" for action, _ in actions]
    others = [one for one, sweeps in zip(typed, is_sweep, strict=True) if not sweeps]
    return [(where.resuming, _RESUMING), (f"tipoff serve{where.again}", _SERVING), *others] if any(is_sweep) else others
