"""Where the BigQuery emulator's environment comes from, and what stands in its way."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from local.emulated import local_bigquery
from local.emulated.local_bigquery import ensure_environment, find_python
from shared.adapters import bigquery_clients
from shared.errors import InvalidInput, Unavailable


def a_python(folder: Path, says: str) -> Path:
    """A program of that name which does no more than say its version."""
    folder.mkdir(parents=True)
    program = folder / "python3.13"
    program.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_a_python_on_the_path_comes_first(tmp_path: Path) -> None:
    first = a_python(tmp_path / "bin", "echo Python 3.13.1")
    a_python(tmp_path / "pyenv/versions/3.13.0/bin", "echo Python 3.13.0")

    assert find_python({"PATH": str(tmp_path / "bin"), "PYENV_ROOT": str(tmp_path / "pyenv")}) == first


def test_a_shim_that_does_not_run_gives_way_to_pyenvs_own(tmp_path: Path) -> None:
    a_python(tmp_path / "shims", "echo 'command not found' >&2; exit 127")
    own = a_python(tmp_path / ".pyenv/versions/3.13.0/bin", "echo Python 3.13.0")

    assert find_python({"PATH": str(tmp_path / "shims"), "HOME": str(tmp_path)}) == own


def test_a_machine_without_python_3_13_is_told_what_to_install(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path)}

    with pytest.raises(InvalidInput, match=r"install python3\.13"):
        ensure_environment(environ)


def test_an_environment_that_was_left_half_made_is_made_anew(tmp_path: Path) -> None:
    a_python(tmp_path / "bin", '[ "$1" = --version ] && echo Python 3.13.0 || { echo no space left >&2; exit 1; }')
    environ = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    home = tmp_path / "cache/tipoff" / f"local-bigquery-{local_bigquery.VERSION}"
    for _ in range(2):
        with pytest.raises(Unavailable, match="no space left"):
            ensure_environment(environ)
        assert not (home / "complete").exists()
        (home / "leftover").touch()

    with pytest.raises(Unavailable):
        ensure_environment(environ)

    assert not (home / "leftover").exists()


@pytest.mark.parametrize("given", [bigquery_clients.EMULATOR, bigquery_clients.STORAGE_EMULATOR])
def test_half_an_emulator_is_refused_so_that_no_row_goes_to_the_other_world(given: str) -> None:
    environ = {given: "http://127.0.0.1:9"}

    with pytest.raises(InvalidInput, match=f"missing, while {given} is set"):
        bigquery_clients.connect(environ, project="demo", dataset="nba", location="US")
