"""`tipoff backfill`: a span of dates, each as its own batch, interrupted, resumed and run again."""

from __future__ import annotations

import csv
import subprocess
import time
from pathlib import Path

import duckdb
import pytest

from tests.tipoff_command import command, environment, tipoff, write_league

LEAGUE = {
    "Ann O'Dell": [20, 22, 24, 18, 21, 30],
    "Bo-Li Tan": [10, 12, 8, 9, 14, 11],
    "Cy Re": [5, 6, 7, 4, 9, 3],
    "Di Ko": [15, 13, 11, 19, 17, 16],
}
FIRST, LAST = "2026-01-11", "2026-01-15"
SPAN = ("--from", FIRST, "--to", LAST)
DATES = [f"2026-01-{day}" for day in range(11, 16)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Games of six days, whose schedule is what was played."""
    folder = write_league(tmp_path / "data", players=LEAGUE)
    (folder / "scheduled_games.csv").unlink()
    return folder


def arguments(data: Path, state: Path, *more: str) -> list[str]:
    return ["backfill", *SPAN, "--data", str(data), "--state", str(state), "--allow-hindsight", *more]


def predictions(state: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(state / "warehouse.duckdb"), read_only=True) as file:
        return file.execute(
            "SELECT game_date, player_lookup, system_id, current_points_line, predicted_points, confidence_score,"
            " feature_importance FROM predictions WHERE is_active ORDER BY ALL"
        ).fetchall()


def test_a_dry_run_lists_what_is_then_done_and_a_repeat_does_nothing(data: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"

    listed = tipoff(*arguments(data, state, "--dry-run", "--json"))
    ran = tipoff(*arguments(data, state, "--json"))
    again = tipoff(*arguments(data, state, "--json"))

    assert [(one["game_date"], one["step"]) for one in listed.json["due"]] == [(day, "start") for day in DATES]
    assert (ran.status, again.status) == (0, 0), (ran, again)
    assert [(one["game_date"], one["state"]) for one in ran.json["ran"]] == [(day, "COMPLETE") for day in DATES]
    assert ran.json["season"]["states"] == {"COMPLETE": 5}
    assert sum(one["graded"] for one in ran.json["season"]["dates"]) == len(predictions(state)) > 0
    assert (again.json["ran"], again.json["skipped"]) == ([], 5)


def test_rows_are_those_of_a_run_that_had_no_future(data: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert tipoff(*arguments(data, whole)).status == 0
    logs = data / "player_game_logs.csv"
    rows = list(csv.reader(logs.read_text(encoding="utf-8").splitlines()))
    past = [row for row in rows if row[0] < LAST or row[0] == "game_date"]
    logs.write_text("".join(",".join(row) + "\n" for row in past), encoding="utf-8")
    (data / "scheduled_games.csv").write_text(
        f"game_date,game_id,home_team,away_team,season\n{LAST},g5,EAST,WEST,2025-26\n", encoding="utf-8"
    )

    run = tipoff("run", "--game-date", LAST, "--data", data, "--state", cut)

    assert run.status == 0, run
    of_last = [row for row in predictions(whole) if str(row[0]) == LAST]
    assert of_last == predictions(cut) != []


def test_a_killed_backfill_is_finished_by_the_same_command(data: Path, tmp_path: Path) -> None:
    state, plain = tmp_path / "state", tmp_path / "plain"
    process = subprocess.Popen(command(*arguments(data, state)), env=environment(), stderr=subprocess.PIPE)
    log = state / "tipoff.log"
    while not log.exists() or "batch planned" not in log.read_text(encoding="utf-8"):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()

    resumed = tipoff(*arguments(data, state, "--json"))

    assert resumed.status == 0, resumed
    assert resumed.json["season"]["states"] == {"COMPLETE": 5}
    assert tipoff(*arguments(data, plain)).status == 0
    assert predictions(state) == predictions(plain)


def test_a_date_that_fails_stops_no_other_and_is_run_again_alone(data: Path, tmp_path: Path) -> None:
    state, schedule = tmp_path / "state", data / "scheduled_games.csv"
    games = [f"{day},g{number},EAST,WEST,2025-26" for number, day in enumerate(DATES, start=1)]
    header = "game_date,game_id,home_team,away_team,season\n"
    # A team that plays twice on a date is a mistake of the inputs, which the start refuses.
    schedule.write_text(header + "\n".join([*games, f"{DATES[2]},twice,EAST,NORTH,2025-26"]) + "\n", encoding="utf-8")

    failed = tipoff(*arguments(data, state, "--json"))
    schedule.write_text(header + "\n".join(games) + "\n", encoding="utf-8")
    mended = tipoff(*arguments(data, state, "--json"))

    assert failed.status == 1
    assert failed.err.count(DATES[2]) == 1
    assert "EAST would play more than one game" in failed.err
    assert failed.json["season"]["states"] == {"COMPLETE": 4, "NONE": 1}
    assert mended.status == 0, mended
    assert [one["game_date"] for one in mended.json["ran"]] == [DATES[2]]


def test_a_model_that_has_seen_the_answers_is_refused_and_marks_its_rows_where_allowed(
    data: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"

    refused = tipoff("backfill", *SPAN, "--data", data, "--state", state)
    assert tipoff(*arguments(data, state)).status == 0
    measured = tipoff("accuracy", "--state", state, "--from", FIRST, "--to", LAST, "--json").json

    assert refused.status == 2
    assert "it has seen the answers of 5 dates" in refused.err
    assert measured["hindsight"] == measured["graded"] > 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--from", "2026-03-01", "--to", "2026-03-05"), "no games from"),
        (("--from", "2026-01-15", "--to", "2026-01-11"), "give the later date"),
        (("--from", "2026-01-11", "--to", "2099-01-11"), "has not been played"),
        (("--from", "2026-01-32", "--to", "2026-02-01"), "not a date"),
        ((*SPAN, "--again", "--only-failed"), "choose which dates"),
        ((*SPAN, "--url", "http://localhost:1"), "cannot go with --url"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_give(
    data: Path, tmp_path: Path, options: tuple[str, ...], problem: str
) -> None:
    ran = tipoff("backfill", *options, "--data", data, "--state", tmp_path / "state")

    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert problem in ran.err
