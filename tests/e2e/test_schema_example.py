"""The worked example of docs/schema-evolution.md, followed to the letter in a copy of the project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.tipoff_command import ROOT

DOC = (ROOT / "docs/schema-evolution.md").read_text(encoding="utf-8")
PARTS = ("coordinator", "worker", "shared", "schemas", "local", "tipoff.egg-info")
_TIPOFF = "from local.cli.main import main; main()"
EXPECTED_TO_REFUSE = {"tipoff schema check"}


def blocks(language: str) -> list[str]:
    """The document's code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", DOC, re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[tuple[str, list[str]]]:
    """Each command of a console block with the lines that it is said to print."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(lines[0], [line for line in lines[1:] if line]) for lines in (part.splitlines() for part in parts)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that may be changed."""
    tree = tmp_path_factory.mktemp("project")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    return tree


def follow(tree: Path, block: str) -> None:
    """Run the commands of a block and compare what they print."""
    environ = {**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "100"}
    for line, printed in commands(block):
        program, *arguments = shlex.split(line)
        call = [sys.executable, "-c", _TIPOFF, *arguments] if program == "tipoff" else [program, *arguments]
        done = subprocess.run(call, cwd=tree, env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == (1 if line in EXPECTED_TO_REFUSE else 0), f"{line}\n{done.stdout}\n{done.stderr}"
        for text in printed:
            assert text in done.stdout.splitlines(), f"{line}\n{done.stdout}"


def declare(tree: Path) -> None:
    """Add the document's column at the end of v3's list."""
    (column,) = blocks("json")
    file = tree / "schemas/predictions/v3.json"
    text = file.read_text(encoding="utf-8").rstrip().removesuffix("]").rstrip()
    file.write_text(f"{text},\n  {column}]\n", encoding="utf-8")


def fill(tree: Path) -> None:
    """Add the document's line beside the game's id."""
    (line,) = blocks("python")
    file = tree / "worker/rows.py"
    before, beside, after = file.read_text(encoding="utf-8").partition('        "game_id": request.game.game_id,\n')
    assert beside
    file.write_text(before + beside + line + after, encoding="utf-8")


def test_the_worked_example_adds_a_column_end_to_end(tree: Path) -> None:
    before, copying, checking, applying, predicting = blocks("console")
    follow(tree, before)
    follow(tree, copying)
    declare(tree)
    follow(tree, checking)
    fill(tree)
    follow(tree, applying)
    follow(tree, predicting)

    with duckdb.connect(str(tree / ".tipoff/simulated/warehouse.duckdb"), read_only=True) as file:
        ((rows, filled, teams),) = file.execute(
            "SELECT count(*), count(opponent), count(DISTINCT opponent) FROM predictions WHERE is_active"
        ).fetchall()
        staged = file.execute("SELECT name FROM catalogue.tables WHERE name LIKE '%\\_v3' ESCAPE '\\'").fetchall()
    assert rows == filled > 0
    assert teams > 1
    assert len(staged) == 1
