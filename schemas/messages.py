"""The messages between the services, and the envelope that Pub/Sub pushes them in.

A consumer ignores fields it does not know (an older revision reads a newer one's messages); it refuses a message
that lacks a field or has one of the wrong type. The exported JSON Schemas (`schemas/messages/`) are the contract (C5).
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from schemas.names import BATCH_ID_PATTERN, REVISION_PATTERN

MAX_PLAYER_BYTES = 1_024
"""A player's name is an attribute of his messages (https://cloud.google.com/pubsub/quotas, "Attribute value size")."""


class Message(BaseModel):
    """Base of all messages: frozen, unknown fields ignored, no NaN or infinity (JSON has none)."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


# --- request: coordinator → worker ----------------------------------------------------------------------------


class Line(Message):
    """One distinct points line offered for the player, or the one estimated where none was."""

    points_line: Decimal
    is_estimated: bool = False
    estimation_method: str | None = None
    sportsbook: str | None = None
    source_api: str | None = None
    is_fallback: bool = False
    """True where the preferred sportsbook offered the player no line."""
    minutes_before_game: int | None = None
    fair_over: float | None = None
    """The market's probability of OVER with the margin removed, where the input has it."""


class Offer(Message):
    """One sportsbook's word on the player's points: a value, the market's probability of OVER, and American odds."""

    points_line: Decimal
    sportsbook: str
    fair_over: float | None = Field(default=None, ge=0, le=1)
    over_price: int | None = None
    under_price: int | None = None


class Game(Message):
    """The game to predict, from the player's side."""

    game_id: str
    season: str
    team: str
    opponent: str
    is_home: bool


class Injury(Message):
    """The newest injury report on the player before the batch was planned."""

    status: Literal["OUT", "DOUBTFUL", "QUESTIONABLE", "PROBABLE"]
    reason: str | None = None
    checked_at: AwareDatetime | None = None


class SeasonToDate(Message):
    """Sums over all of the player's games of the game's season before the game date."""

    games: int = Field(ge=0)
    points: int = Field(ge=0)
    minutes: int = Field(ge=0)


ROTATION_GAMES = 30
ROTATION_MINUTES = 15
"""A team's rotation are those last seen in so many of its last games, with so many minutes a game this season."""


REGULAR_GAMES = 10
"""A regular player has so many games this season, and `ROTATION_MINUTES` in their mean."""

LEARNING_LAG_DAYS = 2
"""Intervals learn from games so many days ago or earlier: by then every run of a date knows the same grades."""
LEARNING_MILLIONTHS, LEARNING_LEAST_GAMES = 300_000, 10
"""By so much the share that is asked for moves on a day on which all of a group's intervals missed; of fewer games a day
says so much less. Chosen on 2024-25 among 0.05 to 0.3 and 5 to 20 games."""


def season_start(day: date) -> date:
    """The first of October before a date: what was learned in a season ends with it."""
    return date(day.year - (day.month < 10), 10, 1)


class Asked(Message):
    """What the intervals are asked to hold so that they hold 50, 80 and 90% of the games, in millionths of a share.

    Learned from the season's earlier games of the players of one scoring tier, regular ones and others apart; unbounded.
    """

    share_50: int
    share_80: int
    share_90: int


class Left(Message):
    """What absent teammates leave to the others in a game: their means of the season before it, in whole hundredths.

    Those who count are of the rotation (`ROTATION_GAMES`, `ROTATION_MINUTES`); the player himself never is.
    """

    shots: int = Field(ge=0)
    """Field goal attempts."""
    points: int = Field(ge=0)
    position_shots: int | None = None
    """Of those who play the player's position; None where his is unknown."""


class RecentGames(Message):
    """Past games of the player by columns of one length: the n-th entry of each is of the n-th newest game.

    By columns a request is a third as long and is read several times as fast. A statistic that the input lacks is None,
    never 0 (E3, E8). What those who missed a game left in it is given as in `Left`.
    """

    game_date: tuple[date, ...] = ()
    season: tuple[str, ...] = ()
    points: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    fga: tuple[int | None, ...] = ()
    fg3a: tuple[int | None, ...] = ()
    fta: tuple[int | None, ...] = ()
    left_shots: tuple[int, ...] = ()
    left_points: tuple[int, ...] = ()
    left_position_shots: tuple[int | None, ...] = ()
    left_by_the_same: tuple[int, ...] = ()
    """Shots tonight of those who missed the game too, in hundredths."""

    def __len__(self) -> int:
        return len(self.game_date)

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        if len(set(map(len, vars(self).values()))) > 1:
            lengths = {name: len(column) for name, column in self}
            raise ValueError(f"the columns must be of one length, not {lengths}")
        return self


TEAM_FORM_GAMES = 30
"""A team's form is summed over so many of its last games; the plan and the training data must agree on it."""


class TeamForm(Message):
    """Sums over a team's last games, `TEAM_FORM_GAMES` or as many as there are, across seasons, all before the date."""

    games: int = Field(ge=1)
    points: int = Field(ge=0)
    points_allowed: int = Field(ge=0)


class PositionDefence(Message):
    """What the opponent allowed, in its form's games, to players of the player's position, and the league to the same.

    A position is guard, forward or center, by the last letter of the input's.
    """

    points: int = Field(ge=0)
    minutes: int = Field(ge=0)
    league_points: int = Field(ge=0)
    league_minutes: int = Field(ge=0)


class Matchup(Message):
    """How the two teams of the game have done lately, in whole sums; a part that the input does not tell is None."""

    team: TeamForm | None = None
    opponent: TeamForm | None = None
    league_games: int = Field(ge=0)
    """Games of all teams' forms, a game counted once for each of its teams."""
    league_points: int = Field(ge=0)
    position: PositionDefence | None = None


class AbsentTeammate(Message):
    """A teammate who appeared in the team's latest games and is listed OUT."""

    player_lookup: str
    shots: int = Field(ge=0)
    """His field goal attempts in those games."""
    games: int = Field(ge=1)
    starts: int | None = None
    """Games of those that he started; None where the input does not say."""


class Absences(Message):
    """Which teammates are listed OUT, and what the absent leave; a date without any injury report has no such word.

    Absent is who is listed OUT or DOUBTFUL. Who is not listed is as in the team's last game; but who missed that one, was
    listed for it and no longer is, is back.
    """

    team_shots: int = Field(ge=0)
    """Field goal attempts of all the team's present players in its latest games; 0 where nobody is listed OUT."""
    out: tuple[AbsentTeammate, ...] = ()
    is_reported: bool = False
    """Whether a report of the date lists anybody of the team's rotation; else all of it is as in the last game."""
    left: Left | None = None
    """None only from a coordinator that did not send it yet."""


class PredictionRequest(Message):
    """Everything needed to predict one player of one batch."""

    batch_id: str
    game_date: date
    planned_at: AwareDatetime
    late_until: AwareDatetime
    player_lookup: str = Field(min_length=1)
    universal_player_id: str | None = None
    game: Game
    rest_days: int | None = None
    """Days between the player's last game and this one, less one (0 is a back-to-back); None without a last game."""
    injury: Injury | None = None
    lines: tuple[Line, ...]
    """Distinct lines, the preferred sportsbook's first; one estimated line; or none."""
    offers: tuple[Offer, ...] = ()
    """Every sportsbook's offers, by book and value; none without a real line."""
    season_to_date: SeasonToDate
    scoring_tier: str | None = None
    """Five points wide, by the season's exact mean: `under_5`, `5_to_10` up to `25_and_more`; None before his first game."""
    is_regular: bool = False
    """See `REGULAR_GAMES`."""
    asked: Asked | None = None
    """None where nothing is learned yet: then the fitted spread stands."""
    recent_games: RecentGames
    """Newest first, across seasons, all before `game_date`."""
    recent_games_wanted: int = Field(ge=1)
    """How many recent games the plan asked for."""
    matchup: Matchup | None = None
    """None where no game of either team is known (and from a coordinator that did not send it yet)."""
    absences: Absences | None = None
    """None where the date has no injury report at all: unknown, not nobody."""


class Slice(Message):
    """The requests of one message: some players of one shard."""

    requests: tuple[PredictionRequest, ...] = Field(min_length=1)


# --- outcomes: worker → coordinator ----------------------------------------------------------------------------


class SkipReason(StrEnum):
    """Why a player is rightly not predicted."""

    LISTED_OUT = "listed_out"
    NO_HISTORY = "no_history"


class FailureCode(StrEnum):
    """Why a player could not be predicted."""

    BAD_REQUEST = "bad_request"
    ROW_REFUSED = "row_refused"
    PREDICTION_ERROR = "prediction_error"
    DEAD_LETTERED = "dead_lettered"
    EXPIRED = "expired"


MAX_DETAIL = 500
"""Characters of a failure's detail that are kept."""

_Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,64}$")]
"""A short hash. Bounded, since it becomes part of a ledger entry whose document holds 1 MiB (F2)."""


class _Outcome(Message):
    batch_id: str = Field(pattern=f"^{BATCH_ID_PATTERN}$")
    player_lookup: str = Field(min_length=1, max_length=MAX_PLAYER_BYTES)
    worker_revision: str = Field(pattern=f"^{REVISION_PATTERN}$")


class Predicted(_Outcome):
    """Rows are staged; names exactly which ones count."""

    outcome: Literal["predicted"] = "predicted"
    delivery: _Digest
    schema_version: int = Field(ge=1, le=1_000)
    schema_fingerprint: _Digest | None = None
    """Of the columns of that version as the worker knows them."""
    rows: int = Field(ge=1, le=1_000_000)
    """Distinct prediction ids in the delivery."""
    digest: _Digest


class Skipped(_Outcome):
    """The player is rightly not predicted (A1)."""

    outcome: Literal["skipped"] = "skipped"
    reason: SkipReason


class Failed(_Outcome):
    """The player could not be predicted, for good."""

    outcome: Literal["failed"] = "failed"
    code: FailureCode
    detail: str = ""


Outcome: TypeAlias = Annotated[Predicted | Skipped | Failed, Field(discriminator="outcome")]
OUTCOME: TypeAdapter[Predicted | Skipped | Failed] = TypeAdapter(Outcome)


class Outcomes(Message):
    """What became of the players of a slice; where it could not be read, `unreadable` says why and no player is named."""

    outcomes: tuple[Outcome, ...] = ()
    unreadable: str | None = Field(default=None, max_length=MAX_DETAIL)


# --- batch-finished: coordinator → downstream -----------------------------------------------------------------


class PlayerCounts(Message):
    """How the expected players stand, each counted once, from the named sets (A7)."""

    expected: int
    predicted: int
    skipped: int
    failed: int
    silent: int


class RowCounts(Message):
    """What the batch's consolidation did to the predictions table; staged = inserted + updated + unchanged."""

    staged: int
    inserted: int
    updated: int
    unchanged: int
    superseded: int


class BatchFinished(Message):
    """A batch reached, or improved, its end state; a repeat of the same news has the same `event_id` (A8, C4)."""

    event_id: str
    batch_id: str
    game_date: date
    planned_at: AwareDatetime
    state: Literal["COMPLETE", "PARTIAL", "FAILED", "CANCELLED", "EMPTY"]
    reason: str
    players: PlayerCounts
    rows: RowCounts
    coordinator_revision: str


# --- envelope: Pub/Sub push -----------------------------------------------------------------------------------


class PushedMessage(Message):
    """The message inside a push (https://cloud.google.com/pubsub/docs/push#receive_push)."""

    data: str = Field(min_length=1)
    """Base64."""
    message_id: str = Field(alias="messageId", min_length=1)
    publish_time: datetime | None = Field(alias="publishTime", default=None)
    attributes: dict[str, str] = Field(default_factory=dict)


class PushEnvelope(Message):
    """One push delivery. `delivery_attempt` comes only where a dead-letter policy is set."""

    message: PushedMessage
    subscription: str | None = None
    delivery_attempt: int | None = Field(alias="deliveryAttempt", default=None)
