"""A folder of CSV files loads as it stands, or is refused in words that name the place and the fix."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from local.one_machine.csv_inputs import load_folder
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import InvalidInput

DATE = date(2026, 1, 30)

LOG = {
    "game_date": "2026-01-30",
    "season": "2025-26",
    "game_id": "0022500001",
    "player_id": "0201143",
    "player_name": "Ana-Bel O'Dríscoll Jr.",
    "team": "AAA",
    "opponent": "BBB",
    "is_home": "1",
    "minutes": "30",
    "points": "0",
    "fga": "",
    "fgm": "0",
}
LINE = {
    "game_date": "2026-01-30",
    "player_id": "0201143",
    "sportsbook": "book",
    "points_line": "24.5",
    "fair_over": "0.5238",
    "commence_time_utc": "2026-01-31T00:10:00Z",
}


@pytest.fixture
def warehouse() -> Iterator[DuckdbWarehouse]:
    warehouse = DuckdbWarehouse(":memory:")
    yield warehouse
    warehouse.close()


def csv_text(*rows: Mapping[str, str]) -> str:
    return "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n"


def logs(folder: Path, *rows: Mapping[str, str], name: str = "player_game_logs.csv") -> None:
    (folder / name).write_text(csv_text(*rows), encoding="utf-8")


def lines(folder: Path, *rows: Mapping[str, str]) -> None:
    (folder / "points_lines.csv").write_text(csv_text(*rows), encoding="utf-8")


def refusal(warehouse: DuckdbWarehouse, folder: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_folder(warehouse, folder=folder, game_date=DATE)
    return str(caught.value)


def test_values_keep_their_exact_meaning(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, LOG)
    lines(tmp_path, LINE)

    load_folder(warehouse, folder=tmp_path, game_date=DATE)

    (log,) = warehouse.query("SELECT * FROM `player_game_logs`")
    assert log["game_id"] == "0022500001"
    assert log["player_id"] == "0201143"
    assert log["player_name"] == "Ana-Bel O'Dríscoll Jr."
    assert (log["is_home"], log["won"], log["points"], log["fgm"], log["fga"]) == (True, None, 0, 0, None)
    (line,) = warehouse.query("SELECT * FROM `points_lines`")
    assert line["points_line"] == Decimal("24.5")
    assert line["fair_over"] == 0.5238
    assert line["commence_time_utc"] == datetime(2026, 1, 31, 0, 10, tzinfo=UTC)


def test_games_are_taken_from_the_logs_of_the_date_where_no_schedule_is_given(
    warehouse: DuckdbWarehouse, tmp_path: Path
) -> None:
    away = LOG | {"player_id": "2", "team": "BBB", "opponent": "AAA", "is_home": "false"}
    earlier = LOG | {"game_date": "2026-01-28", "game_id": "0022500000"}
    logs(tmp_path, earlier, LOG, away)

    load_folder(warehouse, folder=tmp_path, game_date=DATE)

    (game,) = warehouse.query("SELECT game_id, home_team, away_team, season FROM `scheduled_games`")
    assert dict(game) == {"game_id": "0022500001", "home_team": "AAA", "away_team": "BBB", "season": "2025-26"}


def test_a_given_schedule_is_the_only_source_of_games(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, LOG)
    schedule = "game_date,game_id,home_team,away_team\n2026-01-30,0022500009,CCC,DDD\n"
    (tmp_path / "scheduled_games.csv").write_text(schedule, encoding="utf-8")

    load_folder(warehouse, folder=tmp_path, game_date=DATE)

    assert [row["game_id"] for row in warehouse.query("SELECT game_id FROM `scheduled_games`")] == ["0022500009"]


def test_a_second_load_replaces_the_first(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, LOG)
    lines(tmp_path, LINE)
    load_folder(warehouse, folder=tmp_path, game_date=DATE)
    (tmp_path / "points_lines.csv").unlink()
    logs(tmp_path, LOG | {"points": "7"})

    summary = load_folder(warehouse, folder=tmp_path, game_date=DATE)

    assert [row["points"] for row in warehouse.query("SELECT points FROM `player_game_logs`")] == [7]
    assert dict(summary.rows) == {
        "player_game_logs": 1,
        "scheduled_games": 1,
        "points_lines": 0,
        "injury_reports": 0,
    }


def test_a_refused_folder_leaves_the_inputs_as_they_were(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, LOG)
    load_folder(warehouse, folder=tmp_path, game_date=DATE)
    logs(tmp_path, LOG | {"points": "7"})
    lines(tmp_path, LINE | {"points_line": "many"})

    refusal(warehouse, tmp_path)

    assert [row["points"] for row in warehouse.query("SELECT points FROM `player_game_logs`")] == [0]


def test_plain_and_packed_files_of_several_seasons_load_together(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, LOG)
    packed = gzip.compress(csv_text(LOG | {"game_id": "0022400001", "season": "2024-25"}).encode())
    (tmp_path / "player_game_logs_2024-25.csv.gz").write_bytes(packed)
    (tmp_path / "notes.csv").write_text("not,ours\n", encoding="utf-8")

    summary = load_folder(warehouse, folder=tmp_path, game_date=DATE)

    assert summary.rows["player_game_logs"] == 2
    assert summary.warnings == ()


def test_void_lines_are_kept_and_counted_and_a_name_is_enough(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, LOG)
    void = LINE | {"player_id": "", "player_lookup": ""}
    lines(tmp_path, void, void | {"game_date": "2026-01-29"}, void | {"player_lookup": "ann-odell"})
    summary = load_folder(warehouse, folder=tmp_path, game_date=DATE)

    assert summary.rows["points_lines"] == 3
    assert summary.warnings == (
        "1 lines on 2026-01-30 name no player (no player_id, no player_lookup) and are not used",
    )


def test_unknown_columns_are_not_read_but_named(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, {"": "0", **LOG, "shoe size": "46"})

    summary = load_folder(warehouse, folder=tmp_path, game_date=DATE)

    assert summary.warnings == ("player_game_logs.csv: columns not read: (unnamed), shoe size",)


def test_a_date_without_games_is_said_with_what_the_logs_cover(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, LOG | {"game_date": "2026-01-28"})

    summary = load_folder(warehouse, folder=tmp_path, game_date=DATE)

    (warning,) = summary.warnings
    assert warning.startswith("no games on 2026-01-30: player_game_logs covers 2026-01-28 to 2026-01-28")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + csv_text(LOG).encode(), id="byte order mark"),
        pytest.param(csv_text(LOG).replace("\n", "\r\n").encode(), id="Windows line ends"),
        pytest.param(csv_text(LOG).replace("\n", "\r\n", 1).encode(), id="mixed line ends"),
        pytest.param(csv_text(LOG).replace("\n", "\n\n").encode(), id="empty lines"),
        pytest.param(csv_text(LOG).rstrip().encode(), id="no last line end"),
        pytest.param(csv_text(LOG).replace("game_date", " Game_Date ").encode(), id="header in other case"),
        pytest.param(csv_text(LOG | {"points": "0.0"}).encode(), id="whole numbers written with .0"),
        pytest.param(csv_text(LOG | {"is_home": "True"}).encode(), id="True for 1"),
        pytest.param(csv_text(LOG | {"team": '"AAA"'}).encode(), id="quoted value"),
    ],
)
def test_harmless_differences_of_form_are_read(warehouse: DuckdbWarehouse, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "player_game_logs.csv").write_bytes(content)

    load_folder(warehouse, folder=tmp_path, game_date=DATE)

    (row,) = warehouse.query("SELECT team, points, is_home FROM `player_game_logs`")
    assert dict(row) == {"team": "AAA", "points": 0, "is_home": True}


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("points", "twenty", "column points is 'twenty'; expected a whole number such as 23"),
        ("points", "12.6", "column points is '12.6'; expected a whole number such as 23"),
        ("points", "", "column points is empty; expected a whole number such as 23"),
        ("points", "99999999999999999999", "expected a whole number such as 23"),
        ("fga", "n/a", "column fga is 'n/a'; expected a whole number such as 23"),
        ("minutes", "34:12", "column minutes is '34:12'; expected a whole number such as 23"),
        ("game_date", "30.01.2026", "column game_date is '30.01.2026'; expected a date such as 2026-01-30"),
        ("game_date", "2026-02-30", "column game_date is '2026-02-30'; expected a date such as 2026-01-30"),
        ("game_date", "today", "column game_date is 'today'; expected a date such as 2026-01-30"),
        ("is_home", "home", "column is_home is 'home'; expected 1 or 0 (or true or false)"),
        ("team", "", "column team is empty; expected a value; the column may not be empty"),
        ("points", "x" * 300, "expected a whole number such as 23"),
    ],
)
def test_a_malformed_log_value_is_named_with_its_place(
    warehouse: DuckdbWarehouse, tmp_path: Path, column: str, value: str, expected: str
) -> None:
    logs(tmp_path, LOG, LOG | {"player_id": "2"}, LOG | {"player_id": "3", column: value})

    text = refusal(warehouse, tmp_path)

    assert text.startswith(f"player_game_logs.csv: data row 3 (line 4), column {column} is ")
    assert text.endswith(expected)
    assert len(text) < 250


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("points_line", "24.55", "expected a number with at most 3 digits before the point and 1 after it"),
        ("points_line", "1000.5", "expected a number with at most 3 digits before the point and 1 after it"),
        ("points_line", "", "expected a number with at most 3 digits before the point and 1 after it"),
        ("fair_over", "nan", "expected a number such as 0.5238"),
        ("fair_over", "50%", "expected a number such as 0.5238"),
        ("commence_time_utc", "00:10", "expected a UTC time such as 2026-01-31T00:10:00Z"),
        ("commence_time_utc", "infinity", "expected a UTC time such as 2026-01-31T00:10:00Z"),
    ],
)
def test_a_malformed_line_value_is_named_with_its_place(
    warehouse: DuckdbWarehouse, tmp_path: Path, column: str, value: str, expected: str
) -> None:
    logs(tmp_path, LOG)
    lines(tmp_path, LINE, LINE | {column: value})

    text = refusal(warehouse, tmp_path)

    assert text.startswith(f"points_lines.csv: data row 2 (line 3), column {column} is ")
    assert text.endswith(expected)


def test_the_first_bad_row_is_named_with_the_line_an_editor_shows(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    noted = LOG | {"note": '"two\nlines"'}
    logs(tmp_path, noted, noted | {"player_id": "2", "points": "x"}, noted | {"player_id": "3", "minutes": "x"})

    text = refusal(warehouse, tmp_path)

    assert "data row 2 (line 5), column points is 'x'" in text


def test_a_missing_required_column_is_named_and_the_others_shown(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, {name: value for name, value in LOG.items() if name != "points"})

    text = refusal(warehouse, tmp_path)

    assert text.startswith("player_game_logs.csv: column points is missing; add it, the file has game_date, season, ")


def test_a_column_given_twice_is_refused(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, LOG | {"Points": "3"})

    assert refusal(warehouse, tmp_path) == "player_game_logs.csv: column points is there twice; keep one"


def test_the_same_player_twice_in_a_game_is_refused_with_both_places(
    warehouse: DuckdbWarehouse, tmp_path: Path
) -> None:
    logs(tmp_path, LOG, LOG | {"player_id": "2"})
    logs(tmp_path, LOG | {"player_id": "3"}, LOG, name="player_game_logs_more.csv")

    text = refusal(warehouse, tmp_path)

    assert text == (
        "player_game_logs_more.csv: data row 2 and data row 1 of player_game_logs.csv are both of "
        "game_id 0022500001 and player_id 0201143; remove one"
    )


def test_a_game_scheduled_twice_on_a_date_is_refused(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, LOG)
    game = "2026-01-30,0022500001,AAA,BBB\n"
    (tmp_path / "scheduled_games.csv").write_text(f"game_date,game_id,home_team,away_team\n{game}{game}", "utf-8")

    assert "are both of game_date 2026-01-30 and game_id 0022500001" in refusal(warehouse, tmp_path)


def test_a_game_on_neutral_ground_has_one_home_team_all_the_same(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    away = LOG | {"is_home": "0"}
    logs(tmp_path, away, away | {"player_id": "2", "team": "BBB", "opponent": "AAA"})

    load_folder(warehouse, folder=tmp_path, game_date=DATE)

    games = warehouse.query("SELECT home_team, away_team, is_neutral FROM `scheduled_games`")
    assert games == [{"home_team": "AAA", "away_team": "BBB", "is_neutral": True}]


def test_logs_that_disagree_on_who_is_at_home_are_refused(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    logs(tmp_path, LOG, LOG | {"player_id": "2", "is_home": "0"})

    text = refusal(warehouse, tmp_path)

    assert text.startswith("player_game_logs, game 0022500001 of 2026-01-30: its rows disagree")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", "player_game_logs.csv: has no header", id="nothing"),
        pytest.param(csv_text(LOG).split("\n")[0].encode(), "player_game_logs.csv: has no rows", id="only a header"),
        pytest.param(
            csv_text(LOG).encode() + b"2026-01-30,2025-26\n",
            "player_game_logs.csv: data row 2 (line 3) has 2 values where the header names 12 columns",
            id="short row",
        ),
        pytest.param(
            csv_text(LOG).encode().rstrip() + b",1,2\n",
            "player_game_logs.csv: data row 1 (line 2) has 14 values where the header names 12 columns",
            id="long row",
        ),
        pytest.param(
            csv_text(LOG | {"team": '"A"A'}).encode(),
            "player_game_logs.csv: data row 1 (line 2) is not CSV",
            id="broken quotes",
        ),
        pytest.param(
            csv_text(LOG, LOG | {"player_id": "2"}).encode("latin-1"),
            "player_game_logs.csv: line 2 is not UTF-8 text",
            id="Latin-1",
        ),
        pytest.param(
            csv_text(LOG).replace(",", ";").encode(),
            "player_game_logs.csv: column game_date is missing",
            id="semicolons",
        ),
        pytest.param(gzip.compress(b"x"), "player_game_logs.csv: line 1 is not UTF-8 text", id="gzip named csv"),
    ],
)
def test_a_file_that_is_not_readable_csv_is_refused_with_the_line(
    warehouse: DuckdbWarehouse, tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "player_game_logs.csv").write_bytes(content)

    assert refusal(warehouse, tmp_path).startswith(expected)


@pytest.mark.parametrize("damage", ["cut", "changed", "no gzip at all"])
def test_a_damaged_gzip_file_is_refused(warehouse: DuckdbWarehouse, tmp_path: Path, damage: str) -> None:
    packed = gzip.compress(csv_text(LOG).encode())
    damaged = {"cut": packed[:-9], "changed": packed[:-5] + b"\0" + packed[-4:], "no gzip at all": b"plain text"}
    (tmp_path / "player_game_logs.csv.gz").write_bytes(damaged[damage])

    assert refusal(warehouse, tmp_path).startswith("player_game_logs.csv.gz: is not a sound gzip file")


def test_a_missing_folder_and_one_without_logs_are_refused(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    missing = refusal(warehouse, tmp_path / "nowhere")
    lines(tmp_path, LINE)
    without_logs = refusal(warehouse, tmp_path)

    assert missing.startswith("data folder: ")
    assert "is not a folder" in missing
    assert "holds no player_game_logs*.csv or player_game_logs*.csv.gz" in without_logs


@pytest.mark.skipif("TIPOFF_DATA" not in os.environ, reason="TIPOFF_DATA names no folder of real data")
def test_real_seasons_load_with_unknown_shots_as_null_and_void_lines_counted(warehouse: DuckdbWarehouse) -> None:
    with_lines = date(2025, 11, 7)
    summary = load_folder(warehouse, folder=Path(os.environ["TIPOFF_DATA"]), game_date=with_lines)

    assert [one for one in summary.warnings if f"lines on {with_lines} name no player" in one]
    assert [one for one in summary.warnings if "no games" in one] == []
    (counts,) = warehouse.query(
        "SELECT COUNTIF(fga IS NULL) AS unknown, COUNTIF(LENGTH(game_id) != 10) AS cut, "
        "COUNTIF(game_date = DATE '2026-01-30') AS on_date FROM `player_game_logs`"
    )
    assert counts["unknown"]
    assert (counts["cut"], counts["on_date"]) == (0, 200)


@pytest.mark.parametrize("before", [0, 1, 2**20 - 1, 2**20, 3 * 2**20])
def test_a_line_that_is_not_utf_8_is_named_however_far_in(
    warehouse: DuckdbWarehouse, tmp_path: Path, before: int
) -> None:
    filled = b"a\n" + b"x" * before + "ł".encode() + b"\n"
    for content, problem in ((filled, "column game_date is missing"), (filled + b"\xff", "line 3 is not UTF-8 text")):
        (tmp_path / "player_game_logs.csv").write_bytes(content)
        assert refusal(warehouse, tmp_path).startswith(f"player_game_logs.csv: {problem}")
