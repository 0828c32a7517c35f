"""`/batches/{id}/explain` and `/gaps`, and the timeline: what they say of a ledger and of tables that differ from it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from coordinator.routes.exchange import Caller
from schemas import names
from schemas.messages import SkipReason
from shared.errors import CallerRefused
from tests.stand.front import Front, assert_problem
from tests.stand.ledger import a_failure, a_skip
from tests.stand.world import Crash, Stand

UNKNOWN = "20260130_0123456789abcdef"


def stages(stand: Stand, batch_id: str) -> dict[str, dict[str, str]]:
    """Stage → player → detail, of the stages that hold anybody."""
    answer = Front(stand).get(f"/batches/{batch_id}/gaps")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["stages"]
    assert all(stage["count"] == len(stage["players"]) and stage["meaning"] for stage in found)
    return {
        stage["name"]: {one["player"]: one["detail"] for one in stage["players"]} for stage in found if stage["players"]
    }


def moments(stand: Stand, batch_id: str) -> list[str]:
    view = stand.coordinator.views.batch(batch_id)
    assert [moment.at for moment in view.timeline] == sorted(moment.at for moment in view.timeline)
    return [moment.text for moment in view.timeline]


@pytest.mark.parametrize("what", ["explain", "gaps"])
def test_only_who_operates_or_looks_may_ask(stand: Stand, what: str) -> None:
    front = Front(stand)
    front.refusal = CallerRefused("not you")

    answer = front.get(f"/batches/{UNKNOWN}/{what}")

    assert_problem(answer, 403, "not you")
    assert front.asked == [frozenset({Caller.ADMIN, Caller.VIEWER})]


@pytest.mark.parametrize("what", ["explain", "gaps"])
@pytest.mark.parametrize("batch_id", [UNKNOWN, "no-id"])
def test_an_unknown_batch_is_a_404(stand: Stand, what: str, batch_id: str) -> None:
    assert_problem(Front(stand).get(f"/batches/{batch_id}/{what}"), 404, batch_id)


def test_requests_that_a_crash_kept_back_are_unpublished(stand: Stand) -> None:
    effects = 0
    while not stand.documents.query(("batches",)):
        with pytest.raises(Crash), stand.crash_at(effects):
            stand.start()
        effects += 1
    (document,) = stand.documents.query(("batches",))

    found = stages(stand, document.path[-1])

    assert found == {"unpublished": {"player-1": "shard 0", "player-2": "shard 0", "player-3": "shard 0"}}


def test_each_player_stands_where_his_best_answer_is(stand: Stand) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id
    stand.record(a_skip(batch_id, "player-2", SkipReason.LISTED_OUT), a_failure(batch_id, "player-2"))
    stand.record(a_failure(batch_id, "player-3").model_copy(update={"detail": "no minutes"}))

    found = stages(stand, batch_id)

    assert found["skipped"] == {"player-2": "listed_out"}
    assert found["failed"] == {"player-3": "prediction_error: no minutes"}
    assert set(found["staged_not_merged"]) == {"player-1"}


def test_merged_players_are_told_with_their_rows(stand: Stand) -> None:
    batch_id = stand.run().batch_id

    found = stages(stand, batch_id)

    assert set(found) == {"merged"}
    assert set(found["merged"]) == {"player-1", "player-2", "player-3"}
    assert "in _staging_v2" in found["merged"]["player-1"]


def test_rows_that_the_ledger_names_and_staging_lacks_are_a_gap(stand: Stand) -> None:
    batch_id = stand.run(players=["player-1", "player-2"]).batch_id
    staging = names.staging_table(2)
    stand.warehouse.query(f"DELETE FROM `{staging}` WHERE `player_lookup` = 'player-1'")
    one_row = f"(SELECT MIN(`prediction_id`) FROM `{staging}`)"
    stand.warehouse.query(f"DELETE FROM `{staging}` WHERE `prediction_id` = {one_row}")

    found = stages(stand, batch_id)

    assert set(found) == {"predicted_not_staged", "undelivered"}
    assert "no rows of delivery" in found["predicted_not_staged"]["player-1"]
    assert "distinct rows staged" in found["predicted_not_staged"]["player-2"]


def test_a_staging_table_that_is_gone_is_said_to_be_missing(stand: Stand) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id
    stand.warehouse.drop(names.staging_table(2))

    found = stages(stand, batch_id)

    assert found["predicted_not_staged"] == {"player-1": "there is no table _staging_v2"}


def test_a_timeline_tells_what_the_ledger_has_times_for(stand: Stand) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id
    running = moments(stand, batch_id)
    stand.now += timedelta(minutes=30)
    stand.coordinator.consolidator.consolidate(batch_id, forced=True)

    assert running == [
        "planned for 3 players; shards: 1",
        "requests published, first shard",
        "first outcome",
        "last outcome",
        "deadline: decided without the silent players",
        "late outcomes count until here",
    ]
    assert moments(stand, batch_id)[-2:] == ["ended as PARTIAL after 1 MERGE", "late outcomes count until here"]
