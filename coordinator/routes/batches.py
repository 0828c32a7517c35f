"""What people ask of batches, and tell them to do."""

from __future__ import annotations

from functools import partial
from typing import assert_never

from pydantic import BaseModel

from coordinator.assembly import Coordinator
from coordinator.operator import differences
from coordinator.operator.answers import BatchList, ConsolidateAnswer, RedriveAnswer
from coordinator.operator.bodies import (
    BatchesQuery,
    ConsolidateBody,
    NoBody,
    OtherBatchQuery,
    PlayerQuery,
    PolicyChanges,
    RedriveBody,
)
from coordinator.operator.differences import Evidence
from coordinator.operator.explaining import Explanation
from coordinator.operator.failures import players_of
from coordinator.operator.gaps import Gaps
from coordinator.operator.views import BatchView
from coordinator.routes.exchange import (
    KEY_AND_WHY_HEADERS,
    WHY_HEADER,
    Caller,
    batch_id_of,
    idempotency_key,
    note_action,
)
from coordinator.routes.route import Routes, as_made
from coordinator.rules.comparing import Difference
from coordinator.usecases import cancel as cancelling
from coordinator.usecases.change_policy import change_policy
from coordinator.usecases.consolidate import Report
from shared.errors import Conflict

routes = Routes()


@routes.add("get", "/batches", refusals=(422,))
def batches(coordinator: Coordinator, query: BatchesQuery) -> BatchList:
    """Batches, newest plan first, of one date or of all."""
    return BatchList(batches=coordinator.views.batches(game_date=query.game_date, limit=query.limit))


@routes.add("get", "/batches/{batch_id}", refusals=(404,))
def batch(coordinator: Coordinator, batch_id: str) -> BatchView:
    """Everything about one batch."""
    return coordinator.views.batch(batch_id)


@routes.add("get", "/batches/{batch_id}/explain", refusals=(404,))
def explain(coordinator: Coordinator, batch_id: str) -> Explanation:
    """Why a batch stands where it does, and what a person can do, in sentences."""
    return coordinator.diagnosis.explain(batch_id)


@routes.add("get", "/batches/{batch_id}/gaps", refusals=(404,))
def gaps(coordinator: Coordinator, batch_id: str) -> Gaps:
    """Where each expected player got stuck, by name."""
    return coordinator.diagnosis.find_gaps(batch_id)


@routes.add("get", "/batches/{batch_id}/diff", refusals=(404, 409, 422))
def diff(coordinator: Coordinator, batch_id: str, query: OtherBatchQuery) -> Difference:
    """How the predictions of another batch differ from those of this one."""
    return differences.compare(coordinator.ledger, coordinator.parts.warehouse, batch_id, batch_id_of(query.other))


@routes.add("get", "/batches/{batch_id}/player", refusals=(404, 409, 422))
def evidence(coordinator: Coordinator, batch_id: str, query: PlayerQuery) -> Evidence:
    """What a player's predictions in a batch were made from, and their rows."""
    return differences.evidence(coordinator.ledger, coordinator.parts.warehouse, batch_id, query.name)


# --- what people have done ------------------------------------------------------------------------------------

_admin = partial(routes.add, callers=(Caller.ADMIN,), headers=WHY_HEADER, refusals=(404, 409, 422))


@_admin("post", "/batches/{batch_id}/consolidate")
def consolidate(coordinator: Coordinator, batch_id: str, body: ConsolidateBody) -> ConsolidateAnswer:
    """Consolidate now, by force in spite of who is missing.

    Raises:
        Conflict: the rows are not in the predictions table; says why.
    """
    _note(coordinator, batch_id, "consolidate", body)
    report = coordinator.consolidator.consolidate(batch_id, forced=body.force)
    view = coordinator.views.batch(batch_id)
    # Nothing is to be done with a FAILED batch that nobody forces, and that is no success.
    is_merged = report in (Report.MERGED, Report.NOTHING_TO_DO) and view.state in ("COMPLETE", "PARTIAL", "EMPTY")
    if not is_merged:
        raise Conflict(_why_not(report, view), batch_id=batch_id)
    return ConsolidateAnswer(report=report.value, left_out=sorted([*view.silent, *view.failed]), batch=view)


@_admin(
    "post",
    "/batches/{batch_id}/redrive",
    headers=KEY_AND_WHY_HEADERS,
    answers={200: (RedriveAnswer,), 202: (RedriveAnswer,)},
    respond=as_made,
)
def redrive(coordinator: Coordinator, batch_id: str, body: RedriveBody) -> RedriveAnswer:
    """Start a child batch of the players who are not predicted; 200 for a repeat."""
    _note(coordinator, batch_id, "redrive", body)
    only = None if body.group is None else players_of(coordinator.ledger.shards(batch_id), body.group)
    started = coordinator.redriver.redrive(batch_id, key=idempotency_key(), only=only)
    return RedriveAnswer(
        batch_id=started.batch.batch_id,
        parent=str(started.batch.parent),
        state=started.batch.state,
        expected=started.batch.expected_count,
        started=started.is_new,
        not_expected=list(started.batch.left_out),
    )


@_admin("post", "/batches/{batch_id}/cancel")
def cancel(coordinator: Coordinator, batch_id: str, body: NoBody) -> BatchView:
    """Give a live batch up; nothing of it is ever merged."""
    _note(coordinator, batch_id, "cancel", body)
    coordinator.consolidator.notify(cancelling.cancel(coordinator.ledger, coordinator.parts.warehouse, batch_id))
    return coordinator.views.batch(batch_id)


@_admin("patch", "/batches/{batch_id}/policy")
def policy(coordinator: Coordinator, batch_id: str, body: PolicyChanges) -> BatchView:
    """Change what a live batch tolerates; its deadline follows."""
    _note(coordinator, batch_id, "policy", body)
    change_policy(coordinator.ledger, batch_id, body.applied_to)
    return coordinator.views.batch(batch_id)


def _note(coordinator: Coordinator, batch_id: str, action: str, body: BaseModel) -> None:
    """Keep who asks for what, of a batch that exists."""
    coordinator.ledger.batch(batch_id)
    note_action(coordinator, batch_id, action, body)


_FORCED = 'tipoff consolidate {} --force (a body of {{"force": true}})'


def _why_not(report: Report, view: BatchView) -> str:
    match report:
        case Report.BUSY:
            return "another instance is consolidating this date; ask again when it has finished"
        case Report.WAITING:
            named = ", ".join(view.silent[:5]) + (", ..." if len(view.silent) > 5 else "")
            silent = f"{len(view.silent)} players are silent ({named})"
            return f"{silent}; to go on without them: {_FORCED.format(view.batch_id)}"
        case Report.SUPERSEDED:
            return "a newer batch of the date has merged; this one never will"
        case Report.NOTHING_TO_DO:
            stands = f"the batch is {view.state}: {view.reason}"
            return f"{stands}; to consolidate it all the same: {_FORCED.format(view.batch_id)}"
        case Report.REFUSED | Report.MERGED:
            return view.late_refusal or view.reason
        case _:
            assert_never(report)
