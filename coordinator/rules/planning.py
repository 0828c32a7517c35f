"""Decides who is expected on a game date and what each player's request says; the selecting itself is `plan.sql`.

Reads the packaged SQL text and nothing else: it must never learn how statements run, where plans are kept or what a
player's outcome is.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from coordinator.rules.accuracy import NAMED
from schemas.messages import (
    LEARNING_LAG_DAYS,
    LEARNING_LEAST_GAMES,
    LEARNING_MILLIONTHS,
    MAX_PLAYER_BYTES,
    REGULAR_GAMES,
    ROTATION_GAMES,
    ROTATION_MINUTES,
    TEAM_FORM_GAMES,
    PredictionRequest,
    season_start,
)
from schemas.names import check_batch_id, plan_table
from schemas.tables import Row
from shared.errors import InvalidInput
from shared.ports import Parameters, check_field_path
from shared.settings import PlanningRules

MIN_SHARD_PLAYERS = 25
"""Below this a shard saves no contention worth its document."""


_US_EASTERN = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class PlannedPlayer:
    """One row of a batch's frozen plan; `request_json` is all of the request that the plan knows."""

    player_lookup: str
    request_json: str


class InputProblem(StrEnum):
    """What `plan_check.sql` finds in the inputs of a game date."""

    TEAM_SCHEDULED_TWICE = "team_scheduled_twice"
    VOID_LINE = "void_line"
    LINE_OF_NO_GAME = "line_of_no_game"
    LINE_OF_NO_TEAM = "line_of_no_team"
    LINES_OF_TWO_GAMES = "lines_of_two_games"
    LINE_WITHOUT_HISTORY = "line_without_history"
    REPORT_OF_NOBODY = "report_of_nobody"


@dataclass(frozen=True, slots=True)
class InputFinding:
    """One problem of one name (a team, a player, a game id), with the number of input rows concerned."""

    problem: InputProblem
    name: str
    rows: int


# --- the statements -------------------------------------------------------------------------------------------


def plan_statement(batch_id: str, *, expires_at: datetime, of_some: bool = False) -> str:
    """Write the statement that freezes a batch's plan as `_plan_{batch_id}`; run again, it leaves the first plan be.

    The table holds `player_lookup`, `universal_player_id`, `planned_at` (the first run's) and `request`, and ends
    itself at `expires_at`. Needs `plan_parameters`; `of_some` plans no more players than those of @players, an array of
    names, and needs it too.

    Raises:
        ValueError: `batch_id` has not a batch id's form.
    """
    expiration = expires_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00")
    return (
        f"CREATE TABLE IF NOT EXISTS `{plan_table(batch_id)}`\n"
        f"OPTIONS (expiration_timestamp = TIMESTAMP '{expiration}', labels = [('batch_id', '{batch_id}')])\n"
        f"AS\n{_sql('plan.sql')}{_OF_SOME if of_some else ''}"
    )


# plan.sql ends with its last FROM.
_OF_SOME = "WHERE player_lookup IN UNNEST(@players)\n"


def plan_parameters(game_date: date, *, planned_at: datetime, rules: PlanningRules) -> Parameters:
    """Name the parameters of the plan statement.

    Args:
        game_date: the date to plan; only games before it are read.
        planned_at: injury reports from then on are not seen; of a date that is past by then, none from after the first
            tip-off, or noon in US Eastern where no tip-off is scheduled.
    """
    return {
        "game_date": game_date,
        "planned_at": planned_at,
        "roster_games": rules.roster_games,
        "recent_games": rules.recent_games,
        "preferred_sportsbook": rules.preferred_sportsbook,
        "team_form_games": TEAM_FORM_GAMES,
        "rotation_games": ROTATION_GAMES,
        "rotation_minutes": ROTATION_MINUTES,
        "regular_games": REGULAR_GAMES,
        "learned_from": season_start(game_date),
        "learned_until": game_date - timedelta(days=LEARNING_LAG_DAYS),
        "learning_millionths": LEARNING_MILLIONTHS,
        "learning_least_games": LEARNING_LEAST_GAMES,
        "judged_system": NAMED,
        "reported_before": _as_of(game_date, planned_at),
    }


def _as_of(game_date: date, planned_at: datetime) -> datetime:
    if planned_at.astimezone(_US_EASTERN).date() <= game_date:
        return planned_at
    return datetime.combine(game_date, time(12), _US_EASTERN).astimezone(UTC)


def names_statement(batch_id: str) -> str:
    """Write the query for who a frozen plan expects, in no particular order; read by `read_names`.

    Raises:
        ValueError: `batch_id` has not a batch id's form.
    """
    return f"SELECT player_lookup, universal_player_id, planned_at FROM `{plan_table(batch_id)}`"


def drop_statement(batch_id: str) -> str:
    """Write the statement that drops a plan; an absent one is no error.

    Raises:
        ValueError: `batch_id` has not a batch id's form.
    """
    return f"DROP TABLE IF EXISTS `{plan_table(batch_id)}`"


def requests_statement(batch_id: str) -> str:
    """Write the query for the frozen requests of `@players` (an array of names); read by `read_plan`.

    Raises:
        ValueError: `batch_id` has not a batch id's form.
    """
    return f"SELECT player_lookup, request FROM `{plan_table(batch_id)}` WHERE player_lookup IN UNNEST(@players)"


def check_query() -> str:
    """Give the query for what is wrong in the inputs of `@game_date` (its only parameter); read by `read_check`."""
    return _sql("plan_check.sql")


@cache
def _sql(name: str) -> str:
    return files("coordinator.rules").joinpath(name).read_text(encoding="utf-8")


# --- what the warehouse answered ------------------------------------------------------------------------------


def read_check(rows: Sequence[Row]) -> tuple[InputFinding, ...]:
    """Read the answer of `check_query`: findings to log, none of which stands in the way of planning.

    Raises:
        InvalidInput: a team is scheduled twice on the date; names the teams.
    """
    findings = tuple(
        InputFinding(problem=InputProblem(_text(row, "problem")), name=_text(row, "name"), rows=_count(row))
        for row in rows
    )
    doubled = sorted(finding.name for finding in findings if finding.problem is InputProblem.TEAM_SCHEDULED_TWICE)
    if doubled:
        raise InvalidInput(
            "scheduled_games",
            f"{', '.join(doubled)} would play more than one game on the date; keep one row per game and team",
        )
    return findings


def read_names(rows: Sequence[Row]) -> tuple[str, ...]:
    """Read who a plan expects: each name once, in code-point order.

    Raises:
        InvalidInput: a player has no name, two players share one, or the ledger cannot hold one.
    """
    ids: dict[str, str] = {}
    for row in rows:
        name, player_id = row["player_lookup"], str(row["universal_player_id"])
        if not isinstance(name, str) or not name:
            raise InvalidInput("player_lookup", f"player {player_id} has no name; fill player_lookup or player_name")
        if name in ids:
            both = " and ".join(sorted((ids[name], player_id)))
            raise InvalidInput(
                "player_lookup",
                f"players {both} are both called {name!r}; give them distinct values in a player_lookup column",
            )
        if len(name.encode("utf-8", "surrogatepass")) > MAX_PLAYER_BYTES:
            raise InvalidInput("player_lookup", f"{name[:40]!r}... is over {MAX_PLAYER_BYTES} bytes; shorten the name")
        check_field_path(("predicted", name, "0123456789abcdef", "schema_version"))
        ids[name] = player_id
    return tuple(sorted(ids))


def frozen_at(rows: Sequence[Row], *, otherwise: datetime) -> datetime:
    """Read when a plan was frozen, from the rows that `read_names` reads; a plan of nobody does not say.

    Raises:
        InvalidInput: the plan says something else than a time.
    """
    stamp = rows[0]["planned_at"] if rows else otherwise
    if not isinstance(stamp, datetime):
        raise InvalidInput("planned_at", f"the plan query answered {stamp!r} where a time belongs")
    return stamp


def read_plan(rows: Sequence[Row]) -> tuple[PlannedPlayer, ...]:
    """Read frozen requests, sorted by `player_lookup`."""
    players = (PlannedPlayer(_text(row, "player_lookup"), _text(row, "request")) for row in rows)
    return tuple(sorted(players, key=lambda player: player.player_lookup))


def _text(row: Row, column: str) -> str:
    value = row[column]
    if not isinstance(value, str):
        raise InvalidInput(column, f"the plan query answered {value!r} where text belongs")
    return value


def _count(row: Row) -> int:
    value = row["row_count"]
    if not isinstance(value, int):
        raise InvalidInput("row_count", f"the plan query answered {value!r} where a count belongs")
    return value


# --- requests -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OfBatch:
    """What the batch adds to each of its requests."""

    batch_id: str
    planned_at: datetime
    late_until: datetime

    def request(self, player: PlannedPlayer) -> str:
        """Write a planned player's whole request: the plan's text is a JSON object of all other fields."""
        check_batch_id(self.batch_id)
        times = {"planned_at": self.planned_at.isoformat(), "late_until": self.late_until.isoformat()}
        return f"{json.dumps({'batch_id': self.batch_id, **times})[:-1]}, {player.request_json.lstrip()[1:]}"


def request_of(
    player: PlannedPlayer, *, batch_id: str, planned_at: datetime, late_until: datetime
) -> PredictionRequest:
    """Complete a planned player's request with what belongs to the batch.

    Raises:
        InvalidInput: the inputs gave the player a value that no request may carry; names player, field and value.
    """
    try:
        return PredictionRequest.model_validate_json(OfBatch(batch_id, planned_at, late_until).request(player))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            where, f"{first['msg']}, but the inputs give {player.player_lookup!r} {first['input']!r:.80}; correct them"
        ) from error


def slice_bytes(players: Sequence[PlannedPlayer], of_batch: OfBatch) -> bytes:
    """Write a slice as its message's bytes: the same plan always gives the same bytes.

    They are read where they are predicted: a player whose inputs hold what no request may carry fails there, alone and by
    the field's name, and keeps nobody else waiting.
    """
    return f'{{"requests": [{", ".join(map(of_batch.request, players))}]}}'.encode()


# --- shards ---------------------------------------------------------------------------------------------------


def cut_size(players: int) -> int:
    """How many players a shard of a batch holds at most."""
    return max(MIN_SHARD_PLAYERS, math.isqrt(max(players - 1, 0)) + 1)


def cut_shards(players: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Cut the sorted names into shards of max(25, √N) players; none is empty, and nobody gives none."""
    size = cut_size(len(players))
    return tuple(tuple(players[start : start + size]) for start in range(0, len(players), size))


def shard_of(player: str, shard_starts: Sequence[str]) -> int:
    """Tell which shard a name belongs to, given the first name of each shard, in order.

    A name before the first start belongs to shard 0: whether it is expected, the shard itself says.
    """
    return max(bisect_right(shard_starts, player) - 1, 0)
