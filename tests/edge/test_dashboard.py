"""The dashboard's pages and buttons over HTTP: what they show, whom they obey, and that nothing of it is code."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from coordinator.app import create_app
from coordinator.operator.dashboard import words
from coordinator.routes.buttons import view_of
from coordinator.routes.exchange import Caller
from coordinator.routes.openapi import ROUTES
from coordinator.rules.lifecycle import Status
from schemas import names
from schemas.messages import FailureCode
from shared.errors import NotAuthorised
from shared.settings import Policy
from tests.plan_inputs import GAME_DATE, League, a_log, a_scheduled_game
from tests.stand.front import Front
from tests.stand.ledger import a_failure, a_skip
from tests.stand.world import PLAYERS, Stand, a_league

BATCH_ID = names.batch_id(GAME_DATE, "key:a-key")
PAGE = f"/dashboard/batches/{BATCH_ID}"


def token(front: Front, path: str = "/") -> str:
    """Load a page as a browser does, cookie and all, and return its forms' token."""
    (found, *others) = re.findall(r'name="form_token" value="([^"]+)"', front.get(path).text)
    assert set(others) <= {found}
    return str(found)


def press(
    front: Front, action: str, *, path: str = PAGE, headers: dict[str, str] | None = None, **form: str
) -> TestResponse:
    """Send the form of one of a page's buttons."""
    given = {"form_token": token(front, path), "once": "a-click"} | form
    return front.client.post(f"{PAGE}/{action}", data=given, headers=headers)


def said(front: Front, path: str = PAGE) -> str:
    """The words that stand on the page once."""
    (found,) = re.findall(r'<div class="said" role="status">(.*?)</div>', front.get(path).text, re.DOTALL)
    return re.sub(r"<[^>]+>", "", found)


def state(stand: Stand) -> Status:
    return stand.batch(BATCH_ID).status


# --- pages ----------------------------------------------------------------------------------------------------


def test_without_any_batch_the_list_says_how_one_is_made(front: Front) -> None:
    page = front.get("/")

    assert page.status_code == 200
    assert "No batch yet" in page.text


def test_a_running_batch_is_shown_with_its_progress_and_refreshes_itself(stand: Stand, front: Front) -> None:
    front.start()
    stand.pass_time(timedelta(seconds=4))
    front.complete(stand.answer(PLAYERS[0]))

    listed, page = front.get("/").text, front.get(PAGE).text

    for shown in (listed, page):
        assert "RUNNING" in shown
        assert 'aria-label="1 predicted, 2 silent of 3"' in shown
        assert '<noscript><meta http-equiv="refresh"' in shown
    assert "2 of 3 players have not answered" in page
    assert "player-2" in page
    assert "≤ 5 s" in page
    assert '<button class="danger">Cancel</button>' in page


@pytest.mark.parametrize(
    ("answered", "failed", "tolerated", "expected"),
    [(3, 0, 0.0, "COMPLETE"), (2, 1, 0.5, "PARTIAL"), (2, 1, 0.0, "FAILED"), (0, 0, 0.0, "CANCELLED")],
)
def test_an_ended_batch_is_shown_in_every_state_and_rests(
    stand: Stand, front: Front, answered: int, failed: int, tolerated: float, expected: str
) -> None:
    front.start({"game_date": GAME_DATE.isoformat(), "policy": {"tolerated_failed_share": tolerated}})
    for player in PLAYERS[:answered]:
        front.complete(stand.answer(player))
    for player in PLAYERS[answered : answered + failed]:
        front.complete(a_failure(BATCH_ID, player))
    if expected == "CANCELLED":
        press(front, "cancel")

    listed, page = front.get("/").text, front.get(PAGE).text

    assert f">{expected}</span>" in listed
    assert f">{expected}</span>" in page
    assert "http-equiv" not in page
    assert ("Needs a person" in listed) == (expected == "FAILED")
    assert ("Redrive …" in page) == (expected in ("PARTIAL", "FAILED"))


def test_a_batch_of_nobody_is_shown(tmp_path: Path) -> None:
    nobody = League(logs=(), games=(a_scheduled_game(),))
    with closing(Stand(tmp_path, nobody)) as stand:
        front = Front(stand)
        front.start()

        page = front.get(PAGE).text

    assert ">EMPTY</span>" in page
    assert "nobody is expected" in page


def test_the_list_shows_one_game_date_when_asked(front: Front) -> None:
    front.start()

    assert BATCH_ID in front.get(f"/?game_date={GAME_DATE}").text
    assert "No batch of 2026-01-29" in front.get("/?game_date=2026-01-29").text
    assert BATCH_ID in front.get("/?game_date=").text


def test_the_stages_page_puts_every_player_somewhere(stand: Stand, front: Front) -> None:
    front.start()
    front.complete(stand.answer(PLAYERS[0]))
    front.complete(a_skip(BATCH_ID, PLAYERS[1]))

    page = front.get(f"{PAGE}/gaps").text

    for stage in ("Staged not merged", "Skipped", "Undelivered"):
        assert f"<h3>{stage} <b>1</b></h3>" in page


def test_the_schema_page_shows_declared_beside_live(front: Front) -> None:
    front.start()

    page = front.get("/dashboard/schema")

    assert page.status_code == 200
    assert "_staging_v2" in page.text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (f"/dashboard/batches/{names.batch_id(GAME_DATE, 'other')}", 404, "No such batch"),
        ("/dashboard/batches/nonsense", 404, "No such batch"),
        ("/?game_date=tomorrow", 422, "a date has the form"),
    ],
)
def test_trouble_is_a_page_of_words(front: Front, path: str, status: int, words: str) -> None:
    page = front.get(path)

    assert (page.status_code, page.mimetype) == (status, "text/html")
    assert words in page.text


def test_a_players_name_with_markup_is_text(tmp_path: Path) -> None:
    name = '<img src=x onerror="alert(1)">'
    logs = [a_log("1", days_ago=2, player_lookup=name), a_log("2")]
    with closing(Stand(tmp_path, League(logs=logs, games=(a_scheduled_game(),)))) as stand:
        front = Front(stand)
        assert front.start().status_code == 202

        shown = front.get(PAGE).text + front.get(f"{PAGE}/gaps").text

        assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;" in shown
        assert "<img" not in shown


def test_a_group_of_players_is_cut_where_it_would_be_too_long() -> None:
    found = words.group("Silent", "", [f"player-{number:06}" for number in range(100_000)])

    assert (found.count, len(found.names), found.more) == (100_000, 200, 99_800)


# --- headers --------------------------------------------------------------------------------------------------


def test_every_page_is_confined_to_itself_and_never_stored(front: Front) -> None:
    front.start()

    for path in ("/", PAGE, f"{PAGE}/gaps", "/dashboard/schema", "/dashboard/batches/nonsense"):
        headers = front.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(front: Front) -> None:
    (here,) = front.get("/").headers.getlist("Set-Cookie")
    afar = create_app(front.coordinator, guard=lambda *_: None, only_loopback=False).test_client()
    (there,) = afar.get("/", base_url="https://coordinator.example.com").headers.getlist("Set-Cookie")

    for cookie in (here, there):
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
    assert "Secure" not in here
    assert "Secure" in there


# --- buttons --------------------------------------------------------------------------------------------------


def test_cancel_is_carried_out_and_told_once(stand: Stand, front: Front) -> None:
    front.start()

    answer = press(front, "cancel")

    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert state(stand) is Status.CANCELLED
    assert said(front) == "The batch is cancelled."
    assert said(front) == ""


def test_force_consolidates_in_spite_of_the_missing(stand: Stand, front: Front) -> None:
    front.start()
    front.complete(stand.answer(PLAYERS[0]))

    press(front, "consolidate")
    refused = said(front)
    press(front, "force")

    assert refused.startswith("Not done: 2 players are silent")
    assert said(front) == "The batch is consolidated by force. 2 players are left out."
    assert state(stand) is Status.PARTIAL


def test_redrive_leads_to_the_new_batch_and_a_second_click_to_the_same(stand: Stand, front: Front) -> None:
    front.start()
    for player in PLAYERS[:2]:
        front.complete(stand.answer(player))
    front.complete(a_failure(BATCH_ID, PLAYERS[2], FailureCode.PREDICTION_ERROR))

    first, second = press(front, "redrive"), press(front, "redrive")

    assert first.headers["Location"] == second.headers["Location"] != PAGE
    assert len(stand.coordinator.views.batches()) == 2
    assert "redrive of" in front.get(first.headers["Location"]).text


def test_the_deadline_can_be_moved(stand: Stand, front: Front) -> None:
    front.start()

    press(front, "policy", minutes="500")

    assert said(front) == "The deadline is changed."
    assert stand.batch(BATCH_ID).policy.deadline_minutes == 500
    assert stand.batch(BATCH_ID).deadline_at == stand.now + timedelta(minutes=500)


def test_a_deadline_that_is_no_number_is_refused_in_words(stand: Stand, front: Front) -> None:
    front.start()

    answer = press(front, "policy", minutes="soon")

    assert answer.status_code == 422
    assert "not a number of minutes" in answer.text
    assert stand.batch(BATCH_ID).policy == Policy()


def test_sweep_says_what_it_did(stand: Stand, front: Front) -> None:
    stand.requests.fail_next(1)
    front.start()

    answer = front.client.post("/dashboard/sweep", data={"form_token": token(front)})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "published what was never published" in said(front, "/")
    assert state(stand) is Status.RUNNING


def test_a_button_that_does_not_exist_is_refused(front: Front) -> None:
    front.start()

    assert press(front, "explode").status_code == 422


def test_a_button_asks_the_guard_as_the_route_it_stands_for_does(stand: Stand, front: Front) -> None:
    front.start()
    given = {"form_token": token(front, PAGE)}
    front.refusal = NotAuthorised("no token")

    assert front.client.post(f"{PAGE}/cancel", data=given).status_code == 401
    assert state(stand) is Status.RUNNING


def test_a_button_is_pressed_as_whoever_the_request_proves(stand: Stand, front: Front) -> None:
    front.start()
    asked: list[tuple[str | None, frozenset[Caller]]] = []
    front.app = create_app(stand.coordinator, guard=lambda *heard: asked.append(heard))
    front.client = front.app.test_client()

    press(front, "cancel", headers={"Authorization": "Bearer an-operators-token"})

    assert asked[1:] == [("Bearer an-operators-token", frozenset({Caller.ADMIN}))]
    assert state(stand) is Status.CANCELLED


# --- forged forms ---------------------------------------------------------------------------------------------

FORGERIES: list[tuple[str, dict[str, Any]]] = [
    ("no token", {"form_token": ""}),
    ("another token", {"form_token": "A" * 43}),
    ("another site, as the browser says", {"headers": {"Sec-Fetch-Site": "cross-site"}}),
    ("a sister site, as the browser says", {"headers": {"Sec-Fetch-Site": "same-site"}}),
    ("another site, by its origin", {"headers": {"Origin": "https://evil.example.com"}}),
    ("a sandboxed page", {"headers": {"Origin": "null"}}),
]


@pytest.mark.parametrize(("how", "changes"), FORGERIES, ids=[how for how, _ in FORGERIES])
def test_a_forged_form_changes_nothing(stand: Stand, front: Front, how: str, changes: dict[str, Any]) -> None:
    front.start()

    answer = press(front, "cancel", **changes)

    assert answer.status_code == 403, how
    assert answer.mimetype == "text/html"
    assert state(stand) is Status.RUNNING


def test_a_token_without_its_cookie_is_nothing(stand: Stand, front: Front) -> None:
    front.start()
    given = {"form_token": token(front, PAGE)}
    stranger = front.app.test_client()

    assert stranger.post(f"{PAGE}/cancel", data=given).status_code == 403
    assert state(stand) is Status.RUNNING


def test_a_form_through_a_proxy_on_the_operators_machine_is_heard(stand: Stand, front: Front) -> None:
    """Such a proxy passes the browser's Origin on and sends the service's own Host."""
    front.start()

    answer = press(front, "cancel", headers={"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8080"})

    assert answer.status_code == 303
    assert state(stand) is Status.CANCELLED


def test_a_large_league_makes_a_short_page(tmp_path: Path) -> None:
    with closing(Stand(tmp_path, a_league(600))) as stand:
        front = Front(stand)
        front.start()

        page = front.get(PAGE).text

    assert page.count("<li>player-") == words.NAMES_LISTED
    assert "and 400 more" in page


def test_every_button_does_what_the_route_that_the_explanation_names_does(stand: Stand, front: Front) -> None:
    seen = set()
    front.start()
    for player in (None, *PLAYERS[:2]):
        if player is not None:
            front.complete(a_failure(BATCH_ID, player) if player == PLAYERS[1] else stand.answer(player))
        for action in stand.coordinator.diagnosis.explain(BATCH_ID).actions:
            slug = words.slug_of(action)
            seen.add(slug)
            minutes = {"minutes": str((action.body or {}).get("deadline_minutes", ""))}
            with front.app.test_request_context(method="POST", data=minutes):
                view, body = view_of(slug)
            (route,) = [one for one in ROUTES if one.view is view]
            assert route.path.format(batch_id=BATCH_ID) == action.path
            assert route.method.upper() == action.method
            assert body.model_dump(exclude_unset=True) == (action.body or {})

    assert seen == {"sweep", "policy", "force", "cancel"}
