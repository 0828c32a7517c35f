"""Put the coordinator's use cases together from ports: the one list of what it is made of, in the cloud and locally."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from coordinator.ledger import Ledger
from coordinator.operator.diagnosis import Diagnosis
from coordinator.operator.views import Views
from coordinator.rules import planning
from coordinator.usecases.consolidate import Consolidator
from coordinator.usecases.grade import Grader
from coordinator.usecases.migrate import plan
from coordinator.usecases.one_at_a_time import Leases
from coordinator.usecases.publish import RequestPublishing
from coordinator.usecases.record import Recorder
from coordinator.usecases.redrive import Redriver
from coordinator.usecases.repair import StagingRepair
from coordinator.usecases.start import Starter
from coordinator.usecases.sweep import Sweeper
from shared.errors import Unavailable
from shared.ports import DocumentStore, Publisher, Warehouse
from shared.settings import PlanningRules, Policy

US_EASTERN = ZoneInfo("America/New_York")
"""Game dates are US Eastern, whatever the clock of the machine says (D6)."""


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
    holder: str
    revision: str
    policy: Policy
    rules: PlanningRules
    lease: timedelta
    max_bytes: int
    renew_every: timedelta = timedelta(seconds=20)
    auto_migrate: bool = True
    commit: str = "unknown"

    def today(self) -> date:
        """The date now, as game dates go."""
        return self.clock().astimezone(US_EASTERN).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinator:
    """The use cases."""

    parts: Parts
    starter: Starter
    redriver: Redriver
    ledger: Ledger
    recorder: Recorder
    consolidator: Consolidator
    sweeper: Sweeper
    grader: Grader
    views: Views
    diagnosis: Diagnosis

    @property
    def checks(self) -> Mapping[str, Callable[[], object]]:
        """What really asks each dependency; each raises a `TipoffError` where that does not answer (C3)."""
        return {
            "documents": self.ledger.check,
            "warehouse": self._check_tables,
            "requests": self.parts.requests.check,
            "finished": self.parts.finished.check,
        }

    def _check_tables(self) -> None:
        lacking = [change.spec.name for change in plan(self.parts.warehouse) if change.live is None]
        if lacking:
            raise Unavailable(f"there is no table {', '.join(lacking)}; `tipoff schema apply` makes it")
        # A job, free of charge: looking at tables does not need the right to run one, and a batch does.
        self.parts.warehouse.estimate(planning.check_query(), {"game_date": self.parts.today()})


def assemble(parts: Parts) -> Coordinator:
    """Build the use cases; asks nothing of the world yet."""
    ledger = Ledger(parts.documents)
    consolidator = Consolidator(
        ledger=ledger,
        warehouse=parts.warehouse,
        finished=parts.finished,
        leases=Leases(
            ledger=ledger, warehouse=parts.warehouse, holder=parts.holder, lasting=parts.lease, clock=parts.clock
        ),
        clock=parts.clock,
        revision=parts.revision,
        max_bytes=parts.max_bytes,
        renew_every=parts.renew_every,
        auto_migrate=parts.auto_migrate,
    )
    publishing = RequestPublishing(ledger=ledger, warehouse=parts.warehouse, requests=parts.requests, clock=parts.clock)
    recorder = Recorder(ledger=ledger, publishing=publishing, consolidator=consolidator, clock=parts.clock)
    starter = Starter(
        ledger=ledger,
        warehouse=parts.warehouse,
        publishing=publishing,
        recorder=recorder,
        rules=parts.rules,
        clock=parts.clock,
        revision=parts.revision,
    )
    sweeper = Sweeper(
        ledger=ledger,
        publishing=publishing,
        recorder=recorder,
        consolidator=consolidator,
        repair=StagingRepair(ledger=ledger, warehouse=parts.warehouse, clock=parts.clock),
        clock=parts.clock,
    )
    return Coordinator(
        parts=parts,
        starter=starter,
        redriver=Redriver(ledger=ledger, starter=starter),
        ledger=ledger,
        recorder=recorder,
        consolidator=consolidator,
        sweeper=sweeper,
        grader=Grader(warehouse=parts.warehouse, clock=parts.clock, today=parts.today, max_bytes=parts.max_bytes),
        views=Views(ledger),
        diagnosis=Diagnosis(ledger=ledger, warehouse=parts.warehouse, clock=parts.clock),
    )
