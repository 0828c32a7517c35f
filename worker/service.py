"""The worker's one use case: answer a prediction request with rows in staging and exactly one outcome (A1).

Reads no database, clock or environment itself. Dying on any line is safe: the message is delivered again, the same
rows are staged as copies of the same delivery, and the outcome is published again; receivers absorb both.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from schemas import names
from schemas.messages import MAX_DETAIL, Failed, FailureCode, Outcome, Predicted, PredictionRequest, Skipped, SkipReason
from schemas.tables import DELIVERY_COLUMN, PREDICTIONS, Row, RowRefused, load
from shared.errors import InvalidInput, QueryRefused, TipoffError, Unavailable
from shared.ports import Outgoing, Publisher, Tables
from shared.push import Addressee
from worker import inputs, messages
from worker.model import Model
from worker.rows import staged_rows


class Worker:
    """Predicts players, one request at a time; safe to call from many threads.

    Args:
        warehouse: where staging tables live.
        outcomes: the topic that the coordinator hears outcomes from.
        revision: names the code that runs, in every outcome.
        schema_version: the version of the predictions table whose columns this worker writes (B3).
        model: what the trained systems predict from.
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
    ) -> None:
        # A version that is not released is refused at the start, not per request.
        self._schema_fingerprint = load(PREDICTIONS, schema_version).fingerprint
        self._warehouse = warehouse
        self._outcomes = outcomes
        self.revision = revision
        self._schema_version = schema_version
        self._model = model
        self._clock = clock
        self._unannounced = _Unannounced()

    def predict_player(self, data: bytes, attributes: Mapping[str, str], *, traceparent: str) -> Outcome:
        """Answer one request message: stage its rows, publish its outcome, return it. Durable when this returns.

        A repeat publishes the outcome again. It stages copies of the same delivery, which count once, unless this
        process knows that the rows are there and only the publishing failed (A4).

        Args:
            data: the request as UTF-8 JSON.
            attributes: the message's attributes, which tell batch and player where the body does not.
            traceparent: the trace to send along with the outcome.

        Raises:
            MalformedMessage: the message is no request and names no batch and player to record that for.
            Unavailable: staging or the topic did not answer; deliver the message again.
        """
        try:
            request = messages.parse_request(data)
        except InvalidInput as error:
            return self._refuse(data, attributes, problem=str(error), traceparent=traceparent)
        outcome = self._not_predictable(request) or self._predict(request)
        self._announce(outcome, traceparent)
        return outcome

    def refuse(self, attributes: Mapping[str, str], *, reason: str, traceparent: str) -> Failed:
        """Publish, of a message of which only the attributes can be read, that the player failed, lest the batch wait.

        Raises:
            MalformedMessage: they name no batch and player.
            Unavailable: the topic did not answer; deliver the message again.
        """
        return self._refuse(b"", attributes, problem=reason, traceparent=traceparent)

    def failing_dependencies(self) -> dict[str, str]:
        """Really ask every dependency; name those that do not answer as they should, with what they said (C3)."""
        checks: dict[str, Callable[[], None]] = {"warehouse": self._check_warehouse, "outcomes": self._outcomes.check}
        failing = {}
        for name, check in checks.items():
            try:
                check()
            except TipoffError as error:
                failing[name] = str(error)
        return failing

    def _refuse(self, data: bytes, attributes: Mapping[str, str], *, problem: str, traceparent: str) -> Failed:
        to = messages.addressee(data, attributes, problem=problem)
        outcome = self._failed(to, FailureCode.BAD_REQUEST, problem)
        self._announce(outcome, traceparent)
        return outcome

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

    def _predict(self, request: PredictionRequest) -> Outcome:
        try:
            rows = staged_rows(request, self._model, schema_version=self._schema_version)
        except RowRefused as error:
            return self._failed(request, FailureCode.ROW_REFUSED, error)
        except Exception as error:  # noqa: BLE001 - a pure function: what it raises is this request's, now and ever (F3)
            return self._failed(request, FailureCode.PREDICTION_ERROR, f"{type(error).__name__}: {error}")
        return self._stage(request, rows)

    def _stage(self, request: PredictionRequest, rows: Sequence[Row]) -> Predicted | Failed:
        delivery = str(rows[0][DELIVERY_COLUMN])
        if delivery not in self._unannounced:
            try:
                self._warehouse.append(names.staging_table(self._schema_version), rows)
            except QueryRefused as error:
                return self._failed(request, FailureCode.ROW_REFUSED, error)
            self._unannounced.add(delivery)
        prediction_ids = {str(row["prediction_id"]) for row in rows}
        return Predicted(
            batch_id=request.batch_id,
            player_lookup=request.player_lookup,
            worker_revision=self.revision,
            delivery=delivery,
            schema_version=self._schema_version,
            schema_fingerprint=self._schema_fingerprint,
            rows=len(prediction_ids),
            digest=names.digest(prediction_ids),
        )

    def _announce(self, outcome: Outcome, traceparent: str) -> None:
        attributes = {
            "traceparent": traceparent,
            "batch_id": outcome.batch_id,
            "player_lookup": outcome.player_lookup,
        }
        self._outcomes.publish([Outgoing(outcome.model_dump_json().encode(), attributes)])
        if isinstance(outcome, Predicted):
            self._unannounced.discard(outcome.delivery)

    def _skipped(self, request: PredictionRequest, reason: SkipReason) -> Skipped:
        return Skipped(
            batch_id=request.batch_id,
            player_lookup=request.player_lookup,
            worker_revision=self.revision,
            reason=reason,
        )

    def _failed(self, about: PredictionRequest | Addressee, code: FailureCode, reason: Exception | str) -> Failed:
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

    def add(self, delivery: str) -> None:
        with self._lock:
            self._deliveries[delivery] = None
            while len(self._deliveries) > self.CAPACITY:
                self._deliveries.popitem(last=False)

    def discard(self, delivery: str) -> None:
        with self._lock:
            self._deliveries.pop(delivery, None)
