"""The dashboard's buttons, which do exactly what the routes that they stand for do."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial

from flask import Response, make_response, request
from pydantic import BaseModel

from coordinator.assembly import Coordinator
from coordinator.operator.answers import RedriveAnswer
from coordinator.operator.bodies import ConsolidateBody, NoBody, PolicyChanges, RedriveBody, SweepBody
from coordinator.operator.dashboard import words
from coordinator.routes import batches, forms, schedule
from coordinator.routes.exchange import Caller, read_as
from coordinator.routes.route import Routes
from shared.errors import InvalidInput, TipoffError

_log = logging.getLogger(__name__)

routes = Routes()
_button = partial(routes.add, "post", callers=(Caller.ADMIN,), answers={303: ()}, is_page=True)


@_button("/dashboard/sweep")
def sweep(coordinator: Coordinator) -> Response:
    """The button that sweeps."""
    forms.check_form(request)
    _, words = _carry_out("sweep", lambda: schedule.sweep(coordinator, SweepBody()))
    return _tell("/", words)


@_button("/dashboard/batches/{batch_id}/{action}", refusals=(404, 422))
def act(coordinator: Coordinator, batch_id: str, action: str) -> Response:
    """A button of a batch's page."""
    forms.check_form(request)
    view, body = view_of(action)
    of_batch = {} if action == "sweep" else {"batch_id": batch_id}
    answer, words = _carry_out(action, lambda: view(coordinator, **of_batch, body=body))
    shown = answer.batch_id if isinstance(answer, RedriveAnswer) else batch_id
    return _tell(f"/dashboard/batches/{shown}", words)


def view_of(action: str) -> tuple[Callable[..., BaseModel], BaseModel]:
    """What a button stands for: the view of its route, and the body. Raises `InvalidInput` where there is no such button."""
    match action:
        case "sweep":
            return schedule.sweep, SweepBody()
        case "consolidate" | "force":
            return batches.consolidate, ConsolidateBody(force=action == "force")
        case "redrive":
            group = request.form.get("group", "")[:64]
            return batches.redrive, read_as(RedriveBody, {"group": group} if group else {})
        case "cancel":
            return batches.cancel, NoBody()
        case "policy":
            return batches.policy, read_as(PolicyChanges, {"deadline_minutes": _minutes()})
        case _:
            raise InvalidInput("action", f"there is no action {action!r}; use the buttons of the batch's page")


def _minutes() -> int:
    given = request.form.get("minutes", "")
    if not re.fullmatch(r"[0-9]{1,6}", given):
        raise InvalidInput("minutes", f"{given[:20]!r} is not a number of minutes; give one such as 240")
    return int(given)


def _carry_out(action: str, call: Callable[[], BaseModel]) -> tuple[BaseModel | None, str]:
    """Do it, and say what came of it; what is refused is said too."""
    try:
        answer = call()
    except TipoffError as error:
        _log.warning("button not carried out", extra={"json_fields": {"path": request.path, "reason": str(error)}})
        return None, f"{words.REFUSED} {error}"
    return answer, words.answer_words(action, answer)


def _tell(where: str, words: str) -> Response:
    answer = make_response("", 303, {"Location": where})
    forms.say_next(answer, request, words)
    return answer
