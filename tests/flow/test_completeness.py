"""What is lacking of a date's inputs is told wherever its batch is, and too much of it stops the start."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from coordinator.rules.completeness import Completeness, completeness_query, read_completeness
from schemas.tables import Row
from shared.errors import InputsIncomplete
from shared.settings import Policy
from tests.plan_inputs import GAME_DATE, League, a_log, a_report, a_scheduled_game, an_offer
from tests.stand.front import Front, assert_problem
from tests.stand.world import Stand

OF_THE_WEEK = 5


def a_past_game(days_ago: int) -> Row:
    return a_scheduled_game(game_date=GAME_DATE - timedelta(days=days_ago), game_id=f"g-{days_ago}")


def a_week(*, lacking: int) -> League:
    """A game of HOU on each of the last five days, today and in two days; the newest of the past have no box scores."""
    logs = [a_log(days_ago=day) for day in range(lacking + 1, OF_THE_WEEK + 1)] + [a_log(days_ago=20)]
    games = [a_scheduled_game(), *(a_past_game(day) for day in range(1, OF_THE_WEEK + 1)), a_past_game(-2)]
    return League(logs=logs, games=games, lines=[an_offer("1", "20.5")], reports=[a_report("2")])


def found(stand: Stand, day: date = GAME_DATE) -> Completeness:
    return read_completeness(day, stand.warehouse.query(completeness_query(), {"game_date": day}))


@pytest.fixture
def week(stand: Stand) -> Stand:
    stand.load(a_week(lacking=0))
    return stand


def test_whole_inputs_lack_nothing(week: Stand) -> None:
    assert found(week).gaps() == ()
    assert (found(week).share, found(week).is_suspiciously_empty) == (1.0, False)
    assert week.batch(week.start().batch.batch_id).input_gaps == ()


def test_games_without_box_scores_are_named(stand: Stand) -> None:
    stand.load(a_week(lacking=1))

    assert found(stand).share == 0.8
    assert found(stand).gaps() == ("1 of 5 games of the last 7 days have no box scores: 2026-01-29 OKC at HOU (g-1).",)


def test_every_other_gap_is_told(stand: Stand) -> None:
    stand.load(League(logs=[a_log(days_ago=28)], games=[a_scheduled_game()]))

    assert found(stand).gaps() == (
        "The newest box scores are of 2026-01-02, 28 days before the date.",
        "No game of the two weeks after the date is scheduled.",
        "There is no points line for the date, so every line is estimated.",
        "There is no injury report for the date, so nothing is known of who is absent.",
    )


def test_below_the_policys_share_a_start_is_refused_with_the_games_and_nothing_is_made(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.load(a_week(lacking=2))

    with pytest.raises(InputsIncomplete, match=r"2 of 5 games .* 2026-01-28 .*2026-01-29 .*min_inputs_share"):
        stand.start()

    assert stand.coordinator.views.batches() == []
    assert [table.name for table in stand.warehouse.list_tables("_plan_")] == []
    assert "inputs incomplete" in [record.message for record in caplog.records]


def test_told_to_go_on_it_does_and_the_batch_says_on_what(stand: Stand) -> None:
    stand.load(a_week(lacking=2))

    batch = stand.run(policy=Policy(min_inputs_share=0))

    told = [sentence.text for sentence in stand.coordinator.diagnosis.explain(batch.batch_id).sentences]
    assert batch.state == "COMPLETE"
    assert any("It was planned on incomplete inputs: 2 of 5 games" in text for text in told)


def test_a_refused_start_answers_409_to_scheduler_too_so_that_it_tries_again(stand: Stand) -> None:
    stand.load(a_week(lacking=2))
    front = Front(stand)

    assert_problem(front.start(key=None, X_CloudScheduler="true", X_CloudScheduler_JobName="start"), 409, "g-1")
    stand.load(a_week(lacking=0))
    again = front.start(key=None, X_CloudScheduler="true", X_CloudScheduler_JobName="start")

    assert again.status_code == 202


def test_a_page_of_the_batch_tells_what_was_lacking(stand: Stand) -> None:
    stand.load(a_week(lacking=1))
    batch = stand.start().batch

    assert "2026-01-29 OKC at HOU" in Front(stand).get(f"/dashboard/batches/{batch.batch_id}").get_data(as_text=True)


def facts(**changes: object) -> Completeness:
    given: dict[str, object] = {
        "game_date": GAME_DATE, "newest_box_scores": GAME_DATE - timedelta(days=1), "past_games": 0,
        "without_box_scores": (), "games": 0, "later_games": 0, "lines": 0, "reports": 0,
    }  # fmt: skip
    return Completeness(**(given | changes))  # type: ignore[arg-type]  # one fact of each kind


@pytest.mark.parametrize(
    ("changes", "is_suspicious"),
    [
        ({}, True),
        ({"newest_box_scores": None}, True),
        ({"newest_box_scores": GAME_DATE - timedelta(days=60)}, False),
        ({"later_games": 3}, False),
        ({"games": 1}, False),
    ],
    ids=["in the season", "nothing was ever loaded", "off-season", "a free day of the schedule", "games"],
)
def test_a_date_without_games_is_suspicious_in_the_season_only(changes: dict[str, object], is_suspicious: bool) -> None:
    assert facts(**changes).is_suspiciously_empty is is_suspicious


def test_an_empty_batch_before_anything_was_loaded_is_an_alarm(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stand.load(League(logs=(), games=()))

    batch = stand.run()

    assert batch.state == "EMPTY"
    assert "empty in the season" in [record.message for record in caplog.records]


def test_what_was_lacking_is_kept_with_the_batch(stand: Stand) -> None:
    stand.load(a_week(lacking=1))
    batch = stand.start().batch

    assert stand.batch(batch.batch_id).input_gaps == found(stand).gaps() != ()
