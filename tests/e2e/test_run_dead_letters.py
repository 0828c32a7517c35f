"""The one-machine stack hands dead letters to the coordinator, also those that an earlier process left."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from coordinator.documents import BATCH, batch_path, date_path, new_shard, shard_path
from coordinator.rules.lifecycle import Status
from local.one_machine.push_topic import PushTopic
from local.one_machine.stack import local_stack
from shared.adapters.sqlite import SqliteDocuments
from shared.ports import Create, Outgoing, Value
from shared.push import SliceName
from tests import waiting
from tests.stand.ledger import a_batch


def test_a_dead_letter_left_in_the_state_folder_fails_its_player(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    until = now + timedelta(days=8)
    batch = a_batch(("ann", "bob"), planned_at=now, deadline_at=until, late_until=until, status=Status.RUNNING)
    mark: Mapping[str, Value] = {"batch_id": batch.batch_id, "planned_at": now}
    with closing(SqliteDocuments(tmp_path / "ledger.sqlite")) as documents:
        shard = new_shard(("ann", "bob"), batch_id=batch.batch_id, expires_at=until)
        documents.commit(
            [
                Create(shard_path(batch.batch_id, 0), shard),
                Create(batch_path(batch.batch_id), BATCH.fields(batch)),
                Create(date_path(batch.game_date), {"newest": mark}),
            ]
        )
    left_behind = PushTopic(tmp_path / "dead-letters.sqlite", name="dead-letters", clock=lambda: now)
    left_behind.publish([Outgoing(b"{}", SliceName(batch.batch_id, 0, 1, 2).attributes)])
    left_behind.stop()

    with local_stack(tmp_path) as stack:
        waiting.until(lambda: bool(stack.client.get(f"/batches/{batch.batch_id}")["failed"]))
        view = stack.client.get(f"/batches/{batch.batch_id}")

    assert (view["failed"], view["silent"]) == ({"bob": "dead_lettered"}, ["ann"])
