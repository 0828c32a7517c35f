"""A slice is predicted, staged and answered at once; whoever fails in it fails alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.messages import Matchup
from schemas.tables import FittedRows
from shared.errors import QueryRefused
from tests.requests_factory import a_matchup, a_request, some_games
from tests.stand.worker import WorkerStand, a_stand
from worker.systems import SYSTEMS


def test_a_slice_is_staged_by_one_append_and_answered_by_one_message(
    worker_stand: WorkerStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended: list[int] = []
    append = worker_stand.warehouse.append

    def counting(table: str, rows: FittedRows) -> None:
        appended.append(len(rows))
        append(table, rows)

    monkeypatch.setattr(worker_stand.warehouse, "append", counting)
    players = [f"player-{number}" for number in range(5)]

    worker_stand.push(*(a_request(player_lookup=player) for player in players))

    assert appended == [5 * len(SYSTEMS)]
    assert len(worker_stand.outcomes.messages) == 1
    assert [one.player_lookup for one in worker_stand.published()] == players


def test_the_rows_of_a_slice_are_those_of_its_players_alone(worker_stand: WorkerStand, tmp_path: Path) -> None:
    requests = [a_request(player_lookup=f"player-{n}", recent_games=some_games([10 + n, 20, 30])) for n in range(4)]
    worker_stand.push(*requests)

    with a_stand(tmp_path, name="alone") as alone:
        for request in requests:
            alone.push(request)
        assert alone.staged() == worker_stand.staged()


def test_who_cannot_be_predicted_does_not_sink_his_neighbours(worker_stand: WorkerStand) -> None:
    matchup = a_matchup().model_dump() | {"league_points": 0}
    poison = a_request(player_lookup="poison", matchup=Matchup(**matchup))

    assert worker_stand.push(a_request(), poison, a_request(player_lookup="other")).status_code == 204

    assert {one.player_lookup: one.outcome for one in worker_stand.published()} == {
        "nikola-jokić": "predicted",
        "other": "predicted",
        "poison": "failed",
    }


def test_whose_rows_are_refused_does_not_sink_his_neighbours(
    worker_stand: WorkerStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = worker_stand.warehouse.append

    def refusing(table: str, rows: FittedRows) -> None:
        if "poison" in rows.cells["player_lookup"]:
            raise QueryRefused("row 3 does not fit")
        append(table, rows)

    monkeypatch.setattr(worker_stand.warehouse, "append", refusing)

    worker_stand.push(a_request(), a_request(player_lookup="poison"), a_request(player_lookup="other"))

    assert [one.outcome for one in worker_stand.published()] == ["predicted", "predicted", "failed"]
    assert {row["player_lookup"] for row in worker_stand.staged()} == {"nikola-jokić", "other"}
