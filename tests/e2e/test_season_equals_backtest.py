"""A season that the services ran date by date and graded equals the backtest of the same model: two ways to one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from coordinator.rules.accuracy import NAMED
from local.cli.backtesting import learning_groups
from local.one_machine.past_games import DAY_ZERO, PastGames, read_past_games
from tests.tipoff_command import tipoff
from worker.absences import Knowledge
from worker.conformal import adapted_shares
from worker.history import past_players
from worker.model import Model, read_model
from worker.systems import SYSTEMS, predict_all

pytestmark = pytest.mark.xdist_group("season")  # one season for all of it

FIRST, LAST = date(2026, 1, 26), date(2026, 1, 31)
SPAN = ("--from", FIRST.isoformat(), "--to", LAST.isoformat())
ROSTER_GAMES = 10

Rows = Mapping[tuple[str, str], Mapping[str, float]]
"""Game and player -> points by system."""


@dataclass(frozen=True)
class Season:
    """What both ways came to."""

    accuracy: Mapping[str, Any]
    graded: Rows
    asked: Mapping[tuple[str, str], list[float]]
    """Game and player -> what the ensemble's intervals asked for."""
    past: PastGames
    model: Model


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Season:
    folder = tmp_path_factory.mktemp("season")
    state, model = folder / "state", folder / "model.json"
    data = state / "simulated" / "csv"
    # A dry run writes the sample season, which the model is then trained on.
    assert tipoff("backfill", *SPAN, "--state", state, "--dry-run", "--allow-hindsight").status == 0
    assert tipoff("train", "--data", data, "--until", FIRST.isoformat(), "--out", model).status == 0
    ran = tipoff("backfill", *SPAN, "--state", state, "--model", model, "--json")
    assert ran.status == 0, ran
    measured = tipoff("accuracy", *SPAN, "--state", state, "--json")
    return Season(
        measured.json,
        graded_rows(state / "simulated" / "warehouse.duckdb"),
        asked_of(state / "simulated" / "warehouse.duckdb"),
        read_past_games(data, until=LAST + timedelta(days=1)),
        read_model(model.read_bytes(), name="model"),
    )


def graded_rows(file: Path) -> Rows:
    found: dict[tuple[str, str], dict[str, float]] = {}
    with duckdb.connect(str(file), read_only=True) as warehouse:
        rows = warehouse.execute(
            "SELECT game_id, universal_player_id, system_id, exact_points FROM grades WHERE actual_points IS NOT NULL"
        ).fetchall()
    for game_id, player_id, system_id, points in rows:
        found.setdefault((game_id, player_id), {})[system_id] = points
    return found


def asked_of(file: Path) -> dict[tuple[str, str], list[float]]:
    with duckdb.connect(str(file), read_only=True) as warehouse:
        rows = warehouse.execute(
            "SELECT DISTINCT game_id, universal_player_id, feature_importance ->> '$.asked_50',"
            " feature_importance ->> '$.asked_80', feature_importance ->> '$.asked_90' FROM predictions"
            " WHERE is_active AND system_id = 'ensemble'"
        ).fetchall()
    return {(game_id, player_id): [float(share) for share in asked] for game_id, player_id, *asked in rows}


def backtested(season: Season) -> tuple[Rows, Mapping[tuple[str, str], float]]:
    """The backtest's numbers of the span, and the points that came."""
    logs = season.past.logs
    players = past_players(logs, Knowledge(reports=season.past.reports))
    rows = np.flatnonzero((logs.day >= (FIRST - DAY_ZERO).days) & (players.games > 0))
    keys = [(str(logs.game_id[row]), str(logs.player_id[row])) for row in rows]
    said = predict_all(season.past.offers.beside(players.take(rows), rows), season.model)
    points = {
        key: {one.system_id: float(one.points[place]) for one in said if one.speaks_of(place)}
        for place, key in enumerate(keys)
    }
    return points, {key: float(logs.points[row]) for key, row in zip(keys, rows, strict=True)}


def test_every_graded_row_is_the_backtests_number(season: Season) -> None:
    expected, _ = backtested(season)

    assert len(season.graded) > 300
    assert season.graded.keys() <= expected.keys()
    for key, systems in season.graded.items():
        assert systems == pytest.approx(expected[key], abs=1e-6), key


def test_errors_of_each_system_agree_to_three_decimals(season: Season) -> None:
    expected, came = backtested(season)

    assert season.accuracy["systems"].keys() == set(SYSTEMS)
    for system in SYSTEMS:
        found = season.accuracy["systems"][system]
        errors = np.array([expected[key][system] - came[key] for key in season.graded if system in expected[key]])
        assert found["n"] == len(errors) > 200
        assert found["mae"] == pytest.approx(np.abs(errors).mean(), abs=5e-4)
        assert found["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), abs=5e-4)
        assert found["bias"] == pytest.approx(errors.mean(), abs=5e-4)


def test_intervals_ask_for_what_the_backtest_learns_from_the_same_games(season: Season) -> None:
    logs, model = season.past.logs, season.model
    keys = list(zip(logs.game_id, logs.player_id, strict=True))
    rows = np.array([row for row, key in enumerate(keys) if key in season.graded])
    players = past_players(logs, Knowledge(reports=season.past.reports)).take(rows)
    points = {one.system_id: one.points for one in predict_all(players, model)}[NAMED]
    deviation = model.spread.deviation(points, players.points)
    rank = model.spread.central_share(logs.points[rows], predicted=points, deviation=deviation)

    expected = adapted_shares(rank, day=logs.day[rows], group=learning_groups(players, logs.season[rows]))

    served = np.array([season.asked[keys[row]] for row in rows])
    np.testing.assert_array_equal(served, expected.round(6))
    assert len(np.unique(served[:, 1])) > 10


def test_whom_the_services_did_not_expect_nobody_could_expect(season: Season) -> None:
    """The backtest knows who played; before the game only the last games of a team and the lines tell."""
    expected, _ = backtested(season)
    logs = season.past.logs
    missing = expected.keys() - season.graded.keys()

    assert len(missing) < 0.02 * len(expected)
    for game_id, player_id in missing:
        (row,) = np.flatnonzero((logs.game_id == game_id) & (logs.player_id == player_id))
        team_games = np.unique(logs.day[(logs.team == logs.team[row]) & (logs.day < logs.day[row])])
        mine = np.flatnonzero((logs.player_id == player_id) & (logs.day < logs.day[row]))
        was_on_the_team = logs.team[mine[-1]] == logs.team[row]
        assert not (was_on_the_team and logs.day[mine[-1]] >= team_games[-ROSTER_GAMES:][0])
