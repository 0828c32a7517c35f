"""B18, D5: a batch that cannot fit the quotas is never made; Cloud Scheduler may send a start as often as it likes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from coordinator.app import create_app
from coordinator.documents import date_path
from coordinator.rules import quotas
from coordinator.rules.quotas import forecast
from tests.plan_inputs import GAME_DATE
from tests.stand.world import PLAYERS, Crash, Stand

SCHEDULER = {"X-CloudScheduler": "true", "X-CloudScheduler-JobName": "tipoff-start"}


def call_start(stand: Stand, **body: object) -> tuple[int, dict[str, Any]]:
    """Start as the job of Cloud Scheduler does."""
    app = create_app(stand.coordinator, guard=lambda _header, _callers: None)
    answer = app.test_client().post("/start", json={"game_date": GAME_DATE.isoformat(), **body}, headers=SCHEDULER)
    return answer.status_code, answer.get_json()


# --- B18 ------------------------------------------------------------------------------------------------------


def test_b18_a_plan_that_cannot_fit_is_refused_before_there_is_a_batch(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "PARAMETER_BYTES", 5_000_000)  # three players, as 100,000 times as many

    status, problem = call_start(stand)

    assert (status, problem["type"], problem["field"]) == (422, "urn:tipoff:problem:invalid-input", "players")
    for told in ("BigQuery request of the MERGE", "15,000,000", "10,000,000", "BigQuery, Quotas and limits"):
        assert told in problem["detail"]
    assert stand.coordinator.views.batches() == []
    assert stand.documents.get(date_path(GAME_DATE)) is None
    assert stand.requests.messages == []


def test_b18_a_refused_plan_starts_once_it_fits(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(quotas, "PARAMETER_BYTES", 5_000_000)
        assert call_start(stand)[0] == 422

    assert call_start(stand)[0] == 202
    assert len(stand.sent()) == len(PLAYERS)


def test_b18_no_batch_needs_a_load_job_whatever_its_size() -> None:
    for players in (150, 450, 20_000, 100_000):
        (loads,) = (quota for quota in forecast(players) if quota.name == "load jobs on a table and day")
        assert loads.forecast == 0


# --- D5 -------------------------------------------------------------------------------------------------------


def test_d5_a_start_that_scheduler_sends_again_is_the_same_start(stand: Stand) -> None:
    first, *again = [call_start(stand) for _ in range(3)]

    assert first[0] == 202
    assert [status for status, _ in again] == [200, 200]
    assert {answer["batch_id"] for _, answer in (first, *again)} == {first[1]["batch_id"]}
    assert len(stand.sent()) == len(PLAYERS)
    assert len(stand.coordinator.views.batches()) == 1


@pytest.mark.parametrize("lived_through", range(0, 12, 2))
def test_d5_a_start_that_died_halfway_is_finished_by_the_one_sent_again(stand: Stand, lived_through: int) -> None:
    with stand.crash_at(lived_through), suppress(Crash):
        call_start(stand)

    status, answer = call_start(stand)

    assert status in (200, 202)
    assert [batch.batch_id for batch in stand.coordinator.views.batches()] == [answer["batch_id"]]
    assert set(stand.sent()) == set(PLAYERS)


def test_d5_scheduler_is_content_with_a_batch_that_somebody_else_started(stand: Stand) -> None:
    stand.start("by hand")

    status, answer = call_start(stand)

    assert (status, answer["started"]) == (200, False)
    assert len(stand.coordinator.views.batches()) == 1
