"""Two batches compared, and a player predicted again from what the plan froze."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from coordinator.rules import comparing
from coordinator.rules.comparing import Said
from local.one_machine.replaying import replay_rows
from schemas import names
from schemas.tables import Row
from tests.plan_inputs import a_log, an_offer
from tests.stand.front import Front
from tests.stand.world import Stand, a_league
from worker.model import shipped_model
from worker.systems import SYSTEMS


def two_batches(stand: Stand) -> tuple[str, str]:
    """A second batch of other inputs: player 1 scored more, one line is gone, player 3 too, and a fourth is there."""
    first = stand.run().batch_id
    stand.pass_time(timedelta(minutes=5))
    league = a_league()
    kept = (dict(row) for row in league.logs if row["player_id"] != "3")
    logs: list[Row] = [row | {"points": 30} if row["player_id"] == "1" else row for row in kept]
    logs += [a_log("4", days_ago=day) for day in (2, 4)]
    stand.load(replace(league, logs=logs, lines=[an_offer("1", "20.5"), an_offer("2", "15.5")]))
    return first, stand.run("another-key").batch_id


def test_who_appears_vanishes_and_changes_is_told_for_each_system(stand: Stand) -> None:
    first, second = two_batches(stand)

    found = Front(stand).get(f"/batches/{first}/diff?with={second}").get_json()

    assert (found["appeared"], found["vanished"]) == (["player-4"], ["player-3"])
    assert (found["lines_appeared"], found["lines_vanished"]) == (0, len(SYSTEMS))
    changed = {(one["player_lookup"], one["system_id"]): one["by"] for one in found["changed"]}
    assert changed["player-1", "season_average"] == pytest.approx(17.0)
    assert {player for player, _ in changed} == {"player-1"}
    average = found["systems"]["season_average"]
    assert (average["compared"], average["changed"], average["largest"]) == (2, 1, 17.0)
    page = Front(stand).get(f"/dashboard/batches/{first}/diff?with={second}").text
    assert "player-4" in page
    assert "+17.0" in page


def test_a_batch_is_the_same_as_itself(stand: Stand) -> None:
    batch = stand.run().batch_id

    found = Front(stand).get(f"/batches/{batch}/diff?with={batch}").get_json()

    assert (found["changes"], found["appeared"], found["vanished"]) == (0, [], [])
    assert sum(one["compared"] for one in found["systems"].values()) == len(stand.predictions())


def test_the_change_is_the_other_way_round_from_the_other_side() -> None:
    one = Said(
        "b1", {("a", "s", "1.5"): {"predicted_points": "10", "recommendation": "PASS", "confidence_score": "50"}}
    )
    other = Said(
        "b2", {("a", "s", "1.5"): {"predicted_points": "12.5", "recommendation": "OVER", "confidence_score": "60"}}
    )

    assert comparing.compare(one, other).changed[0].by == 2.5
    assert comparing.compare(other, one).changed[0].by == -2.5


@pytest.mark.parametrize("player", ["player-1", "player-2", "player-3"])
def test_a_player_predicted_again_has_every_cell_as_it_was_written(stand: Stand, player: str) -> None:
    batch = stand.run().batch_id

    found = Front(stand).get(f"/batches/{batch}/player?name={player}").get_json()

    assert len(found["rows"]) == sum(row["player_lookup"] == player for row in stand.predictions())
    assert replay_rows(found, shipped_model()) == []


def test_a_cell_that_was_written_otherwise_is_named(stand: Stand) -> None:
    batch = stand.run().batch_id
    staging = names.staging_table(2)
    stand.warehouse.query(f"UPDATE `{staging}` SET `predicted_points` = 1.5 WHERE `system_id` = 'ridge'")

    found = Front(stand).get(f"/batches/{batch}/player?name=player-2").get_json()

    (difference,) = replay_rows(found, shipped_model())
    assert (difference["column"], difference["written"]) == ("predicted_points", "1.5")


def test_what_cannot_be_compared_is_said(stand: Stand) -> None:
    batch = stand.run().batch_id
    front = Front(stand)

    assert front.get(f"/batches/{batch}/diff").status_code == 422
    assert front.get(f"/batches/{batch}/diff?with=20260130_0000000000000000").status_code == 404
    assert front.get(f"/batches/{batch}/player?name=nobody").status_code == 404
    assert front.get(f"/batches/{batch}/player").status_code == 422
    stand.warehouse.drop(names.plan_table(batch))
    gone = front.get(f"/batches/{batch}/player?name=player-1")
    assert (gone.status_code, "have expired" in gone.text) == (409, True)
