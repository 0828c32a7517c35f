"""Processes that a command starts and surely stops: each in a process group of its own, awaited until it answers.

Knows nothing of what the processes are. A group of its own keeps Ctrl-C in a terminal from reaching a part before the
others that still need it, and makes stopping reach whatever the part started itself.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.errors import Unavailable

_POLL_SECONDS = 0.05
_STARTS = 3
_READY_SECONDS = 90.0
_STOP_SECONDS = 15.0
_TOLD_CHARACTERS = 2_000


class Process:
    """A running command that writes to a log file.

    Args:
        command: the program and its arguments.
        environ: its whole environment; that of this process without it.
        folder: its working folder.
        log: the file that its output is added to.
    """

    def __init__(
        self, command: Sequence[str], *, environ: Mapping[str, str] | None = None, folder: Path, log: Path
    ) -> None:
        self.name = Path(command[0]).name
        self.log = log
        self._is_over = False
        with log.open("ab") as output:
            self._begin = output.tell()
            self._popen = subprocess.Popen(  # noqa: S603 - callers pass commands of this project
                command,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process group's id too."""
        return self._popen.pid

    def has_ended(self, *, within: float = 0.0) -> bool:
        """Wait up to so many seconds for its end, and tell whether it came."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=within)
        return self._popen.returncode is not None

    def output(self) -> str:
        """What this process wrote so far."""
        with self.log.open("rb") as file:
            file.seek(self._begin)
            return file.read().decode(errors="replace")

    def is_ready(self, url: str) -> bool:
        """Wait until `url` answers 200; False when the process ended first or did not answer in time."""
        for _ in range(int(_READY_SECONDS / _POLL_SECONDS)):
            if self.has_ended(within=_POLL_SECONDS):
                return False
            with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - on loopback
                return bool(answer.status == 200)
        return False

    def wait_for_line(self, marker: str) -> str:
        """Wait until the output has `marker`, and return what follows it on its line.

        Raises:
            Unavailable: the process ended first or did not write it in time; the text has the end of its output.
        """
        for _ in range(int(_READY_SECONDS / _POLL_SECONDS)):
            _, found, after = self.output().partition(marker)
            if found and "\n" in after:
                return after.partition("\n")[0]
            if self.has_ended(within=_POLL_SECONDS):
                break
        raise self.failure(f"did not say {marker!r}")

    def failure(self, what: str) -> Unavailable:
        """The error for a process that did not do its part, with the end of its output."""
        return Unavailable(f"{self.name} {what}; it wrote, in {self.log}:\n{self.output()[-_TOLD_CHARACTERS:]}")

    def stop(self) -> None:
        """End the whole group: asked first, killed when it does not comply. Once stopped or killed, it is left alone."""
        if self._is_over:
            return
        self._signal(signal.SIGTERM)
        self.has_ended(within=_STOP_SECONDS)
        # What it started itself may outlive it.
        self.kill()

    def kill(self) -> None:
        """End the whole group at once, as a crash would."""
        self._signal(signal.SIGKILL)
        self._popen.wait()
        self._is_over = True

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)


@contextmanager
def answering(
    command: Callable[[tuple[int, int]], Sequence[str]],
    *,
    path: str,
    environ: Mapping[str, str] | None = None,
    folder: Path,
    log: Path,
) -> Iterator[tuple[int, int]]:
    """Run a command on free loopback ports for the length of the block, once it answers at `path` on the first of them.

    Another process may take a free port first: then the command ends at once, and other ports are tried.

    Raises:
        Unavailable: it did not start; the text has the end of its output.
    """
    for _ in range(_STARTS):
        ports = free_port(), free_port()
        process = Process(command(ports), environ=environ, folder=folder, log=log)
        try:
            if process.is_ready(f"http://127.0.0.1:{ports[0]}{path}"):
                yield ports
                return
        finally:
            process.stop()
    raise process.failure("did not start")


def free_port() -> int:
    """A loopback port that nobody listens on; another process may still take it first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
