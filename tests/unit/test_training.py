"""How a model is made: of past games alone, the same bytes for the same games, and readable."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from local.cli.backtesting import backtest, check_span
from local.one_machine.past_games import DAY_ZERO, PastGames, read_past_games
from local.sample.season import SAMPLE_GAME_DATE, write
from shared.errors import InvalidInput
from worker.calibration import PLATT_V1, PLATT_V1_SLOPE
from worker.features import FEATURES
from worker.history import GameLogs, past_players
from worker.model import Model, ModelDocument, read_model, shipped_model, write_document
from worker.train import train


def trained(past: PastGames, until: date = SAMPLE_GAME_DATE) -> ModelDocument:
    return train(past.logs, past.lines, until=until, day_zero=DAY_ZERO, is_simulated=past.is_simulated)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("season")
    write(made)
    return made


@pytest.fixture(scope="module")
def past(folder: Path) -> PastGames:
    return read_past_games(folder, until=SAMPLE_GAME_DATE)


def first_games(past: PastGames, count: int) -> PastGames:
    rows = np.sort(np.argsort(past.logs.day, kind="stable")[:count])
    logs = GameLogs(**{name: getattr(past.logs, name)[rows] for name in GameLogs.__slots__})
    place = np.full(len(past.logs), -1, dtype=np.intp)
    place[rows] = np.arange(len(rows))
    return replace(past, logs=logs, lines=past.lines.moved(place))


def test_the_shipped_model_is_that_of_the_simulated_season_to_the_byte(past: PastGames) -> None:
    shipped = files("worker").joinpath("model.json").read_text(encoding="utf-8")

    assert write_document(trained(past)) == shipped
    assert json.loads(shipped)["trained_on"]["is_simulated"] is True


def test_the_games_of_the_last_date_are_not_seen(past: PastGames) -> None:
    on = shipped_model().document.trained_on

    assert (on.last_date, on.until) == ("2026-01-29", "2026-01-30")
    assert on.player_games == len(past.logs)


def test_too_few_lines_keep_the_released_slope_and_say_so() -> None:
    calibration = shipped_model().document.calibration

    assert (calibration.method, calibration.slope, calibration.lines) == (PLATT_V1, PLATT_V1_SLOPE, 0)


def test_the_ridges_and_the_ensembles_measured_error_is_less_than_the_baselines() -> None:
    measured = shipped_model().document.metrics["walk_forward"]

    assert isinstance(measured, dict)
    assert measured["ridge"]["mae"] < measured["season_average"]["mae"]
    assert measured["ensemble"]["mae"] < measured["season_average"]["mae"]


def test_a_document_survives_its_file() -> None:
    document = shipped_model().document

    assert read_model(write_document(document), name="x").document == document


def test_too_few_games_are_refused_by_number(past: PastGames) -> None:
    with pytest.raises(InvalidInput, match=r"player-games with a past before .* are too few; give at least 2000"):
        trained(first_games(past, 1_500))


def test_a_player_of_two_games_on_one_date_is_refused(past: PastGames) -> None:
    few = first_games(past, 400).logs
    doubled = GameLogs(**{name: np.repeat(getattr(few, name), 2) for name in GameLogs.__slots__})

    with pytest.raises(InvalidInput, match="two games on one date"):
        past_players(doubled)


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("{}", "format: Field required"),
        ("no JSON", "the file: Invalid JSON"),
        ('{"format": "tipoff-model-9"}', "format"),
    ],
)
def test_what_is_no_model_is_refused_by_name_and_field(broken: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=rf"m\.json is no model of this release: {problem}"):
        read_model(broken, name="m.json")


def test_a_model_whose_parts_do_not_fit_is_refused() -> None:
    document = shipped_model().document
    short = document.similarity.model_copy(update={"points": document.similarity.points[:-1]})

    with pytest.raises(InvalidInput, match="contradicts itself"):
        read_model(write_document(document.model_copy(update={"similarity": short})), name="m.json")


@pytest.mark.parametrize(("captured_at", "is_read"), [("2026-01-29T12:00:00Z", True), ("2026-01-30T12:00:00Z", False)])
def test_a_line_from_after_the_scheduled_tip_off_teaches_nothing(
    folder: Path, tmp_path: Path, captured_at: str, is_read: bool
) -> None:
    for name in ("player_game_logs.csv", "scheduled_games.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with (folder / "points_lines.csv").open(encoding="utf-8", newline="") as file:
        given = [row for row in csv.DictReader(file) if row["game_date"] == "2026-01-29" and row["player_id"]]
    with (tmp_path / "points_lines.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, given[0].keys() - {"commence_time_utc"}, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "captured_at": captured_at} for row in given)

    read = read_past_games(tmp_path, until=SAMPLE_GAME_DATE)

    assert (len(read.lines) > 0, len(read.offers.game) > 0) == (is_read, is_read)


# --- backtest -------------------------------------------------------------------------------------------------


def test_a_backtest_measures_every_game_of_its_span_and_no_other(folder: Path) -> None:
    later = read_past_games(folder, until=date(2026, 2, 3))
    first_day = (SAMPLE_GAME_DATE - DAY_ZERO).days
    heard: list[tuple[int, int]] = []

    found = backtest(shipped_model(), later, first_day=first_day, progress=lambda *done: heard.append(done))

    with_past = (later.logs.day >= first_day) & (past_players(later.logs).games > 0)
    everybody = found.figures["all_players"]
    assert isinstance(everybody, dict)
    assert {scores["n"] for scores in everybody.values()} == {int(with_past.sum())}
    assert heard[-1] == (int(with_past.sum()), int(with_past.sum()))
    by_hand = season_average_error(later.logs, with_past)
    assert everybody["season_average"]["mae"] == pytest.approx(by_hand, abs=1e-4)


def season_average_error(logs: GameLogs, rows: np.ndarray) -> float:
    """The error of the mean of all of a player's games before each, one game at a time; the sample is one season."""
    errors = []
    for row in np.flatnonzero(rows):
        earlier = (logs.player_id == logs.player_id[row]) & (logs.day < logs.day[row])
        errors.append(abs(logs.points[earlier].mean() - logs.points[row]))
    return float(np.mean(errors))


@pytest.mark.parametrize(
    ("first", "last", "problem"),
    [
        (date(2026, 1, 29), date(2026, 2, 1), "start from 2026-01-30"),
        (date(2026, 2, 1), date(2026, 1, 31), "give the later date"),
    ],
)
def test_a_span_that_the_model_was_trained_on_is_refused(first: date, last: date, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        check_span(shipped_model(), first=first, last=last)


def test_a_span_without_games_is_refused(past: PastGames) -> None:
    with pytest.raises(InvalidInput, match="no game"):
        backtest(shipped_model(), past, first_day=99_999, progress=lambda _done, _all: None)


def test_every_feature_counts_to_a_known_component() -> None:
    assert set(FEATURES.values()) == {"form", "role", "rest", "home", "opponent", "pace", "absences"}
    assert isinstance(shipped_model(), Model)
