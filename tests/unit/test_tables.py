"""The declared tables: what the files say, which rows fit, and where live columns differ."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files

import numpy as np
import pytest
from google.cloud.bigquery import SchemaField
from hypothesis import given
from hypothesis import strategies as st

from schemas.tables import (
    LINEAGE,
    PREDICTIONS,
    TABLES,
    Column,
    Drift,
    RowRefused,
    TableSchema,
    UnknownTable,
    columns_from_json,
    compare,
    latest_version,
    load,
    staging_columns,
    staging_schema,
    versions,
)

ALL_VERSIONS = [(table, version) for table in TABLES for version in versions(table)]


def a_row(**changes: object) -> dict[str, object]:
    """A row with the required predictions columns, some of them changed."""
    row: dict[str, object] = {
        "prediction_id": "6f0c",
        "system_id": "season_average",
        "player_lookup": "o.g.-anunoby",
        "game_date": date(2026, 1, 30),
        "game_id": "0022500001",
        "prediction_version": 1,
        "predicted_points": Decimal("24.5"),
        "confidence_score": Decimal("50.00"),
        "recommendation": "PASS",
        "has_prop_line": True,
        "is_active": True,
        "created_at": datetime(2026, 1, 30, 15, tzinfo=UTC),
    }
    return row | changes


def one_column(type_name: str, **of: object) -> TableSchema:
    """A table of one column `x`."""
    precision, scale = of.get("precision"), of.get("scale")
    assert precision is None or isinstance(precision, int)
    assert scale is None or isinstance(scale, int)
    column = Column("x", type_name, str(of.get("mode", "NULLABLE")), precision, scale)
    return TableSchema("example", 1, (column,))


# --- declarations ---------------------------------------------------------------------------------------------


def test_every_declared_table_is_a_folder_of_versions_and_the_reverse() -> None:
    folders = {entry.name for entry in files("schemas").iterdir() if entry.joinpath("v1.json").is_file()}

    assert folders == set(TABLES)


def test_predictions_have_63_columns_in_v1_and_72_in_v2() -> None:
    assert versions(PREDICTIONS) == (1, 2)
    assert len(load(PREDICTIONS, 1).columns) == 63
    assert len(load(PREDICTIONS, 2).columns) == 72


def test_the_latest_version_is_loaded_by_default() -> None:
    assert latest_version(PREDICTIONS) == 2
    assert load(PREDICTIONS) == load(PREDICTIONS, 2)


def test_a_new_version_only_adds_nullable_or_repeated_columns_at_the_end() -> None:
    for table in TABLES:
        for older, newer in zip(versions(table), versions(table)[1:], strict=False):
            before, after = load(table, older).columns, load(table, newer).columns

            assert after[: len(before)] == before
            assert {column.mode for column in after[len(before) :]} <= {"NULLABLE", "REPEATED"}


@pytest.mark.parametrize(
    ("version", "digest"),
    [(1, "7f400570b1857f0c"), (2, "db9e8e4c9cf93019")],
)
def test_a_released_predictions_version_never_changes(version: int, digest: str) -> None:
    shapes = [(column.name, column.sql_type, column.mode) for column in load(PREDICTIONS, version).columns]

    assert hashlib.sha256(json.dumps(shapes).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize(("table", "version"), ALL_VERSIONS)
def test_every_column_is_one_that_bigquery_takes_and_gives_back(table: str, version: int) -> None:
    for column in load(table, version).columns:
        field = SchemaField.from_api_repr(column.api_repr())

        assert columns_from_json([field.to_api_repr()]) == (column,)


@pytest.mark.parametrize(("table", "version"), ALL_VERSIONS)
def test_every_column_is_named_once_and_described(table: str, version: int) -> None:
    columns = load(table, version).columns

    assert len({column.name.lower() for column in columns}) == len(columns)
    assert all(column.description for column in columns)


@pytest.mark.parametrize("table", TABLES)
def test_every_limit_is_stated_in_its_columns_description(table: str) -> None:
    schema = load(table)
    declared = files("schemas").joinpath(table, "ranges.json")
    names = json.loads(declared.read_text(encoding="utf-8")) if declared.is_file() else {}

    assert {limit.column for limit in schema.limits} == set(names)
    for limit in schema.limits:
        description = schema.column(limit.column).description
        if limit.allowed:
            assert all(text in description for text in limit.allowed)
        else:
            assert f"{limit.minimum} to {limit.maximum}" in description


def test_every_range_that_a_description_states_is_a_limit() -> None:
    for table in TABLES:
        schema = load(table)
        stated = {column.name for column in schema.columns if ", 0 to " in column.description}

        assert stated <= {limit.column for limit in schema.limits}


def test_staging_columns_are_the_predictions_columns_and_the_lineage() -> None:
    for version in versions(PREDICTIONS):
        *columns, batch, planned_on, delivery = staging_columns(version)

        assert tuple(columns) == load(PREDICTIONS, version).columns
        assert [column.name for column in (batch, planned_on, delivery)] == list(LINEAGE)
        assert [column.type for column in (batch, planned_on, delivery)] == ["STRING", "DATE", "STRING"]
        assert {column.mode for column in (batch, planned_on, delivery)} == {"REQUIRED"}


def test_unknown_tables_and_versions_are_refused_by_name() -> None:
    with pytest.raises(UnknownTable, match="'points' is not declared; declared are predictions, "):
        load("points")
    with pytest.raises(UnknownTable, match="'predictions' has no version 9; released are v1, v2"):
        load(PREDICTIONS, 9)
    with pytest.raises(UnknownTable, match="no version 9"):
        staging_columns(9)


def test_a_type_that_no_check_knows_is_refused_when_the_schema_is_made() -> None:
    with pytest.raises(ValueError, match="type 'BYTES' is not known"):
        one_column("BYTES")


# --- rows -----------------------------------------------------------------------------------------------------


def test_a_valid_row_comes_back_with_every_column_in_order() -> None:
    fitted = load(PREDICTIONS).validate_row(a_row())

    assert tuple(fitted) == load(PREDICTIONS).names
    assert fitted["player_lookup"] == "o.g.-anunoby"
    assert fitted["sportsbook"] is None
    assert fitted["data_quality_issues"] == []


def test_validating_a_validated_row_changes_nothing() -> None:
    once = load(PREDICTIONS).validate_row(a_row(data_quality_issues=["no_line"], feature_importance='{"rest": 0.5}'))

    assert load(PREDICTIONS).validate_row(once) == once


def test_a_staging_row_needs_its_delivery() -> None:
    lineage = {"_batch_id": "b", "_planned_on": date(2026, 1, 30)}
    assert staging_schema(2).validate_row(a_row(**lineage, _delivery="d1"))["_delivery"] == "d1"
    with pytest.raises(RowRefused, match="column _delivery: is missing"):
        staging_schema(2).validate_row(a_row(**lineage))


@pytest.mark.parametrize("row", [a_row(game_id=None), {k: v for k, v in a_row().items() if k != "game_id"}])
def test_a_required_column_must_be_there(row: dict[str, object]) -> None:
    with pytest.raises(RowRefused, match=r"column game_id: .*requires it, it takes STRING") as refusal:
        load(PREDICTIONS).validate_row(row)

    assert refusal.value.column == "game_id"
    assert refusal.value.value is None


def test_repeated_is_empty_where_absent_and_never_null() -> None:
    tags = one_column("STRING", mode="REPEATED")

    assert tags.validate_row({}) == {"x": []}
    assert tags.validate_row({"x": ("a", "b")}) == {"x": ["a", "b"]}
    for wrong in (None, "ab", [None], ["a", 1], {"a"}):
        with pytest.raises(RowRefused, match="column x"):
            tags.validate_row({"x": wrong})


@pytest.mark.parametrize(
    ("type_name", "given", "taken"),
    [
        ("STRING", "", ""),
        ("STRING", np.str_("a"), "a"),
        ("INT64", 0, 0),
        ("INT64", 2**63 - 1, 2**63 - 1),
        ("FLOAT64", 0, 0.0),
        ("FLOAT64", 0.1, 0.1),
        ("BOOL", False, False),
        ("NUMERIC", 0, Decimal(0)),
        ("NUMERIC", 24.1, Decimal("24.1")),
        ("NUMERIC", Decimal("-0.0"), Decimal(0)),
        ("DATE", date(2026, 1, 30), date(2026, 1, 30)),
        ("JSON", "[null]", "[null]"),
    ],
)
def test_a_value_of_the_columns_type_is_taken(type_name: str, given: object, taken: object) -> None:
    fitted = one_column(type_name).validate_row({"x": given})["x"]

    assert fitted == taken
    assert type(fitted) is type(taken)


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("STRING", 1),
        ("STRING", b"a"),
        ("STRING", "\ud800"),
        ("INT64", True),
        ("INT64", 1.0),
        ("INT64", "1"),
        ("INT64", 2**63),
        ("INT64", -(2**63) - 1),
        ("FLOAT64", True),
        ("FLOAT64", "0.5"),
        ("FLOAT64", 2**53 + 1),
        ("FLOAT64", Decimal("0.5")),
        ("BOOL", 1),
        ("BOOL", 0.0),
        ("BOOL", "true"),
        ("NUMERIC", True),
        ("NUMERIC", "1.5"),
        ("DATE", "2026-01-30"),
        ("DATE", datetime(2026, 1, 30, tzinfo=UTC)),
        ("TIMESTAMP", date(2026, 1, 30)),
        ("TIMESTAMP", datetime(2026, 1, 30)),  # noqa: DTZ001  a naive time is what must be refused
        ("TIMESTAMP", "2026-01-30T00:00:00Z"),
        ("JSON", "null"),
        ("JSON", "{"),
        ("JSON", '{"a": NaN}'),
        ("JSON", {"a": 1}),
        ("STRING", np.array(["a"])),
        ("FLOAT64", np.array([1.0])),
    ],
)
def test_a_value_of_another_type_is_refused(type_name: str, value: object) -> None:
    with pytest.raises(RowRefused, match=rf"column x: .* does not fit; it takes {type_name}") as refusal:
        one_column(type_name).validate_row({"x": value})

    assert refusal.value.value is value


def test_a_long_value_is_shortened_in_the_refusal() -> None:
    with pytest.raises(RowRefused) as refusal:
        one_column("INT64").validate_row({"x": "9" * 10_000})

    assert len(str(refusal.value)) < 250


def test_a_time_of_any_zone_is_taken_as_utc() -> None:
    eastern = datetime(2026, 1, 30, 19, 30, tzinfo=timezone(timedelta(hours=-5)))

    fitted = one_column("TIMESTAMP").validate_row({"x": eastern})["x"]

    assert fitted == eastern
    assert isinstance(fitted, datetime)
    assert fitted.tzinfo is UTC


@pytest.mark.parametrize("value", [Decimal("24.55"), 24.55, Decimal(10000), -10_000, Decimal("1E-30"), Decimal("1E+9")])
def test_a_numeric_that_the_warehouse_would_round_or_cut_is_refused(value: object) -> None:
    with pytest.raises(RowRefused, match=r"it takes NUMERIC\(5, 1\), at most 4 digits before the point and 1 after it"):
        one_column("NUMERIC", precision=5, scale=1).validate_row({"x": value})


@given(st.decimals(min_value="-9999.9", max_value="9999.9", places=1))
def test_a_numeric_within_its_precision_is_kept_exactly(value: Decimal) -> None:
    fitted = one_column("NUMERIC", precision=5, scale=1).validate_row({"x": value})["x"]

    assert fitted == value
    assert str(fitted) == f"{value:z.1f}"


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(1, 38), st.data())
def test_a_numeric_is_taken_exactly_or_not_at_all(value: Decimal, precision: int, data: st.DataObject) -> None:
    scale = data.draw(st.integers(0, min(9, precision)))
    numeric = one_column("NUMERIC", precision=precision, scale=scale)
    fits = abs(Fraction(value)) < 10 ** (precision - scale) and (Fraction(value) * 10**scale).denominator == 1

    if fits:
        assert numeric.validate_row({"x": value}) == {"x": value}
    else:
        with pytest.raises(RowRefused, match=r"it takes NUMERIC"):
            numeric.validate_row({"x": value})


# --- drift ----------------------------------------------------------------------------------------------------


def test_equal_columns_have_no_drift_whatever_their_order_and_descriptions() -> None:
    declared = load(PREDICTIONS).columns
    live = tuple(Column(c.name, c.type, c.mode, c.precision, c.scale) for c in reversed(declared))

    assert compare(declared, live) == Drift()
    assert compare(declared, live).refusals == ()


def test_columns_that_an_older_table_lacks_are_missing_and_nothing_else() -> None:
    drift = compare(staging_columns(2), staging_columns(1))

    assert drift.missing_in_live == load(PREDICTIONS, 2).columns[63:]
    assert drift.refusals == ()
    assert drift != Drift()


def test_an_undeclared_column_is_named() -> None:
    extra = Column("shoe_size", "INT64")

    drift = compare(load(PREDICTIONS).columns, (*load(PREDICTIONS).columns, extra))

    assert drift.undeclared == (extra,)
    assert drift.refusals == ("shoe_size (INT64, NULLABLE) is in the live table but not declared",)


def test_a_missing_required_column_is_a_clash_because_none_can_be_added() -> None:
    drift = compare([Column("game_id", "STRING", "REQUIRED")], [])

    assert drift.missing_in_live == ()
    assert drift.clashes == ("game_id is declared STRING, REQUIRED, but is missing",)


@pytest.mark.parametrize(
    ("declared", "live", "words"),
    [
        (Column("x", "INT64"), Column("x", "STRING"), "INT64, NULLABLE but live it is STRING, NULLABLE"),
        (Column("x", "STRING", "REQUIRED"), Column("x", "STRING"), "STRING, REQUIRED but live it is STRING, NULLABLE"),
        (
            Column("x", "NUMERIC", precision=4, scale=1),
            Column("x", "NUMERIC", precision=5, scale=2),
            "NUMERIC(4, 1), NULLABLE but live it is NUMERIC(5, 2), NULLABLE",
        ),
    ],
)
def test_a_differing_type_mode_or_precision_is_a_clash_in_words(declared: Column, live: Column, words: str) -> None:
    assert compare([declared], [live]).clashes == (f"x is declared {words}",)


@given(points=st.lists(st.integers(0, 99), min_size=1, max_size=6), books=st.sampled_from([None, "fanduel"]))
def test_rows_checked_by_columns_are_the_rows_checked_one_by_one(points: list[int], books: str | None) -> None:
    schema = load(PREDICTIONS)
    rows = [a_row(predicted_points=each, sportsbook=books) for each in points]

    together = schema.fit({name: [row[name] for row in rows] for name in rows[0]})

    assert together.rows() == [schema.validate_row(row) for row in rows]
    assert tuple(together.cells) == schema.names
    assert len(together) == len(points)


@pytest.mark.parametrize("bad", [999, None])
def test_a_later_row_that_does_not_fit_is_refused_by_name_and_place(bad: int | None) -> None:
    rows = [a_row(predicted_points=9), a_row(predicted_points=9), a_row(predicted_points=bad)]

    with pytest.raises(RowRefused, match="predicted_points") as refused:
        load(PREDICTIONS).fit({name: [row[name] for row in rows] for name in rows[0]})

    assert refused.value.row == 2


def test_parts_of_checked_rows_and_all_of_several_are_checked_rows() -> None:
    fitted = one_column("INT64").fit({"x": [1, 2, 3, 4]})

    assert fitted.part(slice(0, 1), slice(2, 4)).cells == {"x": [1, 3, 4]}
    assert fitted.part(slice(0, 1)).and_then([fitted.part(slice(3, 4))]).cells == {"x": [1, 4]}
    beside = fitted.beside(one_column("INT64").fit({"x": [5, 6, 7, 8]}))
    assert beside.cells == {"x": [5, 6, 7, 8]}
