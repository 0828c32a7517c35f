"""What one completion asks of the document store, and that it leaves out nothing that it has to ask."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from coordinator.documents import batch_path, shard_path
from coordinator.rules.lifecycle import Status
from shared.ports import Document, Write
from shared.ports import Path as DocumentPath
from shared.settings import Policy
from tests.stand.world import PLAYERS, Stand

LENIENT = Policy(tolerated_silent_share=1.0, tolerated_failed_share=1.0)


class NotedDocuments:
    """The stand's documents, with every read and commit noted in order."""

    def __init__(self, stand: Stand) -> None:
        self._inner = stand.documents
        self.asked: list[DocumentPath | str] = []

    def get(self, path: DocumentPath) -> Document | None:
        self.asked.append(path)
        return self._inner.get(path)

    def commit(self, writes: Sequence[Write]) -> list[str]:
        self.asked.append("commit")
        return self._inner.commit(writes)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def test_a_completion_that_closes_nothing_is_three_reads_and_one_commit(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    outcome = stand.answer(PLAYERS[0])
    documents = NotedDocuments(stand)
    stand.coordinator = stand.new_coordinator("noted", documents=documents)

    stand.record(outcome)

    assert documents.asked == [batch_path(batch_id), shard_path(batch_id, 0), "commit", shard_path(batch_id, 0)]


def test_a_prediction_for_an_ended_batch_is_merged_at_once_though_others_stay_silent(stand: Stand) -> None:
    batch = stand.run(players=PLAYERS[:1], policy=LENIENT)
    late = stand.answer(PLAYERS[1])
    stand.pass_time(timedelta(minutes=LENIENT.deadline_minutes))
    stand.coordinator.sweeper.sweep()
    assert stand.batch(batch.batch_id).status is Status.PARTIAL

    stand.record(late)

    assert stand.predicted_players() == set(PLAYERS[:2])
    assert stand.batch(batch.batch_id).status is Status.PARTIAL
