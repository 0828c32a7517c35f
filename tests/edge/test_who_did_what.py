"""Each admin action is kept with the caller's account, the time and his reason, and nothing changes it afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from coordinator import main
from coordinator.app import create_app
from coordinator.routes.exchange import Caller
from local.one_machine.serving import serving
from shared import logs
from shared.auth import REMOVED_SIGNATURE
from tests.gunicorn_process import SETTINGS
from tests.stand.front import START, Front, assert_problem
from tests.stand.world import PLAYERS, Crash, Stand
from tests.terminal import Terminal
from tests.tokens import AUDIENCE, PUSHER, claims, segment

ANN, SCHEDULER = "ann@example.com", "scheduler@example.com"
DEPLOYED = {
    "K_SERVICE": "coordinator",
    "K_REVISION": "coordinator-1",
    **{name: value for name, value in SETTINGS.items() if name.startswith("TIPOFF_")},
    "TIPOFF_AUTH": "cloud-run",
    "TIPOFF_AUDIENCE": AUDIENCE,
    "TIPOFF_PUSH_CALLERS": PUSHER,
    "TIPOFF_SCHEDULER_CALLERS": SCHEDULER,
    "TIPOFF_ADMIN_CALLERS": ANN,
}
FROM_A_JOB = {"X_CloudScheduler": "true", "X_CloudScheduler_JobName": "start"}


@pytest.fixture
def front(stand: Stand) -> Front:
    front = Front(stand)
    front.app = called_by(ANN, stand)
    front.client = front.app.test_client()
    return front


def called_by(account: str, stand: Stand) -> Flask:
    """The routes, called by an account, whatever the token."""

    def guard(_header: str | None, _callers: frozenset[Caller]) -> str:
        return account

    return create_app(stand.coordinator, guard=guard, schedulers=[SCHEDULER])


def checked_token(email: str) -> str:
    """An account's token as it comes through Cloud Run's IAM."""
    return f"{segment({'alg': 'RS256', 'kid': 'key-1'})}.{segment(claims(email=email))}.{REMOVED_SIGNATURE}"


def kept(front: Front, batch_id: str) -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = front.get(f"/batches/{batch_id}").get_json()["actions"]
    return actions


def test_each_action_is_kept_in_order_with_account_time_and_reason(stand: Stand, front: Front) -> None:
    batch_id = front.post("/start", START, headers={"Tipoff-Why": "late%20lines%20%E2%80%93%20all"}).get_json()[
        "batch_id"
    ]
    stand.pass_time(timedelta(minutes=5))
    front.client.patch(f"/batches/{batch_id}/policy", json={"deadline_minutes": 240})
    stand.pass_time(timedelta(minutes=5))
    front.post(f"/batches/{batch_id}/cancel", {}, headers={"Tipoff-Why": "wrong date"})

    told = [(one["account"], one["action"], one["why"]) for one in kept(front, batch_id)]
    assert told == [(ANN, "start", "late lines – all"), (ANN, "policy", ""), (ANN, "cancel", "wrong date")]
    assert kept(front, batch_id)[1]["asked"] == '{"deadline_minutes":240}'
    assert len({one["at"] for one in kept(front, batch_id)}) == 3
    lines = [moment["text"] for moment in front.get(f"/batches/{batch_id}").get_json()["timeline"]]
    assert "ann@example.com asked: cancel; why: wrong date" in lines
    assert "ann@example.com asked: policy (deadline minutes: 240); no reason given" in lines


def test_what_was_refused_was_asked_for_all_the_same(stand: Stand, front: Front) -> None:
    batch_id = stand.run(players=PLAYERS[:1]).batch_id
    front.post(f"/batches/{batch_id}/cancel", {})

    stand.pass_time(timedelta(minutes=5))
    assert_problem(front.post(f"/batches/{batch_id}/redrive", {}), 409)
    stand.pass_time(timedelta(minutes=5))
    assert_problem(front.post(f"/batches/{batch_id}/consolidate", {"force": True}), 409)

    assert [one["action"] for one in kept(front, batch_id)] == ["cancel", "redrive", "consolidate"]


def test_schedulers_starts_are_no_persons(stand: Stand, front: Front) -> None:
    front.client = called_by(SCHEDULER, stand).test_client()

    batch_id = front.start(key=None, **FROM_A_JOB).get_json()["batch_id"]

    assert kept(front, batch_id) == []


def test_a_person_who_says_that_he_is_scheduler_is_taken_for_himself(front: Front) -> None:
    batch_id = front.start(key=None, **FROM_A_JOB).get_json()["batch_id"]

    assert [(one["account"], one["action"]) for one in kept(front, batch_id)] == [(ANN, "start")]
    assert_problem(front.start(key="another-key", **FROM_A_JOB), 409, batch_id)


def test_the_service_knows_scheduler_by_the_account_of_its_settings(
    stand: Stand, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "_parts", lambda *_: stand.coordinator.parts)
    monkeypatch.setattr(logs, "configure", lambda **_: None)
    front.client = main.create_app(DEPLOYED).test_client()
    by_ann, by_scheduler = ({"Authorization": f"Bearer {checked_token(email)}"} for email in (ANN, SCHEDULER))

    batch_id = front.start(key=None, **FROM_A_JOB, **by_ann).get_json()["batch_id"]
    not_needed = front.start(key="another-key", **FROM_A_JOB, **by_scheduler)

    assert (not_needed.status_code, not_needed.get_json()["batch_id"]) == (200, batch_id)
    assert [action.account for action in stand.coordinator.ledger.actions(batch_id)] == [ANN]


def test_a_start_as_scheduler_by_hand_is_kept(stand: Stand, front: Front) -> None:
    front.client = called_by(SCHEDULER, stand).test_client()

    batch_id = front.start().get_json()["batch_id"]

    assert [one["account"] for one in kept(front, batch_id)] == [SCHEDULER]


def test_a_reason_that_is_too_long_is_refused_and_nothing_is_done(stand: Stand, front: Front) -> None:
    batch_id = stand.start().batch.batch_id

    answer = front.post(f"/batches/{batch_id}/cancel", {}, headers={"Tipoff-Why": "x" * 501})

    assert_problem(answer, 422, "why: is over 500 characters")
    assert stand.batch(batch_id).is_live


def test_an_action_that_cannot_be_kept_is_not_done(stand: Stand, front: Front) -> None:
    batch_id = stand.start().batch.batch_id
    with stand.crash_at(0), pytest.raises(Crash):
        front.post(f"/batches/{batch_id}/cancel", {})

    assert stand.batch(batch_id).is_live


def test_it_is_logged_and_shown_on_the_page(stand: Stand, front: Front, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    batch_id = stand.start().batch.batch_id
    front.post(f"/batches/{batch_id}/cancel", {}, headers={"Tipoff-Why": "wrong date"})

    (line,) = [record for record in caplog.records if record.message == "admin action"]
    assert line.__dict__["json_fields"] == {
        "batch_id": batch_id, "account": ANN, "action": "cancel", "asked": "{}", "why": "wrong date"
    }  # fmt: skip
    page = front.get(f"/dashboard/batches/{batch_id}").get_data(as_text=True)
    assert "ann@example.com asked: cancel; why: wrong date" in page


def test_the_command_carries_the_reason(
    stand: Stand, front: Front, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = stand.start().batch.batch_id
    with serving(front.app) as url:
        terminal = Terminal(url, capsys, monkeypatch)
        terminal.json("policy", batch_id, "--deadline-minutes", "300", "--why", "Łuczyn is late")
        stand.pass_time(timedelta(minutes=5))
        terminal.json("cancel", batch_id, "--yes", "--why", "50% of it")

    assert [one["why"] for one in kept(front, batch_id)] == ["Łuczyn is late", "50% of it"]
