"""What people ask of many dates, and of the tables' columns."""

from __future__ import annotations

from coordinator.assembly import Coordinator
from coordinator.operator.accuracy import AccuracyView, measure
from coordinator.operator.bodies import AccuracyQuery, SpanQuery
from coordinator.operator.schema_view import SchemaView, view_schema
from coordinator.operator.season import SeasonView, look
from coordinator.routes.route import Routes

routes = Routes()


@routes.add("get", "/accuracy", refusals=(422,))
def accuracy(coordinator: Coordinator, query: AccuracyQuery) -> AccuracyView:
    """How good the graded predictions of a span were."""
    parts = coordinator.parts
    return measure(parts.warehouse, query.first, query.last, today=parts.today(), by=query.by, system=query.system)


@routes.add("get", "/season", refusals=(422,))
def season(coordinator: Coordinator, query: SpanQuery) -> SeasonView:
    """Every date of a span with games: its newest batch, its predictions and their grades."""
    parts = coordinator.parts
    return look(coordinator.ledger, parts.warehouse, query.first, query.last, today=parts.today())


@routes.add("get", "/schema")
def schema(coordinator: Coordinator) -> SchemaView:
    """Declared columns beside those of the live tables."""
    return view_schema(coordinator.parts.warehouse, coordinator.ledger)
