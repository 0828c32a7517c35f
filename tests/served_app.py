"""A Flask app over real HTTP on loopback, and the `tipoff` command run against it in this process."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from local.cli.main import main
from tests.tipoff_command import Ran


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an app for the length of the block; gives its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Terminal:
    """A person at the command line of one coordinator."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch
        monkeypatch.setenv("TIPOFF_URL", url)
        monkeypatch.setenv("COLUMNS", "100")

    def run(self, *arguments: str) -> Ran:
        """Run `tipoff` with these arguments to its end."""
        self._monkeypatch.setattr(sys, "argv", ["tipoff", *arguments])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = self._capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    def json(self, *arguments: str) -> dict[str, Any]:
        """Run a command that succeeds, and read the JSON object that it prints."""
        ran = self.run(*arguments, "--json")
        assert ran.status == 0, ran
        parsed = json.loads(ran.out)
        assert isinstance(parsed, dict)
        return parsed
