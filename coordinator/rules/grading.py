"""What became of a prediction: the meaning of a grade, as SQL text, and what the counts around its MERGE must say.

A grade is a function of an active prediction (the MERGE of predictions keeps the one that was active at tip-off), of the box score
of its game and of when that began, and of nothing else. The counting query and the MERGE share one source, so what is counted is
what is done. Must never learn how SQL is run.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable
from datetime import date, datetime

from pydantic import BaseModel

from coordinator.rules.sql_text import indent, listed
from schemas import names, tables
from shared.errors import VerificationRefused

GRADES_TABLE = tables.GRADES
KEY = ("game_date", "prediction_id")
_OF_THE_GRADE = ("graded_at", "grade_version")
"""Columns that say when a grade was given, not what it is."""

_PREDICTIONS, _LOGS = names.PREDICTIONS_TABLE, "player_game_logs"


def columns() -> tuple[str, ...]:
    """The grades' columns, in order."""
    return tables.load(GRADES_TABLE).names


def source(game_date: date) -> str:
    """The grades that a date should have, and, marked `retire`, those that it has and should not.

    A prediction whose game has no box score is ungraded: it is in neither part.
    """
    of_date = f"`game_date` = {literal(game_date)}"
    given = listed(f"`{name}`" for name in columns() if name not in _OF_THE_GRADE)
    return f"""\
SELECT
  FALSE AS `retire`,
{given}
FROM (
{indent(_graded(of_date))}
)
UNION ALL
SELECT
  TRUE AS `retire`,
{given}
FROM `{GRADES_TABLE}`
WHERE {of_date}
  AND `prediction_id` NOT IN (
    SELECT `prediction_id` FROM `{_PREDICTIONS}`
    WHERE {of_date} AND `is_active` AND `game_id` IN (SELECT `game_id` FROM `{_LOGS}` WHERE {of_date})
  )"""


def _graded(of_date: str) -> str:
    return f"""\
SELECT
  *,
  `exact_points` - `actual_points` AS `error`,
  ABS(`exact_points` - `actual_points`) AS `absolute_error`,
  `actual_points` BETWEEN `low_50` AND `high_50` AS `inside_50`,
  `actual_points` BETWEEN `low_80` AND `high_80` AS `inside_80`,
  `actual_points` BETWEEN `low_90` AND `high_90` AS `inside_90`,
  CASE
    WHEN `actual_points` IS NULL THEN 'VOID'
    WHEN `points_line` IS NULL THEN 'NO_LINE'
    WHEN `actual_points` = `points_line` THEN 'PUSH'
    WHEN `recommendation` NOT IN ('OVER', 'UNDER') THEN 'PASS'
    WHEN (`actual_points` > `points_line`) = (`recommendation` = 'OVER') THEN 'WIN'
    ELSE 'LOSS'
  END AS `result`,
  IF(
    `actual_points` = `points_line`,
    NULL,
    POW(`probability_over` - IF(`actual_points` > `points_line`, 1.0, IF(`actual_points` < `points_line`, 0.0, NULL)), 2)
  ) AS `brier`,
  TO_HEX(MD5(CONCAT(
    CAST(`prediction_version` AS STRING), ' ', COALESCE(CAST(UNIX_MICROS(`predicted_at`) AS STRING), '-'), ' ',
    COALESCE(`team`, '-'), ' ', COALESCE(`opponent`, '-'), ' ', COALESCE(`position`, '-'), ' ',
    COALESCE(CAST(`actual_points` AS STRING), '-'), ' ', COALESCE(CAST(`minutes` AS STRING), '-'), ' ',
    COALESCE(CAST(`is_after_tipoff` AS STRING), '-')
  ))) AS `source_id`
FROM (
{indent(_matched(of_date))}
)"""


def _matched(of_date: str) -> str:
    """Every active prediction whose game has a box score, beside the player's row in it, if he has one."""
    bounds = ",\n".join(f"    {_told(f'{side}_{share}')}" for share in (50, 80, 90) for side in ("low", "high"))
    score = _box_scores(of_date)
    return f"""\
SELECT
  P.*,
  COALESCE(S.`team`, N.`team`) AS `team`,
  COALESCE(S.`opponent`, N.`opponent`) AS `opponent`,
  COALESCE(S.`points`, N.`points`) AS `actual_points`,
  COALESCE(S.`minutes`, N.`minutes`) AS `minutes`,
  P.`predicted_at` >= K.`tipoff_at` AS `is_after_tipoff`,
  L.`position`
FROM (
  SELECT
    `game_date`, `prediction_id`, `system_id`, `player_lookup`, `universal_player_id`, `game_id`, `scoring_tier`,
    `model_version`, `prediction_version`, `predicted_points`, `has_prop_line`, `sportsbook`, `recommendation`,
    `is_actionable`,
    `updated_at` AS `predicted_at`,
    `backfill_bootstrap_mode` AS `is_backfill`,
    'hindsight' IN UNNEST(`data_quality_issues`) AS `is_hindsight`,
    CAST(JSON_VALUE(`feature_importance`, '$.regular') AS BOOL) AS `is_regular`,
    `current_points_line` AS `points_line`,
    COALESCE(
      CAST(JSON_VALUE(`feature_importance`, '$.points') AS FLOAT64), CAST(`predicted_points` AS FLOAT64)
    ) AS `exact_points`,
    {_told("over", "probability_over")},
{bounds}
  FROM `{_PREDICTIONS}`
  WHERE {of_date} AND `is_active`
) AS P
INNER JOIN (SELECT DISTINCT `game_id` FROM `{_LOGS}` WHERE {of_date}) AS G ON G.`game_id` = P.`game_id`
LEFT JOIN (
{indent(score)}
) AS S ON S.`game_id` = P.`game_id` AND S.`player_id` = P.`universal_player_id`
LEFT JOIN (
{indent(score)}
) AS N ON N.`game_id` = P.`game_id` AND N.`player_lookup` = IF(P.`universal_player_id` IS NULL, P.`player_lookup`, NULL)
LEFT JOIN (
  SELECT `game_id`, MIN(`tipoff_at`) AS `tipoff_at` FROM `scheduled_games` WHERE {of_date} GROUP BY `game_id`
) AS K ON K.`game_id` = P.`game_id`
LEFT JOIN (
  SELECT `player_id`, UPPER(RIGHT(`position`, 1)) AS `position`
  FROM `{_LOGS}`
  WHERE {of_date.replace(" = ", " <= ")} AND `position` IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (PARTITION BY `player_id` ORDER BY `game_date` DESC, `game_id` DESC) = 1
) AS L ON L.`player_id` = COALESCE(S.`player_id`, N.`player_id`, P.`universal_player_id`)"""


def _box_scores(of_date: str) -> str:
    return f"""\
SELECT
  `game_id`, `player_id`, COALESCE(`player_lookup`, REPLACE(LOWER(`player_name`), ' ', '-')) AS `player_lookup`,
  `team`, `opponent`, `points`, `minutes`
FROM `{_LOGS}`
WHERE {of_date}"""


def _told(name: str, called: str | None = None) -> str:
    return f"CAST(JSON_VALUE(`feature_importance`, '$.{name}') AS FLOAT64) AS `{called or name}`"


def merge(game_date: date) -> str:
    """The one atomic statement, every column named on both sides; takes @graded_at. A second run changes nothing."""
    given = [name for name in columns() if name not in _OF_THE_GRADE]
    updates = ",\n".join(f"    `{name}` = S.`{name}`" for name in given if name not in KEY)
    return f"""\
MERGE INTO `{GRADES_TABLE}` AS T
USING (
{indent(source(game_date))}
) AS S
ON T.`game_date` = {literal(game_date)} AND T.`prediction_id` = S.`prediction_id`
WHEN MATCHED AND S.`retire` THEN
  DELETE
WHEN MATCHED AND NOT S.`retire` AND T.`source_id` != S.`source_id` THEN
  UPDATE SET
{updates},
    `graded_at` = @graded_at,
    `grade_version` = T.`grade_version` + 1
WHEN NOT MATCHED AND NOT S.`retire` THEN
  INSERT (
    {listed(f"`{name}`" for name in (*given, *_OF_THE_GRADE)).strip()}
  )
  VALUES (
    {listed([*(f"S.`{name}`" for name in given), "@graded_at", "1"]).strip()}
  )"""


def count(game_date: date) -> str:
    """What the MERGE would do, from the MERGE's own source, and how many predictions wait for their box score."""
    of_date = f"`game_date` = {literal(game_date)}"
    return f"""\
SELECT
  COUNTIF(NOT S.`retire`) AS `gradable`,
  COUNT(DISTINCT IF(S.`retire`, NULL, S.`prediction_id`)) AS `distinct_ids`,
  COUNTIF(NOT S.`retire` AND T.`prediction_id` IS NULL) AS `inserted`,
  COUNTIF(NOT S.`retire` AND T.`source_id` != S.`source_id`) AS `updated`,
  COUNTIF(NOT S.`retire` AND T.`source_id` = S.`source_id`) AS `unchanged`,
  COUNTIF(S.`retire`) AS `retired`,
  (SELECT COUNT(*) FROM `{_PREDICTIONS}` WHERE {of_date} AND `is_active`) AS `active`,
  (SELECT COUNT(*) FROM `{GRADES_TABLE}` WHERE {of_date}) AS `grades`,
  (SELECT MAX(`graded_at`) FROM `{GRADES_TABLE}` WHERE {of_date}) AS `newest`
FROM (
{indent(source(game_date))}
) AS S
LEFT JOIN (
  SELECT `prediction_id`, `source_id` FROM `{GRADES_TABLE}` WHERE {of_date}
) AS T ON T.`prediction_id` = S.`prediction_id`"""


def ungraded_games() -> str:
    """Games of the predictions of @first to @last that have no box score yet, with the predictions that wait for each."""
    return f"""\
SELECT P.`game_date`, P.`game_id`, COUNT(*) AS `predictions`, COUNT(DISTINCT P.`player_lookup`) AS `players`
FROM `{_PREDICTIONS}` AS P
LEFT JOIN (
  SELECT DISTINCT `game_date`, `game_id` FROM `{_LOGS}` WHERE `game_date` BETWEEN @first AND @last
) AS G ON G.`game_date` = P.`game_date` AND G.`game_id` = P.`game_id`
WHERE P.`game_date` BETWEEN @first AND @last AND P.`is_active` AND G.`game_id` IS NULL
GROUP BY P.`game_date`, P.`game_id`
ORDER BY P.`game_date`, P.`game_id`"""


def dates_to_grade() -> str:
    """Dates from @first to @last that have active predictions, or grades that may have to go."""
    return f"""\
SELECT `game_date` FROM `{_PREDICTIONS}` WHERE `game_date` BETWEEN @first AND @last AND `is_active`
UNION DISTINCT
SELECT `game_date` FROM `{GRADES_TABLE}` WHERE `game_date` BETWEEN @first AND @last
ORDER BY `game_date`"""


def dates_due() -> str:
    """Dates from @first to @last on which a prediction whose game has a box score is without its grade."""
    return f"""\
SELECT DISTINCT P.`game_date`
FROM `{_PREDICTIONS}` AS P
INNER JOIN (
  SELECT DISTINCT `game_date`, `game_id` FROM `{_LOGS}` WHERE `game_date` BETWEEN @first AND @last
) AS G ON G.`game_date` = P.`game_date` AND G.`game_id` = P.`game_id`
LEFT JOIN (
  SELECT `game_date`, `prediction_id` FROM `{GRADES_TABLE}` WHERE `game_date` BETWEEN @first AND @last
) AS T ON T.`game_date` = P.`game_date` AND T.`prediction_id` = P.`prediction_id`
WHERE P.`game_date` BETWEEN @first AND @last AND P.`is_active` AND T.`prediction_id` IS NULL
ORDER BY P.`game_date`"""


def literal(game_date: date) -> str:
    """A date as the texts write it, so that partitions are pruned."""
    return f"DATE '{game_date.isoformat()}'"


# --- what the counts say --------------------------------------------------------------------------------------


class GradeCounts(BaseModel):
    """An answer of the counting query about one date."""

    gradable: int
    distinct_ids: int
    inserted: int
    updated: int
    unchanged: int
    retired: int
    active: int
    grades: int
    newest: datetime | None

    @property
    def ungraded(self) -> int:
        """Active predictions whose games have no box score yet."""
        return self.active - self.gradable

    @property
    def is_done(self) -> bool:
        """Whether the grades are what they should be."""
        return not (self.inserted or self.updated or self.retired)

    def job_id(self, game_date: date, attempt: int) -> str:
        """The warehouse job that goes on from exactly this state: two graders who saw the same submit the same, as long
        as it runs.

        BigQuery lets two MERGEs run at once as long as both only insert, and then every grade would be there twice
        (https://cloud.google.com/bigquery/docs/data-manipulation-language). The state may come again, since the newest
        `graded_at` goes when its grades are retired; so an attempt whose job has ended is past (`first_open`).
        """
        state = f"{self.inserted} {self.updated} {self.retired} {self.grades} {self.newest} {attempt}"
        return f"tipoff_grade_{game_date:%Y%m%d}_{hashlib.sha256(state.encode()).hexdigest()[:16]}"


def first_open(has_ended: Callable[[int], bool]) -> int:
    """The first attempt whose job has not ended, where attempts are made in turn; few looks, however many have ended."""
    beyond = 1
    while has_ended(beyond - 1):
        beyond *= 2
    return bisect_left(range(beyond), True, lo=beyond // 2, hi=beyond - 1, key=lambda attempt: not has_ended(attempt))


def judge_before(counted: GradeCounts, game_date: date) -> None:
    """Check the counts before a MERGE.

    Raises:
        VerificationRefused: a player has two rows in one box score, or the table holds a grade twice.
    """
    if counted.gradable != counted.distinct_ids:
        raise VerificationRefused(
            f"{counted.gradable - counted.distinct_ids} predictions of {game_date} match more than one box score row or "
            f"grade; keep one row per player and game in `{_LOGS}`, and one per prediction in `{GRADES_TABLE}`"
        )


def judge_after(counted: GradeCounts, game_date: date) -> None:
    """Check the state after a MERGE: every gradable prediction has its one grade, and nothing else has.

    Raises:
        VerificationRefused: that does not hold.
    """
    judge_before(counted, game_date)
    if not counted.is_done or counted.grades != counted.gradable:
        raise VerificationRefused(
            f"after the MERGE of {game_date} {counted.inserted} grades are missing, {counted.updated} differ and "
            f"{counted.retired} belong to no prediction; {counted.grades} of {counted.gradable} are there"
        )
