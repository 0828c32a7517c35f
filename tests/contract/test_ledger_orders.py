"""The ledger and the lease on each document store: outcomes commute, and exactly one holder consolidates."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from coordinator.assembly import Coordinator, Parts, assemble
from coordinator.documents import BATCH, DATE, batch_path, date_path, new_shard, shard_path, shards_path
from coordinator.ledger import Entry, Ledger
from coordinator.rules import planning
from coordinator.rules.batch import Batch, BatchMark, Lease
from coordinator.rules.entries import AnyOutcome, Snapshot
from coordinator.rules.lifecycle import Status
from coordinator.rules.planning import shard_of
from coordinator.usecases.one_at_a_time import Leases
from schemas.messages import FailureCode, SkipReason
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import LeaseLost
from shared.ports import Create, DocumentStore, Update
from shared.settings import PlanningRules, Policy
from tests.documents_kit import fields_of, read
from tests.memory_publisher import MemoryPublisher
from tests.plan_inputs import PLANNED_AT
from tests.stand.ledger import a_batch, a_failure, failed, predicted, skipped

CALLERS = 8
LASTING = timedelta(seconds=60)

PLAYERS = (
    *("o.g.-anunoby", "p", "p.j", "p.j.-washington", "de'aaron-fox", "nikola-jokić", "a`b", "back\\slash"),
    *("slash/ed", "two words", "line\nfeed", "🏀", "predicted", "0", "kelly-oubre-jr.", "[x]", "~", "*"),
)
NEVER_HEARD_OF = "zz-silent"
"""Keeps each batch open, so that recording is all that happens."""
SHARDS = 3


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckdbWarehouse]:
    """A warehouse that these tests never need: no batch of theirs is consolidated."""
    with closing(DuckdbWarehouse(":memory:")) as warehouse:
        yield warehouse


def a_coordinator(documents: DocumentStore, warehouse: DuckdbWarehouse) -> Coordinator:
    ticks = count()
    return assemble(
        Parts(
            documents=documents,
            warehouse=warehouse,
            requests=MemoryPublisher(),
            finished=MemoryPublisher(),
            clock=lambda: PLANNED_AT + timedelta(milliseconds=next(ticks)),
            holder="one",
            revision="r1",
            policy=Policy(),
            rules=PlanningRules(),
            lease=LASTING,
            max_bytes=1,
        )
    )


def a_date() -> date:
    """A date that no other test uses: Firestore is shared."""
    return date.fromordinal(1 + uuid.uuid4().int % date.max.toordinal())


def a_running_batch(documents: DocumentStore, players: Sequence[str]) -> Batch:
    """A RUNNING batch whose players are cut into shards, with its date's document."""
    ordered = sorted({*players, NEVER_HEARD_OF})
    size = -(-len(ordered) // SHARDS)
    shards = [ordered[first : first + size] for first in range(0, len(ordered), size)]
    starts = tuple(shard[0] for shard in shards)
    batch = a_batch(ordered, game_date=a_date(), shard_starts=starts, status=Status.RUNNING)
    for number, some in enumerate(shards):
        fields = new_shard(some, batch_id=batch.batch_id, expires_at=batch.late_until)
        documents.commit([Create(shard_path(batch.batch_id, number), fields)])
    newest = asdict(BatchMark(batch.batch_id, batch.planned_at))
    documents.commit(
        [
            Create(batch_path(batch.batch_id), BATCH.fields(batch)),
            Create(date_path(batch.game_date), {"newest": newest}),
        ]
    )
    return batch


# --- outcomes commute -----------------------------------------------------------------------------------------

ANSWERS: list[AnyOutcome] = [
    *(predicted(player, by=by) for player in PLAYERS for by in ("worker-1", "worker-2")),
    *(skipped(player, reason) for player in PLAYERS for reason in SkipReason),
    *(failed(player, code) for player in PLAYERS for code in FailureCode),
]
"""Everything that may be said: each player predicted by two revisions, skipped and failed for every reason."""


def and_another_order(outcomes: list[AnyOutcome]) -> st.SearchStrategy[tuple[list[AnyOutcome], list[AnyOutcome]]]:
    """The outcomes as they are, and in another order with some of them repeated."""
    repeated = st.lists(st.sampled_from(outcomes), max_size=4)
    return st.tuples(st.just(outcomes), repeated.flatmap(lambda some: st.permutations([*outcomes, *some])))


OF_ONE = [outcome for outcome in ANSWERS if outcome.player_lookup == PLAYERS[0]]


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=6).flatmap(and_another_order))
@example(told=(OF_ONE, [*OF_ONE[::-1], *OF_ONE]))
@example(told=(ANSWERS[::9], ANSWERS[::9][::-1]))
def test_any_order_and_repetition_of_outcomes_gives_the_same_ledger(
    documents: DocumentStore, warehouse: DuckdbWarehouse, told: tuple[list[AnyOutcome], list[AnyOutcome]]
) -> None:
    coordinator = a_coordinator(documents, warehouse)

    one, other = (recorded(coordinator, order) for order in told)

    assert one == other
    assert one.snapshot.silent == {*PLAYERS, NEVER_HEARD_OF} - {outcome.player_lookup for outcome in told[0]}


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outcomes=st.lists(st.sampled_from(ANSWERS), min_size=2, max_size=16))
def test_outcomes_recorded_at_the_same_time_give_the_same_ledger(
    documents: DocumentStore, warehouse: DuckdbWarehouse, outcomes: list[AnyOutcome]
) -> None:
    coordinator = a_coordinator(documents, warehouse)

    one_by_one, at_once = recorded(coordinator, outcomes), recorded(coordinator, outcomes, threads=4)

    assert one_by_one == at_once


@dataclass(frozen=True)
class Recorded:
    """What a ledger holds, apart from its batch's id and the stamps that no rule reads."""

    snapshot: Snapshot
    settled_shards: frozenset[int]
    shards: list[dict[str, Any]]


def recorded(coordinator: Coordinator, outcomes: Sequence[AnyOutcome], *, threads: int = 1) -> Recorded:
    """Record outcomes in a batch of its own, in this order or several at once."""
    documents = coordinator.parts.documents
    batch = a_running_batch(documents, PLAYERS)
    addressed = [outcome.model_copy(update={"batch_id": batch.batch_id}) for outcome in outcomes]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda one: coordinator.recorder.record([one]), addressed))
    shards = [
        {name: without_stamps(value) for name, value in document.fields.items() if name != "batch_id"}
        for document in documents.query(shards_path(batch.batch_id))
    ]
    settled = Ledger(documents).batch(batch.batch_id).settled_shards
    return Recorded(coordinator.ledger.snapshot(batch.batch_id), settled, shards)


def without_stamps(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: without_stamps(inner) for name, inner in value.items() if name != "at"}


def test_a_shard_is_marked_settled_by_its_last_outcome_whichever_it_is(
    documents: DocumentStore, warehouse: DuckdbWarehouse
) -> None:
    coordinator = a_coordinator(documents, warehouse)
    batch = a_running_batch(documents, PLAYERS)
    of_shard = [player for player in PLAYERS if shard_of(player, batch.shard_starts) == 0]
    outcomes = [a_failure(batch.batch_id, player) for player in of_shard]

    for outcome in outcomes[:-1]:
        coordinator.recorder.record([outcome])
    assert Ledger(documents).batch(batch.batch_id).settled_shards == frozenset()
    coordinator.recorder.record([outcomes[-1]])

    assert Ledger(documents).batch(batch.batch_id).settled_shards == {0}
    assert Ledger(documents).batch(batch.batch_id).status is Status.RUNNING


# --- one holder -----------------------------------------------------------------------------------------------


@dataclass
class Time:
    """A clock that a test sets."""

    now: datetime = PLANNED_AT

    def __call__(self) -> datetime:
        return self.now


def leases(documents: DocumentStore, warehouse: DuckdbWarehouse, holder: str, clock: Time) -> Leases:
    return Leases(ledger=Ledger(documents), warehouse=warehouse, holder=holder, lasting=LASTING, clock=clock)


def completed(found: Entry) -> Entry:
    return replace(found, batch=replace(found.batch, status=Status.COMPLETE))


def taken_by_many(documents: DocumentStore, warehouse: DuckdbWarehouse, batch: Batch, clock: Time) -> list[str]:
    """Have many instances try to take the lease at the same moment; return those that got it."""
    together = threading.Barrier(CALLERS)

    def take(number: int) -> str | None:
        mine = leases(documents, warehouse, f"holder-{number}", clock)
        together.wait(20)
        return f"holder-{number}" if mine.take(batch.batch_id) is not None else None

    with ThreadPoolExecutor(CALLERS) as pool:
        return [holder for holder in pool.map(take, range(CALLERS)) if holder is not None]


def lease_of(documents: DocumentStore, batch: Batch) -> Lease:
    return DATE.read(read(documents, date_path(batch.game_date))).lease


def test_of_many_callers_exactly_one_takes_the_lease(documents: DocumentStore, warehouse: DuckdbWarehouse) -> None:
    for _ in range(3):
        batch = a_running_batch(documents, ["a"])

        (holder,) = taken_by_many(documents, warehouse, batch, Time())

        assert (lease_of(documents, batch).holder, lease_of(documents, batch).epoch) == (holder, 1)


def test_blind_writes_in_between_change_nothing_about_that(
    documents: DocumentStore, warehouse: DuckdbWarehouse
) -> None:
    batch = a_running_batch(documents, ["a"])
    over = threading.Event()

    def disturb() -> int:
        for number in count():
            documents.commit([Update(date_path(batch.game_date), {("disturbed",): number})])
            # Often, but not so often that nobody's reading is ever still true when he writes.
            if over.wait(0.02):
                return number
        raise AssertionError

    with ThreadPoolExecutor(1) as pool:
        disturbing = pool.submit(disturb)
        try:
            holders = taken_by_many(documents, warehouse, batch, Time())
        finally:
            over.set()

    assert disturbing.result() >= 0
    assert len(holders) == 1
    assert lease_of(documents, batch).holder == holders[0]


def test_of_many_that_take_over_an_expired_lease_exactly_one_gets_it(
    documents: DocumentStore, warehouse: DuckdbWarehouse
) -> None:
    batch, clock = a_running_batch(documents, ["a"]), Time()
    leases(documents, warehouse, "dead", clock).take(batch.batch_id)
    clock.now += LASTING

    (holder,) = taken_by_many(documents, warehouse, batch, clock)

    assert (lease_of(documents, batch).holder, lease_of(documents, batch).epoch) == (holder, 2)


def test_while_a_lease_is_held_nobody_takes_it_not_even_its_holder(
    documents: DocumentStore, warehouse: DuckdbWarehouse
) -> None:
    batch, clock = a_running_batch(documents, ["a"]), Time()
    one = leases(documents, warehouse, "one", clock)
    one.take(batch.batch_id)
    clock.now += LASTING - timedelta(microseconds=1)
    before = read(documents, date_path(batch.game_date))

    assert one.take(batch.batch_id) is None
    assert taken_by_many(documents, warehouse, batch, clock) == []

    assert read(documents, date_path(batch.game_date)) == before


def test_the_epoch_grows_by_one_at_each_taking_whoever_takes_and_however_it_ended(
    documents: DocumentStore, warehouse: DuckdbWarehouse
) -> None:
    batch, clock = a_running_batch(documents, ["a"]), Time()
    epochs = []

    for number in range(4):
        mine = leases(documents, warehouse, f"holder-{number % 2}", clock)
        taken = mine.take(batch.batch_id)
        assert taken is not None
        lease = taken.day.lease
        epochs.append(lease.epoch)
        if number % 2:
            mine.commit(batch.batch_id, lease, release=True)
        else:
            clock.now += LASTING

    assert epochs == [1, 2, 3, 4]


@pytest.mark.parametrize("how", ["taken over", "released"])
def test_the_holder_of_an_old_epoch_writes_nothing(
    documents: DocumentStore, warehouse: DuckdbWarehouse, how: str
) -> None:
    batch, clock = a_running_batch(documents, ["a"]), Time()
    zombie, other = (leases(documents, warehouse, holder, clock) for holder in ("zombie", "other"))
    taken = zombie.take(batch.batch_id)
    assert taken is not None
    lease = taken.day.lease
    if how == "released":
        zombie.commit(batch.batch_id, lease, release=True)
    else:
        clock.now += LASTING
        assert other.take(batch.batch_id) is not None
    before = [read(documents, path) for path in (batch_path(batch.batch_id), date_path(batch.game_date))]

    with pytest.raises(LeaseLost):
        zombie.commit(batch.batch_id, lease, completed, release=True)
    with pytest.raises(LeaseLost):
        zombie.commit(batch.batch_id, lease)

    assert [read(documents, path) for path in (batch_path(batch.batch_id), date_path(batch.game_date))] == before


def test_the_same_holder_of_an_old_epoch_writes_nothing_either(
    documents: DocumentStore, warehouse: DuckdbWarehouse
) -> None:
    batch, clock = a_running_batch(documents, ["a"]), Time()
    one = leases(documents, warehouse, "one", clock)
    first = one.take(batch.batch_id)
    assert first is not None
    clock.now += LASTING
    assert one.take(batch.batch_id) is not None

    with pytest.raises(LeaseLost):
        one.commit(batch.batch_id, first.day.lease, completed)

    assert fields_of(documents, batch_path(batch.batch_id))["status"] == "RUNNING"


def test_a_holder_that_expired_unnoticed_may_go_on_and_renews(
    documents: DocumentStore, warehouse: DuckdbWarehouse
) -> None:
    batch, clock = a_running_batch(documents, ["a"]), Time()
    one = leases(documents, warehouse, "one", clock)
    taken = one.take(batch.batch_id)
    assert taken is not None
    lease = taken.day.lease
    clock.now += LASTING * 2

    renewed = one.commit(batch.batch_id, lease, completed).day.lease

    assert renewed == replace(lease, expires_at=clock.now + LASTING) == lease_of(documents, batch)
    assert fields_of(documents, batch_path(batch.batch_id))["status"] == "COMPLETE"


def test_outcomes_of_several_shards_are_recorded_in_each(documents: DocumentStore) -> None:
    players = [f"player-{number:02}" for number in range(60)]
    batch = a_batch(players, game_date=date(2026, 2, 1) + timedelta(days=uuid.uuid4().int % 3_000))
    ledger = Ledger(documents)
    assert ledger.plan(batch, planning.cut_shards(players), after=ledger.day(batch.game_date))

    ledger.record(batch, [predicted(one, batch_id=batch.batch_id) for one in (players[0], players[-1])], at=PLANNED_AT)

    assert ledger.snapshot(batch.batch_id).predicted.keys() == {players[0], players[-1]}
