"""F2, F4: junk outcomes cannot fill a shard, lose a true outcome, or keep the date's lease busy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing

import pytest

from coordinator.documents import date_path, shard_path, shards_path
from coordinator.rules.entries import MAX_DELIVERIES
from coordinator.rules.lifecycle import Status
from coordinator.usecases.record import read_outcomes
from schemas.messages import Predicted
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import DocumentMissing, InvalidInput, MalformedMessage, Permanent, VersionChanged
from shared.ports import Document, DocumentStore, Update, Where, Write
from shared.ports import Path as DocumentPath
from shared.settings import Policy
from tests.contract.test_ledger_orders import a_coordinator, a_running_batch
from tests.stand.front import Front
from tests.stand.ledger import a_failure, a_skip, predicted
from tests.stand.world import PLAYERS, Stand

JUNK = 1_500


# --- F2 -------------------------------------------------------------------------------------------------------


def test_f2_junk_outcomes_change_no_entry_of_the_ledger(documents: DocumentStore) -> None:
    with closing(DuckdbWarehouse(":memory:")) as warehouse:
        recorder = a_coordinator(documents, warehouse).recorder
        batch = a_running_batch(documents, PLAYERS)
        before = [document.fields for document in documents.query(shards_path(batch.batch_id))]

        for number in range(JUNK):
            with pytest.raises(MalformedMessage, match="does not expect"):
                recorder.record([predicted(f"junk-{number:04d}-" + "x" * 900, batch_id=batch.batch_id)])

        assert [document.fields for document in documents.query(shards_path(batch.batch_id))] == before


@pytest.mark.parametrize("revision", ["", " r", "r\n", "r\x1b]0;", "-r", "r" * 201])
def test_f2_a_revision_that_no_service_has_is_unreadable(stand: Stand, revision: str) -> None:
    batch_id = stand.start().batch.batch_id
    outcome = stand.answer(PLAYERS[0]).model_dump(mode="json") | {"worker_revision": revision}

    with pytest.raises(MalformedMessage, match="worker_revision"):
        read_outcomes(json.dumps({"outcomes": [outcome]}).encode())
    assert stand.coordinator.views.batch(batch_id).silent == list(PLAYERS)


@pytest.mark.parametrize("field", ["worker_revision", "delivery", "batch_id", "schema_fingerprint", "digest"])
def test_f2_a_field_longer_than_its_bound_is_unreadable(stand: Stand, field: str) -> None:
    batch_id = stand.start().batch.batch_id
    outcome = stand.answer(PLAYERS[0]).model_dump(mode="json") | {field: "a" * 7_000}

    answer = Front(stand).push(json.dumps(outcome).encode(), batch_id=batch_id, player_lookup=PLAYERS[0])

    assert answer.status_code == 204
    assert "a" * 100 not in repr(stand.documents.get(shard_path(batch_id, 0)))


def test_f2_a_ninth_different_delivery_of_a_player_changes_nothing_and_a_repeat_is_welcome(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    true = stand.answer(PLAYERS[0])
    assert isinstance(true, Predicted)
    answers = [true.model_copy(update={"delivery": f"{number:016x}"}) for number in range(MAX_DELIVERIES + 1)]
    stand.record(*answers[:-1])
    shard = stand.documents.get(shard_path(batch_id, 0))

    with pytest.raises(MalformedMessage, match="different deliveries"):
        stand.record(answers[-1])

    assert stand.documents.get(shard_path(batch_id, 0)) == shard
    stand.record(answers[0])


_NO_ROOM = InvalidInput("document store", "commit refused: maximum entity size is 1048572 bytes")


class FullDocuments:
    """A document store that has no room in its shards, or refuses what is written there for another reason."""

    def __init__(self, inner: DocumentStore, refusal: Permanent = _NO_ROOM) -> None:
        self._inner = inner
        self._refusal = refusal

    def get(self, path: DocumentPath) -> Document | None:
        return self._inner.get(path)

    def commit(self, writes: Sequence[Write]) -> list[str]:
        if any(isinstance(write, Update) and "shards" in write.path for write in writes):
            raise self._refusal
        return self._inner.commit(writes)

    def query(
        self, collection: DocumentPath, where: Sequence[Where] = (), *, limit: int | None = None
    ) -> list[Document]:
        return self._inner.query(collection, where, limit=limit)


def test_f2_an_expected_players_outcome_that_the_store_refuses_is_not_acknowledged(
    stand: Stand,
) -> None:
    batch_id = stand.start().batch.batch_id
    front = Front(stand, stand.new_coordinator("one", documents=FullDocuments(stand.documents)))

    answer = front.complete(a_skip(batch_id, PLAYERS[0]))

    assert answer.status_code == 503
    assert "shard 0" in answer.get_json()["detail"]
    explained = front.get(f"/batches/{batch_id}/explain").get_json()
    assert any("shard 0" in sentence["text"] and PLAYERS[0] in sentence["text"] for sentence in explained["sentences"])
    assert front.complete(a_skip(batch_id, "somebody-else")).status_code == 204, "junk needs no room"


@pytest.mark.parametrize("refusal", [DocumentMissing("the shard is gone"), VersionChanged("it is newer")])
def test_f2_whatever_the_store_refuses_is_not_acknowledged(stand: Stand, refusal: Permanent) -> None:
    batch_id = stand.start().batch.batch_id
    front = Front(stand, stand.new_coordinator("one", documents=FullDocuments(stand.documents, refusal)))

    answer = front.complete(a_skip(batch_id, PLAYERS[0]))

    assert answer.status_code == 503
    assert str(refusal) in answer.get_json()["detail"]


# --- F4 -------------------------------------------------------------------------------------------------------


def test_f4_a_push_that_cannot_change_what_a_refusal_said_takes_no_lease(stand: Stand) -> None:
    batch_id = stand.start(policy=Policy(tolerated_failed_share=0.0)).batch.batch_id
    stand.record(
        a_failure(batch_id, PLAYERS[0]), a_failure(batch_id, PLAYERS[1]), *(stand.answer(p) for p in PLAYERS[2:])
    )
    batch = stand.batch(batch_id)
    assert batch.status is Status.FAILED
    date = stand.documents.get(date_path(batch.game_date))

    for _ in range(20):
        stand.record(a_failure(batch_id, PLAYERS[0]), stand.answer(PLAYERS[2]), a_skip(batch_id, PLAYERS[1]))

    assert stand.documents.get(date_path(batch.game_date)) == date
    stand.record(stand.answer(PLAYERS[0]))
    assert stand.batch(batch_id).status is Status.COMPLETE, "what does change it is consolidated at once"
