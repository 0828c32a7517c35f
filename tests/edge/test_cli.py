"""Mistakes in calling `tipoff`, each one line that says what to mend; and what a person sees."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path

import pytest

from shared.adapters.duckdb import DuckdbWarehouse
from tests.tipoff_command import DAY, command, environment, tipoff, write_league

LEAGUE = {"Ann O'Dell": [20, 22, 24], "Bo-Li Tan": [10, 12, 8], "C.J. Ray": [5, 7, 9], "Dé Luz": [15, 15, 18]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_league(tmp_path / "data", players=LEAGUE)


def assert_is_a_mistake(arguments: Sequence[str | Path], *, says: Sequence[str], cwd: Path) -> None:
    """Run it; assert exit status 2, nothing on standard output and one line on standard error that says all that."""
    ran = tipoff(*arguments, cwd=cwd)

    assert (ran.status, ran.out) == (2, "")
    assert re.fullmatch(r"tipoff: .+\n", ran.err), ran.err
    assert [said for said in says if said not in ran.err] == [], ran.err


# --- mistakes in the call -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("run --game-date 2026-02-30", ["--game-date", "2026-02-30", "2026-01-30"]),
        ("run --game-date 30.01.2026", ["--game-date", "30.01.2026", "2026-01-30"]),
        ("run --data data", ["--game-date", "missing"]),
        ("run --export predictions.xlsx", ["--export", "predictions.xlsx", ".csv", ".parquet"]),
        ("run --export no/such/predictions.csv", ["--export", "no/such", "folder"]),
        ("run --resume --force", ["--force", "--resume", "choose"]),
        ("run --resume", ["--resume", "no run was begun in .tipoff", "--data"]),
        ("run --state data/player_game_logs.csv", ["--state", "player_game_logs.csv", "is a file"]),
        ("run --timeout 0", ["--timeout", "0"]),
        ("run --nonsense", ["--nonsense", "tipoff run --help"]),
        ("run extra", ["extra", "tipoff run --help"]),
        ("dance", ["dance", "tipoff --help"]),
    ],
)
def test_a_mistaken_call_is_refused_before_anything_is_made(
    tmp_path: Path, data: Path, arguments: str, says: list[str]
) -> None:
    assert_is_a_mistake(arguments.split(), says=says, cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [data.name]


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("nowhere", ["nowhere", "not a folder", "player_game_logs*.csv"]),
        ("empty", ["empty", "holds no player_game_logs*.csv"]),
        ("data/player_game_logs.csv", ["player_game_logs.csv", "not a folder"]),
    ],
)
def test_a_folder_without_data_is_refused(tmp_path: Path, data: Path, folder: str, says: list[str]) -> None:
    (data.parent / "empty").mkdir()

    assert_is_a_mistake(["run", "--data", folder, "--game-date", DAY], says=says, cwd=tmp_path)


def test_a_malformed_value_is_refused_by_file_row_column_and_value(tmp_path: Path, data: Path) -> None:
    logs = data / "player_game_logs.csv"
    logs.write_text(logs.read_text(encoding="utf-8").replace(",30,12\n", ",30,a dozen\n"), encoding="utf-8")

    says = ["player_game_logs.csv", "data row 6", "column points", "'a dozen'", "a whole number"]

    assert_is_a_mistake(["run", "--data", data, "--game-date", DAY], says=says, cwd=tmp_path)


def test_a_state_folder_in_use_by_another_process_is_refused(tmp_path: Path, data: Path) -> None:
    (tmp_path / "state").mkdir()
    ours = DuckdbWarehouse(tmp_path / "state/warehouse.duckdb")

    arguments = ("run", "--data", data, "--game-date", DAY, "--state", "state")

    assert_is_a_mistake(arguments, says=["--state", "in use by another process", str(os.getpid())], cwd=tmp_path)
    ours.close()


def test_resuming_where_nothing_was_left_and_no_data_is_given_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/tipoff.log").touch()

    assert_is_a_mistake(
        ["run", "--resume", "--state", "state"], says=["--resume", "--data", "--game-date"], cwd=tmp_path
    )


# --- what a person sees ---------------------------------------------------------------------------------------


def test_help_teaches_by_example_and_names_every_way_to_end() -> None:
    helped = tipoff("run", "--help")

    assert (helped.status, helped.err) == (0, "")
    assert "\n    tipoff run --game-date 2026-01-30 --data DIR --export predictions.csv\n" in helped.out
    assert re.search(r"Exits 0 .* 1 .* 2 .* 130", helped.out, re.DOTALL)


def test_without_a_command_the_commands_are_listed() -> None:
    listed = tipoff()

    assert re.search(r"\brun +Predict one game date on this machine\.", listed.err)


def test_a_terminal_shows_progress_and_then_the_report_in_unbroken_lines(tmp_path: Path, data: Path) -> None:
    started = command("run", "--data", data, "--game-date", DAY, "--state", tmp_path / "state")

    shown = on_terminal(started, columns=80)  # narrower than the longest line

    assert "of 4 players" in shown
    report = shown[shown.rindex("Batch") :]
    state = r"is \x1b\[1;32mCOMPLETE\x1b\[0m: all 4 players are predicted or skipped\r\n"
    assert re.match(rf"Batch 20260130_[0-9a-f]{{16}} of {DAY} {state}", report)
    assert re.search(r"\nann-o'dell +\S+ +\S+  estimated  PASS +\d+\.\d\d %", report)
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is shown again"


def test_a_pipe_gets_the_report_without_colours_or_a_bar(tmp_path: Path, data: Path) -> None:
    ran = tipoff("run", "--data", data, "--game-date", DAY, "--state", tmp_path / "state")

    assert (ran.status, ran.err) == (0, "")
    assert "\x1b" not in ran.out
    assert ran.out.startswith("Batch 20260130_")
    assert "note: the shipped model was trained on simulated games and knows no real player; `tipoff train`" in ran.out
    assert re.search(r"^expected +4  staged +20  start +\d+\.\d\d$", ran.out, re.MULTILINE)


def on_terminal(arguments: Sequence[str], *, columns: int) -> str:
    """Run a command on a terminal of that width and return all that it wrote there."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    plain = {name: value for name, value in environment().items() if name not in ("COLUMNS", "NO_COLOR")}
    with subprocess.Popen(
        arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=plain | {"TERM": "xterm"}
    ) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
        os.close(ours)
    assert process.returncode == 0
    return shown.decode("utf-8")


def _read(terminal: int) -> bytes:
    """Read on; nothing once the other side has hung up, which Linux reports as an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""
