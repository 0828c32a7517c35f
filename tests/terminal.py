"""The `tipoff` command run in this process against a coordinator on loopback."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from local.cli.main import main
from tests.tipoff_command import Ran


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
