"""Every incident of the system that this one replaces has its test, whose name begins with the incident's id."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

INCIDENTS = Path(__file__).parents[1] / "incidents"

EXPECTED = [
    *(f"a{number}" for number in range(1, 21)),
    *(f"b{number}" for number in range(1, 20)),
    *(f"c{number}" for number in range(1, 8)),
    *("d1", "d2", "d3", "d4", "d5", "d6"),
    *(f"e{number}" for number in range(1, 9)),
    *("f1", "f2", "f3", "f4", "f6", "f7", "f9", "f10"),
]


def incidents_with_tests() -> dict[str, list[str]]:
    """Incident ids and their tests' names."""
    found: dict[str, list[str]] = {}
    for file in sorted(INCIDENTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found.setdefault(node.name.split("_")[1], []).append(f"{file.name}::{node.name}")
    return found


@pytest.mark.parametrize("incident", EXPECTED)
def test_an_incident_has_a_test_of_its_id(incident: str) -> None:
    assert incident in incidents_with_tests(), f"tests/incidents has no test_{incident}_..."


def test_every_test_of_an_incident_begins_with_an_id() -> None:
    nameless = [
        name for incident, names in incidents_with_tests().items() if incident not in EXPECTED for name in names
    ]

    assert nameless == [], "name the test by its incident, and list the incident here"
