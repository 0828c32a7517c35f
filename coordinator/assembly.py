"""Put the coordinator's use cases together from ports: the one list of what it is made of, in the cloud and locally."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from coordinator.operator.diagnosis import Diagnosis
from coordinator.operator.views import Views
from coordinator.rules.batch import Policy
from coordinator.usecases.consolidate import Consolidator
from coordinator.usecases.drop import Dropper
from coordinator.usecases.leases import Leases
from coordinator.usecases.publish import RequestPublishing
from coordinator.usecases.record import Ledger
from coordinator.usecases.redrive import Redriver
from coordinator.usecases.repair import StagingRepair
from coordinator.usecases.start import PlanningRules, Starter
from coordinator.usecases.sweep import Sweeper
from schemas import names
from shared.errors import TipoffError
from shared.ports import DocumentStore, Publisher, Warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the coordinator needs of the world.

    Args:
        holder: what this instance calls itself in a lease; unique among all instances.
        policy: what a batch tolerates unless its start says otherwise.
        auto_migrate: whether a consolidation adds the columns that its predictions table lacks.
        commit: the source commit of the code that runs, shown by `/health` and `/ready` (D2).
    """

    documents: DocumentStore
    warehouse: Warehouse
    requests: Publisher
    finished: Publisher
    clock: Callable[[], datetime]
    traceparent: Callable[[], str]
    holder: str
    revision: str
    policy: Policy
    rules: PlanningRules
    lease: timedelta
    max_bytes: int
    renew_every: timedelta = timedelta(seconds=20)
    auto_migrate: bool = True
    commit: str = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinator:
    """The use cases."""

    parts: Parts
    starter: Starter
    redriver: Redriver
    ledger: Ledger
    consolidator: Consolidator
    sweeper: Sweeper
    dropper: Dropper
    views: Views
    diagnosis: Diagnosis

    def failing_dependencies(self) -> Mapping[str, str]:
        """Really ask every dependency; name those that do not answer, with what they said (C3)."""
        checks: dict[str, Callable[[], object]] = {
            "documents": lambda: self.parts.documents.get(("batches", "ready")),
            "warehouse": lambda: self.parts.warehouse.columns(names.PREDICTIONS_TABLE),
            "requests": self.parts.requests.check,
            "finished": self.parts.finished.check,
        }
        failing = {}
        for name, check in checks.items():
            try:
                check()
            except TipoffError as error:
                failing[name] = str(error)
        return failing


def assemble(parts: Parts) -> Coordinator:
    """Build the use cases; asks nothing of the world yet."""
    leases = Leases(parts.documents, parts.warehouse, holder=parts.holder, lasting=parts.lease, clock=parts.clock)
    consolidator = Consolidator(
        documents=parts.documents,
        warehouse=parts.warehouse,
        finished=parts.finished,
        leases=leases,
        clock=parts.clock,
        revision=parts.revision,
        max_bytes=parts.max_bytes,
        renew_every=parts.renew_every,
        auto_migrate=parts.auto_migrate,
    )
    publishing = RequestPublishing(
        documents=parts.documents,
        warehouse=parts.warehouse,
        requests=parts.requests,
        clock=parts.clock,
        traceparent=parts.traceparent,
    )
    ledger = Ledger(documents=parts.documents, consolidator=consolidator, clock=parts.clock)
    starter = Starter(
        documents=parts.documents,
        warehouse=parts.warehouse,
        publishing=publishing,
        ledger=ledger,
        rules=parts.rules,
        clock=parts.clock,
        revision=parts.revision,
    )
    sweeper = Sweeper(
        documents=parts.documents,
        publishing=publishing,
        ledger=ledger,
        consolidator=consolidator,
        repair=StagingRepair(documents=parts.documents, warehouse=parts.warehouse, clock=parts.clock),
        clock=parts.clock,
    )
    return Coordinator(
        parts=parts,
        starter=starter,
        redriver=Redriver(documents=parts.documents, starter=starter),
        ledger=ledger,
        consolidator=consolidator,
        sweeper=sweeper,
        dropper=Dropper(documents=parts.documents, warehouse=parts.warehouse, clock=parts.clock),
        views=Views(parts.documents),
        diagnosis=Diagnosis(documents=parts.documents, warehouse=parts.warehouse, clock=parts.clock),
    )
