"""The declared tables as BigQuery makes them: partitions, clusters, and the DDL that a person reads or a job runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from schemas import names, tables
from schemas.tables import Column
from shared.ports import TableSpec

KEEP_DAYS = 30
"""Days for which staged rows and plans are kept: beyond the `late_until` of any batch, so that nobody drops anything."""

_CLUSTERS = {names.PREDICTIONS_TABLE: ("player_lookup", "system_id"), tables.GRADES: ("system_id", "player_lookup")}


def table_spec(table: str) -> TableSpec:
    """Describe a declared table in its newest version. Raises `UnknownTable`."""
    columns = tables.load(table).columns
    return TableSpec(table, columns, partition_by="game_date", cluster_by=_CLUSTERS.get(table, ()))


def kept_until(planned_at: datetime) -> date:
    """The first day on which the staged rows of a batch are gone."""
    return planned_at.astimezone(UTC).date() + timedelta(days=KEEP_DAYS)


def staging_spec(schema_version: int) -> TableSpec:
    """Describe the permanent staging table of a predictions version. Raises `UnknownTable`."""
    return TableSpec(
        names.staging_table(schema_version),
        tables.staging_columns(schema_version),
        partition_by=tables.PLANNED_ON_COLUMN,
        cluster_by=(tables.BATCH_COLUMN,),
        partition_days=KEEP_DAYS,
        needs_partition_filter=True,
    )


def every_spec() -> tuple[TableSpec, ...]:
    """Describe every table that lasts: the declared ones in their newest version, and staging of every version."""
    staging = (staging_spec(version) for version in tables.versions(names.PREDICTIONS_TABLE))
    return (*map(table_spec, tables.TABLES), *staging)


def create_statement(spec: TableSpec) -> str:
    """Write the CREATE TABLE of a table that does not end."""
    columns = ",\n  ".join(_definition(column) for column in spec.columns)
    partition = f"\nPARTITION BY `{spec.partition_by}`" if spec.partition_by else ""
    cluster = f"\nCLUSTER BY {', '.join(f'`{name}`' for name in spec.cluster_by)}" if spec.cluster_by else ""
    options = {
        "partition_expiration_days": spec.partition_days,
        "require_partition_filter": "TRUE" if spec.needs_partition_filter else None,
    }
    given = ", ".join(f"{name} = {value}" for name, value in options.items() if value is not None)
    said = f"\nOPTIONS ({given})" if given else ""
    return f"CREATE TABLE IF NOT EXISTS `{spec.name}` (\n  {columns}\n){partition}{cluster}{said}"


def addition_statement(table: str, columns: Iterable[Column]) -> str:
    """Write the one ALTER TABLE that adds columns; those that are there are left as they are."""
    added = ",\n  ".join(f"ADD COLUMN IF NOT EXISTS {_definition(column)}" for column in columns)
    return f"ALTER TABLE `{table}`\n  {added}"


def _definition(column: Column) -> str:
    constraint = " NOT NULL" if column.mode == "REQUIRED" else ""
    # A JSON string is a GoogleSQL string literal too: the same quotes and escapes.
    options = f" OPTIONS (description = {json.dumps(column.description)})" if column.description else ""
    return f"`{column.name}` {column.sql_type}{constraint}{options}"
