"""Compare batches, and hand out what a player's predictions were made from; changes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pydantic import BaseModel

from coordinator.ledger import Ledger
from coordinator.rules import comparing, planning
from coordinator.rules.batch import Batch
from coordinator.rules.comparing import Difference, Key
from coordinator.rules.entries import Delivery
from schemas.messages import PredictionRequest
from shared.errors import Conflict, TableMissing, UnknownPlayer
from shared.ports import Warehouse

CHANGES_SHOWN = 1000


class SystemChangeView(BaseModel):
    """How much one system says otherwise."""

    compared: int
    changed: int
    mean_change: float
    largest: float


class ChangeView(BaseModel):
    """One prediction that the batches say otherwise."""

    player_lookup: str
    system_id: str
    line: str
    before: dict[str, str]
    after: dict[str, str]
    by: float


class DifferenceView(BaseModel):
    """The answer of `/batches/{id}/diff`."""

    before: str
    after: str
    appeared: list[str]
    vanished: list[str]
    lines_appeared: int
    lines_vanished: int
    systems: dict[str, SystemChangeView]
    changes: int
    """All of them; `changed` holds the largest 1,000."""
    changed: list[ChangeView]


class Evidence(BaseModel):
    """The answer of `/batches/{id}/player`: what a player's rows were made from, and those rows as texts."""

    batch_id: str
    schema_version: int
    request: PredictionRequest
    rows: list[dict[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """The use case of those who look, over its ports."""

    ledger: Ledger
    warehouse: Warehouse

    def said(self, batch_id: str) -> dict[Key, dict[str, str]]:
        """What a batch said, by player, system and line.

        Raises:
            UnknownBatch: there is none of that id.
            Conflict: its staging has ended, so that nobody can tell any more.
        """
        batch = self.ledger.batch(batch_id)
        deliveries = self.ledger.snapshot(batch_id).predicted.values()
        versions = sorted({one.schema_version for one in deliveries})
        if not versions:
            return {}
        parameters = {
            comparing.deliveries_of(version): sorted(
                one.delivery for one in deliveries if one.schema_version == version
            )
            for version in versions
        }
        sql = comparing.batch_rows(versions, batch_id=batch_id, planned_at=batch.planned_at)
        found = self.warehouse.query(sql, parameters)
        if not found:
            raise _gone(batch_id)
        return comparing.by_key(found)

    def compare(self, before: str, after: str) -> DifferenceView:
        """Compare what two batches said. Raises as `said`."""
        return view_of(comparing.compare(self.said(before), self.said(after)), before=before, after=after)

    def evidence(self, batch_id: str, player: str) -> Evidence:
        """What a player's predictions in a batch were made from.

        Raises:
            UnknownBatch: there is none of that id.
            UnknownPlayer: he was not predicted in it.
            Conflict: plan or staging of the batch have ended.
        """
        batch = self.ledger.batch(batch_id)
        delivery = self.ledger.snapshot(batch_id).predicted.get(player)
        if delivery is None:
            raise UnknownPlayer(
                f"{player[:80]!r} was not predicted in batch {batch_id}; who was: tipoff gaps {batch_id} --all"
            )
        try:
            planned = self.warehouse.query(planning.requests_statement(batch_id), {"players": [player]})
        except TableMissing as error:
            raise _gone(batch_id) from error
        rows = self._rows(batch, delivery)
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

    def _rows(self, batch: Batch, delivery: Delivery) -> list[dict[str, str | None]]:
        version = delivery.schema_version
        sql = comparing.player_rows(version, batch_id=batch.batch_id, planned_at=batch.planned_at)
        found = self.warehouse.query(sql, {comparing.deliveries_of(version): [delivery.delivery]})
        return [comparing.plain_row(row, version) for row in found]


def view_of(found: Difference, *, before: str, after: str) -> DifferenceView:
    """A difference as an answer."""
    return DifferenceView(
        before=before,
        after=after,
        appeared=list(found.appeared),
        vanished=list(found.vanished),
        lines_appeared=found.lines_appeared,
        lines_vanished=found.lines_vanished,
        systems={name: SystemChangeView(**asdict(one)) for name, one in found.systems.items()},
        changes=len(found.changed),
        changed=[ChangeView(**asdict(one), by=one.by) for one in found.changed[:CHANGES_SHOWN]],
    )


def _gone(batch_id: str) -> Conflict:
    return Conflict(
        f"the plan or the staged rows of batch {batch_id} have expired; run the date again to compare",
        batch_id=batch_id,
    )
