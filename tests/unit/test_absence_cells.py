"""What a row says of the absent, and of what was not known of them."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.messages import Absences, Left
from schemas.tables import Cell
from tests.requests_factory import a_request
from worker.model import shipped_model
from worker.rows import staged_rows


def a_row(system_id: str = "ensemble", **overrides: Any) -> dict[str, Cell]:
    rows = staged_rows([a_request(**overrides)], shipped_model(), schema_version=2).rows.rows()
    return next(row for row in rows if row["system_id"] == system_id)


@pytest.mark.parametrize(
    ("absences", "notes"),
    [
        (None, ["absences_unknown"]),
        (Absences(team_shots=0, left=Left(shots=0, points=0)), ["absences_as_in_last_game"]),
        (Absences(team_shots=0, left=Left(shots=0, points=0), is_reported=True), []),
    ],
)
def test_a_row_says_what_was_not_known_of_the_absent_and_is_usable_all_the_same(
    absences: Absences | None, notes: list[str]
) -> None:
    row = a_row(absences=absences)

    assert row["data_quality_issues"] == notes
    assert row["is_production_ready"] is True


def test_what_the_absent_are_worth_is_the_sum_of_the_ridges_terms() -> None:
    left = Left(shots=2_000, points=2_400, position_shots=0)
    some, none = (
        a_row("ridge", absences=Absences(team_shots=0, left=each, is_reported=True))
        for each in (left, Left(shots=0, points=0, position_shots=0))
    )

    boost = float(str(some["teammate_usage_boost"])) - float(str(none["teammate_usage_boost"]))
    points = float(str(some["predicted_points"])) - float(str(none["predicted_points"]))
    assert boost == pytest.approx(points, abs=0.11)
    assert boost != 0
    assert a_row("ridge", absences=None)["teammate_usage_boost"] is None
