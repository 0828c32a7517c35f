"""The command of a Dockerfile, run for real on loopback, and every line that it writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

PROGRAMS = Path(sys.executable).parent
PATIENCE_SECONDS = 60

CLOSED_PORT = 9
"""Discard: nobody listens there, so a client that connects is refused at once."""

SETTINGS = {
    "TIPOFF_PROJECT": "demo-project",
    "TIPOFF_LOCATION": "US",
    "TIPOFF_DATASET": "nba",
    "TIPOFF_STAGING_DATASET": "nba_staging",
    "TIPOFF_FIRESTORE_DATABASE": "(default)",
    "TIPOFF_REQUESTS_TOPIC": "requests",
    "TIPOFF_OUTCOMES_TOPIC": "outcomes",
    "TIPOFF_FINISHED_TOPIC": "finished",
    "TIPOFF_AUTH": "off",
    "FIRESTORE_EMULATOR_HOST": f"127.0.0.1:{CLOSED_PORT}",
    "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{CLOSED_PORT}",
    "BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{CLOSED_PORT}",
    "BIGQUERY_STORAGE_EMULATOR_HOST": f"127.0.0.1:{CLOSED_PORT}",
}


@dataclass
class Served:
    """A running command: ask it at `url`; after the block, its `lines` (standard output), `stderr` and `code`."""

    url: str = ""
    stdout: list[str] = field(default_factory=list)
    stderr: str = ""
    code: int | None = None

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every line of standard output; fails on one that is not a JSON object."""
        parsed = [json.loads(line) for line in self.stdout]
        assert all(isinstance(line, dict) for line in parsed)
        return parsed

    def get(self, path: str, **headers: str) -> requests.Response:
        """Ask; a request waits in the server's backlog until the service has started."""
        return requests.get(f"{self.url}{path}", headers=headers, timeout=PATIENCE_SECONDS)

    def post(self, path: str, body: bytes) -> requests.Response:
        """Send a body, as Pub/Sub does."""
        return requests.post(
            f"{self.url}{path}", data=body, headers={"Content-Type": "application/json"}, timeout=PATIENCE_SECONDS
        )


@contextmanager
def served(command: list[str], *, at: Path, environ: Mapping[str, str], programs: Path = PROGRAMS) -> Iterator[Served]:
    """Run a gunicorn command in a folder on a free port; give it up once it listens, stop it after the block.

    Args:
        programs: folder of the environment's programs; by default that of the tests.
    """
    with (at / "stderr").open("w+") as stderr:
        process = subprocess.Popen(
            [str(programs / command[0]), *command[1:]],
            cwd=at,
            env=_environment(environ),
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding="utf-8",
        )
        running = Served()
        try:
            with _killed_after_patience(process):
                _read_until_listening(process, running)
                yield running
        except requests.RequestException as error:
            _stop(process, running)
            error.add_note("the command wrote:\n" + "\n".join(running.stdout))
            raise
        finally:
            _stop(process, running)
            stderr.seek(0)
            running.stderr = stderr.read()


def run_to_its_end(command: list[str], *, at: Path, environ: Mapping[str, str], programs: Path = PROGRAMS) -> Served:
    """Run a command that must fail to start, until it ends by itself; return what it left."""
    ended = subprocess.run(
        [str(programs / command[0]), *command[1:]],
        cwd=at,
        env=_environment(environ),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Served(stdout=ended.stdout.split("\n")[:-1], stderr=ended.stderr, code=ended.returncode)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PORT": "0", "PYTHONDONTWRITEBYTECODE": "1", **environ}


def _read_until_listening(process: subprocess.Popen[str], running: Served) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        running.stdout.append(line.rstrip("\n"))
        if found := re.search(r"Listening at: http://[^:]+:(\d+)", line):
            running.url = f"http://127.0.0.1:{found[1]}"
            return


@contextmanager
def _killed_after_patience(process: subprocess.Popen[str]) -> Iterator[None]:
    timer = threading.Timer(PATIENCE_SECONDS, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _stop(process: subprocess.Popen[str], running: Served) -> None:
    if running.code is None:
        process.terminate()
        assert process.stdout is not None
        with _killed_after_patience(process), process.stdout:
            # `communicate` would miss what was read ahead, behind the line that was waited for.
            running.stdout += process.stdout.read().split("\n")[:-1]
            running.code = process.wait()
