"""The peers' servers, each a private one in a folder that ends with it, on a free port of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from local.emulated.processes import Process, free_port

_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it is, and its process."""

    url: str
    pid: int
    version: str


@contextmanager
def redis() -> Iterator[Server]:
    """Run Redis as a ledger wants it: every write in the append-only file, which is flushed to the disk every second.

    Raises:
        click.ClickException: this machine has none.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise click.ClickException("Celery's broker is missing; install it with `apt-get install redis-server`")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tipoff-redis-") as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        lasting = ["--appendonly", "yes", "--appendfsync", "everysec"]
        with _running([program, *options, *lasting], Path(folder), ready="Ready to accept connections") as process:
            version = _first_line([program, "--version"]).partition("v=")[2].partition(" ")[0]
            yield Server(f"redis://127.0.0.1:{port}/0", process.pid, version)


@contextmanager
def postgres() -> Iterator[Server]:
    """Run Postgres as it comes: a commit returns when it is on the disk. Root runs it as nobody, since it refuses root.

    Raises:
        click.ClickException: this machine has none.
    """
    programs, port = _postgres_programs(), free_port()
    with tempfile.TemporaryDirectory(prefix="tipoff-postgres-") as folder:
        user: Sequence[str] = ()
        if os.geteuid() == 0:
            user = _NOBODY
            shutil.chown(folder, "nobody", "nogroup")
        data = f"{folder}/data"
        initdb = [str(programs / "initdb"), "-D", data, "-U", "tipoff", "--auth=trust", "-E", "UTF8", "--locale=C"]
        subprocess.run([*user, *initdb], cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
        options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        command = [*user, str(programs / "postgres"), "-D", data, *options]
        with _running(command, Path(folder), ready="ready to accept connections") as process:
            version = _first_line([str(programs / "postgres"), "--version"]).split()[2]
            yield Server(f"postgresql://tipoff@127.0.0.1:{port}", process.pid, version)


def _postgres_programs() -> Path:
    if pg_config := shutil.which("pg_config"):
        folder = Path(_first_line([pg_config, "--bindir"]))
        if (folder / "initdb").exists():
            return folder
    if initdb := shutil.which("initdb"):
        return Path(initdb).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not folders:
        raise click.ClickException("DBOS's database is missing; install it with `apt-get install postgresql`")
    return folders[-1]


@contextmanager
def _running(command: Sequence[str], folder: Path, *, ready: str) -> Iterator[Process]:
    process = Process(command, environ=os.environ, folder=folder, log=folder / "log")
    try:
        process.wait_for_line(ready)
        yield process
    finally:
        process.stop()


def _first_line(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]  # noqa: S603 - our own words
