"""What concerns many dates: grading what was played, and how good it was."""

from __future__ import annotations

from datetime import date

from flask import Flask, Response, jsonify
from pydantic import TypeAdapter

from coordinator.assembly import Coordinator
from coordinator.operator.accuracy import AccuracyView
from coordinator.operator.bodies import GameDate, GradeBody
from coordinator.operator.season import SeasonView
from coordinator.routes.exchange import Caller, Check, check_query, query_value, read_body
from coordinator.rules.accuracy import By
from coordinator.usecases.grade import LAST_DAYS, GradeAnswer
from shared.errors import InvalidInput

_GAME_DATE: TypeAdapter[date | None] = TypeAdapter(GameDate)
_TEXT: TypeAdapter[str | None] = TypeAdapter(str | None)


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve `/grade`, `/accuracy` and `/season`."""

    @app.post("/grade")
    def grade() -> Response:
        check(Caller.SCHEDULER, Caller.ADMIN)
        return jsonify(_grade(coordinator, read_body(GradeBody)).model_dump(mode="json"))

    @app.get("/accuracy")
    def accuracy() -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        check_query("from", "to", "by", "system")
        return jsonify(measured(coordinator).model_dump(mode="json"))

    @app.get("/season")
    def season() -> Response:
        check(Caller.ADMIN, Caller.VIEWER)
        check_query("from", "to")
        return jsonify(looked(coordinator).model_dump(mode="json"))


def looked(coordinator: Coordinator) -> SeasonView:
    """Look at the dates that the request's query asks for. Raises `InvalidInput`, naming the parameter."""
    return coordinator.season.look(query_value("from", _GAME_DATE, None), query_value("to", _GAME_DATE, None))


def measured(coordinator: Coordinator) -> AccuracyView:
    """Measure what the request's query asks for. Raises `InvalidInput`, naming the parameter."""
    return coordinator.accuracy.measure(
        query_value("from", _GAME_DATE, None),
        query_value("to", _GAME_DATE, None),
        by=query_value("by", TypeAdapter(By), By.SYSTEM),
        system=query_value("system", _TEXT, None),
    )


def _grade(coordinator: Coordinator, body: GradeBody) -> GradeAnswer:
    grader = coordinator.grader
    if body.game_date is not None:
        if body.first is not None or body.last is not None:
            raise InvalidInput("game_date", "cannot go with from and to; give either game_date or from and to")
        return grader.grade(body.game_date, body.game_date)
    today = coordinator.parts.today()
    if body.first is None and body.last is None:
        return grader.grade_what_is_there(today - LAST_DAYS, today)
    last = body.last or today
    return grader.grade(body.first or last, last)
