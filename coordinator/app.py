"""The coordinator over HTTP: its routes, who may call them, and every error as a problem document."""

from __future__ import annotations

from collections.abc import Callable, Collection

from flask import Flask, g, request

from coordinator.assembly import Coordinator
from coordinator.routes import openapi, route
from coordinator.routes.exchange import Caller
from shared import edge
from shared.auth import token_header

Guard = Callable[[str | None, frozenset[Caller]], str | None]
"""Takes the header with the token, and who may call; returns the account that the token proves, None where none is checked;
raises an error of the tree for anybody else."""


def create_app(
    coordinator: Coordinator, *, guard: Guard, only_loopback: bool = True, schedulers: Collection[str] = ()
) -> Flask:
    """Serve a coordinator.

    Args:
        only_loopback: serve calls by a name of this machine only, as must be where `guard` lets everybody in.
        schedulers: the accounts of Cloud Scheduler, which count where `guard` proves accounts.
    """
    app = Flask("coordinator", template_folder="operator/dashboard/templates")

    edge.guard(
        app, only_loopback=only_loopback, forms_below="/dashboard/", pushed_to=frozenset({"/complete", "/dead-letter"})
    )

    def check(*callers: Caller) -> None:
        proven = guard(token_header(request.headers), frozenset(callers))
        g.may_be_scheduler = proven is None or proven in schedulers
        g.account = proven or ("whoever is on this machine" if only_loopback else "nobody known")

    route.serve(app, coordinator, check, openapi.ROUTES)
    running = {"revision": coordinator.parts.revision, "commit": coordinator.parts.commit}
    edge.serve_health(app, service="coordinator", running=running, checks=coordinator.checks)
    return app
