"""An interpreter that imports the `tipoff` command at its first call and forks for each: see `tests.tipoff_command`."""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import sys
import threading
from typing import Any, NoReturn

SECONDS = 120
"""How long a command may take before it is ended by the alarm."""
IMPORTED = (
    "coordinator.app",
    "local.cli.main",
    "local.cli.report",
    "local.cli.run",
    "local.cli.state_client",
    "local.cli.status",
    "local.one_machine.backfill",
    "local.one_machine.run",
    "worker.app",
    "worker.train",
)
"""What the longest commands import; what is missing here costs its command time and no more."""


def next_call() -> dict[str, Any]:
    """Fork for each call on standard input and print how it ended; returns in the fork, with the call to be made there.

    Raises:
        SystemExit: there is no further call.
    """
    for line in sys.stdin:
        for module in IMPORTED:
            importlib.import_module(module)
        gc.freeze()  # a fork's collections leave alone what it shares, and so copy none of it
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201 - the answer
        else:
            parsed: dict[str, Any] = json.loads(line)
            return parsed
    gc.unfreeze()
    sys.exit()


def become(call: dict[str, Any]) -> None:
    """Make this process what a shell would have started for the call."""
    signal.alarm(SECONDS)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, (file, flags) in enumerate([(os.devnull, os.O_RDONLY), (call["out"], writing), (call["err"], writing)]):
        os.dup2(os.open(file, flags, 0o600), number)
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["environ"])
    sys.argv = ["tipoff", *call["arguments"]]


def end(status: int) -> NoReturn:
    """End as an interpreter does, but for taking apart what it imported, which takes longer than most commands."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as multiprocessing's own forks do
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    become(next_call())
    try:
        sys.modules["local.cli.main"].main()
    except SystemExit as ended:
        end(int(ended.code or 0))
