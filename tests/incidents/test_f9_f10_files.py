"""F9, F10: a small file unpacked to gigabytes before it was refused; control characters in names reached the terminal."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from local.cli.terminal import Terminal, printable
from local.one_machine.csv_inputs import load_folder
from local.one_machine.export import export
from schemas.tables import Cell, load
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import InvalidInput
from shared.ports import TableSpec
from tests.tipoff_command import tipoff

DATE = date(2026, 1, 30)
HEADER = "game_date,season,game_id,player_id,player_name,team,opponent,is_home,minutes,points\n"
ROW = "2026-01-30,2025-26,0022500001,1,{name},AAA,BBB,1,30,7\n"
TITLE = "\x1b]0;owned\x07"
MIB = 2**20


@pytest.fixture
def warehouse() -> Iterator[DuckdbWarehouse]:
    warehouse = DuckdbWarehouse(":memory:")
    yield warehouse
    warehouse.close()


def bomb(folder: Path, *, mib: int, name: str = "player_game_logs.csv.gz") -> Path:
    """A file of a thousandth of what it unpacks to."""
    with gzip.open(folder / name, "wb") as file:
        file.write(HEADER.encode())
        for _ in range(mib):
            file.write(b"0" * MIB)
    return folder / name


def refusal(warehouse: DuckdbWarehouse, folder: Path, *, max_bytes: int) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_folder(warehouse, folder=folder, game_date=DATE, max_bytes=max_bytes)
    return str(caught.value)


# --- F9 -------------------------------------------------------------------------------------------------------


def test_f9_a_gzip_bomb_is_refused_before_it_has_unpacked(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    packed = bomb(tmp_path, mib=400)
    assert packed.stat().st_size < MIB

    tracemalloc.start()
    said = refusal(warehouse, tmp_path, max_bytes=4 * MIB)
    _now, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert said.startswith("player_game_logs.csv.gz: ")
    assert "--max-input-mb" in said
    assert "\n" not in said
    assert peak_bytes < 16 * MIB


def test_f9_files_share_one_bound_however_many_they_are(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    for number in range(3):
        rows = "".join(ROW.format(name="n").replace(",1,n", f",{number}-{row},n") for row in range(20))
        (tmp_path / f"player_game_logs_{number}.csv").write_text(HEADER + rows)
    of_one = (tmp_path / "player_game_logs_0.csv").stat().st_size

    said = refusal(warehouse, tmp_path, max_bytes=of_one * 2 + 10)

    assert said.startswith("player_game_logs_2.csv: ")
    load_folder(warehouse, folder=tmp_path, game_date=DATE, max_bytes=of_one * 4)
    assert warehouse.query("SELECT COUNT(*) AS n FROM `player_game_logs`") == [{"n": 60}]


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--game-date", "2026-01-30"),
        ("train", "--until", "2026-01-01", "--out", "model.json"),
    ],
)
def test_f9_the_option_raises_the_bound(tmp_path: Path, command: tuple[str, ...]) -> None:
    bomb(tmp_path, mib=3)

    bounded = tipoff(*command, "--data", ".", "--max-input-mb", "1", cwd=tmp_path)
    raised = tipoff(*command, "--data", ".", "--max-input-mb", "4", cwd=tmp_path)

    assert (bounded.status, bounded.err.count("\n")) == (2, 1)
    assert "--max-input-mb" in bounded.err
    assert raised.status == 2
    assert "data row 1" in raised.err


# --- F10 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", [TITLE, "\x00", "\x7f", "\x9b2J", "\u202e", "\u2028", '"a\tb"', '"a\nb"'])
def test_f10_control_characters_are_refused_with_file_row_and_column(
    warehouse: DuckdbWarehouse, tmp_path: Path, hostile: str
) -> None:
    rows = ROW.format(name="Ana-Bel O'Dríscoll Jr.") + ROW.format(name=hostile).replace(",1,", ",2,", 1)
    (tmp_path / "player_game_logs.csv").write_text(HEADER + rows, encoding="utf-8")

    said = refusal(warehouse, tmp_path, max_bytes=MIB)

    assert said.startswith("player_game_logs.csv: data row 2 (line ")
    assert "column player_name" in said
    assert "control characters" in said
    assert said == printable(said)
    assert "\n" not in said


def test_f10_what_a_file_or_service_says_is_never_printed_raw(tmp_path: Path) -> None:
    (tmp_path / "player_game_logs.csv").write_text(HEADER.replace("season", f"sea{TITLE}\x9bson"), encoding="utf-8")

    done = tipoff("run", "--data", ".", "--game-date", "2026-01-30", cwd=tmp_path)

    assert done.status == 2
    assert "\\u001b]0;owned\\u0007\\u009bson" in done.err
    assert not {"\x1b", "\x07", "\x9b"} & {*done.err}


def test_f10_tables_and_lines_of_the_terminal_show_control_characters_as_text() -> None:
    table = Table(TITLE)
    table.add_row(f"name{TITLE}")
    seen = io.StringIO()
    terminal = Terminal(file=seen, width=200, highlight=False)

    terminal.print(table)
    terminal.print(f"line{TITLE}", markup=False)
    terminal.print(Text(f"text{TITLE}\x9b\u202e", style="bold"))

    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*seen.getvalue()}
    for word in ("name", "line", "text"):
        assert f"{word}\\u001b]0;owned" in seen.getvalue()


def test_f10_a_terminal_keeps_its_own_colours() -> None:
    seen = io.StringIO()

    Terminal(file=seen, force_terminal=True, color_system="standard").print(Text("state", style="bold red"))

    assert "\x1b[1;31mstate\x1b[0m" in seen.getvalue()


def test_f10_every_command_prints_through_the_one_edge() -> None:
    sources = [*Path("local").rglob("*.py")]
    around = [
        str(file)
        for file in sources
        if file.name != "terminal.py"
        and any(raw in file.read_text(encoding="utf-8") for raw in ("click.echo(", "rich.console import Console"))
    ]

    assert len(sources) > 20
    assert around == []


def exported(warehouse: DuckdbWarehouse, path: Path, *, spreadsheet_safe: bool, **cells: Cell) -> dict[str, str]:
    declared = load("predictions")
    warehouse.create(TableSpec("predictions", declared.columns, partition_by="game_date"))
    row: dict[str, Cell] = {
        "prediction_id": "p", "system_id": "season_average", "player_lookup": "ann", "game_date": DATE,
        "game_id": "g", "prediction_version": 1, "predicted_points": Decimal("25.0"),
        "confidence_score": Decimal("51.20"), "recommendation": "PASS", "has_prop_line": True, "is_active": True,
        "created_at": datetime(2026, 1, 30, tzinfo=UTC), "data_quality_issues": [],
    }  # fmt: skip
    warehouse.append("predictions", [row | cells])
    export(warehouse, DATE, path, spreadsheet_safe=spreadsheet_safe)
    with path.open(encoding="utf-8", newline="") as file:
        (found,) = csv.DictReader(file)
    return found


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r"])
def test_f10_a_spreadsheet_safe_export_quotes_text_that_would_be_a_formula(
    warehouse: DuckdbWarehouse, tmp_path: Path, begins: str
) -> None:
    found = exported(
        warehouse, tmp_path / "p.csv", spreadsheet_safe=True, player_lookup=f"{begins}cmd", line_margin=Decimal("-3.5")
    )

    assert found["player_lookup"] == f"'{begins}cmd"
    assert found["line_margin"] == "-3.50"


def test_f10_an_export_is_exact_where_nothing_else_is_asked_for(warehouse: DuckdbWarehouse, tmp_path: Path) -> None:
    assert (
        exported(warehouse, tmp_path / "p.csv", spreadsheet_safe=False, player_lookup="=cmd")["player_lookup"] == "=cmd"
    )


@pytest.mark.parametrize("options", [(), ("--export", "p.parquet")])
def test_f10_spreadsheet_safe_is_of_csv_exports_only(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = tipoff("run", "--spreadsheet-safe", *options, cwd=tmp_path)

    assert done.status == 2
    assert "--spreadsheet-safe" in done.err
