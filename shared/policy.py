"""What a batch tolerates and whom a plan expects: each value with its default, bounds and meaning, in this one place.

The settings, the bodies of requests, the command's options, the API's description and the page of the settings all follow.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas import tables

MAX_MINUTES = 7 * 24 * 60
"""A batch that takes longer than a week outlives what Pub/Sub keeps of it."""
MAX_REPEATS = 1_000
MAX_PLAYERS_PER_REQUEST = 500
"""At 6 kB a player far below the 10 MB of a message."""
MAX_LATE_HOURS = 20 * 24
"""Plans and staged rows are kept for 30 days."""

_Minutes = Annotated[int, Field(le=MAX_MINUTES)]
_Repeats = Annotated[int, Field(le=MAX_REPEATS)]
_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=1)]


class Policy(BaseModel):
    """What a batch tolerates; changeable while it lives. Shares are of the expected players, 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    deadline_minutes: _Minutes = Field(
        default=180, ge=1, description="age at which a batch is decided without silent players"
    )
    republish_after_minutes: _Minutes = Field(
        default=15, ge=0, description="silence after which a request is published again"
    )
    players_per_request: int = Field(
        default=25, ge=1, le=MAX_PLAYERS_PER_REQUEST, description="players whose requests one message carries at most"
    )
    max_republishes: _Repeats = Field(default=5, ge=0, description="how often one request is published again")
    tolerated_failed_share: _Share = Field(default=0.05, description="share of failed players that a PARTIAL may have")
    tolerated_silent_share: _Share = Field(default=0.05, description="share of silent players that a PARTIAL may have")
    max_retired_share: _Share = Field(
        default=0.5,
        description="share of the date's active rows that may be superseded without a person's confirmation",
    )
    min_inputs_share: _Share = Field(
        default=0.8,
        description="share of the last week's scheduled games with box scores below which no batch is planned",
    )
    max_merge_attempts: _Repeats = Field(
        default=3, ge=1, description="failed MERGE jobs in a row after which a batch is FAILED"
    )

    @property
    def republish_after(self) -> timedelta:
        """Silence after which a request is published again."""
        return timedelta(minutes=self.republish_after_minutes)


class PlanningRules(BaseModel):
    """Who is expected and what a request carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    late_hours: _Count = Field(
        default=192,
        le=MAX_LATE_HOURS,
        description="age until which late outcomes count; keep it beyond Pub/Sub's retention (7 days)",
    )
    roster_games: _Count = Field(
        default=10, description="a player is expected who appeared in one of so many latest games of his team"
    )
    recent_games: _Count = Field(default=25, description="past games that a request carries")
    preferred_sportsbook: str = Field(default="draftkings", description="sportsbook whose lines come first")
    schema_version: int = Field(
        default=tables.latest_version(tables.PREDICTIONS), description="version of the predictions schema to write"
    )

    @property
    def late(self) -> timedelta:
        """The age until which late outcomes count."""
        return timedelta(hours=self.late_hours)
