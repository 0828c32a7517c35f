"""A2, A3, A5 to A8, A13 to A15: no completion is lost, none counts twice, and every batch ends."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.documents import shard_path
from coordinator.rules.lifecycle import Status
from schemas.messages import PlayerCounts, Slice
from shared.errors import Unavailable
from shared.ports import Outgoing, Update, Write
from shared.settings import Policy
from tests.stand.front import Front, Outage
from tests.stand.ledger import a_failure, a_skip
from tests.stand.world import PLAYERS, Crash, Stand, a_league

MINUTE = timedelta(minutes=1)


def a_stand_of(folder: Path, players: int) -> closing[Stand]:
    return closing(Stand(folder, a_league(players)))


def silent(stand: Stand, batch_id: str) -> list[str]:
    return stand.coordinator.views.batch(batch_id).silent


# --- A2 -------------------------------------------------------------------------------------------------------


def players_in(messages: Sequence[Outgoing]) -> list[str]:
    """The players whose requests some messages carry, in order."""
    return sorted(one.player_lookup for each in messages for one in Slice.model_validate_json(each.data).requests)


def test_a2_what_a_failed_publish_left_out_stays_expected_by_name_and_is_published_again(tmp_path: Path) -> None:
    with a_stand_of(tmp_path, 30) as stand:
        requests = Outage(stand.requests)
        requests.goes_down(after=1)
        with pytest.raises(Unavailable):
            stand.new_coordinator("one", requests=requests).starter.start(
                stand.now.date(), key="a-key", policy=Policy()
            )
        (batch,) = stand.coordinator.views.batches()
        published = players_in(stand.requests.messages)
        assert (len(published), batch.expected) == (25, 30)

        stand.record(*[a_skip(batch.batch_id, player) for player in published])
        assert len(silent(stand, batch.batch_id)) == 5
        assert stand.batch(batch.batch_id).status is Status.PLANNED, "25 of 25 published are not 30 of 30 expected"

        stand.coordinator.sweeper.sweep()

        again = players_in(stand.requests.messages[1:])
        assert again == silent(stand, batch.batch_id)
        stand.record(*[a_skip(batch.batch_id, player) for player in again])
        assert stand.batch(batch.batch_id).status is Status.COMPLETE


# --- A3 -------------------------------------------------------------------------------------------------------


def test_a3_no_completion_is_acknowledged_before_it_is_durable(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    outcome = a_failure(batch_id, PLAYERS[0])
    answers = []

    for answered in range(8):
        documents = Outage(stand.documents)
        documents.goes_down(after=answered)
        answers.append(Front(stand, stand.new_coordinator("one", documents=documents)).complete(outcome).status_code)
        is_durable = PLAYERS[0] not in silent(stand, batch_id)
        assert answers[-1] == 503 or is_durable

    assert answers[0] == 503
    assert answers[-1] == 204


def test_a3_an_error_that_nobody_foresaw_is_not_acknowledged_either(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id

    class Broken:
        """Fails in a way that no adapter may."""

        def get(self, _path: object) -> None:
            raise RuntimeError("a programming mistake")

    answer = Front(stand, stand.new_coordinator("one", documents=Broken())).complete(a_skip(batch_id, PLAYERS[0]))

    assert answer.status_code == 500


# --- A5 -------------------------------------------------------------------------------------------------------


def test_a5_a_restart_between_any_two_completions_loses_nothing(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id

    for number, player in enumerate(PLAYERS):
        outcome = stand.answer(player)
        stand.coordinator = stand.new_coordinator(f"after restart {number}")
        stand.record(outcome)

    assert stand.batch(batch_id).status is Status.COMPLETE
    assert stand.predicted_players() == set(PLAYERS)


# --- A6 -------------------------------------------------------------------------------------------------------


def test_a6_completions_of_sixteen_threads_on_one_shard_are_blind_updates_and_all_recorded(tmp_path: Path) -> None:
    with a_stand_of(tmp_path, 25) as stand:
        batch_id = stand.start().batch.batch_id
        players = silent(stand, batch_id)
        committed: list[Write] = []

        class Watched:
            """Notes every write on its way."""

            def __getattr__(self, name: str) -> object:
                return getattr(stand.documents, name)

            def commit(self, writes: Sequence[Write]) -> list[str]:
                committed.extend(writes)
                return stand.documents.commit(writes)

        stand.coordinator = stand.new_coordinator("one", documents=Watched())

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(stand.record, [a_skip(batch_id, player) for player in players[1:]]))

        assert silent(stand, batch_id) == players[:1]
        paths = {write.path for write in committed}
        assert paths == {shard_path(batch_id, 0)}, "no other document is written per completion"
        assert {write.if_version for write in committed if isinstance(write, Update)} == {None}
        assert len(committed) == len(players) - 1, "and nothing is tried twice"


# --- A7 -------------------------------------------------------------------------------------------------------


def test_a7_totals_are_derived_from_sets_however_often_an_outcome_repeats(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    outcomes = [stand.answer(PLAYERS[0]), a_skip(batch_id, PLAYERS[1])]

    stand.record(*outcomes * 5)

    players = PlayerCounts(expected=3, predicted=1, skipped=1, failed=0, silent=1)
    assert stand.coordinator.views.batch(batch_id).players == players
    stand.record(a_failure(batch_id, PLAYERS[1]), a_failure(batch_id, PLAYERS[0]))
    assert stand.coordinator.views.batch(batch_id).players == players


# --- A8 -------------------------------------------------------------------------------------------------------


def test_a8_no_redelivery_after_the_end_consolidates_or_tells_again(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    outcomes = [stand.answer(player) for player in PLAYERS]
    stand.record(*outcomes)
    before = (stand.batch(batch_id), stand.predictions(active=None), stand.finished.messages[:])

    stand.record(*outcomes * 2)
    stand.coordinator.consolidator.consolidate(batch_id)
    stand.coordinator.sweeper.sweep()

    assert (stand.batch(batch_id), stand.predictions(active=None), stand.finished.messages) == before
    assert [merge.number for merge in stand.batch(batch_id).merges] == [1]


def test_a8_of_last_completions_at_the_same_time_one_consolidates(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    outcomes = [stand.answer(player) for player in PLAYERS]
    instances = [stand.new_coordinator(f"instance-{number}") for number in range(6)]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one, said: one.recorder.record([said]), instances, outcomes * 2))
    stand.coordinator.sweeper.sweep()

    assert stand.batch(batch_id).status is Status.COMPLETE
    assert [merge.number for merge in stand.batch(batch_id).merges] == [1]
    assert {row["prediction_version"] for row in stand.predictions(active=None)} == {1}
    assert len({event.event_id for event in stand.events()}) == 1


# --- A13 ------------------------------------------------------------------------------------------------------


def test_a13_silence_is_measured_from_publishing_however_often_the_sweep_looks(stand: Stand) -> None:
    batch_id = stand.start(policy=Policy(republish_after_minutes=15)).batch.batch_id

    for minute in range(1, 16):
        stand.pass_time(MINUTE)
        stand.record(a_skip(batch_id, PLAYERS[0]))
        stand.coordinator.sweeper.sweep()
        assert len(stand.requests.messages) == (3 if minute == 15 else 1)


# --- A14 ------------------------------------------------------------------------------------------------------


def test_a14_a_day_with_103_of_104_done_ends_at_its_deadline_and_names_the_one(tmp_path: Path) -> None:
    with a_stand_of(tmp_path, 104) as stand:
        batch_id = stand.start(policy=Policy(deadline_minutes=180)).batch.batch_id
        players = silent(stand, batch_id)
        stand.record(*[a_skip(batch_id, player) for player in players[1:]])
        stand.pass_time(179 * MINUTE)
        stand.coordinator.sweeper.sweep()
        assert stand.batch(batch_id).status is Status.RUNNING

        stand.pass_time(MINUTE)
        stand.coordinator.sweeper.sweep()

        assert stand.batch(batch_id).status is Status.PARTIAL
        assert stand.events()[-1].reason == f"1 of 104 players are missing: {players[0]}"


# --- A15 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["sweep", "hand"])
def test_a15_a_batch_whose_last_event_could_not_consolidate_is_finished(stand: Stand, by: str) -> None:
    batch_id = stand.start().batch.batch_id
    outcomes = [stand.answer(player) for player in PLAYERS]
    stand.record(*outcomes[:2])
    with pytest.raises(Crash), stand.crash_at(1):
        stand.record(outcomes[2])
    assert stand.batch(batch_id).status is Status.RUNNING

    answer = Front(stand).post("/sweep" if by == "sweep" else f"/batches/{batch_id}/consolidate")

    assert answer.status_code == 200
    assert stand.batch(batch_id).status is Status.COMPLETE
    assert stand.predicted_players() == set(PLAYERS)
