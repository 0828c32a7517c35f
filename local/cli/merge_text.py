"""The exact statement of a batch's next MERGE, for a person to read; made by the code that would run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from coordinator.ledger import Ledger
from coordinator.rules import merge
from coordinator.usecases.schema_check import fit
from schemas import names
from shared.declared import addition_statement
from shared.errors import InvalidInput
from shared.ports import Tables


@dataclass(frozen=True, slots=True)
class MergeText:
    """The statements in order, the MERGE last; parameters as JSON has them."""

    job_id: str
    statements: tuple[str, ...]
    parameters: Mapping[str, object]


def merge_text(warehouse: Tables, ledger: Ledger, batch_id: str) -> MergeText:
    """Write the MERGE that would consolidate a batch as its ledger stands; changes nothing.

    Raises:
        InvalidInput: that is no batch id.
        UnknownBatch: the ledger has no such batch.
        SchemaClash, TableMissing: a MERGE would be refused; says why.
    """
    try:
        batch = ledger.batch(names.check_batch_id(batch_id))
    except ValueError as error:
        raise InvalidInput("BATCH", str(error)) from error
    found = fit(warehouse, batch, ledger.snapshot(batch_id))
    last = batch.last_merge
    number = 1 if last is None else last.number + (last.state != "submitted")
    added = (addition_statement(names.PREDICTIONS_TABLE, found.lacking),) if found.lacking else ()
    parameters = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in found.job.parameters.items()
    }
    return MergeText(names.merge_job_id(batch_id, number), (*added, merge.merge(found.job)), parameters)
