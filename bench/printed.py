"""The parts of the page that are benches by themselves: processes whose figures are what they print."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

_DATA = "TIPOFF_DATA"
PARTS: Mapping[str, Sequence[str]] = {
    "day": ("bench.run_day",),
    "real-day": ("bench.run_day", "--data", _DATA, "--date", "2025-11-07"),
    "sizes": ("bench.scale",),
    "season": ("bench.season", "--data", _DATA),
    "worker": ("bench.predictions",),
    "services": ("bench.pushes", "--copies", "3", "--copies", "9"),
    "start": ("bench.start",),
}
"""Each bench's module and options; `TIPOFF_DATA` stands for the folder that this variable names."""


def check(parts: Sequence[str]) -> None:
    """Refuse parts that need real data where there is none, before anything is measured.

    Raises:
        click.UsageError: TIPOFF_DATA names no folder.
    """
    wanting = [part for part in parts if _DATA in PARTS.get(part, ())]
    if wanting and not Path(os.environ.get(_DATA, "")).is_dir():
        raise click.UsageError(
            f"{' and '.join(wanting)} need real data: let {_DATA} name its folder, or name other parts"
        )


def measure(part: str) -> Mapping[str, Any]:
    """Run a bench to its end; what it printed, and the machine's load as it ended.

    Raises:
        click.ClickException: it failed.
    """
    command = [os.environ[_DATA] if word == _DATA else word for word in PARTS[part]]
    ran = subprocess.run([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own benches
    if ran.returncode:
        raise click.ClickException(f"{part} failed: exit status {ran.returncode}")
    return {"printed": ran.stdout.strip().splitlines(), "load": round(os.getloadavg()[0], 1)}
