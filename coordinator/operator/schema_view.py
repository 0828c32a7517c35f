"""What operators are shown of the schema: every declared table and each live batch's staging, declared beside live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from pydantic import BaseModel

from coordinator.ledger import Ledger
from coordinator.rules.batch import Batch
from coordinator.rules.entries import Snapshot
from coordinator.usecases.migrate import plan
from schemas import names, tables
from schemas.tables import Column
from shared.ports import Tables

_EVER = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
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
    """A live batch's staging table; `written_by` counts players by the fingerprint their worker told, "" for none."""

    batch_id: str
    state: str
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
    declared = []
    for change in plan(warehouse):
        schema = tables.load(change.spec.name)
        drift = [*change.refusals, *_lacking(change.drift.missing_in_live), *_kept(change.undeclared)]
        if change.live is None:
            drift = ["the table is not there; `tipoff schema apply` creates it"]
        declared.append(
            TableView(
                table=schema.table,
                version=schema.version,
                fingerprint=schema.fingerprint,
                exists=change.live is not None,
                drift=drift,
                columns=_columns(schema.columns, change.live),
            )
        )
    staging = [view for batch in _live_batches(ledger) for view in _staging(warehouse, ledger, batch)]
    agrees = not any(view.drift for view in (*declared, *staging))
    return SchemaView(agrees=agrees, tables=declared, staging=staging)


def _live_batches(ledger: Ledger) -> Iterator[Batch]:
    return (batch for batch in ledger.newest_batches(_LATEST_BATCHES) if batch.is_live)


def _staging(warehouse: Tables, ledger: Ledger, batch: Batch) -> Iterator[StagingView]:
    snapshot = ledger.snapshot(batch.batch_id)
    for version in tables.versions(names.PREDICTIONS_TABLE):
        name = names.staging_table(batch.batch_id, version)
        live = warehouse.columns(name)
        if live is None and version != batch.schema_version:
            continue
        columns = tables.staging_columns(version)
        schema = tables.load(names.PREDICTIONS_TABLE, version)
        told = _told(snapshot, version)
        yield StagingView(
            table=name,
            version=version,
            fingerprint=schema.fingerprint,
            exists=live is not None,
            drift=[*_staging_drift(columns, live), *_foreign(told, schema.fingerprint, version)],
            columns=_columns(columns, live),
            batch_id=batch.batch_id,
            state=batch.state,
            written_by=told,
        )


def _told(snapshot: Snapshot, version: int) -> dict[str, int]:
    """Players of a version by their worker's fingerprint."""
    deliveries = (one for one in snapshot.predicted.values() if one.schema_version == version)
    return dict(sorted(Counter(one.fingerprint for one in deliveries).items()))


def _foreign(told: Iterable[str], fingerprint: str, version: int) -> Iterator[str]:
    for other in told:
        if other not in ("", fingerprint):
            yield f"workers wrote a v{version} of fingerprint {other}; this coordinator's is {fingerprint}"


def _staging_drift(declared: tuple[Column, ...], live: tuple[Column, ...] | None) -> Iterator[str]:
    if live is None:
        yield "the table is not there (yet); a worker that finds none creates it"
        return
    drift = tables.compare(declared, live)
    yield from drift.refusals
    yield from (f"{column.name} is missing; its cells merge as null" for column in drift.missing_in_live)


def _lacking(columns: Iterable[Column]) -> Iterator[str]:
    yield from (f"{column.name} is missing; `tipoff schema apply` adds it" for column in columns)


def _kept(undeclared: Iterable[str]) -> Iterator[str]:
    yield from (f"{name} is not declared; it is kept and left alone" for name in undeclared)


def _columns(declared: tuple[Column, ...], live: tuple[Column, ...] | None) -> list[ColumnView]:
    expected, found = ({column.name: column for column in columns or ()} for columns in (declared, live))
    listed = [*expected, *(name for name in found if name not in expected)]
    return [_column(name, expected.get(name), found.get(name), is_there=live is not None) for name in listed]


def _column(name: str, declared: Column | None, live: Column | None, *, is_there: bool) -> ColumnView:
    shapes = [f"{column.sql_type}, {column.mode}" if column else None for column in (declared, live)]
    drift = None
    if declared is None:
        drift = "not declared"
    elif is_there and live is None:
        drift = "missing in the live table"
    elif is_there and shapes[0] != shapes[1]:
        drift = f"declared {shapes[0]}, live {shapes[1]}"
    return ColumnView(name=name, declared=shapes[0], live=shapes[1], drift=drift)
