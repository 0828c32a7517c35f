"""Every incident that the project cites is a row of `docs/incidents.md`, and every row links its tests, all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.linked_documents import ROOT, held_by, linked_tests

DOCUMENT = ROOT / "docs" / "incidents.md"
TESTED, _, UNTESTED = DOCUMENT.read_text(encoding="utf-8").partition("\n## Not yet tested by id\n")

ROW = re.compile(r"^\| ([A-F][0-9]+) \| (.*) \|$", re.MULTILINE)
CITED = re.compile(r"\b[A-F][1-9][0-9]?\b")
PARTS = ("bench", "coordinator", "deploy", "docs", "local", "schemas", "shared", "tests", "worker")
WRITTEN_BY_PEOPLE = {".css", ".html", ".js", ".json", ".md", ".py", ".sh", ".sql", ".toml", ".yaml"}
NO_CITATIONS = {"tests/golden", "worker/model.json"}


def listed() -> dict[str, list[str]]:
    """The ids of the rows that have tests, and the tests that each links, as pytest names them."""
    return {incident: linked_tests(cells) for incident, cells in ROW.findall(TESTED)}


def untested() -> list[str]:
    """The ids of the rows whose tests are not there yet."""
    return [incident for incident, _ in ROW.findall(UNTESTED)]


def found_by_id() -> dict[str, list[str]]:
    """The tests of `tests/incidents` by the id that their names begin with."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests" / "incidents").rglob("test_*.py")):
        for test in held_by(path.relative_to(ROOT).as_posix()):
            found.setdefault(test.partition("::test_")[2].split("_")[0].upper(), []).append(test)
    return found


def citing_files() -> list[Path]:
    """Everything that people wrote and that may cite an incident."""
    inside = [path for part in PARTS for path in (ROOT / part).rglob("*") if path.suffix in WRITTEN_BY_PEOPLE]
    beside = [path for path in ROOT.iterdir() if path.suffix in WRITTEN_BY_PEOPLE or path.name.startswith("Dockerfile")]
    return [
        path
        for path in (*inside, *beside)
        if path != DOCUMENT and not path.relative_to(ROOT).as_posix().startswith(tuple(NO_CITATIONS))
    ]


def test_every_incident_that_is_cited_is_listed_with_its_tests() -> None:
    cited = {
        (incident, path.relative_to(ROOT).as_posix())
        for path in citing_files()
        for incident in CITED.findall(path.read_text(encoding="utf-8"))
    }

    assert len(cited) > 100, "the scan has lost its way: product and tests cite far more"
    assert sorted(one for one in cited if one[0] not in listed()) == []


@pytest.mark.parametrize("incident", listed())
def test_a_row_links_exactly_the_tests_of_its_id(incident: str) -> None:
    assert sorted(listed()[incident]) == sorted(found_by_id().get(incident, []))
    assert listed()[incident] != []


def test_every_test_of_an_incident_begins_with_the_id_of_a_row() -> None:
    nameless = [name for incident, names in found_by_id().items() if incident not in listed() for name in names]

    assert nameless == [], "name the test by its incident, and give the incident a row that links it"


def test_each_incident_has_one_row_and_none_is_left_out() -> None:
    ids = [incident for incident, _ in ROW.findall(TESTED)] + untested()

    for letter in "ABCDEF":
        numbers = sorted(int(one[1:]) for one in ids if one.startswith(letter))
        assert numbers == list(range(1, len(numbers) + 1))
        assert numbers != []


def test_no_row_without_tests_is_of_an_incident_that_has_them() -> None:
    assert [incident for incident in untested() if incident in found_by_id()] == []
