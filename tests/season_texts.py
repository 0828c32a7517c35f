"""The SQL texts about a season, for the test that shows every text to the analyzer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from coordinator.rules import accuracy, comparing, grading, player_queries, season
from schemas import names
from shared.ports import Parameters

Texts = Mapping[str, Sequence[tuple[str, str, Parameters]]]
"""Who holds a text -> the statements that it ends up in: name, text, parameters."""

GAME_DATE = date(2026, 1, 30)
BATCH_ID = names.batch_id(GAME_DATE, "a-key")
NOON = datetime(2026, 1, 30, 17, tzinfo=UTC)


def season_texts() -> Texts:
    """All of them."""
    return {**_grading(), **_looked_up()}


def _grading() -> Texts:
    """The texts around a date's grades."""
    merged = ("merge grades", grading.merge(GAME_DATE), {"graded_at": NOON})
    counted: tuple[str, str, Parameters] = ("count grades", grading.count(GAME_DATE), {})
    span = accuracy.span(GAME_DATE, GAME_DATE)
    return {
        "coordinator.rules.grading.source": [merged, counted],
        "coordinator.rules.grading._graded": [merged, counted],
        "coordinator.rules.grading._box_scores": [merged, counted],
        "coordinator.rules.grading._matched": [merged, counted],
        "coordinator.rules.grading.merge": [merged],
        "coordinator.rules.grading.count": [counted],
        "coordinator.rules.grading.ungraded_games": [("ungraded games", grading.ungraded_games(), span)],
        "coordinator.rules.grading.dates_due": [("dates due", grading.dates_due(), span)],
        "coordinator.rules.grading.dates_to_grade": [("dates to grade", grading.dates_to_grade(), span)],
    }


def _looked_up() -> Texts:
    """The texts that read grades."""
    span = accuracy.span(GAME_DATE, GAME_DATE)
    of_system = {**span, "system": "ensemble"}
    points = [(f"points by {by}", accuracy.points(by), span) for by in accuracy.SplitBy]
    days = ("errors by day", accuracy.by_day(), span)
    newest = ("newest intervals", accuracy.newest_intervals(), accuracy.newest_parameters(GAME_DATE))
    searches = [player_queries.Search(game_date=GAME_DATE, sort=sort, page=2) for sort in player_queries.Sort]
    history = player_queries.history_parameters("ann", GAME_DATE, GAME_DATE)
    planned_at = datetime(2026, 1, 30, 15, tzinfo=UTC)
    of_batch = comparing.batch_rows((1, 2), batch_id=BATCH_ID, planned_at=planned_at)
    deliveries: Parameters = {comparing.deliveries_of(version): ["d"] for version in (1, 2)}
    return {
        "coordinator.rules.comparing.batch_rows": [("batch rows", of_batch, deliveries)],
        "coordinator.rules.comparing.player_rows": [
            (
                f"player rows v{version}",
                comparing.player_rows(version, batch_id=BATCH_ID, planned_at=planned_at),
                {comparing.deliveries_of(version): ["d"]},
            )
            for version in (1, 2)
        ],
        "coordinator.rules.player_queries.players": [
            (f"players by {search.sort}", player_queries.players(search), search.parameters) for search in searches
        ],
        "coordinator.rules.player_queries.systems": [
            ("systems", player_queries.systems(GAME_DATE), {"players": ["ann"]})
        ],
        "coordinator.rules.player_queries.teams": [("teams", player_queries.teams(GAME_DATE), {})],
        "coordinator.rules.player_queries.history": [("history", player_queries.history(), history)],
        "coordinator.rules.player_queries.results": [("results", player_queries.results(), history)],
        "coordinator.rules.season.games": [("games by date", season.games(), span)],
        "coordinator.rules.season.predicted": [("predictions by date", season.predicted(), span)],
        "coordinator.rules.season.graded": [("grades by date", season.graded(), span)],
        "coordinator.rules.accuracy._player_games": [*points, days],
        "coordinator.rules.accuracy.points": points,
        "coordinator.rules.accuracy.by_day": [days],
        "coordinator.rules.accuracy.reliability": [("reliability", accuracy.reliability(), of_system)],
        "coordinator.rules.accuracy.recommendations": [("recommended", accuracy.recommendations(), of_system)],
        "coordinator.rules.accuracy.totals": [("totals", accuracy.totals(), span)],
        "coordinator.rules.accuracy.newest_intervals": [newest],
    }
