"""How good the predictions were, from grades: the queries, the figures made of their rows, and when an interval drifts.

A player's game counts once for a system, however many lines it was judged against. Must never learn how SQL is run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel

from coordinator.rules.sql_text import indent
from schemas import tables
from schemas.tables import Row
from shared.ports import Parameters

NAMED = "ensemble"
"""The system whose intervals, probabilities and recommendations are judged: it is the one that is published as ours."""
BASELINE = "season_average"
SHARES = (0.5, 0.8, 0.9)
RELIABILITY_WIDTH = 0.025

_GRADES = tables.GRADES


class SplitBy(StrEnum):
    """What figures can be split by."""

    SYSTEM = "system"
    MONTH = "month"
    TIER = "tier"
    POSITION = "position"
    TEAM = "team"


_GROUP = {
    SplitBy.SYSTEM: "''",
    SplitBy.MONTH: "FORMAT_DATE('%Y-%m', `game_date`)",
    SplitBy.TIER: "COALESCE(`scoring_tier`, 'unknown')",
    SplitBy.POSITION: "COALESCE(`position`, 'unknown')",
    SplitBy.TEAM: "COALESCE(`team`, 'unknown')",
}


def span(first: date, last: date) -> Parameters:
    """What the queries about a span need."""
    return {"first": first, "last": last}


def _player_games() -> str:
    """One row for each system, game and player who appeared; what differs from line to line is left out."""
    return f"""\
SELECT
  `game_date`, `game_id`, `player_lookup`, `system_id`,
  ANY_VALUE(`scoring_tier`) AS `scoring_tier`, ANY_VALUE(`position`) AS `position`, ANY_VALUE(`team`) AS `team`,
  ANY_VALUE(`error`) AS `error`, ANY_VALUE(`absolute_error`) AS `absolute_error`,
  ANY_VALUE(`inside_50`) AS `inside_50`, ANY_VALUE(`inside_80`) AS `inside_80`, ANY_VALUE(`inside_90`) AS `inside_90`
FROM `{_GRADES}`
WHERE `game_date` BETWEEN @first AND @last AND `actual_points` IS NOT NULL
GROUP BY `game_date`, `game_id`, `player_lookup`, `system_id`"""


def points(by: SplitBy) -> str:
    """Errors and interval hits of each system, in the groups asked for."""
    return f"""\
SELECT
  {_GROUP[by]} AS `group`,
  `system_id`,
  COUNT(*) AS `n`,
  AVG(`absolute_error`) AS `mae`,
  SQRT(AVG(`error` * `error`)) AS `rmse`,
  AVG(`error`) AS `bias`,
  SAFE_DIVIDE(COUNTIF(`inside_50`), COUNTIF(`inside_80` IS NOT NULL)) AS `held_50`,
  SAFE_DIVIDE(COUNTIF(`inside_80`), COUNTIF(`inside_80` IS NOT NULL)) AS `held_80`,
  SAFE_DIVIDE(COUNTIF(`inside_90`), COUNTIF(`inside_80` IS NOT NULL)) AS `held_90`
FROM (
{indent(_player_games())}
)
GROUP BY `group`, `system_id`
ORDER BY `group`, `system_id`"""


def by_day() -> str:
    """Errors of each system on each date; `mae_line` is the sportsbooks' on the rows that have a line of theirs."""
    return f"""\
SELECT
  E.`game_date`,
  E.`system_id`,
  COUNT(*) AS `n`,
  AVG(E.`absolute_error`) AS `mae`,
  COUNTIF(L.`line_error` IS NOT NULL) AS `lined`,
  AVG(IF(L.`line_error` IS NULL, NULL, E.`absolute_error`)) AS `mae_lined`,
  AVG(L.`line_error`) AS `mae_line`
FROM (
{indent(_player_games())}
) AS E
LEFT JOIN (
  SELECT
    `game_date`, `game_id`, `player_lookup`, `system_id`,
    ABS(AVG(CAST(`points_line` AS FLOAT64)) - MAX(`actual_points`)) AS `line_error`
  FROM `{_GRADES}`
  WHERE `game_date` BETWEEN @first AND @last AND `actual_points` IS NOT NULL AND `has_prop_line`
  GROUP BY `game_date`, `game_id`, `player_lookup`, `system_id`
) AS L ON
  L.`game_date` = E.`game_date` AND L.`game_id` = E.`game_id`
  AND L.`player_lookup` = E.`player_lookup` AND L.`system_id` = E.`system_id`
GROUP BY E.`game_date`, E.`system_id`
ORDER BY E.`game_date`, E.`system_id`"""


def reliability() -> str:
    """The named system's probabilities of OVER on sportsbooks' lines, in bins, and what came; pushes are left out."""
    return f"""\
SELECT
  CAST(FLOOR(`probability_over` / {RELIABILITY_WIDTH}) AS INT64) AS `bin`,
  COUNT(*) AS `n`,
  COUNT(DISTINCT CONCAT(`game_id`, ' ', `player_lookup`)) AS `games`,
  AVG(`probability_over`) AS `said`,
  COUNTIF(`actual_points` > `points_line`) / COUNT(*) AS `came`,
  SUM(`brier`) AS `brier`
FROM `{_GRADES}`
WHERE `game_date` BETWEEN @first AND @last AND `system_id` = @system AND `has_prop_line` AND `brier` IS NOT NULL
GROUP BY `bin`
ORDER BY `bin`"""


def recommendations() -> str:
    """How the recommendations of the named system that one could act on have ended."""
    return f"""\
SELECT
  `recommendation`,
  COUNT(*) AS `made`,
  COUNT(DISTINCT IF(`result` IN ('WIN', 'LOSS'), CONCAT(`game_id`, ' ', `player_lookup`), NULL)) AS `games`,
  COUNTIF(`result` = 'WIN') AS `won`,
  COUNTIF(`result` = 'LOSS') AS `lost`,
  COUNTIF(`result` = 'PUSH') AS `pushed`,
  COUNTIF(`result` = 'VOID') AS `void`,
  SAFE_DIVIDE(COUNTIF(`result` = 'WIN'), COUNTIF(`result` IN ('WIN', 'LOSS'))) AS `share_won`
FROM `{_GRADES}`
WHERE
  `game_date` BETWEEN @first AND @last AND `system_id` = @system AND `has_prop_line` AND `is_actionable`
  AND `recommendation` IN ('OVER', 'UNDER')
GROUP BY `recommendation`
ORDER BY `recommendation`"""


def totals() -> str:
    """Rows graded, and how many of them are void, of a model that may have seen the answer, or of a game that had begun."""
    return f"""\
SELECT
  COUNT(*) AS `graded`,
  COUNTIF(`result` = 'VOID') AS `void`,
  COUNTIF(`is_hindsight`) AS `hindsight`,
  COUNTIF(`is_after_tipoff` AND NOT `is_backfill`) AS `after_tipoff`
FROM `{_GRADES}`
WHERE `game_date` BETWEEN @first AND @last"""


def newest_intervals() -> str:
    """The 80% interval of the named system over the newest @games player's games up to @last."""
    return f"""\
SELECT COUNT(*) AS `games`, COUNTIF(`inside_80`) AS `held`, MIN(`game_date`) AS `first`, MAX(`game_date`) AS `last`
FROM (
  SELECT `game_date`, `game_id`, `player_lookup`, ANY_VALUE(`inside_80`) AS `inside_80`
  FROM `{_GRADES}`
  WHERE
    `game_date` BETWEEN @first AND @last AND `system_id` = @system AND `inside_80` IS NOT NULL AND NOT `is_hindsight`
  GROUP BY `game_date`, `game_id`, `player_lookup`
  QUALIFY ROW_NUMBER() OVER (ORDER BY `game_date` DESC, `game_id` DESC, `player_lookup`) <= @games
)"""


def newest_parameters(last: date) -> Parameters:
    """What `newest_intervals` needs: at most `DRIFT_GAMES` games of the last 120 days."""
    return {"first": last - DRIFT_SPAN, "last": last, "games": DRIFT_GAMES, "system": NAMED}


# --- figures --------------------------------------------------------------------------------------------------


Figure = Annotated[float, AfterValidator(lambda value: round(value, 4))]


class SystemErrors(BaseModel):
    """A system's errors in points, of players who appeared; bias is above 0 where it predicted too much."""

    n: int
    mae: Figure
    rmse: Figure
    bias: Figure


def coverage_of(row: Row) -> Mapping[str, float]:
    """Read what share each interval held, from a row of `points`; empty where no row has its interval."""
    held = {f"{share}": row[f"held_{100 * share:.0f}"] for share in SHARES}
    return {share: round(float(str(each)), 4) for share, each in held.items() if each is not None}


def place(group: str) -> tuple[int, bool, str]:
    """Where a group stands among the others: tiers by their points, all others by name."""
    number = re.search(r"\d+", group)
    return int(number[0]) if number else _LAST, not group.startswith("under"), group


_LAST = 10**9


def band(share: float, n: int) -> dict[str, float]:
    """The 95% interval of a share, after Wilson, which holds for few and for extreme ones too; 0 to 1 of none."""
    if not n:
        return {"low": 0.0, "high": 1.0}
    z = 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return {"low": max(0.0, middle - half), "high": min(1.0, middle + half)}


def number(row: Row, name: str) -> float:
    """A figure of an answer; none is 0."""
    value = row[name]
    return 0.0 if value is None else float(str(value))


def whole(row: Row, name: str) -> int:
    """A count of an answer; none is 0."""
    return int(number(row, name))


# --- drift ----------------------------------------------------------------------------------------------------

DRIFT_SPAN = timedelta(days=120)
DRIFT_GAMES, LEAST_GAMES, DRIFT_DEVIATIONS = 600, 200, 3.0


class IntervalDrift(BaseModel):
    """How the 80% interval did over the newest games: a row of `newest_intervals`."""

    games: int
    held: int
    first: date | None
    last: date | None

    @property
    def share(self) -> float:
        """The share of games that it held."""
        return self.held / self.games if self.games else 0.0

    @property
    def is_drifting(self) -> bool:
        """The rule: the share is three standard deviations or more from 80%, over 200 games or more.

        Of 600 games that is 75.1% or less, or 84.9% or more; an interval that is right is accused once in 370 looks.
        """
        if self.games < LEAST_GAMES:
            return False
        return abs(self.share - 0.8) >= DRIFT_DEVIATIONS * math.sqrt(0.8 * 0.2 / self.games)

    @property
    def warning(self) -> str | None:
        """The sentence of it, where it drifts."""
        if not self.is_drifting:
            return None
        how = "too narrow" if self.share < 0.8 else "too wide"
        return (
            f"The 80% interval held {self.share:.0%} of the last {self.games} games ({self.first} to {self.last}): it is "
            f"{how}. Train a model on newer games, or see what changed in the inputs (tipoff accuracy --by month)."
        )
