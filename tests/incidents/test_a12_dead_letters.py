"""A12: dead-lettered requests left the batch waiting. Here `/dead-letter` records their players as failed, by name."""

from __future__ import annotations

import pytest

from coordinator.rules.lifecycle import Status
from schemas import names
from schemas.messages import Slice
from shared.ports import Outgoing
from shared.push import SliceName
from shared.settings import Policy
from tests.plan_inputs import GAME_DATE
from tests.stand.front import Front, Outage, error_reasons
from tests.stand.world import PLAYERS, Stand

LENIENT = Policy(tolerated_failed_share=0.5)


def request_of(stand: Stand, player: str) -> Outgoing:
    """The message of one player alone."""
    alone = Slice(requests=(stand.request(player),))
    place = PLAYERS.index(player)
    name = SliceName(alone.requests[0].batch_id, 0, place, place + 1)
    return Outgoing(alone.model_dump_json().encode(), name.attributes)


def test_a12_a_dead_letter_fails_its_player_and_closes_the_batch(stand: Stand) -> None:
    batch_id = stand.run(players=PLAYERS[:2], policy=LENIENT).batch_id
    assert stand.batch(batch_id).status is Status.RUNNING

    answer = Front(stand).dead_letter(request_of(stand, PLAYERS[2]))

    assert answer.status_code == 204
    assert stand.coordinator.views.batch(batch_id).failed == {PLAYERS[2]: "dead_lettered"}
    assert stand.batch(batch_id).status is Status.PARTIAL
    failed = Front(stand).get(f"/batches/{batch_id}/gaps").get_json()["stages"][2]
    assert failed["players"][0]["detail"] == "dead_lettered: requests gave the request up after 20 deliveries"


def test_a12_a_repeated_dead_letter_changes_nothing(stand: Stand) -> None:
    batch_id = stand.run(players=PLAYERS[:2], policy=LENIENT).batch_id
    front = Front(stand)
    front.dead_letter(request_of(stand, PLAYERS[2]))
    before, events = stand.batch(batch_id), stand.events()

    assert front.dead_letter(request_of(stand, PLAYERS[2])).status_code == 204

    assert (stand.batch(batch_id), stand.events()) == (before, events)


def test_a12_a_player_who_is_predicted_all_the_same_stays_predicted(stand: Stand) -> None:
    batch_id = stand.run().batch_id

    assert Front(stand).dead_letter(request_of(stand, PLAYERS[0])).status_code == 204

    assert stand.coordinator.views.batch(batch_id).failed == {}
    assert stand.batch(batch_id).status is Status.COMPLETE


def test_a12_a_dead_letter_of_several_is_cut_into_singles_and_only_a_single_fails(stand: Stand) -> None:
    batch_id = stand.start(policy=LENIENT).batch.batch_id
    (slice_of_all,) = stand.requests.messages
    front = Front(stand)

    assert front.dead_letter(slice_of_all).status_code == 204

    singles = stand.requests.messages[1:]
    assert [message.attributes["slice"] for message in singles] == ["0:1", "1:2", "2:3"]
    assert stand.coordinator.views.batch(batch_id).failed == {}
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[2]))
    assert front.dead_letter(singles[1]).status_code == 204
    assert stand.coordinator.views.batch(batch_id).failed == {PLAYERS[1]: "dead_lettered"}
    assert stand.batch(batch_id).status is Status.PARTIAL
    assert stand.predicted_players() == {PLAYERS[0], PLAYERS[2]}


@pytest.mark.parametrize(
    "letter",
    [
        Outgoing(b"{}"),
        Outgoing(b"no JSON", {"batch_id": "no batch id"}),
        Outgoing(b"[]", {"batch_id": names.batch_id(GAME_DATE, "never started"), "shard": "0", "slice": "0:1"}),
        Outgoing(b"{}", {"batch_id": names.batch_id(GAME_DATE, "never started")}),
    ],
    ids=["says nothing", "of no batch", "of an unknown batch", "of nobody"],
)
def test_a12_one_that_nothing_can_be_done_with_is_acknowledged_and_logged(
    stand: Stand, letter: Outgoing, caplog: pytest.LogCaptureFixture
) -> None:
    assert Front(stand).dead_letter(letter).status_code == 204

    assert len(error_reasons(caplog)) == 1


def test_a12_a_dead_letter_is_kept_until_its_failure_is_durable(stand: Stand) -> None:
    batch_id = stand.start(policy=LENIENT).batch.batch_id
    documents = Outage(stand.documents)
    documents.goes_down()
    front = Front(stand, stand.new_coordinator("one", documents=documents))

    assert front.dead_letter(request_of(stand, PLAYERS[0])).status_code == 503
    documents.comes_back()
    assert front.dead_letter(request_of(stand, PLAYERS[0])).status_code == 204

    assert stand.coordinator.views.batch(batch_id).failed == {PLAYERS[0]: "dead_lettered"}
