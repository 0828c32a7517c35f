"""`docs/design.md` says what is so: each law links tests that exist, and the table of the states is the code's."""

from __future__ import annotations

import re

import pytest

from coordinator.rules.lifecycle import MOVES
from tests.linked_documents import ROOT, held_by, linked_tests

DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
LAWS = dict(re.findall(r"^- \*\*(.*?)\*\*(.*?)(?=^- |^\n|\Z)", DESIGN, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("law", LAWS)
def test_a_law_links_tests_that_exist(law: str) -> None:
    linked = linked_tests(LAWS[law])

    assert linked != []
    assert [test for test in linked if test not in held_by(test.partition("::")[0])] == []


def test_every_link_to_a_test_belongs_to_a_law() -> None:
    assert DESIGN.count("](../tests/") == sum(len(linked_tests(text)) for text in LAWS.values())


def test_the_moves_between_states_are_those_of_the_code() -> None:
    listed = re.findall(r"^\| ([A-Z]+) \| ([a-z ]+) \| ([A-Z]+) \|$", DESIGN, re.MULTILINE)

    assert listed == [(was, event.replace("_", " "), becomes) for (was, event), becomes in MOVES.items()]
