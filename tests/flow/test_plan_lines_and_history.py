"""The planning query on a small league: lines and history of a request."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from schemas.messages import Line, Offer, PredictionRequest
from tests.plan_inputs import (
    PLANNED_AT,
    TIPOFF_AT,
    League,
    a_log,
    a_scheduled_game,
    an_offer,
    freeze,
    requests_of,
    values,
)


def books(request: PredictionRequest) -> list[str | None]:
    return [line.sportsbook for line in request.lines]


# --- lines ----------------------------------------------------------------------------------------------------


def test_each_distinct_value_is_one_line_the_preferred_sportsbooks_first_then_ascending() -> None:
    lines = [
        an_offer("1", "25.0", sportsbook="draftkings"),
        an_offer("1", "24.5", sportsbook="fanduel"),
        an_offer("1", "24.5", sportsbook="betmgm", fair_over=0.52),
        an_offer("1", "25.0", sportsbook="betmgm"),
        an_offer("1", "9.5", sportsbook="fanduel"),
    ]

    request = League(lines=lines).plan(preferred_sportsbook="DraftKings")["player-1"]

    assert values(request) == ["25.0", "9.5", "24.5"]
    assert books(request) == ["draftkings", "fanduel", "betmgm"]
    assert [line.fair_over for line in request.lines] == [None, None, 0.52]
    assert not any(line.is_fallback or line.is_estimated for line in request.lines)


def test_every_line_is_a_fallback_where_the_preferred_sportsbook_offered_the_player_none() -> None:
    lines = [
        an_offer("1", "24.5", sportsbook="fanduel"),
        an_offer("1", "25.5", sportsbook="betmgm"),
        an_offer("2", "11.5", sportsbook="draftkings"),
    ]

    plan = League(lines=lines).plan(preferred_sportsbook="draftkings")

    assert [line.is_fallback for line in plan["player-1"].lines] == [True, True]
    assert [line.is_fallback for line in plan["player-2"].lines] == [False]


def test_of_one_sportsbooks_captures_of_one_value_the_newest_counts() -> None:
    captures = [(3, 0.51), (1, 0.53), (2, 0.52)]
    lines = [
        an_offer("1", captured_at=PLANNED_AT - timedelta(hours=hours), fair_over=fair_over)
        for hours, fair_over in captures
    ]

    (line,) = League(lines=[an_offer("1", fair_over=0.5), *lines]).plan()["player-1"].lines

    assert line.fair_over == 0.53


@pytest.mark.parametrize("who_tells", ["the sportsbook", "the schedule"])
@pytest.mark.parametrize(("after", "values_seen"), [(timedelta(0), ["20.0"]), (-timedelta(seconds=1), ["24.5"])])
def test_a_line_from_after_the_tip_off_is_not_read(after: timedelta, values_seen: list[str], who_tells: str) -> None:
    told = TIPOFF_AT if who_tells == "the sportsbook" else None
    league = League(
        games=[a_scheduled_game(tipoff_at=None if told else TIPOFF_AT)],
        lines=[an_offer("1", "24.5", captured_at=TIPOFF_AT + after, commence_time_utc=told)],
    )

    assert values(league.plan()["player-1"]) == values_seen


def test_the_minutes_to_the_game_are_whole_and_unknown_without_a_capture_time() -> None:
    captured_at = PLANNED_AT + timedelta(seconds=1)
    lines = [an_offer("1", "24.5", captured_at=captured_at), an_offer("1", "25.5")]

    minutes = [line.minutes_before_game for line in League(lines=lines).plan()["player-1"].lines]

    assert minutes == [9 * 60 + 29, None]


@pytest.mark.parametrize(
    ("points", "line"),
    [
        ([20, 21, 20], "20.5"),
        ([20, 20, 20, 21], "20.5"),
        ([20, 20, 20, 20, 21], "20.0"),
        ([20, 21, 21, 21], "21.0"),
        ([0], "0.0"),
    ],
)
def test_a_player_without_an_offer_gets_one_line_near_his_season_average(points: list[int], line: str) -> None:
    logs = [a_log(days_ago=day, points=scored) for day, scored in enumerate(points, start=1)]

    assert League(logs=logs).plan()["player-1"].lines == (
        Line(points_line=Decimal(line), is_estimated=True, estimation_method="season_average", is_fallback=True),
    )


def test_before_his_first_game_of_the_season_the_line_is_near_his_recent_games() -> None:
    logs = [a_log(days_ago=200 + day, season="2024-25", points=day) for day in (1, 2, 30)]

    (line,) = League(logs=logs).plan(recent_games=2)["player-1"].lines

    assert (line.points_line, line.estimation_method) == (Decimal("1.5"), "recent_average")


# --- history --------------------------------------------------------------------------------------------------


def test_recent_games_are_the_last_wanted_ones_newest_first_across_seasons() -> None:
    logs = [a_log(days_ago=day, points=day) for day in (3, 1)] + [a_log(days_ago=200, season="2024-25", points=7)]

    request = League(logs=[*logs, a_log(days_ago=300, season="2024-25")]).plan(recent_games=3)["player-1"]

    assert request.recent_games.points == (1, 3, 7)
    assert request.recent_games.season == ("2025-26", "2025-26", "2024-25")
    assert request.recent_games_wanted == 3


def test_season_to_date_sums_every_game_of_the_games_season_not_only_the_recent_ones() -> None:
    logs = [a_log(days_ago=day, points=10 + day, minutes=20) for day in (1, 2, 3)]

    request = League(logs=[*logs, a_log(days_ago=200, season="2024-25")]).plan(recent_games=1)["player-1"]

    totals = request.season_to_date
    assert (totals.games, totals.points, totals.minutes) == (3, 36, 60)


def test_an_unknown_statistic_stays_unknown_and_a_zero_stays_a_zero() -> None:
    logs = [a_log(days_ago=1, points=0, minutes=0, fga=0), a_log(days_ago=2, fg3a=0)]

    games = League(logs=logs).plan()["player-1"].recent_games

    assert (games.points[0], games.minutes[0]) == (0, 0)
    assert (games.fga, games.fg3a, games.fta) == ((0, None), (None, 0), (None, None))
    assert games.left_position_shots == (None, None)


@pytest.mark.parametrize(("days_ago", "rest_days"), [(1, 0), (3, 2), (200, 199)])
def test_rest_days_are_those_between_the_games(days_ago: int, rest_days: int) -> None:
    assert League(logs=[a_log(days_ago=days_ago)]).plan()["player-1"].rest_days == rest_days


@pytest.mark.parametrize(
    ("game_date", "season"),
    [
        (date(2026, 1, 30), "2025-26"),
        (date(2025, 9, 30), "2024-25"),
        (date(2025, 10, 1), "2025-26"),
        (date(2099, 12, 1), "2099-00"),
    ],
)
def test_a_schedule_without_seasons_takes_the_season_of_the_date(game_date: date, season: str) -> None:
    league = League(
        logs=[a_log(game_date=game_date - timedelta(days=1))],
        games=[a_scheduled_game(game_date=game_date, season=None)],
    )
    warehouse = league.warehouse()

    freeze(warehouse, game_date=game_date)

    assert requests_of(warehouse)["player-1"].game.season == season


def test_every_books_newest_offer_comes_with_its_odds() -> None:
    early, late = (TIPOFF_AT - timedelta(hours=hours) for hours in (8, 2))
    offers = [
        an_offer(sportsbook="one", fair_over=0.5, over_price=-110, under_price=-110, captured_at=early),
        an_offer(sportsbook="one", fair_over=0.6, over_price=-150, under_price=120, captured_at=late),
        an_offer(sportsbook="two", points_line="21.5", captured_at=early),
        an_offer(sportsbook="two", captured_at=early),
    ]

    request = League(lines=offers).plan()["player-1"]

    assert request.offers == (
        Offer(points_line=Decimal("20.5"), sportsbook="one", fair_over=0.6, over_price=-150, under_price=120),
        Offer(points_line=Decimal("20.5"), sportsbook="two"),
        Offer(points_line=Decimal("21.5"), sportsbook="two"),
    )
    assert League().plan()["player-1"].offers == ()
