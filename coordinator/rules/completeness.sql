-- What the input tables hold for @game_date and around it, so that a plan on stale inputs says so.
-- One row per fact: `fact` (a value of completeness.Fact), `name`, `row_count`.
-- Parameter: @game_date DATE.
WITH
  around AS (
    SELECT game_date, game_id, home_team, away_team
    FROM `scheduled_games`
    WHERE game_date BETWEEN DATE_SUB(@game_date, INTERVAL 7 DAY) AND DATE_ADD(@game_date, INTERVAL 14 DAY)
  ),

  -- Ids of the two sources may be written differently; a team plays once a day.
  played AS (
    SELECT DISTINCT game_date, team
    FROM `player_game_logs`
    WHERE game_date BETWEEN DATE_SUB(@game_date, INTERVAL 7 DAY) AND DATE_SUB(@game_date, INTERVAL 1 DAY)
  ),

  past AS (
    SELECT
      around.game_date, around.home_team, around.away_team, around.game_id,
      COUNT(played.team) > 0 AS has_box_scores
    FROM around
    LEFT JOIN played ON
      played.game_date = around.game_date AND (played.team = around.home_team OR played.team = around.away_team)
    WHERE around.game_date < @game_date
    GROUP BY around.game_date, around.home_team, around.away_team, around.game_id
  )

SELECT 'newest_box_scores' AS fact, CAST(MAX(game_date) AS STRING) AS name, COUNT(*) AS row_count
FROM `player_game_logs`
WHERE game_date < @game_date

UNION ALL

SELECT 'past_games' AS fact, CAST(NULL AS STRING) AS name, COUNT(*) AS row_count
FROM past

UNION ALL

SELECT
  'game_without_box_scores' AS fact,
  CONCAT(CAST(game_date AS STRING), ' ', away_team, ' at ', home_team, ' (', game_id, ')') AS name, 1 AS row_count
FROM past
WHERE NOT has_box_scores

UNION ALL

SELECT 'games' AS fact, CAST(NULL AS STRING) AS name, COUNT(*) AS row_count
FROM around
WHERE game_date = @game_date

UNION ALL

SELECT 'later_games' AS fact, CAST(NULL AS STRING) AS name, COUNT(*) AS row_count
FROM around
WHERE game_date > @game_date

UNION ALL

SELECT 'lines' AS fact, CAST(NULL AS STRING) AS name, COUNT(*) AS row_count
FROM `points_lines`
WHERE game_date = @game_date

UNION ALL

SELECT 'reports' AS fact, CAST(NULL AS STRING) AS name, COUNT(*) AS row_count
FROM `injury_reports`
WHERE game_date = @game_date

ORDER BY fact, name
