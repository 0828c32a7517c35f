"""The worker's one use case: answer the requests of a message with rows in staging and exactly one outcome each (A1).

Reads no database, clock or environment itself. Dying on any line is safe: the message is delivered again, the same
rows are staged as copies of the same delivery, and the outcome is published again; receivers absorb both.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Protocol

from schemas import digest, names
from schemas.messages import (
    MAX_DETAIL,
    Failed,
    FailureCode,
    Outcome,
    Outcomes,
    Predicted,
    PredictionRequest,
    Skipped,
    SkipReason,
)
from schemas.tables import PREDICTIONS, RowRefused, load
from shared import tracing
from shared.errors import MalformedMessage, QueryRefused, Unavailable
from shared.ports import Outgoing, Publisher, Tables
from shared.push import slice_of
from worker import inputs, messages
from worker.model import Model
from worker.rows import staged_rows
from worker.staged import Staged

ROWS_PER_APPEND = 2_000
"""At some 2 kB a row far below the 10 MB of one append request: a request is taken whole or not at all, so a player's rows
are all there or none of them is."""


class RowMaker(Protocol):
    """What `worker.rows.staged_rows` is."""

    def __call__(self, requests: Sequence[PredictionRequest], model: Model, /, *, schema_version: int) -> Staged:
        """Predict players at once, and build their rows."""


class Worker:
    """Predicts players, a slice at a time; safe to call from many threads.

    Args:
        warehouse: where staging tables live.
        outcomes: the topic that the coordinator hears outcomes from.
        revision: names the code that runs, in every outcome.
        schema_version: the version of the predictions table whose columns this worker writes (B3).
        model: what the trained systems predict from.
        make_rows: predicts players at once and makes their rows.
        clock: tells the time, only for whether a request came too late (A19).

    Raises:
        UnknownTable: no such schema version is released.
    """

    def __init__(
        self,
        *,
        warehouse: Tables,
        outcomes: Publisher,
        revision: str,
        schema_version: int,
        model: Model,
        clock: Callable[[], datetime],
        make_rows: RowMaker = staged_rows,
    ) -> None:
        # A version that is not released is refused at the start, not per request.
        self._schema_fingerprint = load(PREDICTIONS, schema_version).fingerprint
        self._warehouse = warehouse
        self._outcomes = outcomes
        self.revision = revision
        self._schema_version = schema_version
        self._model = model
        self._make_rows = make_rows
        self._clock = clock
        self._unannounced = _Unannounced()

    def predict_slice(self, data: bytes, attributes: Mapping[str, str]) -> Outcomes:
        """Answer one message of requests: stage their rows, publish their outcomes, return them. Durable when this returns.

        All players are predicted at once and staged by one append; where that fails, each by himself, so that only who
        cannot be predicted or staged fails. A repeat publishes the outcomes again. It stages copies of the same deliveries,
        which count once, unless this process knows that the rows are there and only the publishing failed (A4).

        Args:
            data: the requests as UTF-8 JSON.
            attributes: the message's attributes, which name its players where the body cannot be read.

        Raises:
            MalformedMessage: the message is no request, and its attributes name no players to record that for.
            Unavailable: staging or the topic did not answer; deliver the message again.
        """
        try:
            read = messages.read_slice(data, revision=self.revision)
            messages.check_names(read)
        except MalformedMessage as error:
            return self.refuse(attributes, reason=str(error))
        unpredictable = {one.player_lookup: self._not_predictable(one) for one in read.requests}
        wanted = [one for one in read.requests if unpredictable[one.player_lookup] is None]
        said = (*read.failed, *(one for one in unpredictable.values() if one is not None), *self._predict(wanted))
        outcomes = Outcomes(outcomes=tuple(sorted(said, key=lambda one: one.player_lookup)))
        self._announce(outcomes, attributes)
        return outcomes

    def refuse(self, attributes: Mapping[str, str], *, reason: str) -> Outcomes:
        """Publish, of a message of which only the attributes can be read, that it could not be, lest the batch wait.

        Raises:
            MalformedMessage: they name no players.
            Unavailable: the topic did not answer; deliver the message again.
        """
        try:
            slice_of(attributes)
        except MalformedMessage as error:
            raise MalformedMessage(f"{reason}; and it does not say for which player to record that: {error}") from error
        outcomes = Outcomes(unreadable=reason[:MAX_DETAIL])
        self._announce(outcomes, attributes)
        return outcomes

    @property
    def checks(self) -> Mapping[str, Callable[[], object]]:
        """What really asks each dependency; each raises a `TipoffError` where that does not answer as it should (C3)."""
        return {"warehouse": self._check_warehouse, "outcomes": self._outcomes.check}

    def _check_warehouse(self) -> None:
        table = names.staging_table(self._schema_version)
        if self._warehouse.columns(table) is None:
            raise Unavailable(f"there is no table {table}; `tipoff schema apply` makes it")

    def _not_predictable(self, request: PredictionRequest) -> Outcome | None:
        now = self._clock()
        if now > request.late_until:
            too_late = f"late_until was {request.late_until.isoformat()}, now is {now.isoformat(timespec='seconds')}"
            return self._failed(request, FailureCode.EXPIRED, too_late)
        if request.injury is not None and request.injury.status == "OUT":
            return self._skipped(request, SkipReason.LISTED_OUT)
        if not inputs.has_history(request):
            return self._skipped(request, SkipReason.NO_HISTORY)
        return None

    def _predict(self, requests: Sequence[PredictionRequest]) -> list[Outcome]:
        """Predict players at once, and each by himself where that is not possible."""
        if not requests:
            return []
        try:
            with tracing.span("predict", attributes={"tipoff.players": len(requests)}):
                staged = self._make_rows(requests, self._model, schema_version=self._schema_version)
        except Exception as error:  # noqa: BLE001 - a pure function: what it raises is these requests', now and ever (F3)
            if len(requests) > 1:
                return [outcome for request in requests for outcome in self._predict([request])]
            if isinstance(error, RowRefused):
                return [self._failed(requests[0], FailureCode.ROW_REFUSED, error)]
            return [self._failed(requests[0], FailureCode.PREDICTION_ERROR, f"{type(error).__name__}: {error}")]
        return self._stage(requests, staged)

    def _stage(self, requests: Sequence[PredictionRequest], staged: Staged) -> list[Outcome]:
        """Append the rows of all players at once, and of each by himself where they are refused together."""
        places = range(len(requests))
        if len(requests) > 1 and len(staged.rows) > ROWS_PER_APPEND:
            half = len(requests) // 2
            return [
                *self._stage(requests[:half], staged.only(places[:half])),
                *self._stage(requests[half:], staged.only(places[half:])),
            ]
        missing = [place for place in places if staged.deliveries[place] not in self._unannounced]
        try:
            if missing:
                rows = staged.rows if len(missing) == len(places) else staged.only(missing).rows
                self._warehouse.append(names.staging_table(self._schema_version), rows)
        except QueryRefused as error:
            if len(requests) > 1:
                return [outcome for place in places for outcome in self._stage([requests[place]], staged.only([place]))]
            return [self._failed(requests[0], FailureCode.ROW_REFUSED, error)]
        self._unannounced.add(staged.deliveries)
        return [
            self._predicted(requests[place], staged.deliveries[place], set(staged.prediction_ids(place)))
            for place in places
        ]

    def _predicted(self, request: PredictionRequest, delivery: str, prediction_ids: Set[str]) -> Predicted:
        return Predicted(
            batch_id=request.batch_id,
            player_lookup=request.player_lookup,
            worker_revision=self.revision,
            delivery=delivery,
            schema_version=self._schema_version,
            schema_fingerprint=self._schema_fingerprint,
            rows=len(prediction_ids),
            digest=digest.of_ids(prediction_ids),
        )

    def _announce(self, outcomes: Outcomes, attributes: Mapping[str, str]) -> None:
        named = {name: attributes[name] for name in ("batch_id", "shard", "slice") if name in attributes}
        data = outcomes.model_dump_json(exclude_none=True).encode()
        self._outcomes.publish([Outgoing(data, named)])
        self._unannounced.discard(one.delivery for one in outcomes.outcomes if isinstance(one, Predicted))

    def _skipped(self, request: PredictionRequest, reason: SkipReason) -> Skipped:
        return Skipped(
            batch_id=request.batch_id,
            player_lookup=request.player_lookup,
            worker_revision=self.revision,
            reason=reason,
        )

    def _failed(self, about: PredictionRequest, code: FailureCode, reason: Exception | str) -> Failed:
        return Failed(
            batch_id=about.batch_id,
            player_lookup=about.player_lookup,
            worker_revision=self.revision,
            code=code,
            detail=str(reason)[:MAX_DETAIL],
        )


class _Unannounced:
    """The deliveries that this process has staged but not yet announced; the oldest give way to newer ones.

    Forgetting one, or losing all with the process, only means that a redelivery stages copies.
    """

    CAPACITY = 1_000

    def __init__(self) -> None:
        self._deliveries: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, delivery: str) -> bool:
        with self._lock:
            return delivery in self._deliveries

    def add(self, deliveries: Iterable[str]) -> None:
        with self._lock:
            self._deliveries.update(dict.fromkeys(deliveries))
            while len(self._deliveries) > self.CAPACITY:
                self._deliveries.popitem(last=False)

    def discard(self, deliveries: Iterable[str]) -> None:
        with self._lock:
            for delivery in deliveries:
                self._deliveries.pop(delivery, None)
