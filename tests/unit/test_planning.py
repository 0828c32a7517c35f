"""Planning's rules: the statement, reading the plan back, requests and shards."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from coordinator.rules.planning import (
    InputFinding,
    InputProblem,
    OfBatch,
    PlannedPlayer,
    check_query,
    cut_shards,
    frozen_at,
    names_statement,
    plan_parameters,
    plan_statement,
    read_check,
    read_names,
    read_plan,
    request_of,
    requests_statement,
    shard_of,
    slice_bytes,
)
from schemas.messages import FailureCode, PredictionRequest, Slice
from schemas.tables import Row
from shared.errors import InvalidInput
from shared.settings import PlanningRules
from tests.requests_factory import BATCH_ID, GAME_DATE, PLANNED_AT, a_request
from worker.messages import read_slice

EXPIRES_AT = datetime(2026, 2, 12, 3, 4, 5, tzinfo=UTC)
LATE_UNTIL = PLANNED_AT + timedelta(days=8)


def a_plan_row(player_lookup: str | None = "nikola-jokić", **overrides: str | None) -> Row:
    return {"player_lookup": player_lookup, "universal_player_id": "203999", **overrides}


def a_planned_player(request: PredictionRequest | None = None, **changes: object) -> PlannedPlayer:
    """A player whose plan says what `request` says, less what only the batch knows."""
    fields = json.loads((request or a_request()).model_dump_json(exclude={"batch_id", "planned_at", "late_until"}))
    return PlannedPlayer("nikola-jokić", json.dumps(fields | changes))


# --- the statement --------------------------------------------------------------------------------------------


def test_the_plan_is_frozen_in_the_batchs_own_table_that_ends_itself() -> None:
    text = plan_statement(BATCH_ID, expires_at=EXPIRES_AT.astimezone(timezone(timedelta(hours=-5))))

    assert text.startswith(f"CREATE TABLE IF NOT EXISTS `_plan_{BATCH_ID}`\nOPTIONS (")
    assert "expiration_timestamp = TIMESTAMP '2026-02-12 03:04:05+00'" in text
    assert f"labels = [('batch_id', '{BATCH_ID}')]" in text


def test_every_text_is_one_bigquery_statement() -> None:
    texts = (
        plan_statement(BATCH_ID, expires_at=EXPIRES_AT),
        names_statement(BATCH_ID),
        requests_statement(BATCH_ID),
        check_query(),
    )

    assert [len(sqlglot.parse(text, read="bigquery")) for text in texts] == [1, 1, 1, 1]


def test_the_statement_uses_exactly_the_parameters_it_is_given() -> None:
    given_names = plan_parameters(GAME_DATE, planned_at=PLANNED_AT, rules=PlanningRules()).keys()

    tree = sqlglot.parse_one(plan_statement(BATCH_ID, expires_at=EXPIRES_AT), read="bigquery")

    assert {parameter.name for parameter in tree.find_all(sqlglot.exp.Parameter)} == set(given_names)


@pytest.mark.parametrize("text", ["", "20260130", "20260130_0123456789abcdef`; DROP TABLE predictions"])
def test_an_id_of_another_form_never_reaches_the_text(text: str) -> None:
    with pytest.raises(ValueError, match="not a batch id"):
        plan_statement(text, expires_at=EXPIRES_AT)
    with pytest.raises(ValueError, match="not a batch id"):
        names_statement(text)
    with pytest.raises(ValueError, match="not a batch id"):
        requests_statement(text)


@pytest.mark.parametrize("named", ["roster_games", "recent_games"])
def test_asking_for_no_games_is_refused_by_name(named: str) -> None:
    with pytest.raises(ValidationError, match=rf"(?s)^1 validation error.*{named}\n.*greater than or equal to 1"):
        PlanningRules.model_validate({named: 0})


# --- the check ------------------------------------------------------------------------------------------------


def test_findings_are_returned_to_be_logged() -> None:
    rows: list[Row] = [{"problem": "void_line", "name": "Al Horford", "row_count": 7}]

    assert read_check(rows) == (InputFinding(InputProblem.VOID_LINE, "Al Horford", 7),)


def test_teams_scheduled_twice_are_refused_by_name() -> None:
    rows: list[Row] = [{"problem": "team_scheduled_twice", "name": team, "row_count": 2} for team in ("OKC", "HOU")]

    with pytest.raises(InvalidInput, match=r"^scheduled_games: HOU, OKC would play more than one game.* keep one row"):
        read_check(rows)


# --- the frozen plan ------------------------------------------------------------------------------------------


def test_names_are_sorted_by_code_point_whatever_order_the_warehouse_gave() -> None:
    names = ["zach-lavine", "nikola-jović", "nikola-jokić", "Émile", "o.g.-anunoby", "de'aaron-fox"]

    assert read_names([a_plan_row(name) for name in names]) == tuple(sorted(names))


def test_two_players_of_one_name_are_refused_with_both_ids_and_the_remedy() -> None:
    rows = [a_plan_row("jalen-williams", universal_player_id=player_id) for player_id in ("2", "1")]

    with pytest.raises(InvalidInput, match=r"players 1 and 2 are both called 'jalen-williams'.*player_lookup column"):
        read_names(rows)


@pytest.mark.parametrize("name", [None, ""])
def test_a_player_without_a_name_is_refused_with_his_id(name: str | None) -> None:
    with pytest.raises(InvalidInput, match="player 203999 has no name; fill player_lookup or player_name"):
        read_names([a_plan_row(name)])


@pytest.mark.parametrize(
    ("name", "reason"), [("__proto__", "reserved by Firestore"), ("x" * 1_025, "over 1024 bytes"), ("é" * 513, "over")]
)
def test_a_name_that_ledger_or_messages_cannot_hold_is_refused(name: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_names([a_plan_row(name)])


def test_a_name_of_as_many_bytes_as_a_message_attribute_may_have_is_expected() -> None:
    assert read_names([a_plan_row("x" * 1_024)]) == ("x" * 1_024,)


def test_a_plan_tells_when_it_was_frozen_and_one_of_nobody_takes_the_time_given() -> None:
    frozen = PLANNED_AT - timedelta(hours=3)

    assert frozen_at([{**a_plan_row(), "planned_at": frozen}], otherwise=PLANNED_AT) == frozen
    assert frozen_at([], otherwise=PLANNED_AT) == PLANNED_AT
    with pytest.raises(InvalidInput, match="where a time belongs"):
        frozen_at([{**a_plan_row(), "planned_at": "soon"}], otherwise=PLANNED_AT)


def test_nobody_expected_is_a_plan_of_nobody() -> None:
    assert read_names([]) == ()


def test_frozen_requests_come_back_in_the_order_of_names() -> None:
    rows: list[Row] = [{"player_lookup": name, "request": f'"{name}"'} for name in ("b", "a")]

    assert read_plan(rows) == (PlannedPlayer("a", '"a"'), PlannedPlayer("b", '"b"'))


# --- requests -------------------------------------------------------------------------------------------------


def test_a_request_is_the_plan_and_what_the_batch_adds() -> None:
    wanted = a_request()

    made = request_of(a_planned_player(wanted), batch_id=BATCH_ID, planned_at=PLANNED_AT, late_until=LATE_UNTIL)

    assert made == wanted


def test_publishing_again_sends_the_same_bytes() -> None:
    player = a_planned_player()

    first, again = (slice_bytes([player], OfBatch(BATCH_ID, PLANNED_AT, LATE_UNTIL)) for _ in range(2))

    assert first == again
    assert Slice.model_validate_json(first).requests == (a_request(),)


def test_a_line_keeps_its_exact_value_whether_the_warehouse_wrote_a_number_or_text() -> None:
    for written in (24.5, "24.5"):
        player = a_planned_player(lines=[{"points_line": written}])

        made = request_of(player, batch_id=BATCH_ID, planned_at=PLANNED_AT, late_until=LATE_UNTIL)

        assert made.lines[0].points_line == Decimal("24.5")


def test_an_unusable_input_value_is_refused_naming_player_field_and_value() -> None:
    player = a_planned_player(season_to_date={"games": 1, "points": -4, "minutes": 10})

    with pytest.raises(InvalidInput, match=r"^season_to_date\.points: .*'nikola-jokić' -4; correct"):
        request_of(player, batch_id=BATCH_ID, planned_at=PLANNED_AT, late_until=LATE_UNTIL)


def test_a_player_with_an_unusable_value_fails_alone_where_his_slice_is_read() -> None:
    bad = a_planned_player(player_lookup="bad", season_to_date={"games": 1, "points": -4, "minutes": 10})

    read = read_slice(slice_bytes([a_planned_player(), bad], OfBatch(BATCH_ID, PLANNED_AT, LATE_UNTIL)), revision="r1")

    assert read.requests == (a_request(),)
    (failed,) = read.failed
    assert (failed.player_lookup, failed.code) == ("bad", FailureCode.BAD_REQUEST)
    assert "season_to_date.points" in failed.detail


# --- shards ---------------------------------------------------------------------------------------------------


@given(st.sets(st.text(min_size=1), max_size=200).map(sorted))
def test_shards_are_the_sorted_names_cut_and_each_name_is_found_in_its_own(players: list[str]) -> None:
    shards = cut_shards(players)

    starts = [shard[0] for shard in shards]
    assert [player for shard in shards for player in shard] == players
    assert all(player in shards[shard_of(player, starts)] for player in players)


@pytest.mark.parametrize(
    ("players", "shards"), [(0, 0), (1, 1), (25, 1), (26, 2), (625, 25), (626, 25), (10_000, 100), (100_000, 316)]
)
def test_a_shard_holds_25_or_the_root_of_all(players: int, shards: int) -> None:
    cut = cut_shards([f"{n:06}" for n in range(players)])

    assert len(cut) == shards
    assert all(0 < len(shard) <= max(25, math.ceil(math.sqrt(players))) for shard in cut)


def test_a_stranger_before_the_first_name_is_sought_in_the_first_shard() -> None:
    assert shard_of("a", ["b", "m"]) == 0
