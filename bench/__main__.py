"""`make bench-peers`: measure Tipoff beside its peers, keep the figures in docs/peers.json, and write docs/peers.md.

Any part, and any size of it, can be measured by itself; the others keep their figures.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

import click

from bench.peers import fan_out, merging, recording, report, staging, tokens
from bench.peers.environment import peers_versions

Measured = Iterable[tuple[str, Any, Mapping[str, Any]]]
PARTS: Mapping[str, tuple[Callable[[Sequence[int]], Measured], Sequence[int]]] = {
    "1": (fan_out.measure, fan_out.SIZES),
    "2": (merging.measure, merging.SIZES),
    "3": (staging.measure, staging.SIZES),
    "4": (recording.measure, recording.SIZES),
    "5": (tokens.measure, tokens.SIZES),
}
_OURS = ("duckdb", "google-cloud-firestore", "google-auth", "cryptography")


@click.command()
@click.option("--part", "parts", type=click.Choice(list(PARTS)), multiple=True, default=list(PARTS), show_default=True)
@click.option("--sizes", help="Players, rows or tokens, by commas; default: the part's own.")
def main(parts: tuple[str, ...], sizes: str | None) -> None:
    """Measure the parts, in half an hour or so for all of them."""
    machine = _machine(with_servers="1" in parts)
    for part in parts:
        measure, usual = PARTS[part]
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for side, what, took in measure([int(size) for size in sizes.split(",")] if sizes else usual):
            shown = f"{what:,}" if isinstance(what, int) else what
            row = rows.setdefault((side, shown), {"side": side, "what": shown})
            numbers = {name: took[name] for name in took if isinstance(took[name], float)}
            for name, number in (numbers | {"load": os.getloadavg()[0]}).items():
                row.setdefault(name, []).append(round(number, 6))
            click.echo(f"{part}: {side}, {shown}: {numbers}", err=True)
            kept = report.read()
            report.write({**kept, "machine": machine, part: _merged(kept.get(part, ()), rows)})


def _merged(
    kept: Iterable[Mapping[str, Any]], rows: Mapping[tuple[str, str], Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The rows of before with those measured anew in their places."""
    return list({(row["side"], row["what"]): row for row in (*kept, *rows.values())}.values())


def _machine(*, with_servers: bool) -> Mapping[str, Any]:
    """What the figures are measured on; only the first part needs the peers' servers."""
    kept = report.read().get("machine", {}).get("versions", {})
    servers = {name: kept[name] for name in ("Redis", "Postgres") if name in kept}
    if with_servers:
        with ExitStack() as opened:
            broker, database = fan_out.servers(opened)
        servers = {"Redis": broker.version, "Postgres": database.version}
    return {
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _OURS} | peers_versions() | servers,
    }


if __name__ == "__main__":
    sys.exit(main())
