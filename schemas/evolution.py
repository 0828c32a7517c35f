"""Whether the declared versions obey the rules: a released version never changes, and a new one only adds columns that
may be absent.

`released.json` remembers what was released, so that a change shows. Knows the files of this package and no live table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter, ValidationError

from schemas import tables
from schemas.tables import Column, TableSchema

RELEASED = Path(__file__).parent / "released.json"

Shapes: TypeAlias = dict[str, str]
"""Column name → type and mode as a sentence names them, in the declared order."""
Released: TypeAlias = dict[str, dict[int, Shapes]]
"""Table → version → what was released."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")  # https://cloud.google.com/bigquery/docs/schemas#column_names
_MODES = ("REQUIRED", "NULLABLE", "REPEATED")
_NUMERIC_DIGITS, _NUMERIC_SCALE = 29, 9
_READ_RELEASED = TypeAdapter(Released)


class Rule(StrEnum):
    """The rules, as a report names them."""

    UNREADABLE = "unreadable"
    CHANGED = "released versions never change"
    GONE = "released versions stay"
    NOT_RECORDED = "a version is recorded before it is used"
    NUMBERING = "versions are numbered without gaps"
    REMOVED = "columns are never removed"
    RENAMED = "columns are never renamed"
    RETYPED = "columns keep their type"
    NARROWED = "a NUMERIC is never narrowed"
    MODE = "columns keep their mode"
    NEW_REQUIRED = "new columns are NULLABLE or REPEATED"


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken rule; `column` is empty where it is about the whole version."""

    table: str
    version: int
    column: str
    rule: Rule
    problem: str

    def __str__(self) -> str:
        where = f"{self.table} v{self.version}" + (f", column {self.column}" if self.column else "")
        return f"{where}: {self.problem} ({self.rule.value})"


def check() -> tuple[Breach, ...]:
    """Check every declared version against the one before it and against what was released.

    Raises:
        ValueError: `released.json` cannot be read.
    """
    released = read_released()
    found: list[Breach] = []
    for table in sorted(tables.TABLES):
        declared, unreadable = _declared(table)
        found += [*unreadable, *compare_released(table, released.get(table, {}), declared)]
        found += _numbering(table, declared)
        for before, after in pairwise(declared):
            found += compare_versions(before, after)
    return tuple(found)


def compare_versions(before: TableSchema, after: TableSchema) -> Iterator[Breach]:
    """Find what keeps a version from following another: rows of both must fit one table, whatever is deployed first."""
    new = {column.name: column for column in after.columns}
    old = {column.name for column in before.columns}
    added = [column for column in after.columns if column.name not in old]
    renamed = dict(_renames(before.columns, after.columns, added))
    for column in before.columns:
        if column.name in new:
            yield from _kept(column, new[column.name], after)
        elif column.name in renamed:
            problem = f"v{before.version} calls it {column.name}; keep {column.name} and add a column beside it"
            yield _breach(after, renamed[column.name], Rule.RENAMED, problem)
        else:
            problem = f"v{before.version} has it; keep it, workers may leave it empty"
            yield _breach(after, column.name, Rule.REMOVED, problem)
    for column in added:
        if column.mode == "REQUIRED" and column.name not in renamed.values():
            problem = "it is new and REQUIRED, but the rows there are have no value; make it NULLABLE"
            yield _breach(after, column.name, Rule.NEW_REQUIRED, problem)


def compare_released(table: str, released: Mapping[int, Shapes], declared: tuple[TableSchema, ...]) -> Iterator[Breach]:
    """Find what differs from what was released."""
    there = {schema.version for schema in declared}
    for version in sorted(released.keys() - there):
        yield Breach(table, version, "", Rule.GONE, "it was released and its file is gone or unreadable; restore it")
    for schema in declared:
        if schema.version not in released:
            problem = "it is not in released.json; when it is final, record it with `tipoff schema check --release`"
            yield _breach(schema, "", Rule.NOT_RECORDED, problem)
        else:
            yield from _changes(schema, released[schema.version])


def read_released() -> Released:
    """Read what was released; nothing where there is no such file. Raises `ValueError`."""
    if not RELEASED.is_file():
        return {}
    try:
        return _READ_RELEASED.validate_json(RELEASED.read_bytes())
    except ValidationError as error:
        raise ValueError(f"released.json cannot be read: {error.errors()[0]['msg']}; restore it") from error


def record() -> tuple[str, ...]:
    """Record every declared version that is not recorded yet; return their names. A repeat records nothing.

    Raises:
        ValueError: a rule is broken that recording does not mend; names the first.
    """
    for breach in check():
        if breach.rule is not Rule.NOT_RECORDED:
            raise ValueError(str(breach))
    released, recorded = read_released(), []
    for table in tables.TABLES:
        of_table = released.setdefault(table, {})
        for version in tables.versions(table):
            if version not in of_table:
                of_table[version] = shapes(tables.load(table, version).columns)
                recorded.append(f"{table} v{version}")
    if recorded:
        RELEASED.write_text(json.dumps(released, indent=2) + "\n", encoding="utf-8")
    return tuple(recorded)


def shapes(columns: tuple[Column, ...]) -> Shapes:
    """What is remembered of a version."""
    return {column.name: column.shape for column in columns}


# --- one version ----------------------------------------------------------------------------------------------


def _declared(table: str) -> tuple[tuple[TableSchema, ...], list[Breach]]:
    """The versions that can be read, and what is wrong with the others."""
    readable, unreadable = [], []
    for version in tables.versions(table):
        try:
            schema = tables.load(table, version)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = f"its file is not a list of columns in BigQuery's JSON form: {error!r}"
            unreadable.append(Breach(table, version, "", Rule.UNREADABLE, problem))
            continue
        unreadable += _ill_formed(schema)
        readable.append(schema)
    return tuple(readable), unreadable


def _ill_formed(schema: TableSchema) -> Iterator[Breach]:
    seen: set[str] = set()
    for column in schema.columns:
        if not _NAME.fullmatch(column.name):
            yield _breach(schema, column.name, Rule.UNREADABLE, "a name has letters, digits and underscores")
        if column.name.lower() in seen:
            yield _breach(schema, column.name, Rule.UNREADABLE, "it is declared twice; BigQuery ignores case")
        if column.mode not in _MODES:
            problem = f"{column.mode} is no mode; modes are {', '.join(_MODES)}"
            yield _breach(schema, column.name, Rule.UNREADABLE, problem)
        seen.add(column.name.lower())


def _numbering(table: str, declared: tuple[TableSchema, ...]) -> Iterator[Breach]:
    for place, schema in enumerate(declared, start=1):
        if schema.version != place:
            yield Breach(table, schema.version, "", Rule.NUMBERING, f"it should be v{place}")
            return


def _changes(schema: TableSchema, released: Shapes) -> Iterator[Breach]:
    declared = shapes(schema.columns)
    for name in [*released, *(name for name in declared if name not in released)]:
        was, now = released.get(name), declared.get(name)
        if was is None:
            yield _breach(schema, name, Rule.CHANGED, f"it was not released; declare it in v{schema.version + 1}")
        elif now is None:
            yield _breach(schema, name, Rule.CHANGED, f"it was released as {was} and is gone; restore it")
        elif now != was:
            yield _breach(schema, name, Rule.CHANGED, f"it was released as {was} and is now {now}; restore it")
    if declared == released and list(declared) != list(released):
        moved = next(name for name, old in zip(declared, released, strict=True) if name != old)
        yield _breach(schema, moved, Rule.CHANGED, "it was released in another place; restore the order")


# --- two versions ---------------------------------------------------------------------------------------------


def _renames(before: tuple[Column, ...], after: tuple[Column, ...], added: list[Column]) -> Iterator[tuple[str, str]]:
    """Old name → new name, where a column of the same shape stands at the place of one that is gone."""
    names = {column.name for column in after}
    for old, new in zip(before, after, strict=False):
        if old.name not in names and new in added and old.shape == new.shape:
            yield old.name, new.name


def _kept(old: Column, new: Column, after: TableSchema) -> Iterator[Breach]:
    is_numeric = old.type == new.type == "NUMERIC"
    if is_numeric and any(now < was for now, was in zip(_bounds(new), _bounds(old), strict=True)):
        problem = f"{old.sql_type} became {new.sql_type}; add a column for the narrower number"
        yield _breach(after, new.name, Rule.NARROWED, problem)
    elif old.type != new.type or _bounds(old) != _bounds(new):
        problem = f"{old.sql_type} became {new.sql_type}; add a column of the new type beside it"
        yield _breach(after, new.name, Rule.RETYPED, problem)
    if old.mode != new.mode:
        yield _breach(after, new.name, Rule.MODE, f"{old.mode} became {new.mode}; add a column beside it")


def _bounds(column: Column) -> tuple[int, int]:
    """Digits before and after the point; bare NUMERIC has 29 and 9."""
    if column.precision is None:
        return _NUMERIC_DIGITS, _NUMERIC_SCALE
    return column.precision - (column.scale or 0), column.scale or 0


def _breach(schema: TableSchema, column: str, rule: Rule, problem: str) -> Breach:
    return Breach(schema.table, schema.version, column, rule, problem)
