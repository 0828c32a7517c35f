"""What concerns many dates: grading what was played."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask, Response, jsonify

from coordinator.assembly import Coordinator
from coordinator.operator.bodies import GradeBody
from coordinator.routes.exchange import Caller, Check, read_body
from coordinator.usecases.grade import GradeAnswer
from shared.errors import InvalidInput

LAST_DAYS = timedelta(days=7)
"""So far back a daily grading looks: box scores come late, and are corrected for some days."""


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve `/grade`."""

    @app.post("/grade")
    def grade() -> Response:
        check(Caller.SCHEDULER, Caller.ADMIN)
        return jsonify(_grade(coordinator, read_body(GradeBody)).model_dump(mode="json"))


def _grade(coordinator: Coordinator, body: GradeBody) -> GradeAnswer:
    grader = coordinator.grader
    if body.game_date is not None:
        if body.first is not None or body.last is not None:
            raise InvalidInput("game_date", "cannot go with from and to; give the one or the others")
        return grader.grade(body.game_date, body.game_date)
    today = coordinator.parts.today()
    if body.first is None and body.last is None:
        return grader.grade_what_is_there(today - LAST_DAYS, today)
    last = body.last or today
    return grader.grade(body.first or last, last)
