"""Compare batches, and hand out what a player's predictions were made from; changes nothing."""

from __future__ import annotations

from pydantic import BaseModel

from coordinator.ledger import Ledger
from coordinator.rules import comparing, planning
from coordinator.rules.batch import Batch
from coordinator.rules.comparing import Difference, Said
from coordinator.rules.entries import Delivery
from schemas.messages import PredictionRequest
from shared.errors import Conflict, TableMissing, UnknownPlayer
from shared.ports import Warehouse


class Evidence(BaseModel):
    """The answer of `/batches/{id}/player`: what a player's rows were made from, and those rows as texts."""

    batch_id: str
    schema_version: int
    request: PredictionRequest
    rows: list[dict[str, str | None]]


def said(ledger: Ledger, warehouse: Warehouse, batch_id: str) -> Said:
    """What a batch said.

    Raises:
        UnknownBatch: there is none of that id.
        Conflict: its staging has ended, so that nobody can tell any more.
    """
    batch = ledger.batch(batch_id)
    deliveries = ledger.snapshot(batch_id).predicted.values()
    versions = sorted({one.schema_version for one in deliveries})
    if not versions:
        return Said(batch_id, {})
    parameters = {
        comparing.deliveries_of(version): sorted(one.delivery for one in deliveries if one.schema_version == version)
        for version in versions
    }
    sql = comparing.batch_rows(versions, batch_id=batch_id, planned_at=batch.planned_at)
    found = warehouse.query(sql, parameters)
    if not found:
        raise _gone(batch_id)
    return Said(batch_id, comparing.by_key(found))


def compare(ledger: Ledger, warehouse: Warehouse, before: str, after: str) -> Difference:
    """Compare what two batches said. Raises as `said`."""
    return comparing.compare(said(ledger, warehouse, before), said(ledger, warehouse, after))


def evidence(ledger: Ledger, warehouse: Warehouse, batch_id: str, player: str) -> Evidence:
    """What a player's predictions in a batch were made from.

    Raises:
        UnknownBatch: there is none of that id.
        UnknownPlayer: he was not predicted in it.
        Conflict: plan or staging of the batch have ended.
    """
    batch = ledger.batch(batch_id)
    delivery = ledger.snapshot(batch_id).predicted.get(player)
    if delivery is None:
        raise UnknownPlayer(
            f"{player[:80]!r} was not predicted in batch {batch_id}; who was: tipoff gaps {batch_id} --all"
        )
    try:
        planned = warehouse.query(planning.requests_statement(batch_id), {"players": [player]})
    except TableMissing as error:
        raise _gone(batch_id) from error
    rows = _rows(warehouse, batch, delivery)
    if not rows:
        raise _gone(batch_id)
    (request,) = planning.read_plan(planned)
    return Evidence(
        batch_id=batch_id,
        schema_version=delivery.schema_version,
        request=planning.request_of(
            request, batch_id=batch_id, planned_at=batch.planned_at, late_until=batch.late_until
        ),
        rows=rows,
    )


def _rows(warehouse: Warehouse, batch: Batch, delivery: Delivery) -> list[dict[str, str | None]]:
    version = delivery.schema_version
    sql = comparing.player_rows(version, batch_id=batch.batch_id, planned_at=batch.planned_at)
    found = warehouse.query(sql, {comparing.deliveries_of(version): [delivery.delivery]})
    return [comparing.plain_row(row, version) for row in found]


def _gone(batch_id: str) -> Conflict:
    return Conflict(
        f"the plan or the staged rows of batch {batch_id} have expired; run the date again to compare",
        batch_id=batch_id,
    )
