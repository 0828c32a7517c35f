"""Grades: what became of the predictions that were active, by the box scores, through the real statements."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from coordinator.operator.accuracy import AccuracyView, measure
from coordinator.rules import grading
from coordinator.rules.accuracy import SplitBy
from schemas import tables
from schemas.tables import Cell
from shared.errors import InvalidInput, SchemaClash
from shared.ports import Parameters, TableSpec, Warehouse
from shared.settings import Policy
from tests.plan_inputs import GAME_DATE, a_log, a_scheduled_game
from tests.stand.front import Front
from tests.stand.world import Crash, Stand, a_league

GAME_ID = "OKC@HOU"
DAY = timedelta(days=1)


def box_score(stand: Stand, points: dict[str, int], **fields: Cell) -> None:
    """Replace the box score of the date's game; the other games stay."""
    stand.warehouse.query(f"DELETE FROM `player_game_logs` WHERE `game_date` = {grading.literal(GAME_DATE)}")
    rows = [
        a_log(player, days_ago=0, game_id=GAME_ID, opponent="OKC", points=scored, position="SG", **fields)
        for player, scored in points.items()
    ]
    if rows:
        stand.warehouse.append("player_game_logs", rows)


class JoiningWarehouse:
    """The warehouse as a second grader sees it, who lets the job that he meets end only after he has submitted his own."""

    def __init__(self, inner: Warehouse, may_end: threading.Event) -> None:
        self._inner = inner
        self._may_end = may_end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def submit(self, sql: str, parameters: Parameters, *, job_id: str) -> None:
        self._inner.submit(sql, parameters, job_id=job_id)
        self._may_end.set()


def measured_of(
    stand: Stand, first: date | None = None, last: date | None = None, *, by: SplitBy = SplitBy.SYSTEM
) -> AccuracyView:
    return measure(stand.warehouse, first, last, today=stand.coordinator.parts.today(), by=by)


def grade(stand: Stand) -> tuple[int, ...]:
    (one,) = stand.coordinator.grader.grade(GAME_DATE, GAME_DATE).dates
    return one.inserted, one.updated, one.unchanged, one.retired, one.ungraded


def grades(stand: Stand) -> list[dict[str, Any]]:
    return [dict(row) for row in stand.warehouse.query("SELECT * FROM `grades` ORDER BY `prediction_id`")]


def independent_grade(prediction: dict[str, Any], points: int | None) -> dict[str, Any]:
    """The meaning of a grade, written a second time."""
    told, line = json.loads(prediction["feature_importance"]), prediction["current_points_line"]
    result = "NO_LINE" if line is None else "PASS"
    if points is None:
        result = "VOID"
    elif line is not None and points == line:
        result = "PUSH"
    elif prediction["recommendation"] in ("OVER", "UNDER"):
        result = "WIN" if (points > line) is (prediction["recommendation"] == "OVER") else "LOSS"
    is_decided = points is not None and line is not None and points != line
    return {
        "actual_points": points,
        "error": None if points is None else told["points"] - points,
        "inside_80": None if points is None else told["low_80"] <= points <= told["high_80"],
        "result": result,
        "brier": (told["over"] - (points > line)) ** 2 if is_decided and points is not None else None,
    }


def test_every_active_prediction_gets_the_grade_that_an_independent_reading_gives(stand: Stand) -> None:
    stand.run()
    box_score(stand, {"1": 21, "2": 9})

    counts = grade(stand)

    predictions = {row["prediction_id"]: row for row in stand.predictions()}
    found = grades(stand)
    assert counts == (len(predictions), 0, 0, 0, 0)
    assert {row["prediction_id"] for row in found} == predictions.keys()
    points = {"player-1": 21, "player-2": 9}
    for row in found:
        expected = independent_grade(predictions[row["prediction_id"]], points.get(row["player_lookup"]))
        assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert {row["result"] for row in found if row["player_lookup"] == "player-3"} == {"VOID"}
    assert {row["result"] for row in found if row["points_line"] == 21} == {"PUSH"}
    assert {row["position"] for row in found if row["actual_points"]} == {"G"}


def test_every_grade_is_a_row_as_declared(stand: Stand) -> None:
    stand.run()
    box_score(stand, {"1": 21, "2": 9})
    grade(stand)

    schema = tables.load(tables.GRADES)

    for row in grades(stand):
        assert schema.validate_row(row) == row


def test_a_repeat_changes_nothing(stand: Stand) -> None:
    stand.run()
    box_score(stand, {"1": 21, "2": 9})
    grade(stand)
    before = grades(stand)

    stand.pass_time(timedelta(hours=1))

    assert grade(stand) == (0, 0, len(before), 0, 0)
    assert grades(stand) == before


def test_a_corrected_box_score_changes_the_grades_that_it_concerns_and_its_withdrawal_removes_all(stand: Stand) -> None:
    stand.run()
    box_score(stand, {"1": 21, "2": 9})
    grade(stand)
    before = grades(stand)
    stand.pass_time(timedelta(hours=1))

    box_score(stand, {"1": 23, "2": 9})
    of_one = sum(row["player_lookup"] == "player-1" for row in before)
    assert grade(stand) == (0, of_one, len(before) - of_one, 0, 0)
    after = {row["prediction_id"]: row for row in grades(stand)}
    for row in before:
        changed = row["player_lookup"] == "player-1"
        assert (after[row["prediction_id"]] != row) is changed
        assert after[row["prediction_id"]]["grade_version"] == (2 if changed else 1)

    # And back: a state that was there before is no state that was graded before.
    box_score(stand, {"1": 21, "2": 9})
    stand.pass_time(timedelta(hours=1))
    assert grade(stand)[1] == of_one
    box_score(stand, {})
    assert grade(stand) == (0, 0, 0, len(before), len(before))
    assert grades(stand) == []

    # Loaded again: no grade is left that tells this state from the first one.
    box_score(stand, {"1": 21, "2": 9})
    stand.pass_time(timedelta(hours=1))
    assert grade(stand) == (len(before), 0, 0, 0, 0)
    assert [row["result"] for row in grades(stand)] == [row["result"] for row in before]


def test_a_box_score_that_goes_and_comes_back_is_graded_each_time(stand: Stand) -> None:
    stand.run()
    expected = len(stand.predictions())

    for _ in range(7):
        box_score(stand, {"1": 21, "2": 9})
        assert grade(stand) == (expected, 0, 0, 0, 0)
        assert len(grades(stand)) == expected
        box_score(stand, {})
        assert grade(stand) == (0, 0, 0, expected, expected)


def test_a_grader_who_saw_the_same_joins_the_job_that_runs(stand: Stand) -> None:
    stand.run()
    box_score(stand, {"1": 21, "2": 9})
    begun: list[str] = []
    is_begun, may_end = threading.Event(), threading.Event()

    def hold(job_id: str) -> None:
        begun.append(job_id)
        is_begun.set()
        may_end.wait(30)

    stand.in_job.append(hold)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(grade, stand)
        assert is_begun.wait(30)
        joining = JoiningWarehouse(stand.warehouse, may_end)
        other = pool.submit(stand.new_coordinator("two", warehouse=joining).grader.grade, GAME_DATE, GAME_DATE)
        counts = one.result(), other.result().graded

    assert len(begun) == 1
    assert counts == ((len(stand.predictions()), 0, 0, 0, 0), len(stand.predictions()))


def test_a_game_without_a_box_score_is_ungraded_and_named(stand: Stand) -> None:
    stand.run()

    answer = stand.coordinator.grader.grade(GAME_DATE, GAME_DATE)

    assert (answer.graded, answer.ungraded) == (0, len(stand.predictions()))
    assert [(game.game_id, game.players) for game in answer.ungraded_games] == [(GAME_ID, 3)]


def test_a_newer_batch_moves_the_grades_to_its_own_predictions(stand: Stand) -> None:
    stand.run()
    box_score(stand, {"1": 21, "2": 9})
    grade(stand)
    stand.pass_time(timedelta(minutes=5))
    league = a_league()
    stand.load(replace(league, lines=league.lines[:1]))
    stand.run("another-key", policy=Policy(max_retired_share=1))
    box_score(stand, {"1": 21, "2": 9})

    _, _, _, retired, _ = grade(stand)

    assert retired > 0
    assert {row["prediction_id"] for row in grades(stand)} == {row["prediction_id"] for row in stand.predictions()}


def test_a_grade_is_of_what_was_active_at_tip_off_whatever_is_planned_later(stand: Stand) -> None:
    league = a_league()
    tipoff_at = stand.now + timedelta(minutes=1)
    stand.load(replace(league, games=[a_scheduled_game(tipoff_at=tipoff_at)]))
    stand.run()
    active = stand.predictions()
    stand.pass_time(timedelta(minutes=5))
    stand.load(replace(league, games=[a_scheduled_game(tipoff_at=tipoff_at)], lines=league.lines[:1]))
    stand.run("another-key")
    box_score(stand, {"1": 21, "2": 9})

    grade(stand)

    assert stand.predictions() == active
    assert {row["prediction_id"] for row in grades(stand)} == {row["prediction_id"] for row in active}
    assert not any(row["is_after_tipoff"] for row in grades(stand))


@pytest.mark.parametrize(
    ("before_tipoff", "is_after"), [(timedelta(seconds=1), False), (timedelta(0), True), (None, None)]
)
def test_a_grade_says_whether_its_game_had_begun(
    stand: Stand, before_tipoff: timedelta | None, *, is_after: bool | None
) -> None:
    tipoff_at = None if before_tipoff is None else stand.now + before_tipoff
    stand.load(replace(a_league(), games=[a_scheduled_game(tipoff_at=tipoff_at)]))
    stand.run()
    box_score(stand, {"1": 21, "2": 9})
    grade(stand)

    measured = measured_of(stand, GAME_DATE, GAME_DATE)

    assert {row["is_after_tipoff"] for row in grades(stand)} == {is_after}
    assert measured.after_tipoff == (measured.graded if is_after else 0)


def test_a_crash_on_any_effect_is_mended_by_the_next_call(stand: Stand) -> None:
    stand.run()
    box_score(stand, {"1": 21, "2": 9})
    for effect in range(12):
        with stand.crash_at(effect), suppress(Crash):
            stand.new_coordinator("dies").grader.grade(GAME_DATE, GAME_DATE)

    grade(stand)

    assert len(grades(stand)) == len(stand.predictions())


def test_a_grades_table_of_another_shape_is_refused(stand: Stand) -> None:
    stand.run()
    stand.warehouse.drop("grades")
    stand.warehouse.create(TableSpec("grades", tables.load(tables.GRADES).columns[:-3]))

    with pytest.raises(SchemaClash, match="source_id"):
        grade(stand)


@pytest.mark.parametrize(
    ("first", "last", "problem"),
    [
        (GAME_DATE, GAME_DATE - DAY, "give the later date"),
        (GAME_DATE, GAME_DATE + DAY, "has not been played"),
        (GAME_DATE + DAY, GAME_DATE, "from: .* has not been played"),
        (GAME_DATE - 500 * DAY, GAME_DATE, "a season at a time"),
        (GAME_DATE - 3 * DAY, GAME_DATE - 2 * DAY, "nothing is predicted"),
    ],
)
def test_a_span_that_nobody_can_mean_is_refused(stand: Stand, first: Any, last: Any, problem: str) -> None:
    stand.run()

    with pytest.raises(InvalidInput, match=problem):
        stand.coordinator.grader.grade(first, last)


def test_the_route_grades_a_date_a_span_or_the_last_days(stand: Stand) -> None:
    front = Front(stand)
    assert front.post("/grade").get_json()["dates"] == []
    stand.run()
    box_score(stand, {"1": 21})

    of_date = front.post("/grade", {"game_date": "2026-01-30"}).get_json()
    of_span = front.post("/grade", {"from": "2026-01-29", "to": "2026-01-30"}).get_json()
    of_days = front.post("/grade").get_json()

    assert of_date["graded"] == of_span["graded"] == of_days["graded"] == len(stand.predictions())
    refused = front.post("/grade", {"game_date": "2026-01-30", "to": "2026-01-31"})
    assert (refused.status_code, refused.get_json()["field"]) == (422, "game_date")
    assert front.post("/grade", {"from": "2026-02-30"}).status_code == 422


def test_a_sweep_grades_what_is_due_and_a_dry_run_says_so(stand: Stand) -> None:
    front = Front(stand)
    stand.run()
    assert front.post("/sweep").get_json()["graded"] == []
    box_score(stand, {"1": 21})

    would = front.post("/sweep", {"dry_run": True}).get_json()["graded"]
    assert grades(stand) == []
    did = front.post("/sweep").get_json()["graded"]

    assert would == did == [GAME_DATE.isoformat()]
    assert len(grades(stand)) == len(stand.predictions())
    assert front.post("/sweep").get_json()["graded"] == []


def test_a_sweep_that_cannot_grade_is_a_sweep_all_the_same(stand: Stand) -> None:
    stand.run()
    stand.warehouse.drop("grades")
    stand.warehouse.create(TableSpec("grades", tables.load(tables.GRADES).columns[:-3]))
    box_score(stand, {"1": 21})

    answer = Front(stand).post("/sweep")

    assert (answer.status_code, answer.get_json()["graded"]) == (200, [])
