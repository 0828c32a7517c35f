"""Incidents E1, E2, E4 and E5: what a row may hold, and where live tables differ from declared ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from schemas.tables import PREDICTIONS, Column, RowRefused, compare, lineage, load, staging_columns, staging_schema

BATCH_ID = "20260130_0123456789abcdef"
PREDICTIONS_V2 = load(PREDICTIONS, 2)


def a_staged_row(**changes: object) -> dict[str, object]:
    """A row as a worker stages it, some of its columns changed."""
    row: dict[str, object] = {
        "prediction_id": "6f0c",
        "system_id": "season_average",
        "player_lookup": "o.g.-anunoby",
        "game_date": date(2026, 1, 30),
        "game_id": "0022500700",
        "prediction_version": 1,
        "predicted_points": Decimal("24.5"),
        "confidence_score": Decimal("50.00"),
        "recommendation": "PASS",
        "has_prop_line": True,
        "is_active": True,
        "created_at": datetime(2026, 1, 30, 15, tzinfo=UTC),
        **lineage(BATCH_ID, datetime(2026, 1, 30, 15, tzinfo=UTC), "d1"),
    }
    return row | changes


def test_e1_a_key_that_the_table_does_not_declare_is_refused_by_name() -> None:
    row = a_staged_row(model_mood="cheerful")

    with pytest.raises(
        RowRefused, match=r"column model_mood: staging v2 has no such column; leave 'cheerful' out"
    ) as it:
        staging_schema(2).validate_row(row)

    assert it.value.column == "model_mood"


def test_e1_a_column_of_a_newer_version_is_refused_by_an_older_one() -> None:
    row = a_staged_row(feature_version="f3")

    assert staging_schema(2).validate_row(row)["feature_version"] == "f3"
    with pytest.raises(RowRefused, match="column feature_version: staging v1 has no such column"):
        staging_schema(1).validate_row(row)


def test_e2_numpy_scalars_become_plain_values_that_json_can_write() -> None:
    row = a_staged_row(
        feature_count=np.int64(34),
        tier_adjustment=np.float64(0.25),
        adjusted_points=np.float32(0.5),
        early_season_flag=np.bool_(False),
        predicted_points=np.float64(24.5),
        similar_games_count=np.int64(0),
    )

    fitted = staging_schema(2).validate_row(row)

    assert json.loads(
        json.dumps([fitted["feature_count"], fitted["tier_adjustment"], fitted["early_season_flag"]])
    ) == [
        34,
        0.25,
        False,
    ]
    assert {type(fitted[name]) for name in ("feature_count", "similar_games_count")} == {int}
    assert {type(fitted[name]) for name in ("tier_adjustment", "adjusted_points")} == {float}
    assert fitted["early_season_flag"] is False
    assert fitted["predicted_points"] == Decimal("24.5")


def not_finite() -> Iterator[object]:
    """Every kind of number that is none."""
    for text in ("nan", "inf", "-inf"):
        yield from (float(text), np.float64(text), np.float32(text), Decimal(text))


@pytest.mark.parametrize("value", list(not_finite()), ids=repr)
@pytest.mark.parametrize("column", ["predicted_points", "tier_adjustment", "feature_count"])
def test_e2_what_is_no_number_is_refused_with_column_and_value(column: str, value: object) -> None:
    with pytest.raises(RowRefused, match=f"column {column}: ") as it:
        staging_schema(2).validate_row(a_staged_row(**{column: value}))

    assert it.value.column == column
    assert repr(value) in str(it.value)


def test_e4_an_array_that_became_a_string_is_a_clash_in_words() -> None:
    flipped = [Column(c.name, c.type) if c.name == "data_quality_issues" else c for c in load(PREDICTIONS, 2).columns]

    drift = compare(PREDICTIONS_V2.columns, flipped)

    assert drift.clashes == ("data_quality_issues is declared ARRAY<STRING>, REPEATED but live it is STRING, NULLABLE",)
    assert drift.refusals == drift.clashes


def test_e4_a_string_that_became_an_array_is_a_clash_in_words() -> None:
    flipped = [
        Column(c.name, c.type, "REPEATED") if c.name == "teammate_out_starters" else c for c in staging_columns(2)
    ]

    drift = compare(staging_columns(2), flipped)

    assert drift.clashes == (
        "teammate_out_starters is declared STRING, NULLABLE but live it is ARRAY<STRING>, REPEATED",
    )


@pytest.mark.parametrize(
    ("column", "least", "most", "outside"),
    [
        ("confidence_score", 0, 100, [Decimal("-0.01"), Decimal("100.01")]),
        ("raw_confidence_score", 0, 1, [Decimal("-0.001"), Decimal("1.001"), 72]),
        ("calibrated_confidence_score", 0, 1, [Decimal("-0.001"), Decimal("1.001")]),
        ("predicted_points", 0, 99, [Decimal("-0.1"), Decimal("99.1")]),
        ("completeness_percentage", 0, 100, [-0.5, 100.5]),
        ("feature_quality_score", 0, 100, [Decimal("-0.01"), Decimal("100.01")]),
    ],
)
def test_e5_a_number_in_another_unit_is_refused(column: str, least: int, most: int, outside: list[object]) -> None:
    for inside in (least, most):
        assert staging_schema(2).validate_row(a_staged_row(**{column: inside}))[column] == inside

    for value in outside:
        with pytest.raises(RowRefused, match=f"column {column}: .* it takes .*from {least} to {most}"):
            staging_schema(2).validate_row(a_staged_row(**{column: value}))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("recommendation", "over"),
        ("line_source", "ACTUAL"),
        ("injury_status_at_prediction", "Out"),
        ("invalidation_reason", "snow"),
    ],
)
def test_e5_a_word_outside_the_columns_list_is_refused(column: str, value: str) -> None:
    with pytest.raises(RowRefused, match=f"column {column}: '{value}' does not fit; it takes one of "):
        staging_schema(2).validate_row(a_staged_row(**{column: value}))


def test_e5_the_unit_is_in_the_columns_description() -> None:
    assert "0 to 100" in PREDICTIONS_V2.column("confidence_score").description
    assert "0 to 1" in PREDICTIONS_V2.column("calibrated_confidence_score").description
