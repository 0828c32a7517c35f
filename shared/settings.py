"""The settings of both services: each with its default, bounds and meaning, in this one place.

They are one frozen object, read from the environment once, all its problems in one error (D3). The bodies of requests, the
command's options, the API's description and the page of the settings follow what stands here. Names of cloud resources have
no defaults: a wrong one answers 404 in production, a missing one stops the start. Must never learn how a setting is used.
The environment itself is read by `main` alone and handed in here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from schemas import names, tables
from shared.errors import InvalidInput

_PREFIX = "TIPOFF_"
_NEEDED_BY_AUTH = frozenset({"audience", "push_callers", "scheduler_callers", "admin_callers"})
_READ_ELSEWHERE = frozenset({"TIPOFF_DATA"})  # the tests' real data, which a developer's shell may export


def _named(pattern: str, form: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{text!r} does not have the form of {form}")
        return text

    return AfterValidator(check)


def _accounts(value: object) -> object:
    """Take a comma-separated list apart; e-mail addresses are compared in lower case."""
    if not isinstance(value, str):
        return value
    accounts = frozenset(part.strip().lower() for part in value.split(",") if part.strip())
    for account in sorted(accounts):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", account):
            raise ValueError(f"{account!r} is not an e-mail address; separate several by commas")
    return accounts


_Project = Annotated[str, _named(r"[a-z][a-z0-9-]{0,61}[a-z0-9]", "a project id, such as my-project-123")]
_Location = Annotated[str, _named(r"[A-Za-z][A-Za-z0-9-]*", "a BigQuery location, such as US or europe-west1")]
_Dataset = Annotated[str, _named(r"[A-Za-z0-9_]{1,1024}", "a dataset id (letters, digits, underscores; no project)")]
_Database = Annotated[str, _named(r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]", "a Firestore database id or (default)")]
_Topic = Annotated[
    str, _named(r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}", "a topic's short id, without projects/.../topics/")
]
_Accounts = Annotated[frozenset[str], BeforeValidator(_accounts)]
_Count = Annotated[int, Field(ge=1)]

MAX_MINUTES = 7 * 24 * 60
"""A batch that takes longer than a week outlives what Pub/Sub keeps of it."""
MAX_REPEATS = 1_000
MAX_PLAYERS_PER_REQUEST = 500
"""At 6 kB a player far below the 10 MB of a message."""
MAX_LATE_HOURS = 20 * 24
"""Plans and staged rows are kept for 30 days."""

_SCHEMA_VERSION: int = Field(
    default=tables.latest_version(tables.PREDICTIONS), description="version of the predictions schema to write"
)
_Minutes = Annotated[int, Field(le=MAX_MINUTES)]
_Repeats = Annotated[int, Field(le=MAX_REPEATS)]
_Share = Annotated[float, Field(ge=0, le=1)]


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
    schema_version: int = _SCHEMA_VERSION

    @property
    def late(self) -> timedelta:
        """The age until which late outcomes count."""
        return timedelta(hours=self.late_hours)


class _Common(BaseModel):
    """What both services are told. Every description is one row of docs/reference/settings.md."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        validate_by_name=True,
        validate_by_alias=True,
        alias_generator=lambda name: f"{_PREFIX}{name.upper()}",
    )

    project: _Project = Field(description="Google Cloud project that holds every resource")
    location: _Location = Field(description="BigQuery location of the dataset")
    dataset: _Dataset = Field(description="BigQuery dataset of the predictions, input and plan tables")
    staging_dataset: _Dataset = Field(
        description="BigQuery dataset of the staging tables, so that the worker may write there alone"
    )
    outcomes_topic: _Topic = Field(description="Pub/Sub topic of the players' outcomes")
    schema_version: int = _SCHEMA_VERSION
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="lowest severity that is logged"
    )
    commit: str = Field(default="unknown", description="source commit of the image; the image sets it")
    service: str = Field(default="", alias="K_SERVICE", description="set by Cloud Run; empty elsewhere")
    revision: str = Field(
        default="local",
        alias="K_REVISION",
        pattern=f"^{names.REVISION_PATTERN}$",
        description="set by Cloud Run; shown in logs, health and every batch",
    )
    auth: Literal["google", "cloud-run", "off"] = Field(
        default="google",
        description="google: check callers' Google-signed tokens; cloud-run: also accept tokens whose signature Cloud Run "
        "has checked and removed (only on Cloud Run, where it asks every caller); off: check none (refused on Cloud Run)",
    )
    audience: str = Field(default="", description="audience of callers' tokens; not needed with TIPOFF_AUTH=off")
    push_callers: _Accounts = Field(
        default=frozenset(), description="service accounts of push subscriptions; not needed with TIPOFF_AUTH=off"
    )

    @field_validator("schema_version")
    @classmethod
    def _released(cls, schema_version: int) -> int:
        released = tables.versions(tables.PREDICTIONS)
        if schema_version not in released:
            raise ValueError(f"{schema_version} is not released; released are {', '.join(map(str, released))}")
        return schema_version

    @field_validator("auth")
    @classmethod
    def _on_where_strangers_call(cls, auth: str, info: ValidationInfo) -> str:
        if auth == "off" and info.data.get("service"):
            raise ValueError("off is refused on Cloud Run; set cloud-run and name the callers")
        if auth == "cloud-run" and not info.data.get("service"):
            raise ValueError("cloud-run is refused elsewhere, where nobody has checked the tokens; set google")
        return auth

    @field_validator(*_NEEDED_BY_AUTH, check_fields=False)
    @classmethod
    def _given_where_checked(cls, value: str | frozenset[str], info: ValidationInfo) -> str | frozenset[str]:
        if not value and info.data.get("auth", "google") != "off":
            raise ValueError("missing, and callers are checked; set it, or TIPOFF_AUTH=off on a private machine")
        return value


class WorkerSettings(_Common):
    """What the worker is told."""

    model: str = Field(
        default="",
        description="file of tipoff train, a path or a gs:// URL; empty: the shipped model, of simulated games",
    )
    allow_simulated_model: bool = Field(
        default=False,
        description="predict real games by a model that was trained on simulated ones; without it Cloud Run's worker refuses to",
    )


class CoordinatorSettings(_Common, PlanningRules, Policy):
    """What the coordinator is told: besides resources and callers, the policy that decides how batches end."""

    firestore_database: _Database = Field(description="Firestore database of the completion ledger")
    requests_topic: _Topic = Field(description="Pub/Sub topic of the prediction requests")
    finished_topic: _Topic = Field(description="Pub/Sub topic of batch-finished events")
    scheduler_callers: _Accounts = Field(
        default=frozenset(), description="service accounts of Cloud Scheduler; not needed with TIPOFF_AUTH=off"
    )
    admin_callers: _Accounts = Field(
        default=frozenset(), description="accounts of people and tools that operate; not needed with TIPOFF_AUTH=off"
    )
    viewer_callers: _Accounts = Field(
        default=frozenset(), description="accounts of people and tools that may see everything and change nothing"
    )
    lease_seconds: _Count = Field(
        default=120, description="seconds that the lease of a consolidation lasts without renewal"
    )
    auto_migrate: bool = Field(
        default=True,
        description="let a consolidation add the columns of a newer schema version to the predictions table",
    )
    max_bytes_per_query: _Count = Field(default=10_000_000_000, description="bytes that one statement may process")

    @field_validator("late_hours")
    @classmethod
    def _after_the_deadline(cls, late_hours: int, info: ValidationInfo) -> int:
        deadline_minutes = info.data.get("deadline_minutes")
        if deadline_minutes is not None and late_hours * 60 <= deadline_minutes:
            raise ValueError(f"{late_hours} h end before the deadline of {deadline_minutes} min; set more")
        return late_hours

    @property
    def policy(self) -> Policy:
        """What a batch tolerates unless its start says otherwise."""
        return Policy.model_validate({name: getattr(self, name) for name in Policy.model_fields})

    @property
    def rules(self) -> PlanningRules:
        """Who is expected and what a request carries."""
        return PlanningRules.model_validate({name: getattr(self, name) for name in PlanningRules.model_fields})


Settings = TypeVar("Settings", bound=_Common)


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One row of the configuration table; `default` is as the environment would give it, None where there is none."""

    name: str
    required: bool
    default: str | None
    meaning: str


def read(kind: type[Settings], environ: Mapping[str, str]) -> Settings:
    """Read a service's settings from an environment; an empty variable counts as absent.

    A variable of the other service is no error, so that both may share one environment.

    Raises:
        InvalidInput: of field `settings`, with one line for each missing, malformed or unknown variable.
    """
    wanted = {row.name for row in describe(kind)}
    given = {name: value.strip() for name, value in environ.items() if name in wanted and value.strip()}
    problems = _unknown_in(environ)
    try:
        settings = kind.model_validate(given)
    except ValidationError as error:
        # Without the cause: its text repeats every value and says nothing more, and all of it would be logged.
        raise _refusal(_problems_of(error, kind) + problems) from None
    if problems:
        raise _refusal(problems)
    return settings


def describe(kind: type[_Common]) -> list[SettingRow]:
    """List a service's settings, what has to be given first."""
    rows = [_row(name, field) for name, field in kind.model_fields.items()]
    return sorted(rows, key=lambda row: not row.required)


def _row(name: str, field: FieldInfo) -> SettingRow:
    required = field.is_required() or name in _NEEDED_BY_AUTH
    default = None if required else "" if field.default == frozenset() else str(field.default)
    return SettingRow(name=field.alias or name, required=required, default=default, meaning=field.description or "")


def _unknown_in(environ: Mapping[str, str]) -> list[str]:
    known = {row.name for kind in (CoordinatorSettings, WorkerSettings) for row in describe(kind)} | _READ_ELSEWHERE
    unknown = sorted(name for name in environ if name.startswith(_PREFIX) and name not in known)
    return [f"{name}: no such setting{_meant(name, known)}" for name in unknown]


def _meant(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; remove it"


def _problems_of(error: ValidationError, kind: type[_Common]) -> list[str]:
    meanings = {row.name: row.meaning for row in describe(kind)}
    aliases = {name: field.alias or name for name, field in kind.model_fields.items()}
    problems = []
    for found in error.errors(include_url=False):
        name = aliases.get(str(found["loc"][0]), str(found["loc"][0]))  # an absent variable is named by its field
        reason = found["msg"].removeprefix("Value error, ")
        if found["type"] == "missing":
            problems.append(f"{name}: missing; set it to the {meanings[name]}")
        elif found["type"] == "value_error":
            problems.append(f"{name}: {reason}")
        else:
            problems.append(f"{name}: {reason}, and {found['input']!r} is not that ({meanings[name]})")
    return problems


def _refusal(problems: list[str]) -> InvalidInput:
    return InvalidInput("settings", "\n- ".join([f"{len(problems)} to correct in the environment", *problems]))
