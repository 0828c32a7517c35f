"""The declared tables as BigQuery makes them: partitions, clusters, and the DDL that a person reads or a job runs."""

from __future__ import annotations

import json
from collections.abc import Iterable

from schemas import names, tables
from schemas.tables import Column
from shared.ports import TableSpec

_CLUSTERS = {names.PREDICTIONS_TABLE: ("player_lookup", "system_id"), tables.GRADES: ("system_id", "player_lookup")}


def table_spec(table: str) -> TableSpec:
    """Describe a declared table in its newest version. Raises `UnknownTable`."""
    columns = tables.load(table).columns
    return TableSpec(table, columns, partition_by="game_date", cluster_by=_CLUSTERS.get(table, ()))


def create_statement(spec: TableSpec) -> str:
    """Write the CREATE TABLE of a table that does not end."""
    columns = ",\n  ".join(_definition(column) for column in spec.columns)
    partition = f"\nPARTITION BY `{spec.partition_by}`" if spec.partition_by else ""
    cluster = f"\nCLUSTER BY {', '.join(f'`{name}`' for name in spec.cluster_by)}" if spec.cluster_by else ""
    return f"CREATE TABLE IF NOT EXISTS `{spec.name}` (\n  {columns}\n){partition}{cluster}"


def addition_statement(table: str, columns: Iterable[Column]) -> str:
    """Write the one ALTER TABLE that adds columns; those that are there are left as they are."""
    added = ",\n  ".join(f"ADD COLUMN IF NOT EXISTS {_definition(column)}" for column in columns)
    return f"ALTER TABLE `{table}`\n  {added}"


def _definition(column: Column) -> str:
    constraint = " NOT NULL" if column.mode == "REQUIRED" else ""
    # A JSON string is a GoogleSQL string literal too: the same quotes and escapes.
    options = f" OPTIONS (description = {json.dumps(column.description)})" if column.description else ""
    return f"`{column.name}` {column.sql_type}{constraint}{options}"
