"""Pages about many dates, for people."""

from __future__ import annotations

from flask import Flask, Response

from coordinator.assembly import Coordinator
from coordinator.operator.dashboard.accuracy_page import accuracy_page
from coordinator.routes.exchange import Caller, Check
from coordinator.routes.frame import page, show
from coordinator.routes.season import measured


def serve(app: Flask, coordinator: Coordinator, check: Check) -> None:
    """Serve the dashboard's pages of a season."""

    @app.get("/dashboard/accuracy")
    def dashboard_accuracy() -> Response:
        check(Caller.ADMIN)
        return show(lambda: page("accuracy.html", page=accuracy_page(measured(coordinator))))
