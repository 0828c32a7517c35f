-- What is wrong or unusable in the inputs of @game_date, so that planning drops nothing without naming it.
-- One row per problem and name: `problem` (a value of planning.InputProblem), `name`, `row_count` (rows concerned).
-- Parameter: @game_date DATE.
WITH
  games AS (
    SELECT game_id, home_team, away_team
    FROM `scheduled_games`
    WHERE game_date = @game_date
  ),

  -- The same newest row that plan.sql takes for a player's name and team.
  known_players AS (
    SELECT player_id, COALESCE(player_lookup, REPLACE(LOWER(player_name), ' ', '-')) AS player_lookup, team
    FROM `player_game_logs`
    WHERE game_date < @game_date
    QUALIFY ROW_NUMBER() OVER (PARTITION BY player_id ORDER BY game_date DESC, game_id DESC) = 1
  ),

  -- A line names its player by id or, without one, by lookup name; with neither it is void.
  offers AS (
    SELECT
      lines.player_id IS NULL AND lines.player_lookup IS NULL AS is_void,
      COALESCE(lines.player_name_book, lines.player_name, '(no name)') AS book_name,
      COALESCE(
        by_id.player_lookup, by_name.player_lookup, lines.player_lookup,
        REPLACE(LOWER(COALESCE(lines.player_name, lines.player_name_book)), ' ', '-'), lines.player_id
      ) AS player_lookup,
      COALESCE(by_id.player_id, by_name.player_id) IS NOT NULL AS has_history,
      COALESCE(lines.game_id, '(no game_id)') AS game_id,
      games.game_id IS NOT NULL AS is_of_the_date,
      COALESCE(lines.team IN (games.home_team, games.away_team), FALSE)
      OR COALESCE(COALESCE(by_id.team, by_name.team) IN (games.home_team, games.away_team), FALSE) AS is_of_a_team
    FROM `points_lines` AS lines
    LEFT JOIN known_players AS by_id ON by_id.player_id = lines.player_id
    LEFT JOIN known_players AS by_name ON
      by_name.player_lookup = IF(lines.player_id IS NULL, lines.player_lookup, NULL)
    LEFT JOIN games ON games.game_id = lines.game_id
    WHERE lines.game_date = @game_date
  ),

  reports AS (
    SELECT
      player_id,
      COALESCE(player_lookup, REPLACE(LOWER(player_name), ' ', '-')) AS player_lookup,
      COALESCE(player_lookup, player_name, player_id, '(no name)') AS name
    FROM `injury_reports`
    WHERE game_date = @game_date
  )

-- Planning would not know which of the two games a player of the team is to be predicted for.
SELECT 'team_scheduled_twice' AS problem, team AS name, COUNT(*) AS row_count
FROM (SELECT home_team AS team FROM games UNION ALL SELECT away_team AS team FROM games)
GROUP BY team
HAVING COUNT(*) > 1

UNION ALL

SELECT 'void_line' AS problem, book_name AS name, COUNT(*) AS row_count
FROM offers
WHERE is_void
GROUP BY book_name

UNION ALL

SELECT 'line_of_no_game' AS problem, game_id AS name, COUNT(*) AS row_count
FROM offers
WHERE NOT is_void AND NOT is_of_the_date
GROUP BY game_id

UNION ALL

-- Neither the line's team nor the player's plays in the line's game, so nobody can say who his opponent is.
SELECT 'line_of_no_team' AS problem, player_lookup AS name, COUNT(*) AS row_count
FROM offers
WHERE NOT is_void AND is_of_the_date AND NOT is_of_a_team
GROUP BY player_lookup

UNION ALL

-- Only the lines of one of them are planned.
SELECT 'lines_of_two_games' AS problem, player_lookup AS name, COUNT(*) AS row_count
FROM offers
WHERE NOT is_void AND is_of_the_date
GROUP BY player_lookup
HAVING COUNT(DISTINCT game_id) > 1

UNION ALL

-- Such a player is planned, and will be skipped for want of a history.
SELECT 'line_without_history' AS problem, player_lookup AS name, COUNT(*) AS row_count
FROM offers
WHERE NOT is_void AND is_of_the_date AND NOT has_history
GROUP BY player_lookup

UNION ALL

-- A report that names nobody known (often a spelling) takes nobody out.
SELECT 'report_of_nobody' AS problem, reports.name, COUNT(*) AS row_count
FROM reports
LEFT JOIN known_players AS by_id ON by_id.player_id = reports.player_id
LEFT JOIN known_players AS by_name ON by_name.player_lookup = IF(reports.player_id IS NULL, reports.player_lookup, NULL)
WHERE
  by_id.player_id IS NULL
  AND by_name.player_id IS NULL
  AND COALESCE(reports.player_lookup NOT IN (SELECT player_lookup FROM offers WHERE NOT is_void), TRUE)
GROUP BY reports.name

ORDER BY problem, name
