-- The day's plan: one row for each expected player of @game_date, with his whole request as JSON text.
-- Parameters: @game_date DATE, @planned_at TIMESTAMP, @roster_games INT64, @recent_games INT64, @preferred_sportsbook STRING,
-- @team_form_games INT64, @rotation_games INT64, @rotation_minutes INT64, @reported_before TIMESTAMP (which counts where no
-- tip-off is scheduled), @regular_games INT64, @learned_from DATE, @learned_until DATE, @learning_millionths INT64,
-- @learning_least_games INT64, @judged_system STRING.
-- `player_key` is the player id or, where the inputs give none, the lookup name.
WITH
  -- One row per team that plays: who the opponent is depends on the side.
  team_games AS (
    SELECT game_id, season, home_team AS team, away_team AS opponent, NOT COALESCE(is_neutral, FALSE) AS is_home
    FROM `scheduled_games`
    WHERE game_date = @game_date
    UNION ALL
    SELECT game_id, season, away_team AS team, home_team AS opponent, FALSE AS is_home
    FROM `scheduled_games`
    WHERE game_date = @game_date
  ),

  -- The only read of the logs, so that nothing of the date itself or later can leak into a request.
  history AS (
    SELECT
      game_date, season, game_id, player_id, player_name, player_lookup, team, opponent, minutes, points,
      fga, fg3a, fta, started, position
    FROM `player_game_logs`
    WHERE game_date < @game_date
  ),

  -- A player's newest row says what he is called now, whom he plays for and how rested he is.
  known_players AS (
    SELECT
      player_id,
      COALESCE(player_lookup, REPLACE(LOWER(player_name), ' ', '-')) AS player_lookup,
      team,
      game_date AS last_game_date,
      UPPER(RIGHT(position, 1)) AS position_letter
    FROM history
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY player_id ORDER BY game_date DESC, game_id DESC) = 1
  ),

  -- How far back a player's last appearance may lie is counted in his team's games, not in days: breaks do not matter.
  roster_games AS (
    SELECT team, game_id
    FROM history
    WHERE team IN (SELECT team FROM team_games)
    GROUP BY team, game_id, game_date
    QUALIFY ROW_NUMBER() OVER (PARTITION BY team ORDER BY game_date DESC, game_id DESC) <= @roster_games
  ),

  -- Appearing for a team is not enough: a player traded away since belongs to his newest team.
  roster AS (
    SELECT DISTINCT known_players.player_id
    FROM history
    INNER JOIN roster_games ON roster_games.team = history.team AND roster_games.game_id = history.game_id
    INNER JOIN known_players ON known_players.player_id = history.player_id AND known_players.team = history.team
  ),

  -- Void lines (of nobody) end here, lines of no game of the date at the next join; plan_check.sql names both kinds. A line
  -- from after the tip-off knows what nobody could beforehand.
  offers AS (
    SELECT
      COALESCE(lines.player_id, named.player_id, lines.player_lookup) AS player_key,
      COALESCE(lines.player_id, named.player_id) AS player_id,
      COALESCE(
        lines.player_lookup, REPLACE(LOWER(COALESCE(lines.player_name, lines.player_name_book)), ' ', '-')
      ) AS player_lookup,
      lines.game_id,
      lines.team,
      lines.sportsbook,
      lines.points_line,
      lines.fair_over,
      lines.over_price,
      lines.under_price,
      TIMESTAMP_DIFF(COALESCE(lines.commence_time_utc, games.tipoff_at), lines.captured_at, MINUTE) AS minutes_before_game,
      lines.captured_at,
      IF(LOWER(lines.sportsbook) = LOWER(@preferred_sportsbook), 0, 1) AS book_rank
    FROM `points_lines` AS lines
    LEFT JOIN known_players AS named ON named.player_lookup = IF(lines.player_id IS NULL, lines.player_lookup, NULL)
    LEFT JOIN `scheduled_games` AS games ON games.game_id = lines.game_id AND games.game_date = @game_date
    WHERE
      lines.game_date = @game_date AND (lines.player_id IS NOT NULL OR lines.player_lookup IS NOT NULL)
      AND COALESCE(lines.captured_at < COALESCE(lines.commence_time_utc, games.tipoff_at), TRUE)
  ),

  -- A line knows of a trade before any game does, so its team goes first; the logs' team mends a line without a usable one.
  line_players AS (
    SELECT
      offers.player_key, offers.player_id, COALESCE(known_players.player_lookup, offers.player_lookup) AS player_lookup,
      team_games.game_id, team_games.season, team_games.team, team_games.opponent, team_games.is_home, TRUE AS has_line
    FROM offers
    LEFT JOIN known_players ON known_players.player_id = offers.player_id
    INNER JOIN team_games ON
      team_games.game_id = offers.game_id AND team_games.team IN (offers.team, known_players.team)
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY offers.player_key
      ORDER BY IF(team_games.team = offers.team, 0, 1), team_games.game_id, team_games.team, offers.player_lookup
    ) = 1
  ),

  roster_players AS (
    SELECT
      known_players.player_id AS player_key, known_players.player_id, known_players.player_lookup,
      team_games.game_id, team_games.season, team_games.team, team_games.opponent, team_games.is_home, FALSE AS has_line
    FROM roster
    INNER JOIN known_players ON known_players.player_id = roster.player_id
    INNER JOIN team_games ON team_games.team = known_players.team
  ),

  -- A player of both kinds is one player, and his line decides which game is his.
  candidates AS (
    SELECT
      player_key, player_id, player_lookup, game_id, team, opponent, is_home, has_line,
      COALESCE(
        season,
        CONCAT(
          CAST(EXTRACT(YEAR FROM DATE_SUB(@game_date, INTERVAL 9 MONTH)) AS STRING), '-',
          SUBSTR(CAST(EXTRACT(YEAR FROM DATE_SUB(@game_date, INTERVAL 9 MONTH)) + 1 AS STRING), 3)
        )
      ) AS season
    FROM (
      SELECT player_key, player_id, player_lookup, game_id, season, team, opponent, is_home, has_line
      FROM line_players
      UNION ALL
      SELECT player_key, player_id, player_lookup, game_id, season, team, opponent, is_home, has_line
      FROM roster_players
    )
    WHERE TRUE
    QUALIFY ROW_NUMBER() OVER (PARTITION BY player_key ORDER BY IF(has_line, 0, 1), game_id) = 1
  ),

  -- Only the newest report counts, and none from after planning, lest a repeated plan see more than the first; nor any
  -- from after the first tip-off, since a plan of a past date must not know what that day's games brought about.
  listings AS (
    SELECT
      reports.game_date,
      COALESCE(reports.player_id, named.player_id, reports.player_lookup) AS player_key,
      UPPER(TRIM(reports.status)) AS status,
      reports.reason,
      reports.reported_at
    FROM `injury_reports` AS reports
    LEFT JOIN known_players AS named ON named.player_lookup = IF(
      reports.player_id IS NULL,
      COALESCE(reports.player_lookup, REPLACE(LOWER(reports.player_name), ' ', '-')),
      NULL
    )
    WHERE reports.game_date <= @game_date AND (
      reports.reported_at IS NULL
      OR reports.reported_at < LEAST(
        @planned_at,
        COALESCE((SELECT MIN(tipoff_at) FROM `scheduled_games` WHERE game_date = @game_date), @reported_before)
      )
    )
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY reports.game_date, COALESCE(reports.player_id, named.player_id, reports.player_lookup)
      ORDER BY reports.reported_at DESC NULLS LAST, UPPER(TRIM(reports.status)), reports.reason
    ) = 1
  ),

  injuries AS (
    SELECT player_key, status, reason, reported_at
    FROM listings
    WHERE game_date = @game_date
  ),

  -- Who was absent when, from the logs alone: a player of the rotation misses his team's games from the one after his
  -- last appearance to the one before his next. What he leaves is his season's mean, in whole hundredths, a tie upwards
  -- (the brackets within DIV are for the embedded engine, whose translator writes a bare division).
  appearances AS (
    SELECT
      player_id, team, game_id, game_date, UPPER(RIGHT(position, 1)) AS position_letter,
      DENSE_RANK() OVER (PARTITION BY team ORDER BY game_date, game_id) AS team_game,
      SUM(fga) OVER so_far AS shots, COUNT(fga) OVER so_far AS shot_games,
      SUM(points) OVER so_far AS points, SUM(minutes) OVER so_far AS minutes, COUNT(*) OVER so_far AS games
    FROM history
    WINDOW so_far AS (
      PARTITION BY player_id, season ORDER BY game_date, game_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
  ),

  team_schedule AS (
    SELECT DISTINCT team, team_game, game_id, game_date, MAX(team_game) OVER (PARTITION BY team) AS last_team_game
    FROM appearances
  ),

  rotation AS (
    SELECT
      player_id, team, team_game, position_letter,
      IF(shot_games > 0, DIV((200 * shots + shot_games), (2 * shot_games)), 0) AS shots,
      DIV((200 * points + games), (2 * games)) AS points,
      LEAD(game_date) OVER of_player AS next_date,
      LEAD(team) OVER of_player AS next_team,
      LEAD(team_game) OVER of_player AS next_team_game
    FROM appearances
    WHERE TRUE
    QUALIFY minutes >= @rotation_minutes * games
    WINDOW of_player AS (PARTITION BY player_id ORDER BY game_date, game_id)
  ),

  past_absences AS (
    SELECT
      team_schedule.team, team_schedule.game_id, rotation.player_id, rotation.position_letter, rotation.shots,
      rotation.points
    FROM rotation
    INNER JOIN team_schedule ON
      team_schedule.team = rotation.team
      AND team_schedule.team_game BETWEEN rotation.team_game + 1 AND rotation.team_game + @rotation_games
    WHERE
      rotation.next_date IS NULL
      OR (rotation.next_team = rotation.team AND team_schedule.team_game < rotation.next_team_game)
      OR (rotation.next_team != rotation.team AND team_schedule.game_date <= rotation.next_date)
  ),

  -- Who is not listed is as in the team's last game, unless a report explained that he missed it and today's, which
  -- speaks of his team, no longer lists him.
  tonight AS (
    SELECT
      rotation.player_id, rotation.team, rotation.position_letter, rotation.shots, rotation.points,
      COUNT(injuries.status) OVER (PARTITION BY rotation.team) > 0 AS is_reported,
      CASE
        WHEN injuries.status IS NOT NULL THEN injuries.status IN ('OUT', 'DOUBTFUL')
        WHEN rotation.team_game = team_schedule.team_game THEN FALSE
        ELSE
          NOT (
            COUNT(injuries.status) OVER (PARTITION BY rotation.team) > 0
            AND COALESCE(listings.status, '') IN ('OUT', 'DOUBTFUL')
          )
      END AS is_absent
    FROM rotation
    INNER JOIN team_schedule ON
      team_schedule.team = rotation.team AND team_schedule.team_game = team_schedule.last_team_game
      AND rotation.team_game > team_schedule.last_team_game - @rotation_games
    LEFT JOIN injuries ON injuries.player_key = rotation.player_id
    LEFT JOIN listings ON
      listings.player_key = rotation.player_id AND listings.game_date = team_schedule.game_date
    WHERE rotation.next_date IS NULL
  ),

  left_tonight AS (
    SELECT
      team, LOGICAL_OR(is_reported) AS is_reported,
      SUM(IF(is_absent, shots, 0)) AS shots, SUM(IF(is_absent, points, 0)) AS points,
      SUM(IF(is_absent AND position_letter = 'G', shots, 0)) AS guard_shots,
      SUM(IF(is_absent AND position_letter = 'F', shots, 0)) AS forward_shots,
      SUM(IF(is_absent AND position_letter = 'C', shots, 0)) AS center_shots
    FROM tonight
    GROUP BY team
  ),

  -- The embedded engine's sums are of twice the width, which the lists below would take in memory.
  left_then AS (
    SELECT
      past_absences.team, past_absences.game_id,
      CAST(SUM(past_absences.shots) AS INT64) AS shots,
      CAST(SUM(past_absences.points) AS INT64) AS points,
      CAST(SUM(IF(past_absences.position_letter = 'G', past_absences.shots, 0)) AS INT64) AS guard_shots,
      CAST(SUM(IF(past_absences.position_letter = 'F', past_absences.shots, 0)) AS INT64) AS forward_shots,
      CAST(SUM(IF(past_absences.position_letter = 'C', past_absences.shots, 0)) AS INT64) AS center_shots,
      CAST(SUM(IF(tonight.is_absent, tonight.shots, 0)) AS INT64) AS shots_of_the_same
    FROM past_absences
    LEFT JOIN tonight ON tonight.player_id = past_absences.player_id AND tonight.team = past_absences.team
    GROUP BY past_absences.team, past_absences.game_id
  ),

  -- From here on each part is worked out for everybody and joined once: BigQuery runs a CTE anew for each mention of it.
  season_totals AS (
    SELECT
      player_id, season, games, points, minutes,
      games >= @regular_games AND minutes >= @rotation_minutes * games AS is_regular,
      CASE
        WHEN points < 5 * games THEN 'under_5'
        WHEN points >= 25 * games THEN '25_and_more'
        ELSE CONCAT(CAST(DIV(points, (5 * games)) * 5 AS STRING), '_to_', CAST(DIV(points, (5 * games)) * 5 + 5 AS STRING))
      END AS scoring_tier
    FROM (
      SELECT player_id, season, COUNT(*) AS games, SUM(points) AS points, SUM(minutes) AS minutes
      FROM history
      GROUP BY player_id, season
    )
  ),

  -- TO_JSON_STRING below takes an array with NULLs, which no result and no table could hold.
  recent AS (
    SELECT
      player_id,
      COUNT(*) AS games,
      SUM(points) AS points,
      MAX(game_date) AS last_game_date,
      STRUCT(
        ARRAY_AGG(game_date ORDER BY nth) AS game_date,
        ARRAY_AGG(season ORDER BY nth) AS season,
        ARRAY_AGG(points ORDER BY nth) AS points,
        ARRAY_AGG(minutes ORDER BY nth) AS minutes,
        ARRAY_AGG(fga ORDER BY nth) AS fga,
        ARRAY_AGG(fg3a ORDER BY nth) AS fg3a,
        ARRAY_AGG(fta ORDER BY nth) AS fta,
        ARRAY_AGG(left_shots ORDER BY nth) AS left_shots,
        ARRAY_AGG(left_points ORDER BY nth) AS left_points,
        ARRAY_AGG(left_position_shots ORDER BY nth) AS left_position_shots,
        ARRAY_AGG(left_by_the_same ORDER BY nth) AS left_by_the_same
      ) AS games_newest_first
    FROM (
      SELECT
        history.player_id, history.game_date, history.game_id, history.season, history.points, history.minutes,
        history.fga, history.fg3a, history.fta,
        COALESCE(left_then.shots, 0) AS left_shots,
        COALESCE(left_then.points, 0) AS left_points,
        CASE known_players.position_letter
          WHEN 'G' THEN COALESCE(left_then.guard_shots, 0)
          WHEN 'F' THEN COALESCE(left_then.forward_shots, 0)
          WHEN 'C' THEN COALESCE(left_then.center_shots, 0)
        END AS left_position_shots,
        IF(history.team = candidates.team, COALESCE(left_then.shots_of_the_same, 0), 0) AS left_by_the_same,
        ROW_NUMBER() OVER (PARTITION BY history.player_id ORDER BY history.game_date DESC, history.game_id DESC) AS nth
      FROM history
      INNER JOIN candidates ON candidates.player_id = history.player_id
      INNER JOIN known_players ON known_players.player_id = history.player_id
      LEFT JOIN left_then ON left_then.team = history.team AND left_then.game_id = history.game_id
      WHERE TRUE
      QUALIFY nth <= @recent_games
    )
    GROUP BY player_id
  ),

  -- Several sportsbooks may offer one value: it is one line, credited to one of them.
  offered_lines AS (
    SELECT
      player_key,
      game_id,
      ARRAY_AGG(
        STRUCT(
          CAST(points_line AS STRING) AS points_line, FALSE AS is_estimated, CAST(NULL AS STRING) AS estimation_method,
          sportsbook AS sportsbook, is_fallback AS is_fallback, minutes_before_game AS minutes_before_game,
          fair_over AS fair_over
        )
        ORDER BY book_rank, points_line
      ) AS lines
    FROM (
      SELECT
        player_key, game_id, points_line, book_rank, sportsbook, minutes_before_game, fair_over,
        MIN(book_rank) OVER (PARTITION BY player_key, game_id) = 1 AS is_fallback
      FROM offers
      WHERE TRUE
      QUALIFY ROW_NUMBER() OVER (
        PARTITION BY player_key, game_id, points_line
        ORDER BY book_rank, sportsbook, captured_at DESC NULLS LAST, fair_over
      ) = 1
    )
    GROUP BY player_key, game_id
  ),

  -- Every sportsbook's newest word on each value: the market is read from all of them.
  book_offers AS (
    SELECT
      player_key,
      game_id,
      ARRAY_AGG(
        STRUCT(
          CAST(points_line AS STRING) AS points_line, sportsbook AS sportsbook, fair_over AS fair_over,
          over_price AS over_price, under_price AS under_price
        )
        ORDER BY sportsbook, points_line
      ) AS offers
    FROM (
      SELECT player_key, game_id, points_line, sportsbook, fair_over, over_price, under_price
      FROM offers
      WHERE TRUE
      QUALIFY ROW_NUMBER() OVER (
        PARTITION BY player_key, game_id, sportsbook, points_line
        ORDER BY captured_at DESC NULLS LAST, fair_over, over_price, under_price
      ) = 1
    )
    GROUP BY player_key, game_id
  ),

  -- Every row counts twice: for the team that scored, and for the one that allowed it.
  sides AS (
    SELECT team, game_date, game_id, TRUE AS is_scoring, points, minutes, UPPER(RIGHT(position, 1)) AS position_letter
    FROM history
    UNION ALL
    SELECT
      opponent AS team, game_date, game_id, FALSE AS is_scoring, points, minutes,
      UPPER(RIGHT(position, 1)) AS position_letter
    FROM history
  ),

  -- Whole sums only, so that no engine rounds differently; the worker divides.
  team_forms AS (
    SELECT
      team,
      COUNT(DISTINCT game_id) AS games,
      SUM(IF(is_scoring, points, 0)) AS points,
      SUM(IF(is_scoring, 0, points)) AS points_allowed,
      SUM(IF(is_scoring OR position_letter IS NULL OR position_letter != 'G', 0, points)) AS guard_points,
      SUM(IF(is_scoring OR position_letter IS NULL OR position_letter != 'G', 0, minutes)) AS guard_minutes,
      SUM(IF(is_scoring OR position_letter IS NULL OR position_letter != 'F', 0, points)) AS forward_points,
      SUM(IF(is_scoring OR position_letter IS NULL OR position_letter != 'F', 0, minutes)) AS forward_minutes,
      SUM(IF(is_scoring OR position_letter IS NULL OR position_letter != 'C', 0, points)) AS center_points,
      SUM(IF(is_scoring OR position_letter IS NULL OR position_letter != 'C', 0, minutes)) AS center_minutes
    FROM (
      SELECT team, game_id, is_scoring, points, minutes, position_letter
      FROM sides
      WHERE TRUE
      QUALIFY DENSE_RANK() OVER (PARTITION BY team ORDER BY game_date DESC, game_id DESC) <= @team_form_games
    )
    GROUP BY team
  ),

  league AS (
    SELECT
      SUM(games) AS games, SUM(points) AS points,
      SUM(guard_points) AS guard_points, SUM(guard_minutes) AS guard_minutes,
      SUM(forward_points) AS forward_points, SUM(forward_minutes) AS forward_minutes,
      SUM(center_points) AS center_points, SUM(center_minutes) AS center_minutes
    FROM team_forms
  ),

  matchups AS (
    SELECT
      team_games.game_id, team_games.team,
      own.games AS team_games, own.points AS team_points, own.points_allowed AS team_points_allowed,
      theirs.games AS opponent_games, theirs.points AS opponent_points,
      theirs.points_allowed AS opponent_points_allowed,
      league.games AS league_games, league.points AS league_points,
      theirs.guard_points, theirs.guard_minutes, theirs.forward_points, theirs.forward_minutes,
      theirs.center_points, theirs.center_minutes,
      league.guard_points AS league_guard_points, league.guard_minutes AS league_guard_minutes,
      league.forward_points AS league_forward_points, league.forward_minutes AS league_forward_minutes,
      league.center_points AS league_center_points, league.center_minutes AS league_center_minutes
    FROM team_games
    CROSS JOIN league
    LEFT JOIN team_forms AS own ON own.team = team_games.team
    LEFT JOIN team_forms AS theirs ON theirs.team = team_games.opponent
  ),

  -- The shots of the latest games by those who are still on the team, and which of those players are listed OUT.
  team_shots AS (
    SELECT
      known_players.team, known_players.player_id, known_players.player_lookup,
      COUNT(*) AS games, SUM(COALESCE(history.fga, 0)) AS shots, SUM(CAST(history.started AS INT64)) AS starts,
      SUM(SUM(COALESCE(history.fga, 0))) OVER (PARTITION BY known_players.team) AS all_shots
    FROM history
    INNER JOIN roster_games ON roster_games.team = history.team AND roster_games.game_id = history.game_id
    INNER JOIN known_players ON known_players.player_id = history.player_id AND known_players.team = history.team
    GROUP BY known_players.team, known_players.player_id, known_players.player_lookup
  ),

  absences AS (
    SELECT
      team_shots.team,
      MAX(team_shots.all_shots) AS all_shots,
      ARRAY_AGG(
        STRUCT(
          team_shots.player_lookup AS player_lookup, team_shots.shots AS shots,
          team_shots.games AS games, team_shots.starts AS starts
        )
        ORDER BY team_shots.shots DESC, team_shots.player_lookup
      ) AS players
    FROM team_shots
    INNER JOIN injuries ON injuries.player_key = team_shots.player_id
    WHERE injuries.status = 'OUT'
    GROUP BY team_shots.team
  ),

  reports AS (
    SELECT COUNT(*) AS players
    FROM injuries
  ),

  -- A day on which too many of a group's games lay outside asks its intervals to hold more from then on, and one on which too
  -- few did to hold less. In whole numbers, so that no engine rounds differently.
  graded_days AS (
    SELECT
      scoring_tier, is_regular, game_date, COUNT(*) AS games, GREATEST(COUNT(*), @learning_least_games) AS weighed_games,
      COUNTIF(NOT inside_50) AS outside_50, COUNTIF(NOT inside_80) AS outside_80, COUNTIF(NOT inside_90) AS outside_90
    FROM (
      SELECT DISTINCT
        game_date, game_id, player_lookup, COALESCE(scoring_tier, '') AS scoring_tier, is_regular, inside_50, inside_80,
        inside_90
      FROM `grades`
      WHERE
        game_date BETWEEN @learned_from AND @learned_until AND system_id = @judged_system
        AND actual_points IS NOT NULL AND is_regular IS NOT NULL AND NOT is_hindsight
    )
    GROUP BY scoring_tier, is_regular, game_date
  ),

  learned AS (
    SELECT
      scoring_tier, is_regular,
      500000 + SUM(DIV((@learning_millionths * (100 * outside_50 - 50 * games)), (100 * weighed_games))) AS share_50,
      800000 + SUM(DIV((@learning_millionths * (100 * outside_80 - 20 * games)), (100 * weighed_games))) AS share_80,
      900000 + SUM(DIV((@learning_millionths * (100 * outside_90 - 10 * games)), (100 * weighed_games))) AS share_90
    FROM graded_days
    GROUP BY scoring_tier, is_regular
  ),

  -- OUT removes a player of the roster; one with a line stays expected, so that skipping him is recorded.
  expected AS (
    SELECT
      candidates.player_lookup, candidates.player_id, candidates.game_id, candidates.season, candidates.team,
      candidates.opponent, candidates.is_home, injuries.status, injuries.reason, injuries.reported_at,
      offered_lines.lines, book_offers.offers, recent.last_game_date, recent.games_newest_first,
      COALESCE(season_totals.games, 0) AS season_games,
      COALESCE(season_totals.points, 0) AS season_points,
      COALESCE(season_totals.minutes, 0) AS season_minutes,
      season_totals.scoring_tier, COALESCE(season_totals.is_regular, FALSE) AS is_regular,
      learned.share_50, learned.share_80, learned.share_90,
      matchups.team_games, matchups.team_points, matchups.team_points_allowed, matchups.opponent_games,
      matchups.opponent_points, matchups.opponent_points_allowed, matchups.league_games, matchups.league_points,
      CASE known_players.position_letter
        WHEN 'G' THEN matchups.guard_points
        WHEN 'F' THEN matchups.forward_points
        WHEN 'C' THEN matchups.center_points
      END AS position_points,
      CASE known_players.position_letter
        WHEN 'G' THEN matchups.guard_minutes
        WHEN 'F' THEN matchups.forward_minutes
        WHEN 'C' THEN matchups.center_minutes
      END AS position_minutes,
      CASE known_players.position_letter
        WHEN 'G' THEN matchups.league_guard_points
        WHEN 'F' THEN matchups.league_forward_points
        WHEN 'C' THEN matchups.league_center_points
      END AS league_position_points,
      CASE known_players.position_letter
        WHEN 'G' THEN matchups.league_guard_minutes
        WHEN 'F' THEN matchups.league_forward_minutes
        WHEN 'C' THEN matchups.league_center_minutes
      END AS league_position_minutes,
      reports.players AS reported_players, COALESCE(absences.all_shots, 0) AS team_shots, absences.players AS absent,
      COALESCE(left_tonight.is_reported, FALSE) AS is_reported,
      COALESCE(left_tonight.shots, 0) - COALESCE(himself.shots, 0) AS left_shots,
      COALESCE(left_tonight.points, 0) - COALESCE(himself.points, 0) AS left_points,
      CASE known_players.position_letter
        WHEN 'G' THEN COALESCE(left_tonight.guard_shots, 0)
        WHEN 'F' THEN COALESCE(left_tonight.forward_shots, 0)
        WHEN 'C' THEN COALESCE(left_tonight.center_shots, 0)
      END - COALESCE(himself.shots, 0) AS left_position_shots,
      -- Without an offer the line is guessed from the player's own mean, to the half point as sportsbooks quote.
      ROUND(
        2 * COALESCE(season_totals.points, recent.points) / COALESCE(season_totals.games, recent.games)
      ) / 2 AS estimated_line
    FROM candidates
    CROSS JOIN reports
    INNER JOIN matchups ON matchups.game_id = candidates.game_id AND matchups.team = candidates.team
    LEFT JOIN absences ON absences.team = candidates.team
    LEFT JOIN left_tonight ON left_tonight.team = candidates.team
    LEFT JOIN tonight AS himself ON
      himself.player_id = candidates.player_id AND himself.team = candidates.team AND himself.is_absent
    LEFT JOIN known_players ON known_players.player_id = candidates.player_id
    LEFT JOIN injuries ON injuries.player_key = candidates.player_key
    LEFT JOIN season_totals ON
      season_totals.player_id = candidates.player_id AND season_totals.season = candidates.season
    LEFT JOIN learned ON
      learned.scoring_tier = COALESCE(season_totals.scoring_tier, '')
      AND learned.is_regular = COALESCE(season_totals.is_regular, FALSE)
    LEFT JOIN recent ON recent.player_id = candidates.player_id
    LEFT JOIN offered_lines ON
      offered_lines.player_key = candidates.player_key AND offered_lines.game_id = candidates.game_id
    LEFT JOIN book_offers ON
      book_offers.player_key = candidates.player_key AND book_offers.game_id = candidates.game_id
    WHERE candidates.has_line OR COALESCE(injuries.status, '') != 'OUT'
  )

-- Every field of the request is named outright, though BigQuery would infer the names: they are the message's contract.
SELECT
  player_lookup,
  player_id AS universal_player_id,
  @planned_at AS planned_at,
  TO_JSON_STRING(
    STRUCT(
      @game_date AS game_date,
      player_lookup AS player_lookup,
      player_id AS universal_player_id,
      STRUCT(
        game_id AS game_id, season AS season, team AS team, opponent AS opponent, is_home AS is_home
      ) AS game,
      DATE_DIFF(@game_date, last_game_date, DAY) - 1 AS rest_days,
      IF(
        status IN ('OUT', 'DOUBTFUL', 'QUESTIONABLE', 'PROBABLE'),
        STRUCT(
          status AS status,
          reason AS reason,
          FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%E6SZ', reported_at) AS checked_at
        ),
        NULL
      ) AS injury,
      CASE
        WHEN lines IS NOT NULL THEN lines
        WHEN estimated_line IS NULL THEN []
        ELSE [
          STRUCT(
            CAST(estimated_line AS STRING) AS points_line,
            TRUE AS is_estimated,
            IF(season_games > 0, 'season_average', 'recent_average') AS estimation_method,
            CAST(NULL AS STRING) AS sportsbook,
            TRUE AS is_fallback,
            CAST(NULL AS INT64) AS minutes_before_game,
            CAST(NULL AS FLOAT64) AS fair_over
          )
        ]
      END AS lines,
      COALESCE(offers, []) AS offers,
      STRUCT(season_games AS games, season_points AS points, season_minutes AS minutes) AS season_to_date,
      scoring_tier AS scoring_tier,
      is_regular AS is_regular,
      IF(
        share_80 IS NOT NULL,
        STRUCT(share_50 AS share_50, share_80 AS share_80, share_90 AS share_90),
        NULL
      ) AS asked,
      STRUCT(
        COALESCE(games_newest_first.game_date, []) AS game_date,
        COALESCE(games_newest_first.season, []) AS season,
        COALESCE(games_newest_first.points, []) AS points,
        COALESCE(games_newest_first.minutes, []) AS minutes,
        COALESCE(games_newest_first.fga, []) AS fga,
        COALESCE(games_newest_first.fg3a, []) AS fg3a,
        COALESCE(games_newest_first.fta, []) AS fta,
        COALESCE(games_newest_first.left_shots, []) AS left_shots,
        COALESCE(games_newest_first.left_points, []) AS left_points,
        COALESCE(games_newest_first.left_position_shots, []) AS left_position_shots,
        COALESCE(games_newest_first.left_by_the_same, []) AS left_by_the_same
      ) AS recent_games,
      @recent_games AS recent_games_wanted,
      IF(
        league_games > 0,
        STRUCT(
          IF(
            team_games > 0,
            STRUCT(team_games AS games, team_points AS points, team_points_allowed AS points_allowed),
            NULL
          ) AS team,
          IF(
            opponent_games > 0,
            STRUCT(opponent_games AS games, opponent_points AS points, opponent_points_allowed AS points_allowed),
            NULL
          ) AS opponent,
          league_games AS league_games,
          league_points AS league_points,
          IF(
            position_minutes IS NOT NULL,
            STRUCT(
              position_points AS points, position_minutes AS minutes, league_position_points AS league_points,
              league_position_minutes AS league_minutes
            ),
            NULL
          ) AS position
        ),
        NULL
      ) AS matchup,
      IF(
        reported_players > 0,
        STRUCT(
          team_shots AS team_shots,
          COALESCE(absent, []) AS `out`,
          is_reported AS is_reported,
          STRUCT(left_shots AS shots, left_points AS points, left_position_shots AS position_shots) AS `left`
        ),
        NULL
      ) AS absences
    )
  ) AS request
FROM expected
