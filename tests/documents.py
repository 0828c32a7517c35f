"""The pages that people read, taken apart: their code blocks, and the commands in these with what they are said to print."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "deploy/README.md", *(ROOT / "docs").rglob("*.md"))
)
_BLOCK = re.compile(r"^( *)```(\S*)(?: ([^\n]*))?\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_PROJECT = ("bench", "coordinator", "worker", "shared", "schemas", "local", "tipoff.egg-info")


@dataclass(frozen=True)
class Block:
    """A fenced block: the language, what else its first line says, and its text without the indentation."""

    language: str
    mark: str
    text: str

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command of a console block with the lines that it is said to print; without prompts every line is one."""
        text = self.text.replace("\\\n", " ")
        if not re.search(r"^\$ ", text, re.MULTILINE):
            return [(line, []) for line in text.splitlines() if line.strip()]
        parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
        return [(lines[0], [line for line in lines[1:] if line.strip()]) for lines in map(str.splitlines, parts)]


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(language, mark or "", re.sub(rf"^{indent}", "", body, flags=re.MULTILINE))
        for indent, language, mark, body in _BLOCK.findall(text)
    ]


def copy_of_project(folder: Path) -> Path:
    """A copy of the project in a folder, which may be changed; its `.venv` is ours."""
    for part in _PROJECT:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("constraints-*.txt")):
        shutil.copy2(file, folder / file.name)
    (folder / ".venv").mkdir()
    for held in Path(sys.prefix).iterdir():
        (folder / ".venv" / held.name).symlink_to(held)
    for stamp in (".runs", ".built"):  # as if they had been made here just now
        (folder / ".venv" / stamp).unlink(missing_ok=True)
        (folder / ".venv" / stamp).touch()
    return folder


def environment(folder: Path, *, activated: bool) -> dict[str, str]:
    """What a shell in a copy of the project has; `activated` finds the copy's own programs by their names."""
    programs = Path(sys.prefix) / "bin"
    elsewhere = [part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != programs]
    found = [str(folder / ".venv/bin")] if activated else []
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "TIPOFF_"))},
        "PATH": os.pathsep.join([*found, *elsewhere]),
        "PYTHONPATH": str(folder),
        "COLUMNS": "100",
    }
