"""A9 to A11, A16 to A19: one batch per date, that any instance knows, that one holder ends, and that time closes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from coordinator.documents import DATE, date_path, shard_path
from coordinator.rules.lifecycle import Status
from schemas import names
from shared.errors import Conflict, LeaseLost, Unavailable
from shared.ports import Outgoing
from shared.settings import Policy
from tests.documents_kit import fields_of, read
from tests.plan_inputs import GAME_DATE, INPUT_TABLES
from tests.stand.front import Front, Outage, error_reasons
from tests.stand.ledger import a_skip
from tests.stand.world import LEASE, PLAYERS, Crash, Stand

KEYED = names.batch_id(GAME_DATE, "a-key")


def live_batches(stand: Stand) -> list[str]:
    found = stand.coordinator.views.batches(game_date=GAME_DATE)
    return [batch.batch_id for batch in found if stand.batch(batch.batch_id).is_live]


# --- A9 -------------------------------------------------------------------------------------------------------


def test_a9_retried_and_further_starts_make_no_second_live_batch(stand: Stand) -> None:
    for _ in range(3):
        assert stand.start("a-key").batch.batch_id == KEYED
    for key in ("b-key", "c-key"):
        with pytest.raises(Conflict, match=KEYED):
            stand.start(key)

    assert [batch.batch_id for batch in stand.coordinator.views.batches()] == [KEYED]
    assert len(stand.sent()) == 3


def test_a9_a_forced_start_cancels_the_batch_that_it_replaces(stand: Stand) -> None:
    for key, force in (("1", None), ("2", "1"), ("3", "2"), ("4", "3")):
        stand.start(key, force=force and names.batch_id(GAME_DATE, force))

    assert live_batches(stand) == [names.batch_id(GAME_DATE, "4")]


def test_a9_of_starts_at_the_same_time_one_makes_the_batch(stand: Stand) -> None:
    def start(key: str) -> str | None:
        try:
            return stand.new_coordinator(key).starter.start(GAME_DATE, key=key, policy=Policy()).batch.batch_id
        except Conflict:
            return None

    with ThreadPoolExecutor(4) as pool:
        started = [batch_id for batch_id in pool.map(start, "abcd") if batch_id is not None]

    assert len(started) == 1
    assert live_batches(stand) == started


def test_a9_the_sweep_ends_what_nobody_waits_for_any_more(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    stand.now = stand.batch(batch_id).deadline_at

    stand.coordinator.sweeper.sweep()

    assert live_batches(stand) == []


# --- A10 ------------------------------------------------------------------------------------------------------


def test_a10_a_start_that_died_before_publishing_is_resumed_by_the_sweep(stand: Stand) -> None:
    class Killed:
        """The process ends when it comes to publishing."""

        def publish(self, _messages: Sequence[Outgoing]) -> None:
            raise Crash

        def check(self) -> None:
            return

    with pytest.raises(Crash):
        stand.new_coordinator("killed", requests=Killed()).starter.start(GAME_DATE, key="a-key", policy=Policy())
    assert stand.batch(KEYED).status is Status.PLANNED
    assert stand.requests.messages == []

    stand.coordinator.sweeper.sweep()

    assert stand.batch(KEYED).status is Status.RUNNING
    assert stand.sent() == list(PLAYERS)


# --- A11 ------------------------------------------------------------------------------------------------------


def test_a11_an_outage_of_any_query_of_the_plan_is_an_error_and_never_an_empty_day(stand: Stand) -> None:
    for answered in range(3):
        warehouse = Outage(stand.warehouse)
        warehouse.goes_down(after=answered)
        coordinator = stand.new_coordinator("one", warehouse=warehouse)

        with pytest.raises(Unavailable):
            coordinator.starter.start(GAME_DATE, key=f"key-{answered}", policy=Policy())

    assert stand.coordinator.views.batches() == []
    assert stand.events() == []


@pytest.mark.parametrize("table", INPUT_TABLES)
def test_a11_an_input_table_that_is_not_there_is_no_empty_day(stand: Stand, table: str) -> None:
    stand.warehouse.drop(table)

    answer = Front(stand).start()

    assert answer.status_code >= 400
    assert stand.coordinator.views.batches() == []


def test_a11_empty_is_a_date_whose_query_succeeded_and_found_nobody(stand: Stand) -> None:
    batch = stand.coordinator.starter.start(date(2026, 7, 4), key="a-key", policy=Policy()).batch

    assert batch.state == "EMPTY"


# --- A16 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", [6, 7], ids=["before its submission", "while it ran"])
def test_a16_a_takeover_goes_on_with_the_recorded_job_and_runs_no_second_one(stand: Stand, effect: int) -> None:
    batch_id = stand.start().batch.batch_id
    outcomes = [stand.answer(player) for player in PLAYERS]
    stand.record(*outcomes[:2])
    with pytest.raises(Crash), stand.crash_at(effect):
        stand.record(outcomes[2])
    (recorded,) = stand.batch(batch_id).merges
    assert recorded.state == "submitted"
    lease = DATE.read(read(stand.documents, date_path(GAME_DATE))).lease
    assert (lease.holder, lease.epoch, lease.merge_no) == ("one", 1, 1)
    two = stand.new_coordinator("two")

    two.sweeper.sweep()
    assert stand.batch(batch_id).status is Status.CONSOLIDATING, "the lease has not expired"
    stand.pass_time(LEASE)
    two.sweeper.sweep()

    assert stand.batch(batch_id).status is Status.COMPLETE
    assert [merge.job_id for merge in stand.batch(batch_id).merges] == [recorded.job_id]
    assert {row["prediction_version"] for row in stand.predictions(active=None)} == {1}
    assert DATE.read(read(stand.documents, date_path(GAME_DATE))).lease.epoch == 2


def test_a16_a_former_holder_can_neither_write_nor_release_the_next_ones_lease(stand: Stand) -> None:
    batch = stand.start().batch
    one, two = (stand.new_coordinator(holder).consolidator.leases for holder in ("one", "two"))
    former = one.take(batch.batch_id)
    assert former is not None
    stand.pass_time(LEASE)
    assert two.take(batch.batch_id) is not None
    before = read(stand.documents, date_path(GAME_DATE))

    with pytest.raises(LeaseLost):
        one.commit(batch.batch_id, former.day.lease, release=True)

    assert read(stand.documents, date_path(GAME_DATE)) == before
    assert stand.batch(batch.batch_id).status is Status.RUNNING


# --- A17 ------------------------------------------------------------------------------------------------------


def test_a17_any_instance_answers_for_any_batch_by_id_and_by_date(stand: Stand) -> None:
    one, two = (Front(stand, stand.new_coordinator(holder)) for holder in ("one", "two"))
    batch_id = one.start().get_json()["batch_id"]
    one.complete(a_skip(batch_id, PLAYERS[0]))

    by_id = two.get(f"/batches/{batch_id}")
    by_date = two.get(f"/batches?game_date={GAME_DATE}")

    assert by_id.get_json() == one.get(f"/batches/{batch_id}").get_json()
    assert by_id.get_json()["silent"] == list(PLAYERS[1:])
    assert [(one["batch_id"], one["state"]) for one in by_date.get_json()["batches"]] == [(batch_id, "RUNNING")]


# --- A18 ------------------------------------------------------------------------------------------------------


def test_a18_batches_planned_in_the_same_instant_have_ids_and_times_of_their_own(stand: Stand) -> None:
    first = stand.start("a-key").batch
    second = stand.start("another-key", force=first.batch_id).batch

    assert stand.now == first.planned_at
    assert first.batch_id != second.batch_id
    assert first.planned_at < second.planned_at


def test_a18_no_two_keys_or_dates_share_an_id() -> None:
    dates = [GAME_DATE + timedelta(days=days) for days in range(20)]

    ids = {names.batch_id(day, f"key-{number}") for day in dates for number in range(500)}

    assert len(ids) == 10_000


# --- A19 ------------------------------------------------------------------------------------------------------


def test_a19_an_outcome_after_late_until_is_recorded_as_expired(stand: Stand) -> None:
    batch = stand.start().batch
    outcome = stand.answer(PLAYERS[0])
    stand.now = batch.late_until + timedelta(microseconds=1)

    answer = Front(stand).complete(outcome)

    assert answer.status_code == 204
    shard = fields_of(stand.documents, shard_path(batch.batch_id, 0))
    assert (shard["predicted"], list(shard["failed"][PLAYERS[0]])) == ({}, ["expired"])


def test_a19_an_expired_outcome_takes_nothing_from_what_is_merged(stand: Stand) -> None:
    batch = stand.run()
    before = stand.predictions(active=None)
    late = stand.answer(PLAYERS[0], revision="worker-2")
    stand.now = batch.late_until + timedelta(microseconds=1)

    stand.record(late)

    assert stand.predictions(active=None) == before
    assert stand.coordinator.views.batch(batch.batch_id).players.predicted == 3
    assert stand.batch(batch.batch_id).status is Status.COMPLETE


def test_a19_an_outcome_of_an_unknown_batch_is_acknowledged_and_logged(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = names.batch_id(GAME_DATE, "never started")

    assert Front(stand).complete(a_skip(unknown, PLAYERS[0])).status_code == 204

    assert any(unknown in reason for reason in error_reasons(caplog))
    assert stand.documents.query(("batches", unknown, "shards")) == []
