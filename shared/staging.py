"""What a batch's staging table is: the same whoever makes it, the coordinator beforehand or a worker that finds none."""

from __future__ import annotations

from datetime import datetime, timedelta

from schemas import names, tables
from shared.ports import TableSpec

OUTLIVES_LATE = timedelta(days=3)
"""The warehouse's own expiry of plan and staging after `late_until`: the net below the sweep, which drops them first."""


def staging_spec(batch_id: str, *, schema_version: int, late_until: datetime) -> TableSpec:
    """Describe the staging table of a batch's workers of one schema version."""
    return TableSpec(
        names.staging_table(batch_id, schema_version),
        tables.staging_columns(schema_version),
        expires_at=late_until + OUTLIVES_LATE,
        labels={"app": "tipoff", "batch_id": batch_id},
    )
