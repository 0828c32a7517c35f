"""`tipoff grade` and `tipoff accuracy` over what a run left: the box score comes a day later."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tipoff_command import DAY, tipoff, write_league

pytestmark = pytest.mark.xdist_group("grade_commands")  # its tests share a run

LEAGUE = {"Ann O'Dell": [20, 22, 24], "Bo-Li Tan": [10, 12, 8]}
SCORED = {"Ann O'Dell": 31, "Bo-Li Tan": 7}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graded")
    write_league(folder / "data", players=LEAGUE)
    ran = tipoff("run", "--game-date", DAY, "--data", folder / "data", "--state", folder / "state")
    assert ran.status == 0, ran
    return folder


def test_ungraded_games_are_named_until_their_box_score_is_loaded(folder: Path) -> None:
    span = ("--from", DAY, "--to", DAY, "--state", folder / "state")
    before = tipoff("grade", *span)
    logs = folder / "data" / "player_game_logs.csv"
    sides = {"Ann O'Dell": "WEST,EAST,0", "Bo-Li Tan": "EAST,WEST,1"}
    rows = [f"{DAY},2025-26,today,{name},{name},{sides[name]},30,{points}\n" for name, points in SCORED.items()]
    logs.write_text(logs.read_text(encoding="utf-8") + "".join(rows), encoding="utf-8")

    graded = tipoff("grade", *span, "--data", folder / "data", "--json")
    again = tipoff("grade", *span, "--json")
    measured = tipoff("accuracy", *span, "--json").json
    shown = tipoff("accuracy", *span, "--by", "tier")

    assert before.status == 0, before
    assert f"game today of {DAY} has no box score yet; 2 players wait" in before.out
    (day,) = graded.json["dates"]
    assert (day["inserted"], day["ungraded"]) == (10, 0)
    assert again.json["dates"][0]["unchanged"] == 10
    assert measured["systems"]["season_average"] == {"n": 2, "mae": 6.0, "rmse": 6.7082, "bias": -3.0}
    assert (measured["graded"], measured["ungraded"]) == (10, 0)
    assert measured["intervals"].keys() >= {"0.5", "0.8"}
    assert "season_average" in shown.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("grade", "--from", "2026-02-30"), "not a date"),
        (("grade", "--from", DAY, "--to", "2026-01-01"), "give the later date"),
        (("grade", "--from", "2026-01-30", "--to", "2099-01-30"), "not been played"),
        (("grade", "--from", "2025-01-01", "--to", "2025-01-31"), "nothing is predicted"),
        (("accuracy", "--system", "oracle"), "there is no grade of 'oracle'"),
        (("accuracy", "--by", "height"), "'height' is not one of"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_give(folder: Path, arguments: tuple[str, ...], problem: str) -> None:
    assert tipoff("grade", "--from", DAY, "--to", DAY, "--state", folder / "state").status == 0

    ran = tipoff(*arguments, "--state", folder / "state")

    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert problem in ran.err
