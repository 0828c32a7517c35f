"""The planning query on a small league: who is expected, and what his request says."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from coordinator.rules.planning import (
    InputFinding,
    InputProblem,
    names_statement,
)
from schemas.messages import RecentGames
from schemas.tables import Cell, Row
from shared.errors import InvalidInput
from tests.plan_inputs import (
    BATCH_ID,
    GAME_DATE,
    PLANNED_AT,
    League,
    a_log,
    a_report,
    a_scheduled_game,
    an_offer,
    freeze,
    requests_of,
    values,
)

# --- who is expected ------------------------------------------------------------------------------------------


def test_who_appeared_lately_for_a_team_that_plays_is_expected_and_no_other_teams_player() -> None:
    league = League(logs=[a_log("1"), a_log("2", team="OKC"), a_log("3", team="DAL")])

    assert league.plan().keys() == {"player-1", "player-2"}


def test_who_missed_more_than_the_last_games_of_his_team_is_not_expected() -> None:
    regular = [a_log("1", days_ago=day) for day in (1, 2, 3)]
    league = League(logs=[*regular, a_log("2", days_ago=3), a_log("3", days_ago=4)])

    assert league.plan(roster_games=3).keys() == {"player-1", "player-2"}
    assert league.plan(roster_games=4).keys() == {"player-1", "player-2", "player-3"}


def test_the_last_games_of_a_team_reach_into_the_season_before() -> None:
    league = League(logs=[a_log("1"), a_log("2", days_ago=200, season="2024-25")])

    assert league.plan().keys() == {"player-1", "player-2"}


def test_a_traded_player_belongs_to_his_newest_team_alone() -> None:
    gone = [a_log("1", days_ago=5), a_log("1", days_ago=1, team="DAL")]
    come = [a_log("2", days_ago=5, team="DAL"), a_log("2", days_ago=1)]

    plan = League(logs=[*gone, *come]).plan()

    assert plan.keys() == {"player-2"}
    assert plan["player-2"].game.team == "HOU"


def test_an_appearance_for_a_former_team_does_not_make_a_player_expected_by_his_newest() -> None:
    moved = [a_log("1", days_ago=5), a_log("1", days_ago=3, team="OKC")]

    plan = League(logs=[*moved, a_log("2", days_ago=1, team="OKC")]).plan(roster_games=1)

    assert plan.keys() == {"player-2"}


def test_a_date_without_games_expects_nobody_even_where_lines_are_offered() -> None:
    assert League(games=[], lines=[an_offer()]).plan() == {}


def test_a_line_makes_a_long_absent_player_expected() -> None:
    absent = a_log("2", days_ago=4)
    league = League(logs=[a_log("1"), absent], lines=[an_offer("2")])

    assert league.plan(roster_games=1).keys() == {"player-1", "player-2"}


def test_a_player_on_the_roster_and_with_a_line_is_expected_once() -> None:
    assert list(League(lines=[an_offer("1")]).plan()) == ["player-1"]


def test_a_line_knows_of_a_trade_before_any_game() -> None:
    games = [a_scheduled_game("HOU", "OKC"), a_scheduled_game("DAL", "LAL")]
    league = League(games=games, lines=[an_offer("1", team="LAL", game_id="LAL@DAL")])

    game = league.plan()["player-1"].game

    assert (game.game_id, game.team, game.opponent, game.is_home) == ("LAL@DAL", "LAL", "DAL", False)


def test_a_line_knows_of_a_trade_to_the_opponent_of_the_date() -> None:
    game = League(lines=[an_offer("1", team="OKC")]).plan()["player-1"].game

    assert (game.team, game.opponent, game.is_home) == ("OKC", "HOU", False)


@pytest.mark.parametrize("team", ["HOU", "OKC"])
def test_on_neutral_ground_neither_team_is_at_home(team: str) -> None:
    league = League(logs=[a_log(team=team)], games=[a_scheduled_game("HOU", "OKC", is_neutral=True)])

    assert league.plan()["player-1"].game.is_home is False


@pytest.mark.parametrize("team", [None, "ROCKETS"])
def test_a_line_without_a_usable_team_takes_the_teams_of_the_logs(team: str | None) -> None:
    league = League(logs=[a_log("1", days_ago=5), a_log("2")], lines=[an_offer("1", "12.5", team=team)])

    request = league.plan(roster_games=1)["player-1"]

    assert (request.game.team, values(request)) == ("HOU", ["12.5"])


@pytest.mark.parametrize(
    "changes",
    [
        {"player_id": None, "player_name": None},
        {"game_id": None},
        {"game_id": "elsewhere"},
        {"game_date": date(2026, 1, 29)},
    ],
)
def test_a_void_line_or_one_of_another_game_makes_nobody_expected(changes: dict[str, Cell]) -> None:
    plan = League(lines=[{**an_offer("2"), **changes}]).plan()

    assert plan.keys() == {"player-1"}
    assert plan["player-1"].lines[0].is_estimated


def test_a_line_that_gives_only_a_lookup_name_finds_its_player() -> None:
    league = League(lines=[an_offer(None, "12.5", player_lookup="player-1")])

    request = league.plan()["player-1"]

    assert (request.universal_player_id, values(request)) == ("1", ["12.5"])


def test_a_line_on_a_player_without_any_history_is_planned_with_an_empty_one() -> None:
    request = League(lines=[an_offer("9", player_name="O.G. Anunoby Jr.")]).plan()["o.g.-anunoby-jr."]

    assert (request.universal_player_id, request.rest_days, request.recent_games) == ("9", None, RecentGames())
    assert request.season_to_date.games == 0


# --- names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lookup"),
    [
        ("De'Aaron Fox", "de'aaron-fox"),
        ("P.J. Washington", "p.j.-washington"),
        ("Nikola Jokić", "nikola-jokić"),
        ("Karl-Anthony Towns", "karl-anthony-towns"),
        ("Trey Murphy III", "trey-murphy-iii"),
    ],
)
def test_the_lookup_name_keeps_everything_but_case_and_spaces(name: str, lookup: str) -> None:
    assert list(League(logs=[a_log(player_name=name)]).plan()) == [lookup]


def test_a_lookup_column_goes_before_the_name_and_the_newest_spelling_before_older_ones() -> None:
    logs = [
        a_log("1", days_ago=3, player_name="Old Name"),
        a_log("1", days_ago=2, player_name="New Name"),
        a_log("2", player_name="Same Name", player_lookup="same-name-2"),
        a_log("3", player_name="Same Name"),
    ]

    assert League(logs=logs, lines=[an_offer("1", player_name="Book Name")]).plan().keys() == {
        "new-name",
        "same-name",
        "same-name-2",
    }


def test_two_men_of_one_name_are_refused_not_merged() -> None:
    with pytest.raises(InvalidInput, match="players 1 and 2 are both called 'jalen-williams'"):
        League(logs=[a_log(player_id, player_name="Jalen Williams") for player_id in ("1", "2")]).plan()


# --- injuries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["OUT", "Out", " out "])
def test_a_player_listed_out_is_not_expected(status: str) -> None:
    assert League(reports=[a_report("1", status)]).plan() == {}


def test_a_player_listed_out_with_a_line_stays_expected_so_that_skipping_him_is_recorded() -> None:
    request = League(reports=[a_report(reason="knee")], lines=[an_offer()]).plan()["player-1"]

    assert request.injury is not None
    assert (request.injury.status, request.injury.reason) == ("OUT", "knee")
    assert request.injury.checked_at == PLANNED_AT - timedelta(hours=2)


@pytest.mark.parametrize(("status", "kept"), [("Questionable", "QUESTIONABLE"), ("Available", None)])
def test_only_a_known_status_of_concern_is_passed_on(status: str, kept: str | None) -> None:
    injury = League(reports=[a_report("1", status)]).plan()["player-1"].injury

    assert (injury.status if injury else None) == kept


def test_the_newest_report_from_before_planning_counts() -> None:
    reports = [
        a_report("1", "Out", reported_at=None),
        a_report("1", "Out", reported_at=PLANNED_AT - timedelta(hours=3)),
        a_report("1", "Probable", reported_at=PLANNED_AT - timedelta(microseconds=2)),
        a_report(
            "1", "Out", reported_at=PLANNED_AT - timedelta(microseconds=1), game_date=GAME_DATE - timedelta(days=1)
        ),
        a_report("1", "Out", reported_at=PLANNED_AT),
    ]

    injury = League(reports=reports).plan()["player-1"].injury

    assert injury is not None
    assert injury.status == "PROBABLE"


@pytest.mark.parametrize("named", [{"player_name": "Player 1"}, {"player_lookup": "player-1"}])
def test_a_report_that_gives_only_a_name_finds_its_player(named: dict[str, Cell]) -> None:
    assert League(reports=[a_report(None, "OUT", reported_at=None, **named)]).plan() == {}


# --- the future never leaks, and the plan is frozen -----------------------------------------------------------

TODAY_AND_LATER: list[Row] = [
    a_log("1", days_ago=0, points=99, player_name="Other Name", game_id="OKC@HOU"),
    a_log("2", days_ago=0, game_id="OKC@HOU"),
    a_log("1", days_ago=-3, points=77, team="DAL"),
    a_log("3", days_ago=-3),
]


def test_rows_of_the_date_and_later_change_nothing() -> None:
    past = [a_log("1", days_ago=day) for day in (1, 2)]

    assert League(logs=[*past, *TODAY_AND_LATER]).plan() == League(logs=past).plan()


def test_a_second_run_leaves_the_first_plan_be() -> None:
    warehouse = League(lines=[an_offer("1", "24.5")]).warehouse()
    freeze(warehouse)
    first = requests_of(warehouse)

    warehouse.append("points_lines", [an_offer("1", "30.5")])
    warehouse.append("player_game_logs", [a_log("2", days_ago=1)])
    freeze(warehouse, planned_at=PLANNED_AT + timedelta(hours=1))

    assert requests_of(warehouse) == first
    assert [row["planned_at"] for row in warehouse.query(names_statement(BATCH_ID))] == [PLANNED_AT]


# --- the check ------------------------------------------------------------------------------------------------


def test_nothing_is_found_wrong_with_usable_lines_and_reports() -> None:
    lines = [an_offer(), an_offer(None, player_lookup="player-1"), an_offer(team=None), an_offer(team="ROCKETS")]
    reports = [a_report("1"), a_report(None, player_name="Player 2"), a_report(None, player_name="Player 9")]
    league = League(logs=[a_log("1"), a_log("2")], lines=[*lines, an_offer("9")], reports=reports)

    assert {finding.problem for finding in league.findings()} == {InputProblem.LINE_WITHOUT_HISTORY}


def test_a_team_scheduled_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="OKC would play more than one game"):
        League(games=[a_scheduled_game(), a_scheduled_game("OKC", "DAL")]).findings()


@pytest.mark.parametrize(
    ("offer", "problem", "name"),
    [
        (an_offer(None, player_name_book="Al Horford"), InputProblem.VOID_LINE, "Al Horford"),
        (an_offer(None, player_name_book="Al Horford", game_id=None), InputProblem.VOID_LINE, "Al Horford"),
        (an_offer(None, player_name_book=None), InputProblem.VOID_LINE, "(no name)"),
        (an_offer(game_id="elsewhere"), InputProblem.LINE_OF_NO_GAME, "elsewhere"),
        (an_offer("9", game_id="elsewhere"), InputProblem.LINE_OF_NO_GAME, "elsewhere"),
        (an_offer(game_id=None), InputProblem.LINE_OF_NO_GAME, "(no game_id)"),
        (an_offer(player_id="7", team="DAL"), InputProblem.LINE_OF_NO_TEAM, "player-7"),
        (an_offer("9"), InputProblem.LINE_WITHOUT_HISTORY, "player-9"),
        (an_offer("8"), InputProblem.LINE_WITHOUT_HISTORY, "player-8"),
    ],
)
def test_a_line_that_planning_cannot_use_is_named_and_counted(offer: Row, problem: InputProblem, name: str) -> None:
    known = [a_log("1"), a_log("7", team="DAL"), a_log("8", days_ago=0)]

    findings = League(logs=known, lines=[offer, offer]).findings()

    assert findings == (InputFinding(problem, name, 2),)


def test_lines_on_a_player_in_two_games_are_named_and_only_one_games_are_planned() -> None:
    games = [a_scheduled_game("HOU", "OKC"), a_scheduled_game("DAL", "LAL")]
    league = League(games=games, lines=[an_offer("1", "24.5"), an_offer("1", "9.5", game_id="LAL@DAL", team="LAL")])

    assert league.findings() == (InputFinding(InputProblem.LINES_OF_TWO_GAMES, "player-1", 2),)
    assert values(league.plan()["player-1"]) == ["9.5"]


def test_a_report_that_names_nobody_known_is_named() -> None:
    reports = [a_report(None, player_name="Luka Doncic"), a_report("77"), a_report()]

    assert League(reports=reports).findings() == (
        InputFinding(InputProblem.REPORT_OF_NOBODY, "77", 1),
        InputFinding(InputProblem.REPORT_OF_NOBODY, "Luka Doncic", 1),
    )
