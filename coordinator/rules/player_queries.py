"""What people look up in the predictions table: a date's players, a player's predictions. SQL text and its parameters.

Must never learn how SQL is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from coordinator.rules.grading import literal
from coordinator.rules.sql_text import indent
from schemas import names, tables
from shared.ports import Parameters

PAGE_PLAYERS = 50
_SHOWN = """\
`player_lookup`, `universal_player_id`, `game_id`, `system_id`, `predicted_points`, `current_points_line`, `line_margin`,
`line_source`, `sportsbook`, `recommendation`, `confidence_score`, `is_actionable`, `filter_reason`, `was_line_fallback`,
CAST(JSON_VALUE(`feature_importance`, '$.low_80') AS FLOAT64) AS `low`,
CAST(JSON_VALUE(`feature_importance`, '$.high_80') AS FLOAT64) AS `high`"""


class Sort(StrEnum):
    """What a date's players can be ordered by."""

    POINTS = "points"
    PLAYER = "player"
    TEAM = "team"
    LINE = "line"
    MARGIN = "margin"
    CONFIDENCE = "confidence"


_ORDER = {
    Sort.POINTS: "`predicted_points` DESC",
    Sort.PLAYER: "`player_lookup`",
    Sort.TEAM: "`team`",
    Sort.LINE: "`current_points_line` DESC NULLS LAST",
    Sort.MARGIN: "ABS(`line_margin`) DESC NULLS LAST",
    Sort.CONFIDENCE: "`confidence_score` DESC",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which players of a date, in which order, from which on."""

    game_date: date
    name: str = ""
    team: str = ""
    recommendation: str = ""
    sort: Sort = Sort.POINTS
    page: int = 1

    @property
    def parameters(self) -> Parameters:
        """What `players` needs."""
        return {
            "name": self.name.lower(),
            "team": self.team,
            "recommendation": self.recommendation,
            "system": "ensemble",
        }


def simulated() -> str:
    """Write the query for how many active rows of `@game_date` are of a model of simulated games: one row, one column."""
    return (
        f"SELECT COUNT(*) AS `rows` FROM `{names.PREDICTIONS_TABLE}`\n"
        f"WHERE `game_date` = @game_date AND `is_active` AND STARTS_WITH(`model_version`, '{names.SIMULATED_MODEL}')"
    )


def players(search: Search) -> str:
    """A page of a date's players, each with the row of @system on the line that counts, and how many there are in all."""
    of_date = f"`game_date` = {literal(search.game_date)}"
    return f"""\
SELECT *, COUNT(*) OVER () AS `total`
FROM (
  SELECT P.*, L.`team`, G.`home_team`, G.`away_team`
  FROM (
    SELECT
{indent(_SHOWN, 6)}
    FROM `{names.PREDICTIONS_TABLE}`
    WHERE {of_date} AND `is_active`
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY `player_lookup`
      ORDER BY
        IF(`system_id` = @system, 0, 1), IF(`recommendation` IN ('OVER', 'UNDER'), 0, 1),
        IF(`was_line_fallback`, 1, 0), `current_points_line`, `system_id`
    ) = 1
  ) AS P
  LEFT JOIN (
    SELECT `player_id`, `team`
    FROM `player_game_logs`
    WHERE {of_date.replace(" = ", " <= ")}
    QUALIFY ROW_NUMBER() OVER (PARTITION BY `player_id` ORDER BY `game_date` DESC, `game_id` DESC) = 1
  ) AS L ON L.`player_id` = P.`universal_player_id`
  LEFT JOIN (
    SELECT `game_id`, ANY_VALUE(`home_team`) AS `home_team`, ANY_VALUE(`away_team`) AS `away_team`
    FROM `scheduled_games`
    WHERE {of_date}
    GROUP BY `game_id`
  ) AS G ON G.`game_id` = P.`game_id`
)
WHERE (@name = '' OR STRPOS(LOWER(`player_lookup`), @name) > 0)
  AND (@team = '' OR `team` = @team)
  AND (@recommendation = '' OR `recommendation` = @recommendation)
ORDER BY {_ORDER[search.sort]}, `player_lookup`
LIMIT {PAGE_PLAYERS} OFFSET {PAGE_PLAYERS * (search.page - 1)}"""


def systems(game_date: date) -> str:
    """Every system's points for @players on a date."""
    return f"""\
SELECT `player_lookup`, `system_id`, ANY_VALUE(`predicted_points`) AS `points`
FROM `{names.PREDICTIONS_TABLE}`
WHERE `game_date` = {literal(game_date)} AND `is_active` AND `player_lookup` IN UNNEST(@players)
GROUP BY `player_lookup`, `system_id`
ORDER BY `player_lookup`, `system_id`"""


def teams(game_date: date) -> str:
    """The teams that play on a date."""
    return f"""\
SELECT `home_team` AS `team` FROM `scheduled_games` WHERE `game_date` = {literal(game_date)}
UNION DISTINCT
SELECT `away_team` AS `team` FROM `scheduled_games` WHERE `game_date` = {literal(game_date)}
ORDER BY `team`"""


def history() -> str:
    """@player's active predictions of @system from @first to @last, newest date first."""
    return f"""\
SELECT
  `game_date`,
{indent(_SHOWN, 2)},
  TO_JSON_STRING(`feature_importance`) AS `importance`
FROM `{names.PREDICTIONS_TABLE}`
WHERE `game_date` BETWEEN @first AND @last AND `player_lookup` = @player AND `system_id` = @system AND `is_active`
ORDER BY `game_date` DESC, IF(`was_line_fallback`, 1, 0), `current_points_line`"""


def results() -> str:
    """How @player's predictions of @system from @first to @last ended."""
    return f"""\
SELECT `game_date`, `points_line`, `actual_points`, `minutes`, `error`, `inside_80`, `result`
FROM `{tables.GRADES}`
WHERE `game_date` BETWEEN @first AND @last AND `player_lookup` = @player AND `system_id` = @system"""


def history_parameters(player: str, first: date, last: date, *, system: str = "ensemble") -> Parameters:
    """What `history` and `results` need."""
    return {"player": player, "first": first, "last": last, "system": system}
