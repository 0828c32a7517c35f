"""Training sees what serving sees: the features of a planned request are those of the same game in the past, to the bit.

And neither sees the game itself or anything after it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from local.one_machine.csv_inputs import load_folder
from local.one_machine.past_games import DAY_ZERO, PastGames, read_past_games
from local.sample.season import SAMPLE_GAME_DATE, write
from schemas import names
from schemas.messages import PredictionRequest
from shared.adapters.duckdb import DuckdbWarehouse
from tests.plan_inputs import PLANNED_AT, freeze, requests_of
from worker.absences import APPEARED, Knowledge
from worker.features import FEATURES, features
from worker.history import GameLogs, past_players
from worker.players import Floats, players_of


@pytest.fixture(scope="module", params=["sample", "real"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "sample":
        made = tmp_path_factory.mktemp("season")
        write(made)
        return made
    path = os.environ.get("TIPOFF_DATA")
    if not path:
        pytest.skip("TIPOFF_DATA names no folder of real CSV files")
    made = tmp_path_factory.mktemp("real")
    for file in Path(path).glob("*.csv.gz"):
        (made / file.name).symlink_to(file)
    write_reports(made)
    return made


def write_reports(folder: Path) -> None:
    """List players at random for the date and the eight before it, since the real files bring no reports."""
    ids = sorted(set(read_past_games(folder, until=SAMPLE_GAME_DATE).logs.player_id[-40_000:]))
    chance = random.Random(7)  # noqa: S311 - the same test at every run
    lines = ["game_date,player_id,status,reported_at"]
    for back in range(9):
        day = SAMPLE_GAME_DATE - timedelta(days=back)
        for player_id in chance.sample(ids, 150):
            status = chance.choice(["OUT", "OUT", "Doubtful", "QUESTIONABLE"])
            lines.append(f"{day},{player_id},{status},{day}T{chance.randrange(10, 20)}:00:00Z")
    (folder / "injury_reports.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def past(folder: Path) -> PastGames:
    return read_past_games(folder, until=SAMPLE_GAME_DATE + timedelta(days=2))


@pytest.fixture(scope="module")
def seen(past: PastGames) -> Floats:
    return features(past_players(past.logs, Knowledge(reports=past.reports)))


@pytest.fixture(scope="module")
def planned(folder: Path) -> Iterator[dict[str, PredictionRequest]]:
    warehouse = DuckdbWarehouse(":memory:", clock=lambda: PLANNED_AT)
    load_folder(warehouse, folder=folder, game_date=SAMPLE_GAME_DATE)
    batch_id = names.batch_id(SAMPLE_GAME_DATE, "parity")
    freeze(warehouse, game_date=SAMPLE_GAME_DATE, batch_id=batch_id, planned_at=PLANNED_AT + timedelta(hours=8))
    requests = requests_of(warehouse, batch_id=batch_id).values()
    yield {request.universal_player_id: request for request in requests if request.universal_player_id}
    warehouse.close()


def day_of(game_date: date) -> int:
    return (game_date - DAY_ZERO).days


def test_a_planned_request_has_the_features_that_training_sees(
    past: PastGames, seen: Floats, planned: dict[str, PredictionRequest]
) -> None:
    rows = np.flatnonzero(past.logs.day == day_of(SAMPLE_GAME_DATE))
    both = [row for row in rows if past.logs.player_id[row] in planned]

    served = features(players_of([planned[past.logs.player_id[row]] for row in both]))

    assert len(both) > 80
    for place, name in enumerate(FEATURES):
        np.testing.assert_array_equal(served[:, place], seen[both, place], err_msg=name)
    assert np.isfinite(served).mean() > 0.9


def test_a_player_has_the_same_features_alone_and_among_others(planned: dict[str, PredictionRequest]) -> None:
    requests = list(planned.values())[:40]

    together = features(players_of(requests))

    for place, request in enumerate(requests):
        np.testing.assert_array_equal(features(players_of([request]))[0], together[place])


@pytest.mark.parametrize("is_by_reports", [True, False], ids=["reports", "who appeared"])
def test_deleting_the_future_and_scrambling_the_days_own_results_changes_no_feature(
    past: PastGames, is_by_reports: bool
) -> None:
    day = day_of(SAMPLE_GAME_DATE)
    knowledge = Knowledge(reports=past.reports) if is_by_reports else APPEARED

    again = features(past_players(scramble(past.logs, day), knowledge))

    before = features(past_players(past.logs, knowledge))[past.logs.day <= day]
    np.testing.assert_array_equal(again, before)
    assert (past.logs.day > day).any()


def test_an_earlier_result_does_change_features(past: PastGames, seen: Floats) -> None:
    is_eve = past.logs.day == day_of(SAMPLE_GAME_DATE) - 1

    changed = replace(past.logs, points=np.where(is_eve, past.logs.points + 7, past.logs.points))

    assert not np.array_equal(features(past_players(changed)), seen, equal_nan=True)


def scramble(logs: GameLogs, day: int) -> GameLogs:
    """Delete what came after a day, and give the day's own games other results."""
    kept = logs.day <= day
    cut = GameLogs(**{name: getattr(logs, name)[kept] for name in GameLogs.__slots__})
    of_day, chance = cut.day == day, np.random.default_rng(7)
    numbers = ("points", "minutes", "fga", "fg3a", "fta")
    other = {
        name: np.where(of_day, chance.integers(0, 60, len(cut)).astype(np.float64), getattr(cut, name))
        for name in numbers
    }
    return replace(cut, **other, position=np.where(of_day, "G", cut.position))
