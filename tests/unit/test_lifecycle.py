"""The lifecycle is a table: its moves are these, and every other one is refused and changes nothing."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from coordinator.documents import BATCH, batch_path
from coordinator.ledger import Ledger
from coordinator.rules.batch import Batch
from coordinator.rules.lifecycle import LIVE, MERGED, MOVES, Event, Status, move
from coordinator.usecases.cancel import cancel
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.sqlite import SqliteDocuments
from shared.errors import MoveRefused
from shared.ports import Create, Update
from tests.stand.ledger import a_batch

TABLE = """
PLANNED        published       RUNNING
PLANNED        cancelled       CANCELLED
RUNNING        cancelled       CANCELLED
RUNNING        claimed         CONSOLIDATING
CONSOLIDATING  claimed         CONSOLIDATING
CONSOLIDATING  attempt_failed  RUNNING
CONSOLIDATING  merged_whole    COMPLETE
CONSOLIDATING  merged_in_part  PARTIAL
CONSOLIDATING  refused         FAILED
FAILED         forced          CONSOLIDATING
FAILED         merged_in_part  PARTIAL
FAILED         merged_whole    COMPLETE
PARTIAL        merged_in_part  PARTIAL
PARTIAL        merged_whole    COMPLETE
COMPLETE       merged_whole    COMPLETE
"""
ALLOWED = {
    (Status(status), Event(event)): Status(then) for status, event, then in map(str.split, TABLE.strip().splitlines())
}
REFUSED = sorted(set(product(Status, Event)) - ALLOWED.keys())

GOODNESS = [Status.FAILED, Status.PARTIAL, Status.COMPLETE]


@pytest.mark.parametrize(("status", "event"), ALLOWED)
def test_a_listed_move_leads_where_the_table_says(status: Status, event: Event) -> None:
    assert move(status, event) is ALLOWED[status, event]


@pytest.mark.parametrize(("status", "event"), REFUSED)
def test_every_other_move_is_refused_and_changes_nothing(status: Status, event: Event) -> None:
    before = dict(MOVES)

    with pytest.raises(MoveRefused, match=status.value):
        move(status, event)

    assert before == MOVES == ALLOWED


def test_after_its_end_a_batch_only_improves() -> None:
    for (status, event), then in ALLOWED.items():
        if status in GOODNESS and then in GOODNESS:
            assert GOODNESS.index(then) >= GOODNESS.index(status), event


def test_only_a_persons_force_reopens_an_ended_batch() -> None:
    reopening = {(s, e) for (s, e), then in MOVES.items() if s not in LIVE and then in LIVE}

    assert reopening == {(Status.FAILED, Event.FORCED)}


def test_nothing_leads_out_of_cancelled() -> None:
    assert not [event for status, event in MOVES if status is Status.CANCELLED]


def test_a_batch_is_live_until_it_has_ended() -> None:
    assert set(Status) - LIVE == {*MERGED, Status.FAILED, Status.CANCELLED}


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.PLANNED, Status.RUNNING, Status.CANCELLED}))
def test_a_refused_move_leaves_the_batch_as_it_was(tmp_path: Path, status: Status) -> None:
    documents, warehouse = SqliteDocuments(tmp_path / "ledger.sqlite"), DuckdbWarehouse(":memory:")
    batch: Batch = a_batch(["player-1"])
    documents.commit([Create(batch_path(batch.batch_id), BATCH.fields(batch))])
    documents.commit([Update(batch_path(batch.batch_id), {("status",): status.value})])
    before = documents.get(batch_path(batch.batch_id))

    with pytest.raises(MoveRefused):
        cancel(Ledger(documents), warehouse, batch.batch_id)

    assert documents.get(batch_path(batch.batch_id)) == before


def test_a_repeated_cancel_is_no_move_and_changes_nothing(tmp_path: Path) -> None:
    documents, warehouse = SqliteDocuments(tmp_path / "ledger.sqlite"), DuckdbWarehouse(":memory:")
    batch: Batch = a_batch(["player-1"])
    documents.commit([Create(batch_path(batch.batch_id), BATCH.fields(batch))])
    cancel(Ledger(documents), warehouse, batch.batch_id)
    before = documents.get(batch_path(batch.batch_id))

    repeated = cancel(Ledger(documents), warehouse, batch.batch_id)

    assert repeated.status is Status.CANCELLED
    assert documents.get(batch_path(batch.batch_id)) == before
