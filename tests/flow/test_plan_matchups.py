"""What the plan tells of the two teams of a game, and of teammates who are out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from schemas.messages import Absences, AbsentTeammate, Left, Matchup, PositionDefence, TeamForm
from schemas.tables import Cell, Row
from tests.plan_inputs import GAME_DATE, PLANNED_AT, League, a_log, a_report

GUARD: Row = {"position": "SG"}
CENTER: Row = {"position": "C"}


def a_game(days_ago: int, home: list[Row], away: list[Row]) -> list[Row]:
    """One past game: HOU's rows and OKC's, under one game id."""
    ids: dict[str, Any] = {"game_id": f"game-{days_ago}"}
    return [
        *(a_log(days_ago=days_ago, opponent="OKC", **(ids | dict(row))) for row in home),
        *(a_log(days_ago=days_ago, team="OKC", opponent="HOU", is_home=False, **(ids | dict(row))) for row in away),
    ]


def a_line(player_id: str, points: int, **more: Cell) -> Row:
    return {"player_id": player_id, "player_name": f"Player {player_id}", "points": points, **more}


def test_a_matchup_holds_whole_sums_over_both_teams_past_games() -> None:
    logs = [
        *a_game(5, [a_line("1", 20, **GUARD), a_line("2", 10, **CENTER)], [a_line("8", 30, **GUARD)]),
        *a_game(3, [a_line("1", 24, **GUARD)], [a_line("8", 9, **GUARD), a_line("9", 40, **CENTER)]),
    ]

    matchup = League(logs=logs).plan()["player-1"].matchup

    assert matchup == Matchup(
        team=TeamForm(games=2, points=54, points_allowed=79),
        opponent=TeamForm(games=2, points=79, points_allowed=54),
        league_games=4,
        league_points=133,
        # OKC allowed Player 1, a guard, 20 and 24; all guards together scored 83 in four games of 30 minutes.
        position=PositionDefence(points=44, minutes=60, league_points=83, league_minutes=120),
    )


def test_only_a_teams_last_thirty_games_count() -> None:
    logs = [row for day in range(1, 33) for row in a_game(day, [a_line("1", day)], [a_line("8", 1)])]

    matchup = League(logs=logs).plan()["player-1"].matchup

    assert matchup is not None
    assert matchup.team == TeamForm(games=30, points=sum(range(1, 31)), points_allowed=30)


def test_an_unknown_position_or_opponent_is_unknown() -> None:
    unplaced = League(logs=[a_log("1", opponent="DAL")]).plan()["player-1"].matchup

    assert unplaced is not None
    assert unplaced.position is None
    assert unplaced.opponent is None
    assert unplaced.team == TeamForm(games=1, points=20, points_allowed=0)


def test_who_is_out_is_told_with_his_share_of_the_teams_latest_shots() -> None:
    shots = [("1", 10, True), ("2", 15, True), ("3", 5, None)]
    logs = [a_log(player, days_ago=day, fga=fga, started=started) for player, fga, started in shots for day in (2, 4)]

    plan = League(logs=logs, reports=[a_report("2", "Out"), a_report("3", "Questionable")]).plan()

    assert plan.keys() == {"player-1", "player-3"}
    assert plan["player-1"].absences == Absences(
        team_shots=60,
        out=(AbsentTeammate(player_lookup="player-2", shots=30, games=2, starts=2),),
        is_reported=True,
        left=Left(shots=1_500, points=2_000),
    )


def test_a_date_without_any_report_says_nothing_of_absences_and_one_with_reports_says_nobody() -> None:
    logs = [a_log("1"), a_log("2", team="OKC")]

    unreported, reported = League(logs=logs).plan(), League(logs=logs, reports=[a_report("2", "Out")]).plan()

    assert unreported["player-1"].absences is None
    assert reported["player-1"].absences == Absences(team_shots=0, out=(), left=NOTHING_LEFT)


def test_a_player_who_is_gone_leaves_no_shots() -> None:
    logs = [a_log("1", fga=10), a_log("2", days_ago=4, fga=20), a_log("2", days_ago=1, team="DAL", fga=20)]

    plan = League(logs=logs, reports=[a_report("2", "Out")]).plan()

    assert plan["player-1"].absences == Absences(team_shots=0, out=(), left=NOTHING_LEFT)


NOTHING_LEFT = Left(shots=0, points=0)


# --- what the absent leave: three games of HOU, 2, 4 and 6 days ago; player 2 takes 10 shots a game -----------


def a_team(*, missed: tuple[int, ...] = ()) -> list[Row]:
    """Players 1 (a guard) and 2 (a center); 2 missed the games of so many days ago."""
    return [
        *(a_log("1", days_ago=day, position="PG") for day in (2, 4, 6, 8)),
        *(a_log("2", days_ago=day, fga=10, points=13, position="C") for day in (2, 4, 6, 8) if day not in missed),
    ]


def left_to_player_1(*, missed: tuple[int, ...] = (), reports: list[Row]) -> int | None:
    """Hundredths of shots tonight."""
    absences = League(logs=a_team(missed=missed), reports=reports).plan()["player-1"].absences
    return absences.left.shots if absences and absences.left else None


def listed(player: str, status: str, *, days_ago: int = 0) -> Row:
    return a_report(
        player,
        status,
        game_date=GAME_DATE - timedelta(days=days_ago),
        reported_at=PLANNED_AT - timedelta(days=days_ago, hours=2),
    )


@pytest.mark.parametrize(
    ("missed", "reports", "shots"),
    [
        ((), [], None),
        ((), [listed("2", "Out")], 1_000),
        ((), [listed("2", "Doubtful")], 1_000),
        ((2,), [listed("2", "Questionable")], 0),
        ((), [listed("1", "Probable")], 0),
        ((2,), [listed("1", "Probable")], 1_000),
        ((2,), [listed("1", "Probable"), listed("2", "Out", days_ago=2)], 0),
        ((2,), [listed("stranger", "Out"), listed("2", "Out", days_ago=2)], 1_000),
    ],
    ids=[
        "no report",
        "listed out",
        "doubtful",
        "missed the last game, questionable",
        "not listed",
        "not listed and missed the last game",
        "not listed any more",
        "not listed any more, but no word of the team",
    ],
)
def test_who_is_not_listed_is_as_in_the_last_game_unless_a_report_explained_that(
    missed: tuple[int, ...], reports: list[Row], shots: int | None
) -> None:
    assert left_to_player_1(missed=missed, reports=reports) == shots


def test_a_past_game_tells_what_those_who_missed_it_left_and_of_it_what_they_leave_again() -> None:
    logs = a_team(missed=(4,))

    games = League(logs=logs, reports=[listed("2", "Out")]).plan()["player-1"].recent_games

    assert games.left_shots == (0, 1_000, 0, 0)
    assert games.left_points == (0, 1_300, 0, 0)
    assert games.left_position_shots == (0, 0, 0, 0)
    assert games.left_by_the_same == (0, 1_000, 0, 0)


def test_nobody_leaves_shots_to_himself() -> None:
    plan = League(logs=a_team(), reports=[listed("2", "Doubtful")]).plan()

    absences = plan["player-2"].absences
    assert absences is not None
    assert absences.left == Left(shots=0, points=0, position_shots=0)
