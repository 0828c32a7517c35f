"""What a season's dates hold: games, predictions and grades by date, as SQL text. Must never learn how SQL is run."""

from __future__ import annotations

from schemas import names, tables


def games() -> str:
    """Scheduled games of each date from @first to @last."""
    return """\
SELECT `game_date`, COUNT(*) AS `games`
FROM `scheduled_games`
WHERE `game_date` BETWEEN @first AND @last
GROUP BY `game_date`
ORDER BY `game_date`"""


def predicted() -> str:
    """Active predictions of each date from @first to @last."""
    return f"""\
SELECT `game_date`, COUNT(*) AS `rows`, COUNT(DISTINCT `player_lookup`) AS `players`
FROM `{names.PREDICTIONS_TABLE}`
WHERE `game_date` BETWEEN @first AND @last AND `is_active`
GROUP BY `game_date`"""


def graded() -> str:
    """Grades of each date from @first to @last."""
    return f"""\
SELECT `game_date`, COUNT(*) AS `rows`
FROM `{tables.GRADES}`
WHERE `game_date` BETWEEN @first AND @last
GROUP BY `game_date`"""
