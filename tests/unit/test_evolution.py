"""The rules of schema evolution: what may follow a released version, and what shows when one was changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from schemas import evolution, tables
from schemas.evolution import Rule, check, compare_released, compare_versions, shapes
from schemas.tables import Column, TableSchema

V2 = tables.load(tables.PREDICTIONS, 2)


def v3(*columns: Column) -> TableSchema:
    return TableSchema(tables.PREDICTIONS, 3, columns)


def with_column(column: str, **changes: object) -> TableSchema:
    """v2 with one column otherwise."""
    return v3(*(replace(c, **changes) if c.name == column else c for c in V2.columns))  # type: ignore[arg-type]  # changes fit the fields they name


NEW = Column("rest_days", "INT64")


def test_the_declared_versions_obey_every_rule() -> None:
    assert check() == ()


@pytest.mark.parametrize(
    "after",
    [
        v3(*V2.columns),
        v3(*V2.columns, NEW, Column("tags", "STRING", "REPEATED")),
        v3(NEW, *V2.columns),
        with_column("recommendation", description="said otherwise"),
    ],
    ids=["the same", "added", "added in front", "described otherwise"],
)
def test_a_version_may_add_columns_that_may_be_absent(after: TableSchema) -> None:
    assert list(compare_versions(V2, after)) == []


BROKEN: Mapping[str, tuple[TableSchema, str, Rule]] = {
    "removed": (v3(*V2.columns[:-1]), "early_season_flag", Rule.REMOVED),
    "renamed": (with_column("sportsbook", name="bookmaker"), "bookmaker", Rule.RENAMED),
    "renamed key": (with_column("game_id", name="match_id"), "match_id", Rule.RENAMED),
    "retyped": (with_column("feature_importance", type="STRING"), "feature_importance", Rule.RETYPED),
    "array as text": (with_column("data_quality_issues", mode="NULLABLE"), "data_quality_issues", Rule.MODE),
    "stricter": (with_column("sportsbook", mode="REQUIRED"), "sportsbook", Rule.MODE),
    "looser": (with_column("game_id", mode="NULLABLE"), "game_id", Rule.MODE),
    "narrower scale": (with_column("line_margin", scale=1), "line_margin", Rule.NARROWED),
    "narrower in front": (with_column("line_margin", precision=4), "line_margin", Rule.NARROWED),
    "digits moved behind": (with_column("line_margin", scale=3), "line_margin", Rule.NARROWED),
    "wider": (with_column("line_margin", precision=9), "line_margin", Rule.RETYPED),
    "unbounded": (with_column("line_margin", precision=None, scale=None), "line_margin", Rule.RETYPED),
    "new and required": (v3(*V2.columns, replace(NEW, mode="REQUIRED")), "rest_days", Rule.NEW_REQUIRED),
}


@pytest.mark.parametrize(("after", "column", "rule"), BROKEN.values(), ids=BROKEN)
def test_an_incompatible_version_is_refused_with_its_column_and_rule(
    after: TableSchema, column: str, rule: Rule
) -> None:
    (breach,) = compare_versions(V2, after)

    assert (breach.table, breach.version, breach.column, breach.rule) == ("predictions", 3, column, rule)
    assert str(breach).startswith(f"predictions v3, column {column}: ")
    assert str(breach).endswith(f"({rule.value})")


def test_a_number_narrowed_from_no_bounds_is_refused() -> None:
    bare, bound = (
        TableSchema("t", 1, (Column("x", "NUMERIC", precision=p, scale=s),)) for p, s in ((None, None), (38, 9))
    )

    assert list(compare_versions(bare, bound)) == []
    (breach,) = compare_versions(bare, TableSchema("t", 2, (Column("x", "NUMERIC", precision=37, scale=9),)))
    assert breach.rule is Rule.NARROWED


CHANGED: Mapping[str, tuple[TableSchema, str, str]] = {
    "retyped": (with_column("sportsbook", type="INT64"), "sportsbook", "released as STRING, NULLABLE and is now INT64"),
    "removed": (v3(*V2.columns[:-1]), "early_season_flag", "released as BOOL, NULLABLE and is gone"),
    "added": (v3(*V2.columns, NEW), "rest_days", "was not released; declare it in v4"),
    "moved": (v3(*V2.columns[1:], V2.columns[0]), "system_id", "in another place"),
}


@pytest.mark.parametrize(("declared", "column", "problem"), CHANGED.values(), ids=CHANGED)
def test_a_changed_released_version_is_refused_with_its_column(
    declared: TableSchema, column: str, problem: str
) -> None:
    (breach,) = compare_released("predictions", {3: shapes(V2.columns)}, (declared,))

    assert (breach.column, breach.rule) == (column, Rule.CHANGED)
    assert problem in breach.problem


def test_a_released_version_that_is_gone_and_one_that_is_not_recorded_are_refused() -> None:
    gone, unrecorded = compare_released("predictions", {2: shapes(V2.columns)}, (v3(*V2.columns),))

    assert (gone.version, gone.rule) == (2, Rule.GONE)
    assert (unrecorded.version, unrecorded.rule) == (3, Rule.NOT_RECORDED)


def test_recording_remembers_what_is_new_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = evolution.read_released()
    del known["predictions"][2]
    file = tmp_path / "released.json"
    file.write_text(json.dumps(known), encoding="utf-8")
    monkeypatch.setattr(evolution, "RELEASED", file)

    assert [breach.rule for breach in check()] == [Rule.NOT_RECORDED]
    assert evolution.record() == ("predictions v2",)
    assert check() == ()
    assert evolution.record() == ()


def test_recording_refuses_while_another_rule_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = evolution.read_released()
    known["predictions"][2]["sportsbook"] = "INT64, NULLABLE"
    file = tmp_path / "released.json"
    file.write_text(json.dumps(known), encoding="utf-8")
    monkeypatch.setattr(evolution, "RELEASED", file)

    with pytest.raises(ValueError, match="column sportsbook"):
        evolution.record()


def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "released.json"
    file.write_text("{", encoding="utf-8")
    monkeypatch.setattr(evolution, "RELEASED", file)

    with pytest.raises(ValueError, match=r"released\.json cannot be read"):
        check()
