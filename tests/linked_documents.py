"""Links from documents to tests: how they are written, and whether they lead anywhere."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"\[`(\w+)`\]\(\.\./(tests/[\w/]+\.py)\)")


def linked_tests(text: str) -> list[str]:
    """The tests that a text of `docs/` links, as pytest names them."""
    return [f"{file}::{name}" for name, file in _LINK.findall(text)]


@cache
def held_by(file: str) -> tuple[str, ...]:
    """The tests of a file, as pytest names them; none where there is no such file."""
    path = ROOT / file
    if not path.is_file():
        return ()
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = [node.name for node in found if isinstance(node, ast.FunctionDef)]
    return tuple(f"{file}::{name}" for name in names if name.startswith("test_"))
