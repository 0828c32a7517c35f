"""Pages about many dates, for people."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from flask import Flask, Response
from pydantic import Field, TypeAdapter

from coordinator.assembly import Coordinator
from coordinator.operator.bodies import DATE_PATTERN, GameDate
from coordinator.operator.dashboard import predictions_page
from coordinator.operator.dashboard.accuracy_page import accuracy_page
from coordinator.operator.dashboard.pages import TONES
from coordinator.routes.exchange import Caller, Check, query_value
from coordinator.routes.frame import page, show
from coordinator.routes.season import looked, measured
from coordinator.rules.looking import Search, Sort
from shared.errors import InvalidInput

MAX_TEXT = 200

_GAME_DATE: TypeAdapter[date | None] = TypeAdapter(GameDate)
_IS_DATE = re.compile(DATE_PATTERN)
_TEXT = TypeAdapter(Annotated[str, Field(max_length=MAX_TEXT)])
_PAGE = TypeAdapter(Annotated[int, Field(ge=1, le=100_000)])


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve the dashboard's pages of a season."""

    @app.get("/dashboard/accuracy")
    def dashboard_accuracy() -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return show(lambda: page("accuracy.html", page=accuracy_page(measured(coordinator))))

    @app.get("/dashboard/dates/<game_date>")
    def dashboard_date(game_date: str) -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return show(lambda: _date(coordinator, game_date))

    @app.get("/dashboard/player")
    def dashboard_player() -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return show(lambda: _player(coordinator))

    @app.get("/dashboard/season")
    def dashboard_season() -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        return show(lambda: page("season.html", season=looked(coordinator), tones=TONES))


def _date(coordinator: Coordinator, game_date: str) -> Response:
    day = _GAME_DATE.validate_python(game_date) if _IS_DATE.fullmatch(game_date) else None
    if day is None:
        raise InvalidInput("game_date", f"{game_date[:20]!r} is not a date; write it as 2026-01-30")
    search = Search(
        game_date=day,
        name=query_value("name", _TEXT, ""),
        team=query_value("team", _TEXT, ""),
        recommendation=query_value("recommendation", _TEXT, ""),
        sort=query_value("sort", TypeAdapter(Sort), Sort.POINTS),
        page=query_value("page", _PAGE, 1),
    )
    return page("date.html", page=predictions_page.list_page(coordinator.looking.players(search)))


def _player(coordinator: Coordinator) -> Response:
    player = query_value("name", _TEXT, "")
    if not player:
        raise InvalidInput("name", "missing; open a player's page from a date's page")
    return page("player.html", page=predictions_page.player_page(coordinator.looking.player(player)))
