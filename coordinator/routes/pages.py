"""The dashboard's pages, for people."""

from __future__ import annotations

from datetime import date

from flask import Response

from coordinator.assembly import Coordinator
from coordinator.operator import players
from coordinator.operator.bodies import AccuracyQuery, DateQuery, NameQuery, OtherBatchQuery, SearchQuery, SpanQuery
from coordinator.operator.dashboard import accuracy_plots, player_plots, words
from coordinator.operator.views import BatchSummary
from coordinator.routes import batches, season
from coordinator.routes.frame import page
from coordinator.routes.route import Routes
from coordinator.rules.accuracy import SplitBy
from coordinator.rules.lifecycle import LIVE
from coordinator.rules.player_queries import Search, Sort

BATCHES_LISTED = 60
LIVE_COUNTED = 5
"""So many live batches are read whole for the list; there is one per game date, and its redrives."""

routes = Routes()


@routes.page("/", refusals=(404, 422))
def dashboard(coordinator: Coordinator, query: DateQuery) -> Response:
    """The dashboard: batches by date."""
    views = coordinator.views
    found: list[BatchSummary] = list(views.batches(game_date=query.game_date, limit=BATCHES_LISTED))
    live = [number for number, batch in enumerate(found) if batch.state in LIVE]
    for number in live[:LIVE_COUNTED]:
        found[number] = views.batch(found[number].batch_id)
    return page(
        "batches.html",
        batches=found,
        dates=words.by_date(found),
        chosen=query.game_date,
        now=coordinator.parts.clock(),
        is_cut=len(found) == BATCHES_LISTED,
    )


@routes.page("/dashboard/batches/{batch_id}", refusals=(404,))
def of_batch(coordinator: Coordinator, batch_id: str) -> Response:
    """The page of a batch."""
    view, explanation = coordinator.views.batch(batch_id), coordinator.diagnosis.explain(batch_id)
    return page("batch.html", view=view, explanation=explanation, now=coordinator.parts.clock())


@routes.page("/dashboard/batches/{batch_id}/gaps", refusals=(404,))
def of_gaps(coordinator: Coordinator, batch_id: str) -> Response:
    """The page of a batch's gaps."""
    return page("gaps.html", batch_id=batch_id, groups=words.gap_groups(batches.gaps(coordinator, batch_id)))


@routes.page("/dashboard/batches/{batch_id}/diff", refusals=(404, 409, 422))
def of_diff(coordinator: Coordinator, batch_id: str, query: OtherBatchQuery) -> Response:
    """The page of how two batches differ."""
    return page("diff.html", found=batches.diff(coordinator, batch_id, query))


@routes.page("/dashboard/schema")
def of_schema(coordinator: Coordinator) -> Response:
    """The page of the columns."""
    return page("schema.html", schema=season.schema(coordinator))


@routes.page("/dashboard/dates/{game_date}", refusals=(422,))
def of_date(coordinator: Coordinator, game_date: date, query: SearchQuery) -> Response:
    """The page of a date's predictions."""
    found = players.players(coordinator.parts.warehouse, Search(game_date=game_date, **query.model_dump()))
    return page("date.html", found=found, drawn=player_plots, sorts=tuple(Sort))


@routes.page("/dashboard/player", refusals=(404, 422))
def of_player(coordinator: Coordinator, query: NameQuery) -> Response:
    """The page of a player."""
    parts = coordinator.parts
    found = players.player(coordinator.ledger, parts.warehouse, query.name, today=parts.today())
    return page("player.html", found=found, drawn=player_plots)


@routes.page("/dashboard/season", refusals=(422,))
def of_season(coordinator: Coordinator, query: SpanQuery) -> Response:
    """The page of a span's dates."""
    return page("season.html", season=season.season(coordinator, query), tones=words.TONES)


@routes.page("/dashboard/accuracy", refusals=(422,))
def of_accuracy(coordinator: Coordinator, query: AccuracyQuery) -> Response:
    """The page of how good the predictions were."""
    return page("accuracy.html", view=season.accuracy(coordinator, query), drawn=accuracy_plots, choices=tuple(SplitBy))
