"""The peers' own environment: made once per machine in the user's cache folder, from their packages."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).parent
_REQUIREMENTS = HERE / "requirements.txt"


@cache
def peers_python() -> Path:
    """The Python that has the peers' packages, which are fetched when it is not there (400 MB, half a minute)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    made_of = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = Path(base) / "tipoff" / f"peers-{made_of}"
    python, complete = home / "bin/python", home / "complete"
    if not complete.is_file():
        click.echo(f"making the peers' environment in {home}", err=True)
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)  # noqa: S603 - our own words
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
        subprocess.run([*install, str(_REQUIREMENTS)], check=True)  # noqa: S603 - our own words
        complete.touch()
    return python


def peers_versions() -> dict[str, str]:
    """What is installed of the packages that are named."""
    names = [
        line.partition("==")[0].partition("[")[0] for line in _REQUIREMENTS.read_text().splitlines() if "==" in line
    ]
    script = (
        f"import json; from importlib.metadata import version; print(json.dumps({{n: version(n) for n in {names}}}))"
    )
    return dict(json.loads(_run([str(peers_python()), "-c", script], {})))


def run_peer(script: str, *arguments: object) -> dict[str, Any]:
    """Run a script of this folder in the peers' environment; return the object that it prints."""
    # Neither of them is to call home.
    quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    return dict(json.loads(_run([str(peers_python()), str(HERE / script), *map(str, arguments)], quiet)))


def run_ours(module: str, *arguments: object, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a module of ours in a process of its own; return the object that it prints."""
    return dict(json.loads(_run([sys.executable, "-m", module, *map(str, arguments)], environ or {})))


def _run(command: Sequence[str], environ: Mapping[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environ})  # noqa: S603 - our own words
    if done.returncode != 0:
        raise click.ClickException(f"{' '.join(command)} failed:\n{done.stderr[-2_000:]}")
    return done.stdout.splitlines()[-1]
