"""Dates that cannot be graded: each is named with its reason, and no other date waits for it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from coordinator.usecases.grade import GradedDate, RefusedDate
from shared.errors import QueryRefused, TipoffError, Unavailable
from shared.ports import Parameters, Warehouse
from tests.flow.test_grades import DAY, GAME_ID, box_score, grades
from tests.plan_inputs import GAME_DATE, a_log
from tests.stand.front import Front
from tests.stand.world import Stand

BEFORE = GAME_DATE - DAY


class TroubledWarehouse:
    """The warehouse, where every statement about one date meets trouble."""

    def __init__(self, inner: Warehouse, trouble: TipoffError) -> None:
        self._inner = inner
        self._trouble = trouble

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def query(self, sql: str, parameters: Parameters | None = None) -> Any:
        if f"DATE '{BEFORE}'" in sql:
            raise self._trouble
        return self._inner.query(sql, parameters)


def two_dates(stand: Stand, *, rows_before: int) -> None:
    """Predict two dates and play both; the box score of the earlier one has its player so many times."""
    stand.run()
    earlier = {"game_date": BEFORE, "game_id": "EARLIER"}
    copied = [{**row, **earlier, "prediction_id": str(uuid.uuid4())} for row in stand.predictions()]
    stand.warehouse.append("predictions", copied)
    box_score(stand, {"1": 21, "2": 9})
    stand.warehouse.append("player_game_logs", [a_log("1", days_ago=1, game_id="EARLIER", points=20)] * rows_before)


def refusal_of(stand: Stand) -> tuple[list[GradedDate], list[RefusedDate]]:
    answer = stand.coordinator.grader.grade(GAME_DATE, GAME_DATE)
    return answer.dates, answer.refused


def graded_dates(stand: Stand) -> set[object]:
    return {row["game_date"] for row in grades(stand)}


def test_a_player_twice_in_a_box_score_is_refused_and_nothing_is_written(stand: Stand) -> None:
    stand.run()
    box_score(stand, {"1": 21})
    stand.warehouse.append("player_game_logs", [a_log("1", days_ago=0, game_id=GAME_ID, points=22)])

    dates, (refused,) = refusal_of(stand)

    assert (dates, refused.game_date, refused.may_pass) == ([], GAME_DATE, False)
    assert "more than one box score row" in refused.why
    assert grades(stand) == []


def test_a_grading_that_failed_as_often_as_it_may_is_tried_anew_by_the_next_call(stand: Stand) -> None:
    stand.run()
    box_score(stand, {"1": 21, "2": 9})
    failed: list[str] = []

    def fail(job_id: str) -> None:
        failed.append(job_id)
        raise QueryRefused("the warehouse is in no mood")

    stand.in_job.append(fail)
    for _ in range(2):
        _, (refused,) = refusal_of(stand)
        assert refused.why == f"grading {GAME_DATE} failed 5 times: the warehouse is in no mood"
    stand.in_job.clear()

    assert len(set(failed)) == len(failed) == 10
    (graded,), _ = refusal_of(stand)
    assert graded.inserted == len(stand.predictions())


def test_a_date_that_cannot_be_graded_stops_no_other_and_is_named_with_its_reason(stand: Stand) -> None:
    two_dates(stand, rows_before=2)

    answer = Front(stand).post("/grade", {"from": f"{BEFORE}", "to": f"{GAME_DATE}"})

    told = answer.get_json()
    assert answer.status_code == told["status"] == 409
    assert answer.content_type == "application/problem+json"
    assert told["detail"].startswith(f"graded 1 of 2 dates; not {BEFORE}: ")
    assert "match more than one box score row" in told["detail"]
    assert [one["game_date"] for one in told["dates"]] == [f"{GAME_DATE}"]
    assert [(one["game_date"], one["may_pass"]) for one in told["refused"]] == [(f"{BEFORE}", False)]
    assert told["graded"] == len(grades(stand)) > 0
    assert graded_dates(stand) == {GAME_DATE}


def test_a_date_that_was_corrected_is_graded_by_the_next_call(stand: Stand) -> None:
    two_dates(stand, rows_before=2)
    front = Front(stand)
    assert front.post("/grade").status_code == 409
    stand.warehouse.query(f"DELETE FROM `player_game_logs` WHERE `game_date` = DATE '{BEFORE}'")
    stand.warehouse.append("player_game_logs", [a_log("1", days_ago=1, game_id="EARLIER", points=20)])

    answer = front.post("/grade")

    assert (answer.status_code, answer.get_json()["refused"]) == (200, [])
    assert graded_dates(stand) == {BEFORE, GAME_DATE}


@pytest.mark.parametrize(
    ("trouble", "status"), [(Unavailable("asleep"), 503), (QueryRefused("this reads too much"), 409)]
)
def test_only_trouble_that_may_pass_asks_for_the_same_call_again(
    stand: Stand, trouble: TipoffError, status: int
) -> None:
    two_dates(stand, rows_before=1)
    other = stand.new_coordinator("two", warehouse=TroubledWarehouse(stand.warehouse, trouble))

    answer = Front(stand, other).post("/grade")

    assert (answer.status_code, "Retry-After" in answer.headers) == (status, status == 503)
    assert answer.get_json()["detail"] == f"graded 1 of 2 dates; not {BEFORE}: {trouble}"
    assert graded_dates(stand) == {GAME_DATE}


@pytest.mark.parametrize("trouble", [Unavailable("asleep"), QueryRefused("this reads too much")])
def test_a_sweep_grades_every_date_that_it_can_and_the_log_tells_of_the_others(
    stand: Stand, caplog: pytest.LogCaptureFixture, trouble: TipoffError
) -> None:
    two_dates(stand, rows_before=1)
    other = stand.new_coordinator("two", warehouse=TroubledWarehouse(stand.warehouse, trouble))

    answer = Front(stand, other).post("/sweep")

    assert (answer.status_code, answer.get_json()["graded"]) == (200, [f"{GAME_DATE}"])
    assert len(answer.get_json()["batches"]) == 1
    assert graded_dates(stand) == {GAME_DATE}
    (told,) = [one for one in caplog.records if one.message == "date not graded"]
    fields = vars(told)["json_fields"]
    assert fields == {"game_date": f"{BEFORE}", "why": str(trouble), "may_pass": isinstance(trouble, Unavailable)}
