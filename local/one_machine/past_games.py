"""A folder of CSV files as the arrays that training and backtest work on. The same files and checks as `tipoff run`'s."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np

from local.one_machine.csv_inputs import load_folder
from local.one_machine.input_bound import MAX_INPUT_MB, MIB
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import InvalidInput
from worker.absences import Reports
from worker.history import GameLogs, PastOffers
from worker.scores import PastLines

DAY_ZERO = date(2000, 1, 1)
"""What `GameLogs.day` counts from."""


@dataclass(frozen=True, slots=True)
class PastGames:
    """All games before a date, and the distinct lines on them; a line on who did not play is void and left out."""

    logs: GameLogs
    lines: PastLines
    offers: PastOffers
    reports: Reports
    names: Mapping[str, str]
    """What the players are called, by id."""
    is_simulated: bool


def read_past_games(folder: Path, *, until: date, max_bytes: int = MAX_INPUT_MB * MIB) -> PastGames:
    """Read the games before `until` and the lines on them.

    Raises:
        InvalidInput: the folder or a file is unusable, or there is no game before `until`.
        Unavailable: the files could not be taken in.
    """
    with closing(DuckdbWarehouse(":memory:")) as warehouse:
        load_folder(warehouse, folder=folder, game_date=until, max_bytes=max_bytes)
        with closing(warehouse.cursor()) as cursor:
            return _read(cursor, until)


_LOGS = """\
SELECT
  game_date - DATE '2000-01-01' AS day, player_id, game_id, season, team, opponent, position,
  CAST(is_home AS DOUBLE) AS is_home, CAST(points AS DOUBLE) AS points, CAST(minutes AS DOUBLE) AS minutes,
  CAST(fga AS DOUBLE) AS fga, CAST(fg3a AS DOUBLE) AS fg3a, CAST(fta AS DOUBLE) AS fta,
  COALESCE(season_type, '') AS season_type
FROM player_game_logs
WHERE game_date < ?
ORDER BY player_id, game_date, game_id"""

# A sportsbook's newest word on each value before the tip-off.
_OFFERS = """\
SELECT
  games.row_no AS game, CAST(lines.points_line AS DOUBLE) AS line, lines.sportsbook,
  CAST(lines.fair_over AS DOUBLE) AS fair_over, CAST(lines.over_price AS DOUBLE) AS over_price,
  CAST(lines.under_price AS DOUBLE) AS under_price
FROM points_lines AS lines
INNER JOIN (
  SELECT player_id, game_date, ROW_NUMBER() OVER (ORDER BY player_id, game_date, game_id) - 1 AS row_no
  FROM player_game_logs
  WHERE game_date < ?
) AS games ON games.player_id = lines.player_id AND games.game_date = lines.game_date
LEFT JOIN scheduled_games AS schedule ON schedule.game_id = lines.game_id AND schedule.game_date = lines.game_date
WHERE COALESCE(lines.captured_at < COALESCE(lines.commence_time_utc, schedule.tipoff_at), TRUE)
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY games.row_no, lines.sportsbook, lines.points_line
  ORDER BY lines.captured_at DESC NULLS LAST, lines.fair_over, lines.over_price, lines.under_price
) = 1"""

_EVERY_OFFER = (
    f"SELECT game, line, COALESCE(fair_over, 0.5) AS fair_over FROM ({_OFFERS}) ORDER BY game, sportsbook, line"
)

_LINES = f"""\
SELECT
  game, line, AVG(fair_over) AS fair_over, MAX(over_price) AS over_price, MAX(under_price) AS under_price
FROM ({_OFFERS})
GROUP BY game, line
ORDER BY game, line"""

_REPORTS = """\
SELECT
  reports.game_date - DATE '2000-01-01' AS day,
  COALESCE(reports.player_id, named.player_id) AS player_id,
  UPPER(TRIM(reports.status)) IN ('OUT', 'DOUBTFUL') AS is_out
FROM injury_reports AS reports
LEFT JOIN (
  SELECT COALESCE(player_lookup, REPLACE(LOWER(player_name), ' ', '-')) AS player_lookup, MAX(player_id) AS player_id
  FROM player_game_logs
  GROUP BY 1
) AS named ON
  reports.player_id IS NULL
  AND named.player_lookup = COALESCE(reports.player_lookup, REPLACE(LOWER(reports.player_name), ' ', '-'))
WHERE reports.game_date < ? AND COALESCE(reports.player_id, named.player_id) IS NOT NULL
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY day, COALESCE(reports.player_id, named.player_id)
  ORDER BY reports.reported_at DESC NULLS LAST, UPPER(TRIM(reports.status)), reports.reason
) = 1
ORDER BY day, 2"""


_NAMES = """\
SELECT player_id, ARG_MAX(player_name, game_date)
FROM player_game_logs
WHERE game_date < ?
GROUP BY player_id"""


def _read(cursor: duckdb.DuckDBPyConnection, until: date) -> PastGames:
    found = cursor.execute(_LOGS, [until]).fetchnumpy()
    if not len(found["day"]):
        raise InvalidInput("player_game_logs", f"no game before {until}; give earlier box scores or a later date")
    lines = cursor.execute(_LINES, [until]).fetchnumpy()
    offers = cursor.execute(_EVERY_OFFER, [until]).fetchnumpy()
    listed = cursor.execute(_REPORTS, [until]).fetchnumpy()
    numbers = ("is_home", "points", "minutes", "fga", "fg3a", "fta")
    texts = ("player_id", "game_id", "season", "team", "opponent")
    logs = GameLogs(
        day=np.asarray(found["day"], dtype=np.intp),
        **{name: np.asarray(found[name], dtype=object) for name in texts},
        position=np.array([each or None for each in np.ma.filled(found["position"], None)], dtype=object),
        **{name: _floats(found[name]) for name in numbers},
    )
    columns = ("line", "fair_over", "over_price", "under_price")
    past = PastLines(np.asarray(lines["game"], dtype=np.intp), *(_floats(lines[name]) for name in columns))
    every = PastOffers(np.asarray(offers["game"], dtype=np.intp), _floats(offers["line"]), _floats(offers["fair_over"]))
    named = cursor.execute(_NAMES, [until]).fetchall()
    reports = Reports(
        np.asarray(listed["day"], dtype=np.intp),
        np.asarray(listed["player_id"], dtype=object),
        np.asarray(listed["is_out"], dtype=np.bool_),
    )
    return PastGames(
        logs, past, every, reports, dict(named), is_simulated=set(found["season_type"]) == {"Simulated Season"}
    )


def _floats(column: np.ndarray) -> np.ndarray:
    return np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
