"""How long a service takes to import and to its first answer, beside Flask and the Google clients alone, in turns.

Every figure is of a new process on this machine's warm disk. A start is gunicorn's: from its call to the answer of
`/health`, under the image's command for the service, and under the same kind of worker for the floor.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.spread import spread
from local.emulated.cloud_stack import COMMANDS
from tests.gunicorn_process import SETTINGS

_ROOT = Path(__file__).parents[1]
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Pair:
    """One round of one measurement, in seconds."""

    service: str
    what: str
    ours: float
    floor: float


@click.command()
@click.option("--runs", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print every single measurement instead.")
def main(runs: int, as_json: bool) -> None:
    """Measure, and print the figures."""
    # The first round warms the disk and makes the bytecode.
    measured = [pair for number in range(runs + 1) for pair in _round() if number > 0]
    if as_json:
        click.echo(json.dumps([asdict(pair) for pair in measured]))
    else:
        _print(measured, runs)


def _round() -> list[Pair]:
    measured = []
    for service, command in COMMANDS.items():
        bare = f"from bench.bare_services import {service}; {service}()"
        seconds = _seconds_of_import(f"import {service}.main"), _seconds_of_import(bare)
        measured.append(Pair(service, "import", *seconds))
        seconds = _seconds_to_answer(command), _seconds_to_answer(_bare(service))
        measured.append(Pair(service, "first answer", *seconds))
    return measured


def _bare(service: str) -> Sequence[str]:
    workers = ("--worker-class", "gthread", "--threads", "8", "--no-control-socket")
    return ("gunicorn", *workers, f"bench.bare_services:{service}()")


def _seconds_of_import(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], cwd=_ROOT, env=_environment(0), check=True)  # noqa: S603 - our own two statements
    return time.perf_counter() - began


def _seconds_to_answer(command: Sequence[str]) -> float:
    port, (program, *options) = _free_port(), command
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own two commands
        [Path(sys.executable).with_name(program), *options],
        cwd=_ROOT,
        env=_environment(port),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _ask(process, port)
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(_PATIENCE_SECONDS)


def _ask(process: subprocess.Popen[bytes], port: int) -> None:
    """Ask once for `/health`: the connection is taken as soon as the server listens, and answered once it serves."""
    while process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request("GET", "/health")
            if (status := connection.getresponse().status) != http.client.OK:
                raise click.ClickException(f"/health answered {status}")
        except ConnectionRefusedError:
            time.sleep(0.002)
        except (ConnectionResetError, http.client.RemoteDisconnected) as error:
            raise click.ClickException("the server ended before it answered; start it by hand to see why") from error
        else:
            return
        finally:
            connection.close()
    raise click.ClickException(f"the server ended with exit status {process.returncode}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(port: int) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PORT": str(port), **SETTINGS}


# --- figures --------------------------------------------------------------------------------------------------


def _print(measured: Sequence[Pair], runs: int) -> None:
    console = Console(width=120, highlight=False)
    console.print(f"{runs} rounds on {os.cpu_count()} processors; min / median / max\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "service, s", "floor, s", "ratio"):
        table.add_column(title, justify="left" if not title else "right", no_wrap=True)
    for service, what in dict.fromkeys((pair.service, pair.what) for pair in measured):
        pairs = [pair for pair in measured if (pair.service, pair.what) == (service, what)]
        columns = (
            [pair.ours for pair in pairs],
            [pair.floor for pair in pairs],
            [pair.ours / pair.floor for pair in pairs],
        )
        table.add_row(f"{service}: {what}", *(spread(column, 2) for column in columns))
    console.print(table)


if __name__ == "__main__":
    main()
