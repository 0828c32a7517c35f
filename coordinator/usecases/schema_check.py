"""Compare a batch's live tables with the declared ones before a MERGE, by name: what it may read and write, and what the
predictions table lacks for it (B1, B2, E4). Reads only; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.rules import merge
from coordinator.rules.batch import Batch
from coordinator.rules.entries import Snapshot
from schemas import names, tables
from schemas.tables import Column
from shared.errors import SchemaClash, TableMissing
from shared.ports import Tables


@dataclass(frozen=True, slots=True)
class Fit:
    """What a batch's MERGE is about once the predictions table has every column that the batch needs."""

    job: merge.Consolidation
    lacking: tuple[Column, ...]
    """Columns that the batch's schema versions have and the predictions table has not: one additive ALTER mends it."""
    undeclared: tuple[Column, ...]
    """Columns of the predictions table that no version declares; they are left alone."""


def fit(warehouse: Tables, batch: Batch, snapshot: Snapshot) -> Fit:
    """Compare the staging tables of a batch's versions and the predictions table with their declarations.

    The predictions table may be of an older version than the newest declared one as long as nobody staged rows of that.

    Raises:
        TableMissing: a table is not there.
        SchemaClash: one differs from its declaration in a way that no added column mends, or rows were staged in a
            version that this coordinator does not know; names tables and columns.
    """
    versions = {delivery.schema_version for delivery in snapshot.predicted.values()} | {batch.schema_version}
    staging = tuple(_staging(warehouse, version) for version in sorted(versions))
    declared = tables.load(names.PREDICTIONS_TABLE).columns
    drift = tables.compare(declared, _live(warehouse, names.PREDICTIONS_TABLE))
    if drift.clashes:
        raise SchemaClash(_differs(names.PREDICTIONS_TABLE, drift.clashes))
    needed = {name for version in versions for name in tables.load(names.PREDICTIONS_TABLE, version).names}
    absent = frozenset(column.name for column in drift.missing_in_live) - needed
    job = merge.Consolidation(
        game_date=batch.game_date,
        planned_at=batch.planned_at,
        batch_id=batch.batch_id,
        kind=batch.kind,
        columns=tuple(column for column in declared if column.name not in absent),
        staging=staging,
        snapshot=snapshot,
    )
    lacking = tuple(column for column in drift.missing_in_live if column.name in needed)
    return Fit(job, lacking, drift.undeclared)


def lacks(columns: tuple[Column, ...], why: str) -> SchemaClash:
    """The refusal of a MERGE whose columns the predictions table has not."""
    named = ", ".join(column.name for column in columns)
    return SchemaClash(f"`{names.PREDICTIONS_TABLE}` lacks the columns {named}, and {why}")


def _staging(warehouse: Tables, version: int) -> merge.StagingTable:
    if version not in tables.versions(names.PREDICTIONS_TABLE):
        known = max(tables.versions(names.PREDICTIONS_TABLE))
        raise SchemaClash(
            f"rows were staged in schema version {version}; this coordinator knows versions up to {known}: "
            "deploy a coordinator of the workers' revision, then consolidate again"
        )
    name = names.staging_table(version)
    live = _live(warehouse, name)
    drift = tables.compare(tables.staging_columns(version), live)
    if drift.refusals:
        raise SchemaClash(_differs(name, drift.refusals))
    return merge.StagingTable(version, frozenset(column.name for column in live))


def _live(warehouse: Tables, table: str) -> tuple[Column, ...]:
    live = warehouse.columns(table)
    if live is None:
        raise TableMissing(f"there is no table `{table}`")
    return live


def _differs(table: str, refusals: tuple[str, ...]) -> str:
    return f"`{table}` differs from its declaration: {'; '.join(refusals)}"
