"""The worked example of docs/schema-evolution.md, followed to the letter in a copy of the project."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.documents import Block, blocks, copy_of_project, environment

PAGE = "docs/schema-evolution.md"
_TIPOFF = "from local.cli.main import main; main()"
EXPECTED_TO_REFUSE = {"tipoff schema check"}


def found(language: str) -> list[Block]:
    """The page's code blocks of a language that are to be followed, in order."""
    return [block for block in blocks(PAGE) if block.language == language and not block.mark]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that may be changed."""
    return copy_of_project(tmp_path_factory.mktemp("project"))


def follow(tree: Path, block: Block) -> None:
    """Run the commands of a block and compare what they print."""
    for line, printed in block.commands:
        program, *arguments = shlex.split(line)
        call = [sys.executable, "-c", _TIPOFF, *arguments] if program == "tipoff" else [program, *arguments]
        done = subprocess.run(
            call,
            cwd=tree,
            env=environment(tree, activated=True),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == (1 if line in EXPECTED_TO_REFUSE else 0), f"{line}\n{done.stdout}\n{done.stderr}"
        for text in printed:
            assert text in done.stdout.splitlines(), f"{line}\n{done.stdout}"


def declare(tree: Path) -> None:
    """Add the document's column at the end of v3's list."""
    (column,) = (block.text for block in found("json"))
    file = tree / "schemas/predictions/v3.json"
    text = file.read_text(encoding="utf-8").rstrip().removesuffix("]").rstrip()
    file.write_text(f"{text},\n  {column}]\n", encoding="utf-8")


def fill(tree: Path) -> None:
    """Add the document's line beside the game's id."""
    (line,) = (block.text for block in found("python"))
    file = tree / "worker/rows.py"
    before, beside, after = file.read_text(encoding="utf-8").partition('        "game_id": request.game.game_id,\n')
    assert beside
    file.write_text(before + beside + line + after, encoding="utf-8")


def test_the_worked_example_adds_a_column_end_to_end(tree: Path) -> None:
    before, copying, checking, applying, predicting = found("console")
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
