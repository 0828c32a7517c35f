"""Accuracy: figures of graded predictions against figures worked out by hand from the same rows."""

from __future__ import annotations

import statistics
from datetime import timedelta
from typing import Any

import pytest

from coordinator.rules import accuracy
from coordinator.rules.accuracy import IntervalDrift
from schemas import tables
from shared.declared import table_spec
from tests.flow.test_grades import box_score, grade, grades, measured_of
from tests.plan_inputs import GAME_DATE
from tests.stand.front import Front
from tests.stand.world import Stand


def graded(stand: Stand) -> list[dict[str, Any]]:
    stand.run()
    box_score(stand, {"1": 25, "2": 9})
    grade(stand)
    return grades(stand)


def intervals(stand: Stand, held: int, missed: int) -> None:
    """Put grades of so many player's games into the table, of which the interval held so many."""
    stand.warehouse.create(table_spec(tables.GRADES))
    rows = [
        {
            "game_date": GAME_DATE - timedelta(days=1 + place % 30),
            "prediction_id": f"p{place}",
            "system_id": "ensemble",
            "player_lookup": f"player-{place}",
            "game_id": f"g{place % 30}",
            "prediction_version": 1,
            "is_hindsight": False,
            "predicted_points": 10,
            "exact_points": 10.0,
            "has_prop_line": False,
            "recommendation": "NO_LINE",
            "actual_points": 10 if place < held else 40,
            "error": 0.0,
            "absolute_error": 0.0,
            "inside_80": place < held,
            "result": "NO_LINE",
            "source_id": "s",
            "graded_at": stand.now,
            "grade_version": 1,
        }
        for place in range(held + missed)
    ]
    stand.warehouse.append(tables.GRADES, rows)


def test_a_players_game_counts_once_for_a_system_however_many_lines_it_has(stand: Stand) -> None:
    rows = graded(stand)

    view = measured_of(stand)

    for system in {row["system_id"] for row in rows}:
        errors = {
            row["player_lookup"]: row["exact_points"] - row["actual_points"]
            for row in rows
            if row["system_id"] == system and row["actual_points"] is not None
        }
        found = view.systems[system]
        assert found.n == len(errors) == 2
        assert found.mae == pytest.approx(statistics.fmean(map(abs, errors.values())), abs=1e-4)
        assert found.bias == pytest.approx(statistics.fmean(errors.values()), abs=1e-4)
        assert found.rmse == pytest.approx(statistics.fmean(e * e for e in errors.values()) ** 0.5, abs=1e-4)
    named = {row["player_lookup"]: row["inside_80"] for row in rows if row["system_id"] == "ensemble"}
    assert view.intervals["0.8"] == (named["player-1"] + named["player-2"]) / 2
    assert (view.graded, view.ungraded) == (len(rows), 0)
    assert view.void == sum(row["result"] == "VOID" for row in rows)


@pytest.mark.parametrize("by", [by for by in accuracy.SplitBy if by is not accuracy.SplitBy.SYSTEM])
def test_groups_hold_together_what_the_whole_holds(stand: Stand, by: accuracy.SplitBy) -> None:
    graded(stand)

    view = measured_of(stand, by=by)

    assert view.groups
    for system, errors in view.systems.items():
        parts = [group.systems[system] for group in view.groups.values()]
        assert sum(part.n for part in parts) == errors.n
        assert sum(part.n * part.mae for part in parts) == pytest.approx(errors.n * errors.mae, abs=1e-3)


def test_the_sportsbooks_own_error_stands_beside_ours_on_the_same_rows(stand: Stand) -> None:
    rows = graded(stand)

    days = {day.system_id: day for day in measured_of(stand).days}

    lines: dict[str, list[float]] = {row["player_lookup"]: [] for row in rows if row["has_prop_line"]}
    for row in rows:
        if row["has_prop_line"] and row["system_id"] == "ensemble":
            lines[row["player_lookup"]].append(float(row["points_line"]))
    points = {"player-1": 25, "player-2": 9}
    expected = statistics.fmean(abs(statistics.fmean(each) - points[name]) for name, each in lines.items())
    assert days["ensemble"].lined == 2
    assert days["ensemble"].mae_line == pytest.approx(expected, abs=1e-4)


def test_before_anything_is_graded_what_waits_is_counted(stand: Stand) -> None:
    stand.run()

    view = measured_of(stand)

    assert (view.graded, view.ungraded) == (0, len(stand.predictions()))


@pytest.mark.parametrize(
    ("games", "held", "warns"),
    [(600, 444, "too narrow"), (600, 450, "too narrow"), (600, 452, None), (600, 512, "too wide"), (199, 100, None)],
)
def test_the_interval_drifts_by_the_rule_that_is_stated(games: int, held: int, warns: str | None) -> None:
    warning = IntervalDrift(games=games, held=held, first=GAME_DATE, last=GAME_DATE).warning

    assert (warning is None) if warns is None else (warning is not None and warns in warning)


def test_a_drift_is_said_in_explain_on_the_page_and_in_the_log(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stand.run()
    front = Front(stand)
    (batch,) = front.get("/batches").get_json()["batches"]
    explain = f"/batches/{batch['batch_id']}/explain"
    assert "interval held" not in front.get(explain).text
    intervals(stand, held=444, missed=156)

    assert "held 74% of the last 600 games" in front.get(explain).text
    assert "held 74% of the last 600 games" in front.get("/dashboard/accuracy").text
    box_score(stand, {"1": 25})
    stand.coordinator.grader.grade(GAME_DATE, GAME_DATE)
    assert "interval drifts" in [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_the_route_names_what_it_cannot_take(stand: Stand) -> None:
    graded(stand)
    front = Front(stand)

    for query, field in (("by=week", "by"), ("system=oracle", "system"), ("from=2026-13-01", "from"), ("x=1", "x")):
        refused = front.get(f"/accuracy?{query}")
        assert (refused.status_code, refused.get_json()["field"]) == (422, field)
    backwards = front.get("/accuracy?from=2026-01-30&to=2026-01-29")
    assert (backwards.status_code, backwards.get_json()["field"]) == (422, "to")
    assert front.get("/accuracy?system=ensemble").get_json()["systems"].keys() == {"ensemble"}


def test_tiers_stand_by_their_points_and_other_groups_by_name() -> None:
    shuffled = ["10_to_15", "25_and_more", "unknown", "5_to_10", "under_5"]

    assert sorted(shuffled, key=accuracy.place) == ["under_5", "5_to_10", "10_to_15", "25_and_more", "unknown"]
    assert sorted(["2026-01", "2025-12"], key=accuracy.place) == ["2025-12", "2026-01"]
    assert sorted(["HOU", "BOS"], key=accuracy.place) == ["BOS", "HOU"]
