"""F3: no message is answered so that it comes again for days: whatever is not transient ends in 204."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.messages import Failed, FailureCode, Matchup
from shared.errors import TableMissing
from shared.push import SliceName
from tests.requests_factory import BATCH_ID, a_matchup, a_request
from tests.stand.front import Front
from tests.stand.ledger import a_failure, a_skip, predicted
from tests.stand.worker import WorkerStand, a_stand
from tests.stand.world import PLAYERS, Stand

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "700"))
"""Per route, so that three routes see 2,100."""

HALF_A_PAIR = "\ud800"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("poison")


@pytest.fixture(scope="module")
def worker(folder: Path) -> Iterator[WorkerStand]:
    with a_stand(folder) as standing:
        yield standing


@pytest.fixture(scope="module")
def stand(folder: Path) -> Iterator[Stand]:
    with closing(Stand(folder)) as stand:
        assert stand.start().batch.batch_id == BATCH_ID
        yield stand


def test_f3_a_dead_letter_of_no_possible_name_is_204(stand: Stand) -> None:
    for player in (HALF_A_PAIR, "a" * 1_025):
        data = json.dumps({"requests": [{"batch_id": BATCH_ID, "player_lookup": player}]}).encode()

        assert Front(stand).push_to("/dead-letter", data, {"shard": player, "slice": player}).status_code == 204


def test_f3_a_request_that_breaks_the_prediction_fails_its_player(worker: WorkerStand) -> None:
    worker.outcomes.messages.clear()
    matchup = a_matchup().model_dump() | {"league_points": 0}

    answer = worker.push(a_request(matchup=Matchup(**matchup)))

    assert answer.status_code == 204
    (outcome,) = worker.published()
    assert isinstance(outcome, Failed)
    assert outcome.code is FailureCode.PREDICTION_ERROR


def test_f3_a_request_for_a_name_that_no_attribute_can_hold_is_204(worker: WorkerStand) -> None:
    data = json.dumps({"requests": [a_request().model_dump(mode="json") | {"player_lookup": "é" * 600}]}).encode()

    assert worker.push_data(data).status_code == 204


def test_f3_a_request_without_a_place_for_its_rows_comes_again(
    worker: WorkerStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise TableMissing("the dataset is not there")

    monkeypatch.setattr(worker.warehouse, "append", refuse)
    monkeypatch.setattr(worker.warehouse, "create", refuse)

    assert worker.push(a_request()).status_code == 503


# --- fuzz: sound messages with parts replaced, dropped and repeated, down to bytes --------------------------------

TEXTS = st.sampled_from(
    ["", "x", HALF_A_PAIR, "\x00", "a" * 1_025, "NaN", "2026-01-30", "-1", "__x__", PLAYERS[0], BATCH_ID]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), TEXTS, st.text(max_size=8))
ODD = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=4
)


def places_in(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, child in inner for place in places_in(child, (*at, key)))]


def replaced(value: Any, at: tuple[Any, ...], by: Any) -> Any:
    """A copy with another value at a place."""
    if not at:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = replaced(copy[at[0]], at[1:], by)
    return copy


@st.composite
def mutants(draw: st.DrawFn, sound: Any) -> Any:
    """A sound JSON value with one to three parts replaced by odd ones."""
    for _ in range(draw(st.integers(1, 3))):
        places = places_in(sound)
        at = draw(st.sampled_from(places) | st.sampled_from([place for place in places if len(place) < 2]))
        sound = replaced(sound, at, draw(ODD | st.sampled_from([0, HALF_A_PAIR, "a" * 1_025])))
    return sound


def pushes(sound: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Bodies of pushes of a message, its envelope, its attributes or its bytes spoilt."""
    attributes = SliceName(BATCH_ID, 0, 0, 1).attributes

    def enveloped(data: bytes, told: Any) -> dict[str, Any]:
        encoded = base64.b64encode(data).decode()
        return {"message": {"data": encoded, "messageId": "1", "attributes": told}, "subscription": "s"}

    return st.one_of(
        mutants(sound).map(lambda body: as_bytes(enveloped(as_bytes(body), {}))),
        mutants(sound).map(lambda body: as_bytes(enveloped(as_bytes(body), attributes))),
        mutants(attributes).map(lambda told: as_bytes(enveloped(as_bytes(sound), told))),
        mutants(enveloped(as_bytes(sound), attributes)).map(as_bytes),
        st.binary(max_size=60).map(lambda data: as_bytes(enveloped(data, attributes))),
        st.binary(max_size=60),
    )


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


@cache
def sound_messages() -> dict[str, list[dict[str, Any]]]:
    """Sound messages of each route, of every kind that there is."""
    request = a_request(matchup=a_matchup(), player_lookup=PLAYERS[0]).model_dump(mode="json")
    outcomes = [a_skip(BATCH_ID, PLAYERS[0]), a_failure(BATCH_ID, PLAYERS[0]), predicted(PLAYERS[0], batch_id=BATCH_ID)]
    kinds = [{"outcomes": [outcome.model_dump(mode="json")]} for outcome in outcomes]
    asked = [{"requests": [request]}, {"requests": [request, request | {"player_lookup": PLAYERS[1]}]}]
    return {"/predict": asked, "/dead-letter": asked, "/complete": [*kinds, {"unreadable": "why"}]}


@pytest.mark.parametrize("route", ["/predict", "/complete", "/dead-letter"])
def test_f3_no_message_is_answered_with_another_error_than_503(route: str, worker: WorkerStand, stand: Stand) -> None:
    client = worker.client if route == "/predict" else Front(stand).client

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(body=st.sampled_from(sound_messages()[route]).flatmap(pushes))
    def send(body: bytes) -> None:
        status = client.post(route, data=body, content_type="application/json").status_code
        assert status in (204, 503)

    send()
