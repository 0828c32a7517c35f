"""Derived ids and names: the same things give the same name, different things never do."""

from __future__ import annotations

import random
import re
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas import digest, names

GAME_DATE = date(2026, 1, 30)
BATCH_ID = names.batch_id(GAME_DATE, "a-key")
NOON = datetime(2026, 1, 30, 12, tzinfo=UTC)
EASTERN = timezone(-timedelta(hours=5))

texts = st.text(st.characters(exclude_categories=["Cs"]))
anything = st.text()
"""Lone surrogates too: a key that a caller sends can hold them."""


def a_prediction_id(**changes: object) -> str:
    """The id of one prediction, some of its parts changed."""
    parts = {
        "game_date": GAME_DATE,
        "game_id": "0022500700",
        "player_lookup": "nikola-jokić",
        "system_id": "season_average",
        "points_line": Decimal("24.5"),
    }
    return names.prediction_id(**(parts | changes))  # type: ignore[arg-type]  # a test's parts by name


@given(st.dates(), anything)
def test_a_batch_id_is_a_function_of_date_and_key_and_has_the_checked_form(game_date: date, key: str) -> None:
    batch = names.batch_id(game_date, key)

    assert batch == names.batch_id(game_date, key)
    assert names.check_batch_id(batch) == batch


@given(st.dates(), anything, st.dates(), anything)
def test_two_pairs_of_date_and_key_never_share_a_batch_id(one: date, key: str, other: date, other_key: str) -> None:
    assume((one, key) != (other, other_key))

    assert names.batch_id(one, key) != names.batch_id(other, other_key)


@given(st.dates(), texts, texts)
def test_the_border_between_parts_is_part_of_the_hash(game_date: date, left: str, right: str) -> None:
    assume(right)

    assert names.delivery_id(BATCH_ID, left + right, {}) != names.delivery_id(BATCH_ID, left, {right: [right]})
    assert names.batch_id(game_date, left + right) != names.batch_id(game_date, left)
    assert a_prediction_id(game_id=left + right, player_lookup="") != a_prediction_id(game_id=left, player_lookup=right)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20260130",
        "20260130_0123456789ABCDEF",
        "20260130_0123456789abcdef\n",
        "x`; DROP",
        f"{BATCH_ID}0",
        "٢0260130_0123456789abcdef",
    ],
)
def test_what_is_no_batch_id_is_refused_before_it_reaches_sql(text: str) -> None:
    for use in (
        names.check_batch_id,
        names.plan_table,
        lambda it: names.merge_job_id(it, 1),
        lambda it: names.plan_drop_job_id(it, NOON),
    ):
        with pytest.raises(ValueError, match="is not a batch id"):
            use(text)


def test_table_and_job_names_carry_the_batch_and_their_number() -> None:
    assert names.plan_table(BATCH_ID) == f"_plan_{BATCH_ID}"
    assert names.staging_table(2) == "_staging_v2"
    assert names.merge_job_id(BATCH_ID, 3) == f"tipoff_merge_{BATCH_ID}_3"
    assert names.plan_drop_job_id(BATCH_ID, NOON) == f"tipoff_drop_plan_{BATCH_ID}_20260130T120000000000"
    assert names.plan_drop_job_id(BATCH_ID, NOON.astimezone(EASTERN)) == names.plan_drop_job_id(BATCH_ID, NOON)
    for job_id in (names.merge_job_id(BATCH_ID, 3), names.plan_drop_job_id(BATCH_ID, NOON)):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,1024}", job_id)


def test_a_plan_made_a_microsecond_later_is_dropped_by_another_job() -> None:
    later = NOON + timedelta(microseconds=1)

    assert names.plan_drop_job_id(BATCH_ID, later) != names.plan_drop_job_id(BATCH_ID, NOON)


def test_a_half_point_apart_is_another_prediction() -> None:
    assert a_prediction_id(points_line=Decimal("24.5")) != a_prediction_id(points_line=Decimal("25.0"))
    assert a_prediction_id(points_line=Decimal("24.5")) != a_prediction_id(points_line=Decimal("24.0"))


def test_the_same_line_written_otherwise_is_the_same_prediction() -> None:
    same = {a_prediction_id(points_line=Decimal(text)) for text in ("25", "25.0", "25.00", "2.5E+1")}

    assert len(same) == 1


def test_no_line_is_a_prediction_of_its_own() -> None:
    assert a_prediction_id(points_line=None) not in {a_prediction_id(points_line=Decimal(0)), a_prediction_id()}


@pytest.mark.parametrize(
    "change",
    [
        {"game_date": date(2026, 1, 31)},
        {"game_id": "0022500701"},
        {"player_lookup": "nikola-jović"},
        {"system_id": "ridge"},
    ],
)
def test_every_part_of_the_key_counts(change: dict[str, object]) -> None:
    assert a_prediction_id(**change) != a_prediction_id()


def test_a_prediction_id_is_a_uuid_of_version_5_and_stays_what_it_is() -> None:
    assert uuid.UUID(a_prediction_id()).version == 5
    assert a_prediction_id() == "f85a4fa5-46b5-5abe-84ab-ff61ddeccfad"


@given(st.lists(st.uuids().map(str)), st.randoms(use_true_random=False))
def test_a_digest_ignores_order_and_copies(ids: list[str], order: random.Random) -> None:
    shuffled = [*ids, *ids[: len(ids) // 2]]
    order.shuffle(shuffled)

    assert digest.of_ids(shuffled) == digest.of_ids(ids)


@given(st.sets(st.uuids().map(str)), st.sets(st.uuids().map(str)))
def test_two_sets_of_predictions_have_two_digests(one: set[str], other: set[str]) -> None:
    assume(one != other)

    assert digest.of_ids(one) != digest.of_ids(other)


def test_an_event_id_follows_batch_state_and_merge() -> None:
    news = {names.event_id(BATCH_ID, state, number) for state in ("PARTIAL", "COMPLETE") for number in (1, 2)}

    assert len(news) == 4
    assert names.event_id(BATCH_ID, "PARTIAL", 1) in news


@given(texts, texts)
def test_a_delivery_differs_by_player_and_by_content(player: str, other: str) -> None:
    assume(player != other)

    assert names.delivery_id(BATCH_ID, player, {}) != names.delivery_id(BATCH_ID, other, {})
    assert names.delivery_id(BATCH_ID, "p", {"a": [player]}) != names.delivery_id(BATCH_ID, "p", {"a": [other]})


def test_a_delivery_is_the_same_whatever_the_order_of_its_columns() -> None:
    one: dict[str, list[object]] = {
        "points": [Decimal("24.5")],
        "at": [datetime(2026, 1, 30, tzinfo=UTC)],
        "issues": [["a"]],
        "none": [None],
    }

    reordered = dict(reversed(one.items()))
    assert names.delivery_id(BATCH_ID, "p", one) == names.delivery_id(BATCH_ID, "p", reordered)
    assert names.delivery_id(BATCH_ID, "p", one) != names.delivery_id(
        BATCH_ID, "p", {name: cells * 2 for name, cells in one.items()}
    )


def test_a_list_that_all_rows_share_is_another_content_than_its_elements_in_turn() -> None:
    assert names.delivery_id(BATCH_ID, "p", {"x": [["a", "b"]] * 2}) != names.delivery_id(
        BATCH_ID, "p", {"x": ["a", "b"]}
    )


def test_names_are_ascii_whatever_the_player_is_called() -> None:
    delivery = names.delivery_id(BATCH_ID, "nikola-jokić `; \\ 🏀", {"name": ["jokić 🏀"]})

    assert re.fullmatch(r"[0-9a-f]{16}", delivery)
