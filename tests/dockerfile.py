"""What a Dockerfile says, as far as the tests ask: its base, the files that it copies into the image, its command."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines joined."""

    name: str
    text: str


def instructions(dockerfile: str) -> list[Instruction]:
    """Read a Dockerfile of the project, in order, without its comments."""
    lines = (ROOT / dockerfile).read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text)
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def base_of(dockerfile: str) -> str:
    """Return the base image that a build without arguments stands on."""
    (base,) = [each.text.removeprefix("BASE=") for each in instructions(dockerfile) if each.text.startswith("BASE=")]
    return base


def command_of(dockerfile: str) -> list[str]:
    """Return the CMD, which must be in exec form."""
    (command,) = [each.text for each in instructions(dockerfile) if each.name == "CMD"]
    words: list[str] = json.loads(command)
    return words


def copied_folders(dockerfile: str) -> list[str]:
    """Return the folders that the COPY lines name."""
    return [source.rstrip("/") for source, _target in _copies(dockerfile) if source.endswith("/")]


def copied_by(dockerfile: str, to: Path, *, without: str = "") -> Path:
    """Copy into a folder what the image's working folder gets: what COPY names and .dockerignore lets through.

    Args:
        without: the source of a COPY line that is left out, as if somebody had forgotten it.
    """
    for source, target in _copies(dockerfile):
        found = ROOT / source
        if source.rstrip("/") == without:
            continue
        assert found.exists(), f"{dockerfile} copies {source}, which does not exist"
        for file in sorted(found.rglob("*") if found.is_dir() else [found]):
            if file.is_file() and not ignored(str(file.relative_to(ROOT))):
                place = to / target / (file.relative_to(found) if found.is_dir() else file.name)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, place)
    return to


def ignored(path: str) -> bool:
    """Tell whether .dockerignore keeps a file out of the build; of its patterns the last that matches decides."""
    outcome = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!").rstrip("/")
        if line and not line.startswith("#") and _matches(pattern, path):
            outcome = not line.startswith("!")
    return outcome


def _copies(dockerfile: str) -> Iterator[tuple[str, str]]:
    for each in instructions(dockerfile):
        assert each.name != "ADD", "the tests follow COPY only"
        if each.name == "COPY":
            source, target = each.text.split()
            yield source, target


def _matches(pattern: str, path: str) -> bool:
    """A pattern speaks for a file and for everything below a folder."""
    whole = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(f"{whole}(?:/.*)?", path) is not None
