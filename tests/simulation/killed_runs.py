"""`tipoff run` killed (SIGKILL) at seeded moments and resumed, each on a state of its own: exact of tried."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from tests.tipoff_command import DAY, command, environment, read_csv, stored_predictions, tipoff, without, write_league

STAMPS = ("created_at", "updated_at")
PLAYERS = {f"player-{number}": [10 + number, 20, 15] for number in range(12)}


@dataclass
class Killed:
    """How the runs ended."""

    tried: int = 0
    exact: int = 0
    before_the_batch: int = 0
    """Killed before there was a batch to resume; run again instead."""
    wrong: list[str] = field(default_factory=list)


def run(moments: int, seed: int, said: Callable[[str], None]) -> Killed:
    """Kill and resume so many runs."""
    rng, found = random.Random(seed), Killed()  # noqa: S311 - seeded moments
    with tempfile.TemporaryDirectory(prefix="tipoff-killed-") as text:
        folder = Path(text)
        write_league(folder / "data", players=PLAYERS)
        begun = time.monotonic()
        undisturbed = _export(folder, folder / "undisturbed")
        lasting = time.monotonic() - begun
        for number in range(moments):
            moment = rng.random() * lasting
            _one(folder, folder / str(number), moment, undisturbed, found)
            said(f"{found.exact} of {found.tried} exact; last killed after {moment:.2f} of {lasting:.2f} s")
    return found


def _one(folder: Path, state: Path, moment: float, undisturbed: list[dict[str, str]], found: Killed) -> None:
    process = subprocess.Popen(
        command("run", *_data(folder), "--state", state),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found.tried += 1
    try:
        rows = _export(folder, state, "--resume")
    except RuntimeError as refused:
        found.before_the_batch += 1
        try:
            rows = _export(folder, state)
        except RuntimeError as wrong:
            found.wrong.append(f"killed after {moment:.3f} s: {refused}; then {wrong}")
            return
    home = next(state.rglob("warehouse.duckdb")).parent
    if rows == undisturbed and stored_predictions(home) == (len(rows), len(rows)):
        found.exact += 1
    else:
        found.wrong.append(f"killed after {moment:.3f} s: {len(rows)} rows instead of {len(undisturbed)}")


def _export(folder: Path, state: Path, *options: str) -> list[dict[str, str]]:
    exported = state.with_suffix(".csv")
    ran = tipoff("run", *_data(folder), *options, "--state", state, "--export", exported)
    if ran.status != 0:
        raise RuntimeError(f"exit {ran.status}: {ran.err.strip()[-300:]}")
    return without(read_csv(exported), *STAMPS)


def _data(folder: Path) -> tuple[str | Path, ...]:
    return ("--data", folder / "data", "--game-date", DAY)


if __name__ == "__main__":
    ended = run(int(sys.argv[1]) if len(sys.argv) > 1 else 10, 1, click.echo)
    click.echo(asdict(ended))
    sys.exit(0 if ended.exact == ended.tried else 1)
