"""What routes answer with where that is no view of a batch, as models: the API's description is made from them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from coordinator.operator.views import BatchSummary, BatchView


class StartAnswer(BaseModel):
    """The batch that answers a start."""

    batch_id: str
    state: str
    expected: int
    started: bool
    """False where an earlier call with the same key did."""


class StartNotNeeded(BaseModel):
    """The answer to Cloud Scheduler, for which everything but 2xx is a failure, where another batch of the date lives."""

    batch_id: str | None
    started: Literal[False] = False
    reason: str


class RedriveAnswer(StartAnswer):
    """The batch that answers a redrive."""

    parent: str
    not_expected: list[str]
    """Players of the parent who were to be redriven, and whom the fresh plan does not expect any more."""


class BatchList(BaseModel):
    """Batches, newest plan first."""

    batches: list[BatchSummary]


class ConsolidateAnswer(BaseModel):
    """A consolidated batch, and who it was consolidated without."""

    report: str
    left_out: list[str]
    """Failed and silent players, by name."""
    batch: BatchView


class Health(BaseModel):
    """What runs."""

    service: str
    status: Literal["alive"]
    revision: str
    commit: str


class Readiness(BaseModel):
    """What runs, and that every dependency answered."""

    service: str
    status: Literal["ready"]
    revision: str
    commit: str
    logs: dict[str, bool | int | str | None]


class Problem(BaseModel):
    """An error, as RFC 9457 has it; `field` or `batch_id` name what is in the way."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    field: str | None = None
    batch_id: str | None = None
