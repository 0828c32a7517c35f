"""C4: downstream was told `success` after a failed consolidation. `batch-finished` carries the state as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

import pytest

from coordinator.rules.lifecycle import Status
from schemas.messages import BatchFinished, RowCounts
from shared.settings import Policy
from tests.plan_inputs import GAME_DATE
from tests.stand.ledger import a_failure
from tests.stand.world import PLAYERS, Stand

LENIENT = Policy(tolerated_failed_share=0.5)


def complete(stand: Stand) -> str:
    return stand.run().batch_id


def partial(stand: Stand) -> str:
    batch_id = stand.run(players=PLAYERS[:2], policy=LENIENT).batch_id
    stand.record(a_failure(batch_id, PLAYERS[2]))
    return batch_id


def too_many_missing(stand: Stand) -> str:
    batch_id = stand.run(players=PLAYERS[:2]).batch_id
    stand.record(a_failure(batch_id, PLAYERS[2]))
    return batch_id


def verification_refused(stand: Stand) -> str:
    batch_id = stand.run(players=PLAYERS[:2]).batch_id
    stand.record(stand.answer(PLAYERS[2]).model_copy(update={"rows": 99}))
    return batch_id


def cancelled(stand: Stand) -> str:
    batch_id = stand.start().batch.batch_id
    stand.start("another-key", force=batch_id)
    stand.coordinator.sweeper.sweep()
    return batch_id


def empty(stand: Stand) -> str:
    return stand.coordinator.starter.start(date(2026, 7, 4), key="a-key", policy=Policy()).batch.batch_id


@pytest.mark.parametrize(
    ("come_to", "state", "reason", "rows"),
    [
        (complete, "COMPLETE", "all 3 players are predicted or skipped", 26),
        (partial, "PARTIAL", f"1 of 3 players are missing: {PLAYERS[2]}", 21),
        (too_many_missing, "FAILED", "1 of 3 players are failed; the policy tolerates 5.0%", 0),
        (verification_refused, "FAILED", "99 in the ledger", 0),
        (cancelled, "CANCELLED", "", 0),
        (empty, "EMPTY", "nobody was expected", 0),
    ],
)
def test_c4_batch_finished_carries_the_state_that_the_batch_is_in(
    stand: Stand, come_to: Callable[[Stand], str], state: str, reason: str, rows: int
) -> None:
    batch_id = come_to(stand)

    (event,) = stand.events()
    assert (event.batch_id, event.state, event.rows.inserted) == (batch_id, state, rows)
    assert reason in event.reason
    view = stand.coordinator.views.batch(batch_id)
    assert (view.state, view.reason) == (event.state, event.reason)
    assert event.players.expected == view.players.expected


def test_c4_the_state_is_also_where_a_subscription_can_filter_by_it(stand: Stand) -> None:
    batch_id = too_many_missing(stand)

    (message,) = stand.finished.messages
    event = json.loads(message.data)
    assert message.attributes == {"batch_id": batch_id, "event_id": event["event_id"], "state": "FAILED"}


def test_c4_a_state_that_improves_is_new_news_and_the_older_is_not_told_again(stand: Stand) -> None:
    batch_id = too_many_missing(stand)

    stand.record(stand.answer(PLAYERS[2]))
    stand.coordinator.sweeper.sweep()

    assert [event.state for event in stand.events()] == ["FAILED", "COMPLETE"]
    assert len({event.event_id for event in stand.events()}) == 2
    assert stand.batch(batch_id).status is Status.COMPLETE


def test_c4_nothing_is_told_before_the_end(stand: Stand) -> None:
    stand.run(players=PLAYERS[:2])
    stand.coordinator.sweeper.sweep()

    assert stand.finished.messages == []


def test_c4_success_is_no_word_of_the_contract() -> None:
    with pytest.raises(ValueError, match="state"):
        BatchFinished.model_validate(
            {
                "event_id": "e",
                "batch_id": "b",
                "game_date": GAME_DATE,
                "planned_at": "2026-01-30T15:00:00Z",
                "state": "success",
                "reason": "",
                "players": {"expected": 0, "predicted": 0, "skipped": 0, "failed": 0, "silent": 0},
                "rows": RowCounts(staged=0, inserted=0, updated=0, unchanged=0, superseded=0),
                "coordinator_revision": "r1",
            }
        )
