"""What Pub/Sub pushes: outcomes, and requests that it gave up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from flask import Response, request

from coordinator.assembly import Coordinator
from coordinator.routes.exchange import Caller
from coordinator.routes.route import Routes
from coordinator.usecases.consolidate import Report
from coordinator.usecases.record import read_outcomes, who_gave_up
from schemas.messages import FailureCode, PushEnvelope
from shared import push_answers
from shared.errors import MalformedMessage, TipoffError, Transient
from shared.push import Pushed, open_envelope, slice_of

_log = logging.getLogger(__name__)

routes = Routes()
_pushed = partial(routes.add, "post", callers=(Caller.PUSH,), body=PushEnvelope, answers={204: ()})


@_pushed("/complete")
def complete(coordinator: Coordinator) -> Response:
    """The outcomes of a slice, pushed."""
    return _take(lambda pushed: _complete(coordinator, pushed))


@_pushed("/dead-letter")
def dead_letter(coordinator: Coordinator) -> Response:
    """Requests that nobody could take, pushed: a single player fails, several are published again alone."""
    return _take(lambda pushed: _give_up(coordinator, pushed))


def _complete(coordinator: Coordinator, pushed: Pushed) -> Report | None:
    recorder = coordinator.recorder
    try:
        found = read_outcomes(pushed.data)
    except MalformedMessage as error:
        _log.error("outcomes unreadable", extra={"json_fields": {"reason": str(error)}})
        return recorder.give_up(slice_of(pushed.attributes), FailureCode.BAD_REQUEST, f"unreadable outcomes: {error}")
    if found.unreadable is not None:
        return recorder.give_up(slice_of(pushed.attributes), FailureCode.BAD_REQUEST, found.unreadable)
    return recorder.record(found.outcomes)


def _give_up(coordinator: Coordinator, pushed: Pushed) -> Report | None:
    name = slice_of(pushed.attributes)
    return coordinator.recorder.give_up(name, FailureCode.DEAD_LETTERED, who_gave_up(pushed.attributes))


def _take(act: Callable[[Pushed], Report | None]) -> Response:
    """Do with a pushed message what it asks for, and say in one line how that ended (C7).

    Transient trouble leaves as 503 through the error handler, whose line is the one then.
    """
    try:
        pushed = open_envelope(request.get_data())
    except MalformedMessage as error:
        return push_answers.poison(error, log=_log, message="push refused")
    with push_answers.delivered(pushed.attributes, pushed):
        try:
            report = act(pushed)
        except Transient:
            raise
        except TipoffError as error:
            return push_answers.poison(error, log=_log, message="push refused")
        _log.info("push finished", extra={"json_fields": {"consolidation": report.value if report else None}})
        return push_answers.done()
