"""C6: operators listed Firestore by hand to learn why a batch did not close. Here the coordinator says so, by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.stand.front import Front
from tests.stand.ledger import a_failure
from tests.stand.world import Stand


def ask(stand: Stand, path: str) -> dict[str, Any]:
    """Ask an instance that has just started and knows nothing but the ledger."""
    answer = Front(stand, stand.new_coordinator("another")).get(path)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


def test_c6_a_batch_that_does_not_close_says_for_whom_it_waits_since_when_and_what_helps(stand: Stand) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id
    stand.record(a_failure(batch_id, "player-2"))
    stand.now += timedelta(minutes=20)

    explanation = ask(stand, f"/batches/{batch_id}/explain")

    assert explanation["headline"].endswith("is RUNNING: 1 of 3 players have not answered.")
    first, *others = [sentence["text"] for sentence in explanation["sentences"]]
    assert "(20 minutes ago): player-3." in first
    assert any("player-2 (prediction_error)" in text for text in others)
    assert any(text.startswith("Its deadline is ") and "(in 2 hours)" in text for text in others)
    assert "The next sweep will publish 1 silent player again (published 1 of at most 6 times)." in others
    actions = [sentence["action"] for sentence in explanation["sentences"] if sentence["action"]]
    assert f"tipoff consolidate {batch_id} --force" in [action["command"] for action in actions]


def test_c6_what_the_explanation_offers_is_what_closes_the_batch(stand: Stand) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id
    explanation = ask(stand, f"/batches/{batch_id}/explain")
    (force,) = [
        sentence["action"]
        for sentence in explanation["sentences"]
        if sentence["action"] and sentence["action"]["label"] == "Consolidate by force"
    ]

    done = Front(stand).post(force["path"], force["body"])

    assert done.status_code == 200
    assert stand.predicted_players() == {"player-1"}
    after = ask(stand, f"/batches/{batch_id}/explain")
    assert "is PARTIAL: 2 of 3 players are missing: player-2, player-3." in after["headline"]


def test_c6_every_expected_player_is_named_with_the_stage_he_reached(stand: Stand) -> None:
    batch_id = stand.run(players=["player-1"]).batch_id
    stand.record(a_failure(batch_id, "player-2"))

    gaps = ask(stand, f"/batches/{batch_id}/gaps")

    stages = {stage["name"]: [one["player"] for one in stage["players"]] for stage in gaps["stages"]}
    assert stages == {
        "unpublished": [],
        "undelivered": ["player-3"],
        "failed": ["player-2"],
        "predicted_not_staged": [],
        "staged_not_merged": ["player-1"],
        "merged": [],
        "skipped": [],
    }
