"""What operators are shown of the schema: every table that lasts, declared beside live."""

from __future__ import annotations

from collections import Counter

from pydantic import BaseModel

from coordinator.ledger import Ledger
from coordinator.usecases.migrate import TableChange, plan
from schemas import names, tables
from schemas.tables import Column, TableSchema
from shared.ports import Tables

_LATEST_BATCHES = 50
"""Live batches are looked for among so many of the newest; one lives per game date."""


class ColumnView(BaseModel):
    """One column; None where the declaration or the live table lacks it, `drift` None where they agree."""

    name: str
    declared: str | None
    live: str | None
    drift: str | None


class TableView(BaseModel):
    """One table; `drift` says in sentences how it differs, and is empty where it does not."""

    table: str
    version: int
    fingerprint: str
    exists: bool
    drift: list[str]
    columns: list[ColumnView]


class StagingView(TableView):
    """The staging table of a schema version; `written_by` counts players of live batches by the fingerprint that their
    worker named, "" for none."""

    written_by: dict[str, int]


class SchemaView(BaseModel):
    """The whole of `GET /schema`."""

    agrees: bool
    """Whether no table of the declarations or of a live batch drifts."""
    tables: list[TableView]
    staging: list[StagingView]


def view_schema(warehouse: Tables, ledger: Ledger) -> SchemaView:
    """Compare everything that is declared with what is live, at the moment of asking.

    Raises:
        Unavailable: the warehouse or the document store did not answer.
    """
    written = _written_by(ledger)
    declared: list[TableView] = []
    staging: list[StagingView] = []
    for change in plan(warehouse):
        version = _STAGING_VERSIONS.get(change.spec.name)
        if version is None:
            declared.append(_table(change, tables.load(change.spec.name)))
            continue
        view = _table(change, tables.staging_schema(version))
        written_by = dict(sorted(written.get(version, Counter()).items()))
        ours = tables.load(names.PREDICTIONS_TABLE, version).fingerprint
        foreign = [
            f"workers wrote a v{version} of fingerprint {other}; this coordinator's is {ours}"
            for other in written_by
            if other not in ("", ours)
        ]
        staging.append(
            StagingView(**view.model_dump(exclude={"drift"}), drift=[*view.drift, *foreign], written_by=written_by)
        )
    agrees = not any(view.drift for view in (*declared, *staging))
    return SchemaView(agrees=agrees, tables=declared, staging=staging)


_STAGING_VERSIONS = {names.staging_table(version): version for version in tables.versions(names.PREDICTIONS_TABLE)}


def _table(change: TableChange, schema: TableSchema) -> TableView:
    lacking = [f"{column.name} is missing; `tipoff schema apply` adds it" for column in change.drift.missing_in_live]
    kept = [f"{name} is not declared; it is kept and left alone" for name in change.undeclared]
    drift = [*change.refusals, *lacking, *kept]
    if change.live is None:
        drift = ["the table is not there; `tipoff schema apply` creates it"]
    return TableView(
        table=change.spec.name,
        version=schema.version,
        fingerprint=schema.fingerprint,
        exists=change.live is not None,
        drift=drift,
        columns=_columns(schema.columns, change.live),
    )


def _written_by(ledger: Ledger) -> dict[int, Counter[str]]:
    """Players of live batches by their worker's schema version and fingerprint."""
    written: dict[int, Counter[str]] = {}
    for batch in ledger.newest_batches(_LATEST_BATCHES):
        for one in ledger.snapshot(batch.batch_id).predicted.values() if batch.is_live else ():
            written.setdefault(one.schema_version, Counter())[one.fingerprint] += 1
    return written


def _columns(declared: tuple[Column, ...], live: tuple[Column, ...] | None) -> list[ColumnView]:
    expected, found = ({column.name: column for column in columns or ()} for columns in (declared, live))
    listed = [*expected, *(name for name in found if name not in expected)]
    return [_column(name, expected.get(name), found.get(name), is_there=live is not None) for name in listed]


def _column(name: str, declared: Column | None, live: Column | None, *, is_there: bool) -> ColumnView:
    shapes = [column.shape if column else None for column in (declared, live)]
    drift = None
    if declared is None:
        drift = "not declared"
    elif is_there and live is None:
        drift = "missing in the live table"
    elif is_there and shapes[0] != shapes[1]:
        drift = f"declared {shapes[0]}, live {shapes[1]}"
    return ColumnView(name=name, declared=shapes[0], live=shapes[1], drift=drift)
