"""The shipped sample season is simulated, always the same, plausible, and holds every kind of name and day."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from local.one_machine.csv_inputs import load_folder
from local.sample.season import SAMPLE_EMPTY_DATE, SAMPLE_GAME_DATE, write
from shared.adapters.duckdb import DuckdbWarehouse

DATE = SAMPLE_GAME_DATE.isoformat()
DIGEST = "32642190670b084be7ee86be602fa13b4da10e13866aea5dd5531bde52eb13f8"

Row = Mapping[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "season"
    write(folder)
    return folder


@pytest.fixture
def warehouse() -> Iterator[DuckdbWarehouse]:
    warehouse = DuckdbWarehouse(":memory:")
    yield warehouse
    warehouse.close()


def rows(folder: Path, table: str, game_date: str | None = None) -> list[Row]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if game_date in (None, row["game_date"])]


def names(folder: Path, table: str) -> set[str]:
    return {row["player_name"] for row in rows(folder, table) if row["player_name"]}


def digest(folder: Path) -> str:
    content = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    return hashlib.sha256(content).hexdigest()


def test_every_machine_and_python_version_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path)

    assert digest(tmp_path) == digest(folder) == DIGEST


def test_it_says_that_it_is_simulated(folder: Path) -> None:
    assert (folder / "SIMULATED.txt").read_text(encoding="utf-8").startswith("SIMULATED DATA.")
    for table in ("player_game_logs", "scheduled_games"):
        assert {row["season_type"] for row in rows(folder, table)} == {"Simulated Season"}
    assert all(row["sportsbook"].startswith("simbook-") for row in rows(folder, "points_lines"))


def test_it_loads_as_it_is(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    write(tmp_path)

    summary = load_folder(warehouse, folder=tmp_path, game_date=SAMPLE_GAME_DATE)

    assert summary.rows == {table: len(rows(tmp_path, table)) for table in summary.rows}
    void = sum(row["game_date"] == DATE and not row["player_id"] for row in rows(tmp_path, "points_lines"))
    told = f"{void} lines on {DATE} name no player (no player_id, no player_lookup) and are not used"
    assert (void > 0, summary.warnings) == (True, (told,))


def test_box_scores_add_up(folder: Path) -> None:
    points: Counter[tuple[str, str]] = Counter()
    minutes: Counter[tuple[str, str]] = Counter()
    won: dict[tuple[str, str], str] = {}
    for row in rows(folder, "player_game_logs"):
        twos = int(row["fgm"]) - int(row["fg3m"])
        assert int(row["points"]) == 2 * twos + 3 * int(row["fg3m"]) + int(row["ftm"])
        assert int(row["rebounds"]) == int(row["oreb"]) + int(row["dreb"])
        assert int(row["minutes"]) > 0
        if row["fga"]:
            assert int(row["fg3m"]) <= int(row["fg3a"]) <= int(row["fga"])
            assert int(row["fgm"]) <= int(row["fga"])
            assert int(row["ftm"]) <= int(row["fta"])
        side = row["game_id"], row["team"]
        points[side] += int(row["points"])
        minutes[side] += int(row["minutes"])
        won[side] = row["won"]
    for game in rows(folder, "scheduled_games"):
        home, away = (game["game_id"], game["home_team"]), (game["game_id"], game["away_team"])
        assert minutes[home] == minutes[away] == 240
        assert (won[home], won[away]) == (("1", "0") if points[home] > points[away] else ("0", "1"))
        assert points[home] != points[away]


def test_nobody_plays_twice_in_a_game_and_some_shots_are_unknown(folder: Path) -> None:
    logs = rows(folder, "player_game_logs")

    assert len({(row["game_id"], row["player_id"]) for row in logs}) == len(logs)
    assert {bool(row["fga"]) for row in logs} == {True, False}
    assert all(bool(row["fga"]) == bool(row["fg3a"]) == bool(row["fta"]) for row in logs)


def test_no_player_and_no_lookup_is_there_twice(folder: Path) -> None:
    ids_of: dict[str, set[str]] = defaultdict(set)
    for row in rows(folder, "player_game_logs"):
        ids_of[row["player_name"].lower().replace(" ", "-")].add(row["player_id"])

    assert all(len(ids) == 1 for ids in ids_of.values())
    assert len(ids_of) > 180


@pytest.mark.parametrize(
    "kind",
    [r"\w-\w", r"^\w\.\w\. ", r"'", r"[^\x00-\x7f]", r" Jr\.$", r" III$", r"^\w+ \w+ \w+ \w+$", r"St\. ", r" [a-z]+ "],
)
def test_every_awkward_kind_of_name_has_a_line_to_predict(folder: Path, kind: str) -> None:
    offered = {row["player_name"] for row in rows(folder, "points_lines", DATE)}

    assert any(re.search(kind, name) for name in offered)


def test_two_of_nearly_one_name_play_on_one_team(folder: Path) -> None:
    logs = rows(folder, "player_game_logs")
    teams = {
        name: {row["team"] for row in logs if row["player_name"] == name} for name in names(folder, "points_lines")
    }

    assert teams["Jarrel Windlass"] == teams["Jarell Windlass"] == {"ALB"}
    assert {"Tomaš Krejovič", "Tomas Krejovic"} <= teams.keys()


def test_the_sample_date_has_everything_that_a_day_can_bring(folder: Path) -> None:
    earlier = [row for row in rows(folder, "player_game_logs") if row["game_date"] < DATE]
    lines = rows(folder, "points_lines", DATE)
    statuses = Counter(row["status"] for row in rows(folder, "injury_reports", DATE))
    known = {row["player_id"] for row in earlier}
    last_team = {row["player_id"]: row["team"] for row in earlier}

    offered = [row for row in lines if row["player_id"]]
    assert len(rows(folder, "scheduled_games", DATE)) == 6
    assert statuses["OUT"] >= 3
    assert statuses["QUESTIONABLE"] >= 2
    assert len(lines) > len(offered)
    assert {row["sportsbook"] for row in lines} == {"simbook-east", "simbook-north", "simbook-west"}
    assert {row["points_line"][-2:] for row in lines} == {".0", ".5"}
    assert {row["player_id"] for row in offered} - known, "somebody without a past"
    assert any(last_team.get(row["player_id"], row["team"]) != row["team"] for row in offered), "somebody just traded"
    assert any(len(lines_of) > 1 for lines_of in _distinct_lines(offered).values())


def _distinct_lines(offered: list[Row]) -> Mapping[str, set[str]]:
    lines_of: dict[str, set[str]] = defaultdict(set)
    for row in offered:
        lines_of[row["player_id"]].add(row["points_line"])
    return lines_of


def test_who_is_out_or_void_does_not_play(folder: Path) -> None:
    played = {(row["game_date"], row["player_id"]) for row in rows(folder, "player_game_logs")}
    out = [row for row in rows(folder, "injury_reports") if row["status"] == "OUT"]

    assert out
    assert all((row["game_date"], row["player_id"]) not in played for row in out)


def test_a_player_is_traded_during_the_season(folder: Path) -> None:
    teams_of: dict[str, list[str]] = defaultdict(list)
    for row in rows(folder, "player_game_logs"):
        if row["game_date"] < DATE and row["team"] not in teams_of[row["player_id"]]:
            teams_of[row["player_id"]].append(row["team"])

    assert ["BRX", "IRW"] in teams_of.values()


def test_the_empty_date_has_no_games(folder: Path, warehouse: DuckdbWarehouse) -> None:
    summary = load_folder(warehouse, folder=folder, game_date=SAMPLE_EMPTY_DATE)

    (warning,) = summary.warnings
    assert warning.startswith(f"no games on {SAMPLE_EMPTY_DATE}: ")


def test_points_are_plausible(folder: Path) -> None:
    points = [int(row["points"]) for row in rows(folder, "player_game_logs")]
    games = len(rows(folder, "scheduled_games"))

    assert 100 < sum(points) / games / 2 < 120
    assert max(points) < 65


@pytest.mark.skipif("TIPOFF_DATA" not in os.environ, reason="TIPOFF_DATA names no folder of real data")
def test_no_team_or_player_is_real(folder: Path) -> None:
    real: set[str] = set()
    for path in Path(os.environ["TIPOFF_DATA"]).glob("player_game_logs*.csv.gz"):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                real |= {row["player_name"], row["team"]}

    simulated = names(folder, "player_game_logs") | {row["team"] for row in rows(folder, "player_game_logs")}

    assert not simulated & real
