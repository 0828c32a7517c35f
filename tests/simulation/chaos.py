"""`make chaos`: days on the emulated cloud, each with one fault at a seeded moment; afterwards the table must be exact.

Both services run under gunicorn, with a second coordinator that sweeps, on the official Firestore and Pub/Sub emulators
and local-bigquery, to which the services connect through proxies that can be cut. The Pub/Sub emulator, which pushes,
is cut off and not killed: it keeps nothing, so that killing it would test the emulator.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import requests

from local.emulated.cloud_stack import COMMANDS, CloudStack
from local.emulated.processes import Process
from local.sample.season import SAMPLE_GAME_DATE, write
from schemas import names, tables
from schemas.tables import Row

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 10
GAMES = 2
"""Of the sample's six: a small day, so that there are many."""
PATIENCE_SECONDS = 240
STAMPS = ("created_at", "updated_at", "prediction_version")


class Proxy:
    """A TCP proxy of one address that can be cut: all connections end, and none is taken until it is mended."""

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self._lock = threading.Lock()
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection, in both directions."""
        with self._lock:
            self._is_cut = True
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Take connections again."""
        self._is_cut = False

    def _accept(self) -> None:
        while True:
            client, _ = self._server.accept()
            if self._is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, sink}


class ProxiedStack(CloudStack):
    """The emulated cloud whose services reach the emulators through proxies, with a second coordinator."""

    proxies: dict[str, Proxy]

    def _environment(self) -> dict[str, str]:
        if not hasattr(self, "proxies"):
            self.proxies = {
                "Firestore": Proxy(self.firestore.address),
                "Pub/Sub": Proxy(self.pubsub.address),
                "BigQuery": Proxy(self.bigquery.rest.removeprefix("http://")),
            }
        by = {
            self.firestore.address: self.proxies["Firestore"].address,
            self.pubsub.address: self.proxies["Pub/Sub"].address,
            self.bigquery.rest.removeprefix("http://"): self.proxies["BigQuery"].address,
        }
        environment = super()._environment()
        for name, value in environment.items():
            for address, proxied in by.items():
                if address in value:
                    environment[name] = value.replace(address, proxied)
        return environment

    def start_second(self) -> None:
        """Start the second coordinator, to which no subscription pushes."""
        program, *arguments = COMMANDS["coordinator"]
        process = Process(
            [str(Path(sys.executable).parent / program), *arguments],
            environ=self._environment(),
            folder=ROOT,
            log=self._log("coordinator-2"),
        )
        self._exit.callback(process.stop)
        self.second_url = f"http://127.0.0.1:{process.wait_for_line('Listening at: http://127.0.0.1:').split()[0]}"
        if not process.is_ready(f"{self.second_url}/ready"):
            raise process.failure("is not ready")

    @contextmanager
    def paused(self, service: str) -> Iterator[None]:
        """Stop a service's processes for the length of the block (SIGSTOP)."""
        pid = self._services[service].pid
        os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(pid, signal.SIGCONT)


def _killed(service: str) -> Callable[[ProxiedStack], None]:
    def act(stack: ProxiedStack) -> None:
        stack.kill(service)
        stack.start(service)

    return act


def _paused(service: str) -> Callable[[ProxiedStack], None]:
    def act(stack: ProxiedStack) -> None:
        with stack.paused(service):
            time.sleep(LEASE_SECONDS + 3)

    return act


def _cut(part: str) -> Callable[[ProxiedStack], None]:
    def act(stack: ProxiedStack) -> None:
        stack.proxies[part].cut()
        time.sleep(4)
        stack.proxies[part].mend()

    return act


FAULTS: Mapping[str, Callable[[ProxiedStack], None]] = {
    "coordinator killed (SIGKILL)": _killed("coordinator"),
    "worker killed (SIGKILL)": _killed("worker"),
    "coordinator paused past its lease (SIGSTOP)": _paused("coordinator"),
    "worker paused (SIGSTOP)": _paused("worker"),
    "Firestore's connections cut for 4 s": _cut("Firestore"),
    "Pub/Sub's connections cut for 4 s": _cut("Pub/Sub"),
    "BigQuery's connections cut for 4 s": _cut("BigQuery"),
}


@dataclass
class Cell:
    """What came of one kind of fault."""

    fault: str
    days: int = 0
    rows: int = 0
    lost: int = 0
    doubled: int = 0
    not_ended: int = 0
    seconds: list[float] = field(default_factory=list)
    """From the end of the fault to the end of the day's batch."""


class Chaos:
    """Days on one stack, each a root batch of the same date that replaces the rows of the one before."""

    def __init__(self, stack: ProxiedStack, seed: int) -> None:
        self._stack = stack
        self._rng = random.Random(seed)  # noqa: S311 - seeded faults
        self._days = 0
        self._undisturbed: dict[str, Row] = {}
        self._lasting = 10.0

    def undisturbed(self) -> None:
        """Go through a day without a fault, which tells what every other day must leave."""
        begun = time.monotonic()
        self._start()
        self._until_ended()
        self._lasting = time.monotonic() - begun
        self._undisturbed = {str(row["prediction_id"]): row for row in self._rows()}
        if not self._undisturbed:
            raise SystemExit("the undisturbed day left no rows")

    def day(self, cell: Cell) -> None:
        """Go through a day with a fault of a kind at some moment of it."""
        moment = self._rng.random() * self._lasting
        starting = threading.Thread(target=self._start)
        starting.start()
        time.sleep(moment)
        FAULTS[cell.fault](self._stack)
        mended_at = time.monotonic()
        starting.join()
        cell.days += 1
        if not self._until_ended():
            cell.not_ended += 1
            return
        cell.seconds.append(time.monotonic() - mended_at)
        self._compare(cell)

    def _compare(self, cell: Cell) -> None:
        rows = self._rows()
        found = {str(row["prediction_id"]): row for row in rows}
        cell.rows += len(rows)
        cell.lost += len(self._undisturbed.keys() - found.keys())
        cell.doubled += len(rows) - len(found)
        for key, row in found.items():
            expected = self._undisturbed.get(key)
            if expected is None or _plain(expected) != _plain(row) or row["prediction_version"] != self._days:
                cell.doubled += 1

    def _start(self) -> None:
        """Start the day as Cloud Scheduler does: again, with the same key, until it is answered."""
        self._days += 1
        key = f"day-{self._days}"
        body = {"game_date": SAMPLE_GAME_DATE.isoformat()}
        for _ in range(PATIENCE_SECONDS):
            with suppress(requests.RequestException, KeyError):
                answer = requests.post(
                    f"{self._stack.coordinator_url}/start", json=body, headers={"Idempotency-Key": key}, timeout=60
                )
                if answer.status_code in (200, 201, 202):
                    self._batch_id = str(answer.json()["batch_id"])
                    return
            time.sleep(1)
        raise SystemExit(f"the day was never started: {answer.status_code} {answer.text[:300]}")

    def _until_ended(self) -> bool:
        """Sweep by the second coordinator until the batch has ended."""
        for _ in range(PATIENCE_SECONDS):
            with suppress(requests.RequestException):
                requests.post(f"{self._stack.second_url}/sweep", json={}, timeout=60)
                view: dict[str, Any] = requests.get(
                    f"{self._stack.second_url}/batches/{self._batch_id}", timeout=30
                ).json()
                if view["state"] not in ("PLANNED", "RUNNING", "CONSOLIDATING"):
                    return bool(view["state"] == "COMPLETE")
            time.sleep(1)
        return False

    def _rows(self) -> list[Row]:
        columns = ", ".join(f"`{column.name}`" for column in tables.load(tables.PREDICTIONS).columns)
        return self._stack.warehouse.query(f"SELECT {columns} FROM `{names.PREDICTIONS_TABLE}` WHERE is_active")


def _plain(row: Row) -> dict[str, Any]:
    return {name: str(cell) for name, cell in row.items() if name not in STAMPS}


def a_small_season(folder: Path) -> None:
    """The sample season with few games on the date."""
    write(folder)
    path = folder / "scheduled_games.csv"
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    of_date = [row for row in rows if row["game_date"] == SAMPLE_GAME_DATE.isoformat()]
    kept = [row for row in rows if row not in of_date[GAMES:]]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(kept)


def run(minutes: float, seed: int, said: Callable[[str], None]) -> list[Cell]:
    """Make faults of every kind in turns for so many minutes, and at least one of each."""
    cells = [Cell(fault) for fault in FAULTS]
    settings = {
        "TIPOFF_LEASE_SECONDS": str(LEASE_SECONDS),
        "TIPOFF_REPUBLISH_AFTER_MINUTES": "0",
        "TIPOFF_MAX_REPUBLISHES": "1000",
        "TIPOFF_PLAYERS_PER_REQUEST": "3",
    }
    with tempfile.TemporaryDirectory(prefix="tipoff-chaos-") as text:
        folder = Path(text)
        a_small_season(folder / "season")
        with ProxiedStack(folder / "stack", environ=os.environ, settings=settings) as stack:
            stack.load(folder / "season", SAMPLE_GAME_DATE)
            stack.start_second()
            chaos = Chaos(stack, seed)
            chaos.undisturbed()
            until = time.monotonic() + minutes * 60
            number = 0
            while time.monotonic() < until or number < len(cells):
                cell = cells[number % len(cells)]
                chaos.day(cell)
                number += 1
                recovered = f"{cell.seconds[-1]:.1f} s" if cell.seconds else "-"
                said(
                    f"{cell.fault}: {cell.days} days, {cell.lost} rows lost, {cell.doubled} doubled, "
                    f"{cell.not_ended} not COMPLETE, recovered in {recovered}"
                )
    return cells


def main() -> int:
    """Run the command; exit 1 where a row was lost or doubled, or a day did not end."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    asked = parser.parse_args()
    cells = run(asked.minutes, asked.seed, lambda text: click.echo(text, err=True))
    if asked.json:
        click.echo(json.dumps([vars(cell) for cell in cells]))
    bad = sum(cell.lost + cell.doubled + cell.not_ended for cell in cells)
    days, rows = sum(cell.days for cell in cells), sum(cell.rows for cell in cells)
    click.echo(f"{days} days under faults, {rows:,} rows compared, {bad} lost, doubled or not ended", err=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
