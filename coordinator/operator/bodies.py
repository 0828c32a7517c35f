"""What callers send in a body or a query, as models: the one place where their types and bounds stand."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from coordinator.rules.accuracy import SplitBy
from coordinator.rules.player_queries import Sort
from schemas.names import BATCH_ID_PATTERN
from shared.settings import Policy


def _only_iso(value: object) -> date | None:
    """Refuse what pydantic would take for a date as well: numbers, as seconds since 1970."""
    if value is None:
        return None
    if not (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        raise ValueError("a date has the form 2026-01-30")
    return date.fromisoformat(value)


_FIRST_DATE, _LAST_DATE = date(1946, 1, 1), date(2100, 12, 31)
"""From the year of the league's first game; the plan reckons nine months back, which no calendar bears at its own first
day."""

DATE_PATTERN = "^(19(4[6-9]|[5-9][0-9])|20[0-9]{2}|2100)-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
"""The same bounds for readers of the API's description, in which dates are texts."""

GameDate = Annotated[
    Annotated[date, Field(ge=_FIRST_DATE, le=_LAST_DATE, json_schema_extra={"pattern": DATE_PATTERN})] | None,
    BeforeValidator(_only_iso),
]


class PolicyChanges(Policy):
    """What a start may set differently from the settings, and a person may change while the batch lives."""

    @field_validator("*", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        """Refuse texts and truth values, which pydantic would take for numbers; 5.0 is the whole number 5, as in JSON
        Schema."""
        if isinstance(value, bool | str):
            raise ValueError("a number is needed")  # noqa: TRY004 - pydantic reads ValueError
        return value

    def applied_to(self, policy: Policy) -> Policy:
        """Return the policy with what was given here."""
        return policy.model_copy(update=self.model_dump(exclude_unset=True))


class Body(BaseModel):
    """What a request says in its body, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StartBody(Body):
    """Body of `POST /start`."""

    game_date: GameDate = None
    """US Eastern; today there when absent."""
    force: str | None = None
    """Id of the live batch to cancel."""
    policy: PolicyChanges = PolicyChanges()


class ConsolidateBody(Body):
    """Body of `POST /batches/{id}/consolidate`."""

    force: bool = False
    """Consolidate in spite of silent or failed players, a former refusal, or the share of rows to retire."""


class SweepBody(Body):
    """Body of `POST /sweep`."""

    dry_run: bool = False
    """Say what a sweep would do, and change nothing."""


class GradeBody(Body):
    """Body of `POST /grade`: a date, a span, or neither for the last days that may have news."""

    model_config = ConfigDict(serialize_by_alias=True)

    game_date: GameDate = None
    first: GameDate = Field(default=None, alias="from")
    last: GameDate = Field(default=None, alias="to")


class RedriveBody(Body):
    """Body of `POST /batches/{id}/redrive`."""

    group: str | None = Field(default=None, pattern=r"^[0-9a-f]{10}$")
    """Fingerprint of a group of failures, whose players alone are redriven; everybody who is not predicted without it."""


class NoBody(Body):
    """Body of a request that says everything by its path: absent, or an empty object."""


# --- queries --------------------------------------------------------------------------------------------------


class Query(BaseModel):
    """Parameters of a query; a mistyped one would show everything, so none but these is taken."""

    model_config = ConfigDict(extra="forbid")


class DateQuery(Query):
    """Which game date; all of them without it."""

    game_date: GameDate = None


class BatchesQuery(DateQuery):
    """Which batches."""

    limit: int = Field(default=50, ge=1, le=500)


class SpanQuery(Query):
    """Which dates, the first and the last."""

    first: GameDate = Field(default=None, alias="from")
    last: GameDate = Field(default=None, alias="to")


class AccuracyQuery(SpanQuery):
    """What to measure."""

    by: SplitBy = SplitBy.SYSTEM
    system: Annotated[str, Field(min_length=1)] | None = None


class OtherBatchQuery(Query):
    """The batch to compare with."""

    other: str = Field(
        alias="with",
        min_length=1,
        description="the id of the batch to compare with",
        json_schema_extra={"pattern": f"^{BATCH_ID_PATTERN}$"},
    )


class PlayerQuery(Query):
    """One player."""

    name: str = Field(min_length=1, max_length=1024, description="the player as the batch's page spells him")


_Short = Annotated[str, Field(max_length=200)]


class NameQuery(Query):
    """Whose page."""

    name: _Short = Field(description="a player's name; a date's page leads to his")


class SearchQuery(Query):
    """Which players of a date, in which order, from which on."""

    name: _Short = ""
    team: _Short = ""
    recommendation: _Short = ""
    sort: Sort = Sort.POINTS
    page: int = Field(default=1, ge=1, le=100_000)
