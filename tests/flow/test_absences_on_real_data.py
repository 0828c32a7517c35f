"""That absences are worth something on real games, and only the team's own: a leak would help with anybody's."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from local.one_machine.past_games import read_past_games
from worker.absences import APPEARED, NOTHING
from worker.features import FEATURES, features
from worker.history import GameLogs, past_players
from worker.players import Floats, Players
from worker.portable import least_squares

OF_ABSENCES = np.array([component == "absences" for component in FEATURES.values()])


@pytest.fixture(scope="module")
def logs() -> GameLogs:
    path = os.environ.get("TIPOFF_DATA")
    if not path:
        pytest.skip("TIPOFF_DATA names no folder of real CSV files")
    return read_past_games(Path(path), until=date(2025, 7, 1)).logs


def error(logs: GameLogs, players: Players, columns: Floats) -> float:
    """Mean absolute error on 2024-25 of a linear fit to the seasons before."""
    learned = (logs.season < "2024-25") & (players.games > 0)
    measured = (logs.season == "2024-25") & (players.season_games >= 10)
    measured &= players.season_minutes >= 15 * players.season_games
    mean, scale = np.nanmean(columns[learned], axis=0), np.nanstd(columns[learned], axis=0)
    standard = np.column_stack([np.nan_to_num((columns - mean) / np.where(scale > 0, scale, 1)), np.ones(len(columns))])
    fitted = least_squares(standard[learned], logs.points[learned], penalty=10.0)
    return float(np.abs(standard[measured] @ fitted - logs.points[measured]).mean())


def test_the_teams_own_absences_are_worth_a_tenth_of_a_point_and_another_teams_nothing(logs: GameLogs) -> None:
    own, nothing = past_players(logs, APPEARED), past_players(logs, NOTHING)
    known, unknown = features(own), features(nothing)
    form = error(logs, nothing, unknown[:, ~OF_ABSENCES])
    # Those of the next row of a shuffled day: another team's, on a day like any other.
    chance = np.random.default_rng(1)
    order = np.lexsort((chance.random(len(logs)), logs.day))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    stranger = replace(
        own,
        tonight_shots=own.tonight_shots[other],
        tonight_points=own.tonight_points[other],
        tonight_by_position=own.tonight_by_position[other],
        left_shots=own.left_shots[other],
        left_points=own.left_points[other],
        left_by_position=own.left_by_position[other],
        left_by_the_same=own.left_by_the_same[other],
    )

    assert error(logs, own, known) < form - 0.1
    assert error(logs, stranger, features(stranger)) == pytest.approx(form, abs=0.01)
