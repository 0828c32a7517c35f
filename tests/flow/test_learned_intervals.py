"""What the plan learns from grades of how wide intervals must be: the same as the backtest, from what is known on the day."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from local.cli.backtesting import learning_groups
from schemas.messages import LEARNING_LAG_DAYS, Asked, PredictionRequest
from schemas.tables import Cell, Row
from tests.plan_inputs import GAME_DATE, PLANNED_AT, League, a_log, freeze, requests_of
from worker.conformal import INTERVALS, adapted_shares, asked_shares
from worker.players import Floats, players_of

KNOWN = GAME_DATE - timedelta(days=LEARNING_LAG_DAYS)
"""The last date whose grades count."""


def a_grade(player: str = "1", **overrides: Cell) -> Row:
    """The ensemble's grade of a regular player of 20 to 25 points, all of whose intervals missed."""
    game_date = overrides.get("game_date", KNOWN)
    fields: dict[str, Cell] = {
        "game_date": game_date,
        "prediction_id": f"{game_date} {player}",
        "system_id": "ensemble",
        "player_lookup": f"player-{player}",
        "game_id": f"game of {game_date}",
        "scoring_tier": "20_to_25",
        "is_regular": True,
        "prediction_version": 1,
        "is_hindsight": False,
        "predicted_points": 20,
        "exact_points": 20.0,
        "has_prop_line": False,
        "recommendation": "NO_LINE",
        "actual_points": 40,
        "inside_50": False,
        "inside_80": False,
        "inside_90": False,
        "result": "NO_LINE",
        "source_id": "a",
        "graded_at": PLANNED_AT,
        "grade_version": 1,
    }
    return fields | overrides


def season_of(points: Sequence[int], player: str = "1", *, minutes: int = 30) -> list[Row]:
    """Games of one player, the newest two days ago."""
    return [
        a_log(player, days_ago=2 + 2 * place, points=scored, minutes=minutes) for place, scored in enumerate(points)
    ]


def asked(*grades: Row) -> Asked | None:
    """What the intervals of a regular player of 20 to 25 points are asked for."""
    return League(logs=season_of([20] * 12), grades=grades).plan()["player-1"].asked


@pytest.mark.parametrize(
    ("points", "tier"),
    [
        ([0, 0, 0], "under_5"),
        ([4] * 9 + [13], "under_5"),
        ([5], "5_to_10"),
        ([9, 10, 11], "10_to_15"),
        ([24, 25], "20_to_25"),
        ([25], "25_and_more"),
        ([60], "25_and_more"),
    ],
)
def test_the_tier_follows_the_exact_season_mean(points: list[int], tier: str) -> None:
    request = League(logs=season_of(points)).plan()["player-1"]

    assert request.scoring_tier == tier


def test_before_a_seasons_first_game_there_is_no_tier() -> None:
    request = League(logs=[a_log(season="2024-25")]).plan()["player-1"]

    assert (request.scoring_tier, request.is_regular) == (None, False)


@pytest.mark.parametrize(
    ("games", "minutes", "is_regular"), [(9, 30, False), (10, 30, True), (10, 15, True), (10, 14, False)]
)
def test_a_regular_player_has_ten_games_and_fifteen_minutes(games: int, minutes: int, *, is_regular: bool) -> None:
    request = League(logs=season_of([10] * games, minutes=minutes)).plan()["player-1"]

    assert request.is_regular is is_regular


def test_nothing_is_asked_for_before_anything_is_known() -> None:
    assert asked() is None


def test_a_day_of_misses_widens_and_a_day_of_hits_narrows() -> None:
    outside = asked(*(a_grade(str(player)) for player in range(20)))
    inside = asked(*(a_grade(str(each), inside_50=True, inside_80=True, inside_90=True) for each in range(20)))

    assert outside == Asked(share_50=650_000, share_80=1_040_000, share_90=1_170_000)
    assert inside == Asked(share_50=350_000, share_80=740_000, share_90=870_000)


@pytest.mark.parametrize(
    "ignored",
    [
        {"game_date": KNOWN + timedelta(days=1)},
        {"game_date": GAME_DATE + timedelta(days=3)},
        {"game_date": date(2025, 9, 30)},
        {"system_id": "ridge"},
        {"scoring_tier": "15_to_20"},
        {"is_regular": False},
        {"is_regular": None},
        {"is_hindsight": True},
        {"actual_points": None},
    ],
    ids=str,
)
def test_what_is_not_known_on_the_day_or_is_of_others_teaches_nothing(ignored: dict[str, Cell]) -> None:
    usual = a_grade("1")

    assert asked(usual, a_grade("2", **ignored)) == asked(usual)


def test_a_players_game_teaches_once_however_many_lines_it_had() -> None:
    assert asked(a_grade(), a_grade(prediction_id="another line")) == asked(a_grade())


def test_the_plan_asks_for_what_the_backtest_asks_for() -> None:
    days, chance = 40, np.random.default_rng(5)
    players = {"1": [3] * 12, "2": [7] * 3, "3": [18] * 15, "4": [30] * 12}
    logs = [log for player, points in players.items() for log in season_of(points, player)]
    league = League(logs=logs)
    requests = league.plan()
    group = groups_of(list(requests.values()))
    day = np.repeat(np.arange(days, dtype=np.intp), 24)
    of_game = chance.choice(group, len(day))
    rank = chance.random(len(day)) ** 0.8
    expected = adapted_shares(
        np.r_[rank, np.zeros(len(group))],
        day=np.r_[day, np.full(len(group), days - 1 + LEARNING_LAG_DAYS)],
        group=np.r_[of_game, group],
    )
    by_group = dict(zip(group.tolist(), requests.values(), strict=True))
    grades = [
        graded(
            by_group[int(of_game[at])], at, KNOWN - timedelta(days=days - 1 - int(day[at])), rank[at] <= expected[at]
        )
        for at in range(len(day))
    ]

    planned = replace(league, grades=grades).plan()

    served = asked_shares(np.array([shares(request.asked) for request in planned.values()]))
    np.testing.assert_array_equal(served, expected[len(day) :])
    assert np.all(served != np.array(INTERVALS) / 100)


def groups_of(requests: Sequence[PredictionRequest]) -> NDArray[np.intp]:
    return learning_groups(players_of(requests), np.array([request.game.season for request in requests], dtype=object))


def graded(request: PredictionRequest, at: int, game_date: date, inside: Floats) -> Row:
    hits = {f"inside_{percent}": bool(each) for percent, each in zip(INTERVALS, inside, strict=True)}
    group = {"scoring_tier": request.scoring_tier, "is_regular": request.is_regular}
    return a_grade(str(at), game_date=game_date, **group, **hits)


def shares(learned: Asked | None) -> list[float]:
    return [np.nan] * 3 if learned is None else [learned.share_50, learned.share_80, learned.share_90]


def test_a_frozen_plan_keeps_what_it_asked_for_whatever_is_graded_later() -> None:
    with closing(League(logs=season_of([20] * 12), grades=[a_grade()]).warehouse()) as warehouse:
        freeze(warehouse)
        before = requests_of(warehouse)
        warehouse.append("grades", [a_grade(str(player)) for player in range(2, 20)])
        freeze(warehouse)

        assert requests_of(warehouse) == before
