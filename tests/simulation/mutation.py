"""Planted bugs: each is put into a copy of the code, where the simulation or the suite has to find it.

A mutant is a text file: what the bug is, in which file, and pairs of `--- find` and `+++ put`. A text to find that is not
there exactly once is an error: the mutant has to follow the code.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from tests.simulation.__main__ import play_some

ROOT = Path(__file__).parents[2]
MUTANTS = Path(__file__).parent / "mutants"
COPIED = ("bench", "coordinator", "local", "schemas", "shared", "tests", "worker", "pyproject.toml")
STARTS = (0, 1_000_000, 2_000_000)
"""Where the runs begin that the median is taken of."""


@dataclass(frozen=True)
class Mutant:
    """One planted bug; `suite` names tests that find what no schedule can."""

    name: str
    bug: str
    file: str
    suite: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]

    def applied_to(self, source: str) -> str:
        """The source with the bug in it. Raises `ValueError` where a text is not there exactly once."""
        for find, put in self.changes:
            if source.count(find) != 1:
                raise ValueError(f"mutant {self.name}: {self.file} holds {source.count(find)} times: {find!r}")
            source = source.replace(find, put)
        return source


@dataclass(frozen=True)
class Found:
    """What found a mutant: schedules until the first failure in each run, or tests of the suite, or nothing."""

    mutant: Mutant
    schedules: tuple[int, ...] = ()
    law: str = ""
    by_suite: bool = False

    @property
    def is_found(self) -> bool:
        """Whether anything did."""
        return bool(self.schedules) or self.by_suite

    @property
    def median(self) -> float | None:
        """Schedules until the simulation found it."""
        return statistics.median(self.schedules) if self.schedules else None


def mutants() -> list[Mutant]:
    """All planted bugs, by name."""
    return [_read(path) for path in sorted(MUTANTS.glob("*.txt"))]


def _read(path: Path) -> Mutant:
    head, *hunks = re.split(r"^--- find\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    told = dict(line.split(": ", 1) for line in head.splitlines())
    changes = []
    for hunk in hunks:
        find, put = hunk.split("+++ put\n")
        changes.append((find.removesuffix("\n"), put.removesuffix("\n")))
    return Mutant(path.stem, told["bug"], told["file"], tuple(told.get("suite", "").split()), tuple(changes))


def find(mutant: Mutant, *, most: int, runs: int = len(STARTS)) -> Found:
    """Look for a mutant with so many schedules a run, and then with its tests of the suite."""
    with planted(mutant) as folder:
        seen: list[int] = []
        law = ""
        for start in STARTS[:runs]:
            played = _ask(folder, "-m", "tests.simulation", f"{start}:{start + most}", "--first-failure")
            failure = re.search(r"seed (\d+): (.*)", played.stdout)
            if played.returncode == 0 or (failure is None and not seen):
                break
            if failure is None:
                raise RuntimeError(f"the simulation of {mutant.name} did not run: {played.stderr[-2000:]}")
            if "does not know the statement" in failure[2]:
                break  # the warehouse's model says nothing of what the bug does
            seen.append(int(failure[1]) - start + 1)
            law = law or failure[2]
        if seen:
            return Found(mutant, tuple(seen), law)
        if mutant.suite:
            tested = _ask(folder, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.suite)
            failed = re.search(r"^(?:FAILED|ERROR) (\S+)", tested.stdout, flags=re.MULTILINE)
            if tested.returncode == 1 and failed:
                return Found(mutant, by_suite=True, law=failed[1])
        return Found(mutant)


@contextmanager
def planted(mutant: Mutant) -> Iterator[Path]:
    """A copy of the code with the bug in it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as text:
        folder = Path(text)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        target = folder / mutant.file
        target.write_text(mutant.applied_to(target.read_text(encoding="utf-8")), encoding="utf-8")
        yield folder


def _ask(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def check_that_nothing_is_found_without_a_bug() -> None:
    """Whatever fails without a planted bug would be taken for finding it. Raises `SystemExit`."""
    if failures := play_some(range(30)).failures:
        raise SystemExit(f"without any bug planted there are failures already: {failures}")


def main() -> int:
    """Look for all mutants, or those named."""
    wanted = sys.argv[1:]
    check_that_nothing_is_found_without_a_bug()
    found = []
    for mutant in mutants():
        if wanted and mutant.name not in wanted:
            continue
        one = find(mutant, most=300)
        found.append(one)
        click.echo(f"{mutant.name}: {one.schedules or one.by_suite} {one.law[:120]}")
    missed = [one.mutant.name for one in found if not one.is_found]
    click.echo(f"{len(found) - len(missed)} of {len(found)} planted bugs found; missed: {missed}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
