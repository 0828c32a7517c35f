"""`tipoff status`: which batches there are, and how one stands."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from coordinator.rules.lifecycle import LIVE
from local.cli.coordinator_options import CoordinatorAddress, console, coordinator_options, newest_argument
from local.cli.exits import INTERRUPTED
from local.cli.terminal import Terminal, echo, plain_table, show, some
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from rich.table import Table

    from local.one_machine.coordinator_client import CoordinatorClient

_WANTING = ("PARTIAL", "FAILED")
_SHARDS_SHOWN = 20
_NAMES_SHOWN = 10
_PLAYERS = ("expected", "predicted", "skipped", "failed", "silent")
_ROWS = ("staged", "inserted", "updated", "unchanged", "superseded")


@click.command(short_help="List the batches, or show how one stands.")
@newest_argument
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Batches to list.")
@click.option("--watch", is_flag=True, help="Show a progress bar until the batch ends; the newest without BATCH.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two looks of --watch.",
)
@coordinator_options
def status(
    *, where: CoordinatorAddress, batch: str | None, limit: int, watch: bool, interval: float, as_json: bool
) -> int:
    """List the newest batches; or, with BATCH (an id, or a game date for its newest batch), show how it stands.

    \b
    Examples:
      tipoff status
      tipoff status 2026-01-30
      tipoff status 20260130_0123456789abcdef --json | jq .players
      tipoff status --watch --url https://coordinator-123.us-central1.run.app

    Exits 130 when Ctrl-C ends --watch, which changes nothing.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    with where.client() as client:
        if batch is None and not watch:
            found = client.get("/batches", {"limit": str(limit)})
            show(found, _print_list, as_json=as_json)
            return 0
        batch_id = client.find(batch)
        if watch and not _watch(client, batch_id, interval, where):
            return INTERRUPTED
        view = client.get(f"/batches/{batch_id}")
    show(view, partial(_print_batch, where), as_json=as_json)
    return 0


def _watch(client: CoordinatorClient, batch_id: str, interval: float, where: CoordinatorAddress) -> bool:
    """Show a batch until it has ended; False when a person had enough."""
    from local.cli.report import progress_bar  # noqa: PLC0415 - as above
    from local.one_machine.run import Seen  # noqa: PLC0415 - as above

    try:
        with progress_bar(Terminal(stderr=True, highlight=False)) as bar:
            while True:
                seen = Seen.model_validate(client.get(f"/batches/{batch_id}"))
                if seen.has_ended:
                    return True
                if not client.runs:
                    raise InvalidInput(
                        "--watch",
                        f"{batch_id} is {seen.state}, and nothing runs on a state folder by itself: `{where.resuming}` continues it",
                    )
                bar.show(seen)
                time.sleep(interval)
    except KeyboardInterrupt:
        return False


def _print_list(found: Mapping[str, Any]) -> None:
    batches = found["batches"]
    if not batches:
        echo("no batches")
        return
    table = plain_table("batch", "game date", "state", "planned, UTC", "players")
    for one in batches:
        state = one["state"] if one["kind"] == "root" else f"{one['state']}, {one['kind']}"
        table.add_row(one["batch_id"], one["game_date"], state, _time(one["planned_at"]), f"{one['expected']:,}")
    out = console()
    out.print(table)
    for one in batches:
        if one["state"] in _WANTING:
            out.print(f"{one['batch_id']}: {one['reason']}")


def _print_batch(where: CoordinatorAddress, view: Mapping[str, Any]) -> None:
    out = console()
    reason = f": {view['reason']}" if view["reason"] else ""
    out.print(f"Batch {view['batch_id']} of {view['game_date']} is {view['state']}{reason}\n")
    counts = plain_table("players", "", "rows", "")
    for kind, fate in zip(_PLAYERS, _ROWS, strict=True):
        counts.add_row(kind, f"{view['players'][kind]:,}", fate, f"{view['rows'][fate]:,}")
    out.print(counts)
    if len(view["shards"]) > 1:
        out.print()
        out.print(_shards(view["shards"]))
    out.print()
    for what, players in (
        ("silent", view["silent"]),
        ("failed", [f"{name} ({code})" for name, code in sorted(view["failed"].items())]),
        ("skipped", [f"{name} ({reason})" for name, reason in sorted(view["skipped"].items())]),
        ("not merged yet", view["late"]),
    ):
        if players:
            out.print(f"{what}: {some(players, _NAMES_SHOWN)}")
    for one in view.get("failure_groups", ()):
        cause = f": {one['cause']}" if one["cause"] else ""
        out.print(f"{one['count']:,} × {one['code']}{cause}; first {_time(one['first_seen'])}, e.g. {one['example']}")
        out.print(f"  tipoff redrive {view['batch_id']} --group {one['fingerprint']}{where.again}")
    out.print("(times are UTC)")
    for moment in view["timeline"]:
        out.print(f"{_time(moment['at'])}  {moment['text']}")
    if view["state"] in (*LIVE, *_WANTING):
        out.print(f"\nwhy, and what to do: tipoff explain {view['batch_id']}{where.again}")


def _shards(shards: Sequence[Mapping[str, Any]]) -> Table:
    # Of many, those that somebody has to look at; in the order of their numbers.
    by_need = sorted(shards, key=lambda shard: (-shard["silent"], -shard["failed"], shard["shard"]))
    shown = sorted(by_need[:_SHARDS_SHOWN], key=lambda shard: int(shard["shard"]))
    table = plain_table("shard", *_PLAYERS, "published, UTC", "times")
    for shard in shown:
        counts = (f"{shard[kind]:,}" for kind in _PLAYERS)
        table.add_row(str(shard["shard"]), *counts, _time(shard["published_at"]), str(shard["publishes"]))
    if len(shards) > len(shown):
        table.add_row("...", f"and {len(shards) - len(shown):,} more shards")
    return table


def _time(at: str | None) -> str:
    return at[:16].replace("T", " ") if at else "never"
