"""The messages on the wire: nothing is lost on the way, newer senders are understood, broken ones are refused."""

from __future__ import annotations

import json
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from schemas import json_schemas
from schemas.messages import (
    OUTCOME,
    BatchFinished,
    Failed,
    FailureCode,
    Game,
    Injury,
    Line,
    PlayerCounts,
    Predicted,
    PredictionRequest,
    PushEnvelope,
    RecentGames,
    RowCounts,
    SeasonToDate,
    Skipped,
    SkipReason,
)
from schemas.names import BATCH_ID_PATTERN, REVISION_PATTERN
from tests.requests_factory import by_columns

texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
times = st.datetimes(timezones=st.just(UTC))
counts = st.integers(min_value=0, max_value=2**31)
numbers = st.none() | st.integers(min_value=-(2**31), max_value=2**31)
points_lines = st.decimals(min_value=0, max_value=99, places=1)

lines = st.builds(
    Line,
    points_line=points_lines,
    is_estimated=st.booleans(),
    estimation_method=st.none() | texts,
    sportsbook=st.none() | texts,
    source_api=st.none() | texts,
    is_fallback=st.booleans(),
    minutes_before_game=numbers,
    fair_over=st.none() | st.floats(0, 1),
)
games = st.builds(Game, game_id=texts, season=texts, team=texts, opponent=texts, is_home=st.booleans())
injuries = st.builds(
    Injury,
    status=st.sampled_from(["OUT", "DOUBTFUL", "QUESTIONABLE", "PROBABLE"]),
    reason=st.none() | texts,
    checked_at=st.none() | times,
)
games_played = st.fixed_dictionaries(
    {
        "game_date": st.dates(),
        "season": texts,
        **dict.fromkeys(["points", "minutes", "left_shots", "left_points", "left_by_the_same"], counts),
        **dict.fromkeys(["fga", "fg3a", "fta", "left_position_shots"], numbers),
    }
)
requests = st.builds(
    PredictionRequest,
    batch_id=texts,
    game_date=st.dates(),
    planned_at=times,
    late_until=times,
    player_lookup=names,
    universal_player_id=st.none() | texts,
    game=games,
    rest_days=numbers,
    injury=st.none() | injuries,
    lines=st.lists(lines, max_size=3).map(tuple),
    season_to_date=st.builds(SeasonToDate, games=counts, points=counts, minutes=counts),
    recent_games=st.lists(games_played, max_size=3).map(by_columns),
    recent_games_wanted=st.integers(1, 100),
)
hashes = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
batch_ids = st.from_regex(BATCH_ID_PATTERN, fullmatch=True)
revisions = st.from_regex(REVISION_PATTERN, fullmatch=True)
whose = {"batch_id": batch_ids, "player_lookup": names, "worker_revision": revisions}
outcomes = st.one_of(
    st.builds(
        Predicted,
        **whose,
        delivery=hashes,
        schema_version=st.integers(1, 9),
        rows=st.integers(1, 99),
        digest=hashes,
    ),
    st.builds(Skipped, **whose, reason=st.sampled_from(SkipReason)),
    st.builds(Failed, **whose, code=st.sampled_from(FailureCode), detail=texts),
)
finishes = st.builds(
    BatchFinished,
    event_id=texts,
    batch_id=texts,
    game_date=st.dates(),
    planned_at=times,
    state=st.sampled_from(["COMPLETE", "PARTIAL", "FAILED", "CANCELLED", "EMPTY"]),
    reason=texts,
    players=st.builds(PlayerCounts, expected=counts, predicted=counts, skipped=counts, failed=counts, silent=counts),
    rows=st.builds(RowCounts, staged=counts, inserted=counts, updated=counts, unchanged=counts, superseded=counts),
    coordinator_revision=texts,
)
any_message = st.one_of(
    requests.map(lambda it: (TypeAdapter(PredictionRequest), it)),
    outcomes.map(lambda it: (OUTCOME, it)),
    finishes.map(lambda it: (TypeAdapter(BatchFinished), it)),
)

PREDICTED = {
    "outcome": "predicted",
    "batch_id": "20260130_0123456789abcdef",
    "player_lookup": "o.g.-anunoby",
    "worker_revision": "r1",
    "delivery": "d1",
    "schema_version": 2,
    "rows": 5,
    "digest": "0" * 32,
}
WHOSE = {"batch_id": "20260130_0123456789abcdef", "player_lookup": "p", "worker_revision": "r1"}
SKIPPED = {"outcome": "skipped", **WHOSE, "reason": "listed_out"}
FAILED = {"outcome": "failed", **WHOSE, "code": "bad_request"}
FINISHED = {
    "event_id": "e1",
    "batch_id": "b",
    "game_date": "2026-01-30",
    "planned_at": "2026-01-30T15:00:00Z",
    "state": "COMPLETE",
    "reason": "every player is predicted",
    "players": {"expected": 1, "predicted": 1, "skipped": 0, "failed": 0, "silent": 0},
    "rows": {"staged": 5, "inserted": 5, "updated": 0, "unchanged": 0, "superseded": 0},
    "coordinator_revision": "r1",
}
REQUEST: dict[str, Any] = {
    "batch_id": "b",
    "game_date": "2026-01-30",
    "planned_at": "2026-01-30T15:00:00Z",
    "late_until": "2026-02-07T15:00:00Z",
    "player_lookup": "nikola-jokić",
    "game": {"game_id": "0022500700", "season": "2025-26", "team": "DEN", "opponent": "LAC", "is_home": True},
    "lines": [{"points_line": "24.5"}],
    "season_to_date": {"games": 1, "points": 30, "minutes": 34},
    "recent_games": {
        "game_date": ["2026-01-28"],
        "season": ["2025-26"],
        "points": [30],
        "minutes": [34],
        "fga": [None],
        "fg3a": [None],
        "fta": [None],
        "left_shots": [0],
        "left_points": [0],
        "left_position_shots": [None],
        "left_by_the_same": [0],
    },
    "recent_games_wanted": 10,
}
ENVELOPE = {"message": {"data": "e30=", "messageId": "1"}, "subscription": "projects/p/subscriptions/s"}

EXAMPLES: list[tuple[TypeAdapter[Any], dict[str, Any]]] = [
    (TypeAdapter(PredictionRequest), REQUEST),
    (OUTCOME, PREDICTED),
    (OUTCOME, SKIPPED),
    (OUTCOME, FAILED),
    (TypeAdapter(BatchFinished), FINISHED),
    (TypeAdapter(PushEnvelope), ENVELOPE),
]
OPTIONAL = {"subscription"}


def with_news(value: Any) -> Any:
    """The same JSON with an unknown field in every object."""
    if isinstance(value, dict):
        return {name: with_news(of) for name, of in value.items()} | {"from_the_future": {"deep": [1]}}
    return [with_news(one) for one in value] if isinstance(value, list) else value


@given(any_message)
def test_a_message_survives_the_wire(sent: tuple[TypeAdapter[Any], BaseModel]) -> None:
    adapter, message = sent

    received = adapter.validate_json(message.model_dump_json())

    assert received == message
    assert type(received) is type(message)
    assert received.model_dump_json() == message.model_dump_json()


@given(any_message)
def test_fields_from_the_future_are_ignored(sent: tuple[TypeAdapter[Any], BaseModel]) -> None:
    adapter, message = sent
    newer = json.dumps(with_news(json.loads(message.model_dump_json())))

    assert adapter.validate_json(newer) == message


@pytest.mark.parametrize(
    ("adapter", "example", "field"),
    [(adapter, example, field) for adapter, example in EXAMPLES for field in example if field not in OPTIONAL],
)
def test_a_message_that_lacks_a_field_is_refused_by_its_name(
    adapter: TypeAdapter[Any], example: dict[str, Any], field: str
) -> None:
    adapter.validate_json(json.dumps(example))
    lacking = {name: value for name, value in example.items() if name != field}

    with pytest.raises(ValidationError, match=field):
        adapter.validate_json(json.dumps(lacking))


@pytest.mark.parametrize(
    ("adapter", "example", "change"),
    [
        (OUTCOME, PREDICTED, {"rows": 0}),
        (OUTCOME, PREDICTED, {"rows": "many"}),
        (OUTCOME, PREDICTED, {"player_lookup": ""}),
        (OUTCOME, PREDICTED, {"outcome": "done"}),
        (OUTCOME, PREDICTED, {"outcome": "skipped"}),
        (OUTCOME, SKIPPED, {"reason": "tired"}),
        (OUTCOME, FAILED, {"code": None}),
        (TypeAdapter(PredictionRequest), REQUEST, {"planned_at": "2026-01-30T15:00:00"}),
        (TypeAdapter(PredictionRequest), REQUEST, {"game_date": "30.01.2026"}),
        (TypeAdapter(PredictionRequest), REQUEST, {"lines": [{"points_line": "NaN"}]}),
        (TypeAdapter(PredictionRequest), REQUEST, {"lines": None}),
        (TypeAdapter(PredictionRequest), REQUEST, {"injury": {"status": "out"}}),
        (TypeAdapter(PredictionRequest), REQUEST, {"season_to_date": {"games": -1, "points": 0, "minutes": 0}}),
        (TypeAdapter(BatchFinished), FINISHED, {"state": "success"}),
        (TypeAdapter(PushEnvelope), ENVELOPE, {"message": {"data": "", "messageId": "1"}}),
        (TypeAdapter(PushEnvelope), ENVELOPE, {"message": {"data": "e30="}}),
        (TypeAdapter(PushEnvelope), ENVELOPE, {"message": {"messageId": "1"}}),
        (TypeAdapter(PushEnvelope), ENVELOPE, {"message": "e30="}),
    ],
)
def test_a_message_with_a_wrong_value_is_refused(
    adapter: TypeAdapter[Any], example: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        adapter.validate_json(json.dumps(example | change))


def test_a_line_stays_exact_whether_it_comes_as_text_or_number() -> None:
    for written in ('"24.5"', "24.5"):
        assert Line.model_validate_json(f'{{"points_line": {written}}}').points_line == Decimal("24.5")

    assert json.loads(Line(points_line=Decimal("24.5")).model_dump_json())["points_line"] == "24.5"


def test_a_statistic_of_zero_is_not_one_that_is_missing() -> None:
    games = RecentGames.model_validate(REQUEST["recent_games"] | {"fga": [0]})

    assert games.fga == (0,)
    assert games.fg3a == (None,)


def test_columns_of_past_games_that_differ_in_length_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"one length, not .*'minutes': 2"):
        RecentGames.model_validate(REQUEST["recent_games"] | {"minutes": [34, 30]})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_is_no_message(value: float) -> None:
    with pytest.raises(ValidationError, match="fair_over"):
        Line(points_line=Decimal("24.5"), fair_over=value)


def test_an_envelope_is_read_as_pubsub_and_its_emulator_write_it() -> None:
    body = {
        "message": {
            "data": "e30=",
            "attributes": {"batch_id": "b"},
            "messageId": "17",
            "message_id": "17",
            "publishTime": "2026-01-30T15:00:00.123Z",
            "publish_time": "2026-01-30T15:00:00.123Z",
        },
        "subscription": "projects/p/subscriptions/s",
        "deliveryAttempt": 3,
    }

    envelope = PushEnvelope.model_validate_json(json.dumps(body))

    assert envelope.message.message_id == "17"
    assert envelope.message.attributes == {"batch_id": "b"}
    assert envelope.message.publish_time is not None
    assert envelope.delivery_attempt == 3


def test_a_message_cannot_be_changed() -> None:
    line = Line(points_line=Decimal("24.5"))

    with pytest.raises(ValidationError, match="frozen"):
        line.points_line = Decimal(25)


# --- exported schemas -----------------------------------------------------------------------------------------


def test_the_exported_schemas_are_those_of_the_code() -> None:
    files = {file.name: file.read_text(encoding="utf-8") for file in json_schemas.FOLDER.iterdir()}

    assert files == json_schemas.exported(), "run `python -m schemas.json_schemas` and read what changed"


def test_exporting_writes_what_is_exported(tmp_path: Path) -> None:
    json_schemas.write(tmp_path)
    json_schemas.write(tmp_path)

    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == json_schemas.exported()


def test_an_exported_schema_requires_what_parsing_requires() -> None:
    schema = json.loads(json_schemas.exported()["outcome.json"])

    for name, example in (("Predicted", PREDICTED), ("Skipped", SKIPPED), ("Failed", FAILED)):
        assert set(schema["$defs"][name]["required"]) == set(example)
