"""Run and grade every date of a span as a batch of its own through a coordinator: what is to be done, and doing it in order.

Nothing is remembered here: what was done is what the coordinator's ledger says, so a killed backfill is simply run again.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from coordinator.rules.lifecycle import LIVE
from local.one_machine.coordinator_client import CoordinatorClient
from schemas.messages import LEARNING_LAG_DAYS
from shared.errors import Conflict, InvalidInput, TipoffError, Unavailable

_WHOLE = frozenset({"COMPLETE", "EMPTY"})
_MERGED = frozenset({"COMPLETE", "PARTIAL"})
_LOOK_SECONDS = 0.2
_STARTS = 5
"""So often a start that meets trouble which may pass is tried."""


class DateStep(StrEnum):
    """What is due for a date."""

    START = "start"
    FINISH = "finish"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class DueDate:
    """A date, and what is due for it."""

    game_date: date
    games: int
    state: str | None
    batch_id: str | None
    ungraded: int
    """Predictions that are there and not graded."""
    step: DateStep


@dataclass(frozen=True, slots=True)
class Ended:
    """How a date's batch ended; `state` is None where it did not start, or not end in time."""

    game_date: date
    batch_id: str | None
    state: str | None
    why: str

    @property
    def is_whole(self) -> bool:
        """Whether everybody is predicted or skipped."""
        return self.state in _WHOLE


def decide(season: dict[str, Any], *, again: bool, only_failed: bool) -> tuple[DueDate, ...]:
    """Say what is due for every date with games that `/season` shows: a live batch is finished, a whole one skipped.

    Args:
        again: run whole dates too.
        only_failed: run those only whose newest batch is FAILED, PARTIAL or CANCELLED, or that have none.
    """
    return tuple(_due(one, again=again, only_failed=only_failed) for one in season["dates"] if one["games"])


def _due(one: dict[str, Any], *, again: bool, only_failed: bool) -> DueDate:
    state, step = one["state"], DateStep.START
    if state in LIVE:
        step = DateStep.SKIP if only_failed else DateStep.FINISH
    elif only_failed:
        step = DateStep.SKIP if state in _WHOLE else DateStep.START
    elif state in _WHOLE and not again:
        step = DateStep.SKIP
    return DueDate(date.fromisoformat(one["game_date"]), one["games"], state, one["batch_id"], one["ungraded"], step)


def carry_out(
    todo: Sequence[DueDate],
    *,
    open_client: Callable[[], AbstractContextManager[CoordinatorClient]],
    patience: timedelta,
    shown: Callable[[Ended], None],
) -> list[Ended]:
    """Do what is due and grade what is predicted; a date that fails does not stop the others.

    Two dates at once: one starts when all of `LEARNING_LAG_DAYS` days before it and earlier are graded, so that it learns
    from them what it always will.

    Args:
        todo: in the order of dates; what is skipped is graded if it is not.
        open_client: a client for one thread.
        patience: how long to wait for one date.
        shown: hears of every date as it ends.

    Returns:
        How the dates ended that were not skipped, and those that could not be graded.
    """
    stop = threading.Event()

    def run(due: DueDate) -> Ended:
        if stop.is_set():
            return Ended(due.game_date, due.batch_id, due.state, "interrupted")
        if due.step is DateStep.SKIP and not due.ungraded:
            return Ended(due.game_date, due.batch_id, due.state, "skipped")
        with open_client() as client:
            return _graded(client, _run_date(client, due, patience=patience, stop=stop))

    def follow(due: DueDate) -> Ended:
        ended = run(due)
        if due.step is not DateStep.SKIP:
            shown(ended)
        return ended

    running: dict[date, Future[Ended]] = {}
    with ThreadPoolExecutor(max_workers=LEARNING_LAG_DAYS, thread_name_prefix="backfill") as pool:
        try:
            for due in todo:
                known = due.game_date - timedelta(days=LEARNING_LAG_DAYS)
                wait([future for day, future in running.items() if day <= known])
                running[due.game_date] = pool.submit(follow, due)
            ended = [(due, running[due.game_date].result()) for due in todo]
        except BaseException:
            stop.set()
            raise
    return [one for due, one in ended if due.step is not DateStep.SKIP or one.state != due.state]


def _graded(client: CoordinatorClient, ended: Ended) -> Ended:
    """Grade what a date's batch predicted, if it has ended well enough to have done so."""
    if ended.state not in _MERGED:
        return ended
    try:
        day = ended.game_date.isoformat()
        client.post("/grade", {"from": day, "to": day})
    except InvalidInput:
        pass  # Everybody was skipped: nothing is predicted.
    except TipoffError as trouble:
        return replace(ended, state=None, why=f"not graded: {trouble}")
    return ended


def _run_date(client: CoordinatorClient, due: DueDate, *, patience: timedelta, stop: threading.Event) -> Ended:
    batch_id = due.batch_id
    if due.step is DateStep.SKIP:
        return Ended(due.game_date, batch_id, due.state, "skipped")
    try:
        if due.step is DateStep.START:
            batch_id = _start(client, due.game_date, stop)
        return _follow(client, due.game_date, str(batch_id), patience=patience, stop=stop)
    except TipoffError as trouble:
        return Ended(due.game_date, batch_id, None, str(trouble))


def _start(client: CoordinatorClient, game_date: date, stop: threading.Event) -> str:
    """Start a date's batch, or take up the one that another has started meanwhile."""
    key = str(uuid.uuid4())
    for attempt in range(_STARTS):
        try:
            # A past week's box scores will not come any more; what was lacking is shown with the batch.
            body = {"game_date": game_date.isoformat(), "policy": {"min_inputs_share": 0}}
            answer = client.post("/start", body, {"Idempotency-Key": key})
            return str(answer["batch_id"])
        except Conflict:
            return client.find(game_date.isoformat())
        except Unavailable:
            if attempt + 1 == _STARTS or stop.wait(2.0**attempt):
                raise
    raise AssertionError("unreachable")


def _follow(
    client: CoordinatorClient, game_date: date, batch_id: str, *, patience: timedelta, stop: threading.Event
) -> Ended:
    until = time.monotonic() + patience.total_seconds()
    while True:
        view = client.get(f"/batches/{batch_id}")
        if view["state"] not in LIVE:
            return Ended(game_date, batch_id, view["state"], str(view["reason"]))
        if time.monotonic() > until:
            silent = ", ".join(view["silent"][:3])
            return Ended(
                game_date, batch_id, None, f"still {view['state']} after {patience}; silent: {silent or 'none'}"
            )
        if stop.wait(_LOOK_SECONDS):
            return Ended(game_date, batch_id, None, "interrupted")


def check_hindsight(todo: Sequence[DueDate], trained_until: date, *, allowed: bool) -> None:
    """Refuse to predict dates whose games the model was trained on.

    Raises:
        InvalidInput: there are some, and nobody said that this is wanted.
    """
    seen = [due.game_date for due in todo if due.step is not DateStep.SKIP and due.game_date < trained_until]
    if seen and not allowed:
        raise InvalidInput(
            "--model",
            f"it was trained on games before {trained_until}, so it has seen the answers of {len(seen)} dates from "
            f"{seen[0]}; train one with `tipoff train --until {seen[0]}`, or add --allow-hindsight, which marks every row",
        )
