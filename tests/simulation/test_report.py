"""The published report is what its figures say, and the figures are those that were promised."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulation.mutation import mutants
from tests.simulation.report import FIGURES, REPORT, rendered

FIGURED: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))


def figures(part: str) -> Any:
    return FIGURED[part]["figures"]


def test_the_report_is_generated_from_its_figures() -> None:
    assert REPORT.read_text(encoding="utf-8") == rendered(FIGURED)


def test_no_published_schedule_or_fault_has_failed() -> None:
    assert figures("simulation")["failed"] == 0
    matrix = figures("matrix")
    assert all(failed == 0 for _, failed in (*matrix["singles"].values(), *matrix["pairs"].values()))
    assert figures("killed")["exact"] == figures("killed")["tried"]


@pytest.mark.parametrize("cell", figures("chaos"), ids=lambda cell: cell["fault"])
def test_no_published_day_under_chaos_lost_or_doubled_a_row(cell: dict[str, Any]) -> None:
    assert cell["days"] > 0
    assert (cell["lost"], cell["doubled"], cell["not_ended"]) == (0, 0, 0)


def test_every_planted_bug_is_published_and_was_found() -> None:
    published = figures("mutants")

    assert published.keys() == {mutant.name for mutant in mutants()}
    assert [name for name, one in published.items() if not one["schedules"] and not one["by_suite"]] == []


def test_no_load_lost_anything() -> None:
    assert [load["lost"] for load in figures("load")] == [0] * len(figures("load"))
