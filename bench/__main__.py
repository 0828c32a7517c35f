"""`make bench-peers`: measure Tipoff beside its peers and its floors, keep the figures in docs/benchmarks.json, and write
docs/benchmarks.md.

Any part, and any size of a part beside peers, can be measured by itself; the others keep their figures.
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

from bench import page, printed
from bench.peers import fan_out, merging, recording, staging, tokens
from bench.peers.environment import peers_versions

Measure = Callable[[Sequence[int]], Iterable[tuple[str, Any, Mapping[str, Any]]]]
BESIDE: Mapping[str, tuple[Measure, Sequence[int]]] = {
    "fan-out": (fan_out.measure, fan_out.SIZES),
    "merge": (merging.measure, merging.SIZES),
    "staging": (staging.measure, staging.SIZES),
    "completions": (recording.measure, recording.SIZES),
    "token": (tokens.measure, tokens.SIZES),
}
PARTS = (*BESIDE, *printed.PARTS)
_OURS = ("duckdb", "google-cloud-firestore", "google-auth", "cryptography", "numpy")


@click.command()
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, default=PARTS, show_default=True)
@click.option("--sizes", help="Of a part beside peers: players, rows or tokens, by commas; default: the part's own.")
def main(parts: tuple[str, ...], sizes: str | None) -> None:
    """Measure the parts, in 45 minutes or so for all of them."""
    printed.check(parts)
    machine = _machine(with_servers="fan-out" in parts)
    for part in parts:
        if part in printed.PARTS:
            _keep(machine, part, printed.measure(part))
            continue
        measure, usual = BESIDE[part]
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for side, what, took in measure([int(size) for size in sizes.split(",")] if sizes else usual):
            shown = f"{what:,}" if isinstance(what, int) else what
            row = rows.setdefault((side, shown), {"side": side, "what": shown})
            numbers = {name: took[name] for name in took if isinstance(took[name], float)}
            for name, number in (numbers | {"load": os.getloadavg()[0]}).items():
                row.setdefault(name, []).append(round(number, 6))
            click.echo(f"{part}: {side}, {shown}: {numbers}", err=True)
            _keep(machine, part, _merged(page.read().get(part, ()), rows))


def _keep(machine: Mapping[str, Any], part: str, figures: Any) -> None:
    page.write({**page.read(), "machine": machine, part: figures})


def _merged(
    kept: Iterable[Mapping[str, Any]], rows: Mapping[tuple[str, str], Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The rows of before with those measured anew in their places."""
    return list({(row["side"], row["what"]): row for row in (*kept, *rows.values())}.values())


def _machine(*, with_servers: bool) -> Mapping[str, Any]:
    """What the figures are measured on; only the fan-out needs the peers' servers."""
    kept = page.read().get("machine", {}).get("versions", {})
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
