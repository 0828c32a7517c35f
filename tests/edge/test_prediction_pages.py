"""The pages of a date's predictions, of a player and of a season: what they show, and that nobody's name breaks them."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from coordinator.rules.player_queries import PAGE_PLAYERS
from schemas import names, tables
from tests.flow.test_grades import box_score, grade
from tests.plan_inputs import GAME_DATE, a_log
from tests.stand.front import Front
from tests.stand.world import Stand, a_league

DATE = f"/dashboard/dates/{GAME_DATE}"
STRANGE = "o'neal & <b>sons</b>/jr. é"


def shown(text: str) -> list[str]:
    """The names of the players on a date's page, in order."""
    return [unescape(name) for name in re.findall(r'<a href="/dashboard/player\?[^"]*">([^<]*)</a>', text)]


def many(stand: Stand, count: int) -> None:
    """Put so many players' copies of one prediction into the table."""
    stand.run()
    row: dict[str, Any] = next(one for one in stand.predictions() if one["system_id"] == "ensemble")
    rows = [
        row | {"prediction_id": f"p{n}", "player_lookup": f"many-{n:05}", "predicted_points": n % 40}
        for n in range(count)
    ]
    schema = tables.load(tables.PREDICTIONS)
    stand.warehouse.append(names.PREDICTIONS_TABLE, [schema.validate_row(one) for one in rows])


def test_a_dates_page_has_every_player_with_line_interval_and_all_systems(stand: Stand, front: Front) -> None:
    stand.run()

    page = front.get(DATE).text

    assert sorted(shown(page)) == ["player-1", "player-2", "player-3"]
    points = [float(row["predicted_points"]) for row in stand.predictions() if row["system_id"] == "ensemble"]
    assert f'data-label="points">{max(points)}' in page
    assert page.count('class="interval"') == 3
    for system in ("season average", "moving average", "similarity", "ridge"):
        assert page.count(f'data-label="{system}">') == 3
    assert "OKC at HOU" in page


@pytest.mark.parametrize(
    ("query", "players"),
    [
        ("name=PLAYER-2", ["player-2"]),
        ("name=nobody", []),
        ("team=HOU&sort=player", ["player-1", "player-2", "player-3"]),
        ("team=OKC", []),
        ("recommendation=OVER", []),
        ("name=%25", []),
    ],
)
def test_filters_leave_whom_they_name(stand: Stand, front: Front, query: str, players: list[str]) -> None:
    stand.run()

    assert shown(front.get(f"{DATE}?{query}").text) == players


def test_twenty_thousand_players_come_page_by_page_and_each_once(stand: Stand, front: Front) -> None:
    many(stand, 20_000)

    first = front.get(f"{DATE}?sort=player&name=many")
    last = front.get(f"{DATE}?sort=player&name=many&page=400")

    assert "20,000 players" in first.text
    assert len(first.text) < 200_000
    assert shown(first.text) == [f"many-{n:05}" for n in range(PAGE_PLAYERS)]
    assert shown(last.text)[-1] == "many-19999"
    assert 'rel="next"' in first.text
    assert 'rel="next"' not in last.text
    by_points = shown(front.get(f"{DATE}?name=many").text)
    assert by_points == [f"many-{n:05}" for n in range(39, 40 * PAGE_PLAYERS, 40)]


def test_a_players_page_tells_past_terms_request_and_batches(stand: Stand, front: Front) -> None:
    batch = stand.run()
    box_score(stand, {"1": 25, "2": 9})
    grade(stand)

    page = front.get("/dashboard/player?name=player-1").text

    assert "25 scored" in page
    assert "What the newest is made of" in page
    assert f"/dashboard/batches/{batch.batch_id}" in page
    assert "&#34;recent_games&#34;" in page
    assert ">WIN<" in page or ">LOSS<" in page or ">PASS<" in page


def test_a_players_page_of_nobody_is_404_and_without_a_name_422(stand: Stand, front: Front) -> None:
    assert front.get("/dashboard/player?name=nobody").status_code == 404
    stand.run()
    answer = front.get("/dashboard/player?name=nobody")

    assert answer.status_code == 404
    assert "nobody called" in answer.text
    assert front.get("/dashboard/player").status_code == 422


def test_a_name_of_any_text_has_its_page(tmp_path: Path) -> None:
    league = a_league(1)
    logs = [a_log("1", days_ago=day, player_lookup=STRANGE) for day in (2, 4)]
    with closing(Stand(tmp_path, replace(league, logs=logs))) as stand:
        stand.run()
        front = Front(stand)
        listed = front.get(DATE).text
        (link,) = re.findall(r'<a href="(/dashboard/player\?[^"]*)">', listed)

        assert shown(listed) == [STRANGE]
        assert "<b>sons" not in listed
        assert front.get(unescape(link)).status_code == 200


@pytest.mark.parametrize(
    "path", [f"{DATE}?page=0", f"{DATE}?sort=height", "/dashboard/dates/2026-13-01", f"{DATE}?page=x"]
)
def test_what_is_no_page_is_refused_in_words(front: Front, path: str) -> None:
    answer = front.get(path)

    assert answer.status_code == 422
    assert "Tipoff" in answer.text


def test_before_the_first_batch_every_page_says_that_there_is_nothing(front: Front) -> None:
    for path in (DATE, "/dashboard/season", "/dashboard/accuracy"):
        assert front.get(path).status_code == 200


def test_the_season_shows_each_date_with_its_batch_and_grades(stand: Stand, front: Front) -> None:
    batch = stand.run()
    box_score(stand, {"1": 25, "2": 9})
    grade(stand)

    season = front.get(f"/season?from={GAME_DATE - timedelta(days=3)}&to={GAME_DATE}").get_json()
    page = front.get(f"/dashboard/season?from={GAME_DATE}&to={GAME_DATE}").text

    assert season["states"] == {"COMPLETE": 1}
    (one,) = season["dates"]
    assert (one["batch_id"], one["graded"], one["ungraded"]) == (batch.batch_id, len(stand.predictions()), 0)
    assert "COMPLETE" in page
    assert front.get("/season?from=2026-01-30&to=2026-01-01").status_code == 422


def test_unasked_the_season_is_the_last_days_or_those_of_the_newest_batch_where_that_is_older(
    stand: Stand, front: Front
) -> None:
    batch = stand.run()

    def unasked() -> tuple[str, str]:
        season = front.get("/season").get_json()
        return season["first"], season["last"]

    today = unasked()
    stand.now += timedelta(days=200)

    assert today == (str(GAME_DATE - timedelta(days=30)), str(GAME_DATE))
    assert unasked() == today
    assert batch.batch_id in front.get("/dashboard/season").text


def test_a_batchs_page_leads_to_the_predictions_of_its_date(stand: Stand, front: Front) -> None:
    batch = stand.run()

    assert f'href="{DATE}"' in front.get(f"/dashboard/batches/{batch.batch_id}").text
