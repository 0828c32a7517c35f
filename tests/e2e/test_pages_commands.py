"""The commands of the pages, run as they stand, in order, in a copy of the project: what a reader would see."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.documents import PAGES, ROOT, Block, blocks, copy_of_project, environment
from tests.tipoff_command import Interpreter, interpreter, our_interpreter

FOLLOWED_ELSEWHERE = {"docs/schema-evolution.md": "tests/e2e/test_schema_example.py"}
"""Pages with an example that has a test of its own."""
ADDED_SYSTEM = "docs/how-to/add-a-system.md"
RUN = ("", "stays")
SECONDS = 120


def is_run(block: Block) -> bool:
    """Whether a block is to be run here."""
    return block.language == "console" and block.mark in RUN


FOLLOWED = [
    page for page in PAGES if page not in (*FOLLOWED_ELSEWHERE, ADDED_SYSTEM) and any(map(is_run, blocks(page)))
]


def shape(line: str) -> str:
    """A line less what differs from run to run: ids, seconds, the width of blanks."""
    line = re.sub(r"\b\d{8}_[0-9a-f]{16}\b", "ID", line)
    return " ".join(re.sub(r"\b\d+\.\d\d\b", "N", line).split())


def written(folder: Path, block: Block) -> bool:
    """Write a block that names a file to it."""
    named = re.fullmatch(r'title="([\w./-]+)"', block.mark)
    if named:
        (folder / named[1]).write_text(block.text, encoding="utf-8")
    return named is not None


def run(folder: Path, line: str, environ: dict[str, str], code: Interpreter) -> str:
    """Run a command to its end; what it printed. A call of `tipoff` alone needs no shell: it is a fork of an interpreter."""
    if call := re.fullmatch(r"(?:\.venv/bin/)?tipoff( [\w ./:-]+)?", line):
        ran = code.run(*(call[1] or "").split(), cwd=folder, environ=environ)
        assert ran.status == 0, f"{line}\n{ran.out}\n{ran.err}"
        return ran.out
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def visit(folder: Path, line: str, environ: dict[str, str]) -> None:
    """Run a command that stays until its page answers, then stop it as a person does."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {line} --port 0"], cwd=folder, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://[\w.:]+/", process.stdout.readline())
            assert address is not None
            with urllib.request.urlopen(address[0], timeout=SECONDS) as answer:
                assert answer.status == 200
        finally:
            os.kill(process.pid, signal.SIGINT)
    assert process.returncode == 0


def follow(page: str, folder: Path, code: Interpreter) -> list[tuple[str, str]]:
    """Follow a page in a copy of the project; each command that was run to its end, with what it printed."""
    environ = environment(folder, activated=page != "README.md")
    done = []
    for block in blocks(page):
        if written(folder, block) or not is_run(block):
            continue
        for line, printed in block.commands:
            if block.mark == "stays":
                visit(folder, line, environ)
                continue
            seen = run(folder, line, environ, code)
            lines = [shape(one) for one in seen.splitlines()]
            for text in printed:
                assert any(shape(text) in one for one in lines), f"{line}\n{text}\n{seen}"
            done.append((line, seen))
    return done


@pytest.mark.parametrize("page", FOLLOWED)
def test_a_reader_sees_what_the_page_says(page: str, tmp_path: Path) -> None:
    assert follow(page, copy_of_project(tmp_path), our_interpreter()) != []


def test_the_added_system_is_one_file_and_is_exported_measured_and_learned(tmp_path: Path) -> None:
    with interpreter(copy_of_project(tmp_path)) as code:
        done = follow(ADDED_SYSTEM, tmp_path, code)

    ours = {path.relative_to(ROOT) for path in (ROOT / "worker").rglob("*.py")}
    theirs = {path.relative_to(tmp_path) for path in (tmp_path / "worker").rglob("*.py")}
    assert theirs - ours == {Path("worker/systems/last_five.py")}
    assert [path for path in ours if (ROOT / path).read_bytes() != (tmp_path / path).read_bytes()] == []
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["system_id"] == "last_five"]
    assert len({row["player_lookup"] for row in rows}) == 140
    assert {row["prediction_error_code"] for row in rows if row["predicted_points"] == ""} == set()
    measured = next(seen for line, seen in done if line.startswith("tipoff accuracy"))
    games = dict(re.findall(r"^(\w+) +(\d+) +\d", measured, re.MULTILINE))
    assert games["last_five"] == games["season_average"] != "0"
    learned = next(seen for line, seen in done if line.startswith("tipoff train"))
    assert re.search(r"^last_five +\d", learned, re.MULTILINE)
    assert "last_five" in json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))["ensemble"]
