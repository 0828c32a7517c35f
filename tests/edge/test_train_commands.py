"""`tipoff train`, `tipoff backtest` and `tipoff run --model`, as a person calls them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from local.sample.season import write
from tests.tipoff_command import tipoff

pytestmark = pytest.mark.xdist_group("train_commands")  # one training is shared by all


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("season")
    write(made)
    return made


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.json"
    ran = tipoff("train", "--data", folder, "--until", "2026-01-20", "--out", path)
    assert (ran.status, ran.err) == (0, "")
    assert f"written to {path}" in " ".join(ran.out.split())
    return path


def test_a_backtest_prints_the_figures_that_programs_read(folder: Path, model: Path) -> None:
    span = ("--from", "2026-01-20", "--to", "2026-02-02")

    figures = tipoff("backtest", "--data", folder, "--model", model, *span, "--json").json

    assert list(figures["systems"]) == ["season_average", "moving_average", "similarity", "ridge", "ensemble"]
    assert figures["systems"]["ridge"].keys() == {"n", "mae", "rmse", "bias"}
    assert 0.7 < figures["intervals"]["0.8"] < 0.9
    assert 0.4 < figures["intervals"]["0.5"] < 0.6
    assert {"n", "brier", "log_loss", "ece", "line_mae", "system_mae"} <= figures["lines"].keys()
    assert figures["lines"]["n"] > 200


def test_a_backtest_writes_a_report_that_needs_nothing_else(folder: Path, model: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"

    ran = tipoff(
        *("backtest", "--data", folder, "--model", model, "--from", "2026-01-20", "--to", "2026-02-02"),
        *("--html", report),
    )

    assert ran.status == 0
    text = report.read_text(encoding="utf-8")
    assert text.count("<svg") == 4
    assert "<circle" in text
    assert not re.search(r"https?:|src=|<script|<link|@import|url\(", text)
    assert "NaN" not in text


def test_figures_that_nothing_tells_are_null_and_no_number_is_made_up(
    folder: Path, model: Path, tmp_path: Path
) -> None:
    # The logs begin so late that nobody has ten games in them, and there are no lines at all.
    early = tmp_path / "early"
    _copy(folder, early, "player_game_logs*", lambda row: row if row["game_date"] >= "2026-01-25" else None)
    span, report = ("--from", "2026-01-28", "--to", "2026-02-02"), tmp_path / "report.html"

    machine = tipoff("backtest", "--data", early, "--model", model, *span, "--json")
    person = tipoff("backtest", "--data", early, "--model", model, *span, "--html", report)

    assert (machine.status, person.status) == (0, 0)
    assert machine.json["systems"]["ridge"] == {"n": 0, "mae": None, "rmse": None, "bias": None}
    assert machine.json["intervals"] == {"0.5": None, "0.8": None, "0.9": None}
    assert machine.json["lines"]["brier"] is None
    assert "NaN" not in machine.out
    assert "No such player plays in this span" in person.out
    assert "No lines on these games" in person.out
    assert not re.search(r"\b(nan|None)\b", person.out + report.read_text(encoding="utf-8"))


def test_a_market_without_prices_is_left_out_of_the_table(folder: Path, model: Path, tmp_path: Path) -> None:
    unpriced = tmp_path / "unpriced"
    _copy(folder, unpriced, "player_game_logs*", lambda row: row)
    _copy(folder, unpriced, "points_lines*", lambda row: row | {"fair_over": ""})
    backtest = ("backtest", "--model", model, "--from", "2026-01-20", "--to", "2026-02-02", "--data")

    assert "\nbooks' own " in tipoff(*backtest, folder).out
    ran = tipoff(*backtest, unpriced)

    assert "\ncalibrated " in ran.out
    assert "\nbooks' own " not in ran.out
    assert tipoff(*backtest, unpriced, "--json").json["lines"]["market"]["brier"] is None


def _copy(folder: Path, to: Path, names: str, change: Callable[[dict[str, str]], dict[str, str] | None]) -> None:
    """Copy CSV files with each row changed, or left out where nothing comes of it."""
    to.mkdir(exist_ok=True)
    for path in folder.glob(names):
        with path.open(encoding="utf-8", newline="") as source, (to / path.name).open("w", encoding="utf-8") as target:
            reader = csv.DictReader(source)
            writer = csv.DictWriter(target, reader.fieldnames or ())
            writer.writeheader()
            writer.writerows(row for each in reader if (row := change(each)) is not None)


def test_a_span_that_was_trained_on_is_a_mistake(folder: Path, model: Path) -> None:
    ran = tipoff("backtest", "--data", folder, "--model", model, "--from", "2026-01-10", "--to", "2026-02-02")

    assert ran.status == 2
    assert "start from 2026-01-20" in ran.err


def test_a_run_tells_the_model_it_was_given(folder: Path, model: Path, tmp_path: Path) -> None:
    export = tmp_path / "predictions.csv"

    ran = tipoff(
        *("run", "--data", folder, "--game-date", "2026-01-30", "--state", tmp_path / "state"),
        *("--model", model, "--export", export, "--json"),
    )

    assert ran.json["state"] == "COMPLETE"
    header, first = export.read_text(encoding="utf-8").splitlines()[:2]
    assert re.search(r"2026-01-20-[0-9a-f]{8}", first)
    assert "model_version" in header


def test_a_model_that_is_none_stops_a_run_before_it_starts(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("{}", encoding="utf-8")

    ran = tipoff(
        *("run", "--data", folder, "--game-date", "2026-01-30", "--state", tmp_path / "state"),
        *("--model", tmp_path / "none.json"),
    )

    assert ran.status == 2
    assert "is no model of this release" in ran.err
    assert not (tmp_path / "state").exists()
