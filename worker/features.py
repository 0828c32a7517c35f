"""What the trained systems see of a player: one list of names with a version, and the pure function that computes it.

Training, backtest and serving call the same function on the same arrays. An unknown feature is NaN and stays so; who
uses it decides what to do without. Must never learn of the game itself or of anything after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worker.players import WINDOW_GAMES, Floats, Players
from worker.portable import halvings

FEATURE_VERSION = "features_v2"
"""Changes with any change to the list or to what a name means: a model trained on another is refused (E6)."""

FEATURES: dict[str, str] = {
    "season_points": "form",
    "season_minutes": "form",
    "form_points": "form",
    "points_8": "form",
    "points_per_minute_4": "form",
    "points_per_minute_16": "form",
    "minutes_16": "form",
    "median_minutes": "form",
    "shots_12": "form",
    "threes_12": "form",
    "free_throws_12": "form",
    "season_games": "form",
    "window_games": "form",
    "minutes_change_2": "role",
    "minutes_change_4": "role",
    "minutes_change_by_rest": "role",
    "shots_change_4": "role",
    "rest_days": "rest",
    "is_back_to_back": "rest",
    "is_long_absence": "rest",
    "games_in_7_days": "rest",
    "games_in_14_days": "rest",
    "back_to_back_by_form": "rest",
    "is_home": "home",
    "home_by_form": "home",
    "defence_by_form": "opponent",
    "position_defence_by_form": "opponent",
    "pace_by_form": "pace",
    "absent_shots_2": "absences",
    "absent_shots_4": "absences",
    "absent_shots_10": "absences",
    "absent_points_2": "absences",
    "absent_points_4": "absences",
    "absent_points_10": "absences",
    "absent_position_shots_2": "absences",
    "absent_position_shots_4": "absences",
    "absent_position_shots_10": "absences",
    "like_lineup_points": "absences",
    "like_lineup_minutes": "absences",
    "like_lineup_shots": "absences",
}
"""Every feature, in its order, and the component of a prediction that its term counts to.

A number at the end of a name is a half-life in games. `_by_form` is a share times the player's form in points.
`form_points` is what moving_average says; changes are of newer games against older ones. `absent_` is what absent
teammates leave tonight, less what the absent left in the player's own recent games; `like_lineup_` how the games that
missed the same teammates differ from his recent ones.
"""

NAMES = tuple(FEATURES)
"""The columns of `features`, in order."""

RATE_HALF_LIFE_GAMES = 12.0
MINUTES_HALF_LIFE_GAMES = 3.5
"""Of `form_points`: least mean absolute error of a grid over two real seasons. The optimum is flat: rate 10 to 20 and
minutes 3 to 5 lie within 0.003 points of it."""

MOST_SEASON_GAMES = 20
MOST_REST_DAYS = 7
LONG_ABSENCE_DAYS = 10


def features(players: Players) -> Floats:
    """Compute `(N, len(FEATURES))` features, in the list's order; NaN where a player's inputs do not tell."""
    with np.errstate(invalid="ignore", divide="ignore"):
        known = _columns(players)
    return np.column_stack([known[name] for name in FEATURES])


def _columns(players: Players) -> dict[str, Floats]:
    # Games without a whole minute played count for the minutes and, weighing nothing, not for the rate.
    form = _rate(players, RATE_HALF_LIFE_GAMES) * _weighted(players.minutes, MINUTES_HALF_LIFE_GAMES)
    minutes = {half_life: _weighted(players.minutes, half_life) for half_life in (2, 4, 16)}
    shots = {half_life: _weighted(players.fga, half_life) for half_life in (4, 12)}
    rest = np.minimum(players.days_ago[:, 0], MOST_REST_DAYS)
    is_back_to_back = _flag(players.days_ago[:, 0] == 1, players.days_ago[:, 0])
    lately = _Teams(players)
    return _absences(players) | {
        "season_points": players.season_points / players.season_games,
        "season_minutes": players.season_minutes / players.season_games,
        "form_points": form,
        "points_8": _weighted(players.points, 8),
        "points_per_minute_4": _rate(players, 4),
        "points_per_minute_16": _rate(players, 16),
        "minutes_16": minutes[16],
        "median_minutes": _median(players.minutes[:, :9]),
        "shots_12": shots[12],
        "threes_12": _weighted(players.fg3a, 12),
        "free_throws_12": _weighted(players.fta, 12),
        "season_games": np.minimum(players.season_games, MOST_SEASON_GAMES),
        "window_games": players.games,
        "minutes_change_2": minutes[2] - minutes[16],
        "minutes_change_4": minutes[4] - minutes[16],
        "minutes_change_by_rest": (minutes[4] - minutes[16]) * rest,
        "shots_change_4": shots[4] - shots[12],
        "rest_days": rest,
        "is_back_to_back": is_back_to_back,
        "is_long_absence": _flag(players.days_ago[:, 0] > LONG_ABSENCE_DAYS, players.days_ago[:, 0]),
        "games_in_7_days": (players.days_ago <= 7).sum(axis=1).astype(np.float64),
        "games_in_14_days": (players.days_ago <= 14).sum(axis=1).astype(np.float64),
        "back_to_back_by_form": is_back_to_back * form,
        "is_home": players.is_home,
        "home_by_form": (players.is_home - 0.5) * form,
        "defence_by_form": lately.defence * form,
        "position_defence_by_form": lately.position_defence * form,
        "pace_by_form": lately.pace * form,
    }


LIKE_LINEUP_SHOTS = 16.0
LIKE_LINEUP_GAMES = 12.0
"""A past game in which others were absent, who take so many shots, weighs a quarter; and half, so many games ago."""


def _absences(players: Players) -> dict[str, Floats]:
    found = {}
    for half_life in (2, 4, 10):
        for name, tonight, past in (
            ("shots", players.tonight_shots, players.left_shots),
            ("points", players.tonight_points, players.left_points),
            ("position_shots", players.tonight_by_position, players.left_by_position),
        ):
            found[f"absent_{name}_{half_life}"] = tonight - _weighted(past, half_life)
    # Shots of those who were absent then or are tonight, and not both times.
    unlike = players.left_shots + players.tonight_shots[:, None] - 2 * players.left_by_the_same
    likeness = 1.0 / (1.0 + unlike / LIKE_LINEUP_SHOTS)
    for name, values in (("points", players.points), ("minutes", players.minutes), ("shots", players.fga)):
        like = _weighted(values, LIKE_LINEUP_GAMES, likeness * likeness)
        found[f"like_lineup_{name}"] = like - _weighted(values, LIKE_LINEUP_GAMES)
    return found


@dataclass(frozen=True, slots=True, init=False)
class _Teams:
    """How the two teams differ from the league, as shares: 0.05 is five per cent above it."""

    defence: Floats
    position_defence: Floats
    pace: Floats

    def __init__(self, players: Players) -> None:
        league = players.league_points / players.league_games
        allowed = players.opponent_allowed / players.opponent_games
        scored = players.opponent_points / players.opponent_games
        own = (players.team_points + players.team_allowed) / players.team_games
        rate = players.position_points / players.position_minutes
        league_rate = players.league_position_points / players.league_position_minutes
        object.__setattr__(self, "defence", allowed / league - 1)
        object.__setattr__(self, "position_defence", rate / league_rate - 1)
        object.__setattr__(self, "pace", (own + allowed + scored) / (4 * league) - 1)


def _weighted(values: Floats, half_life: float, share: Floats | float = 1.0) -> Floats:
    """The mean of the known values, whose weights halve with the games and are shares of that."""
    unknown = np.isnan(values)
    weights = np.where(unknown, 0.0, _weights(half_life) * share)
    mean: Floats = (np.where(unknown, 0.0, values) * weights).sum(axis=1) / weights.sum(axis=1)
    return mean


def _rate(players: Players, half_life: float) -> Floats:
    weights = _weights(half_life)
    unknown = np.isnan(players.points)
    points, minutes = np.where(unknown, 0.0, players.points), np.where(unknown, 0.0, players.minutes)
    played = (minutes * weights).sum(axis=1)
    rate: Floats = (points * weights).sum(axis=1) / np.where(played > 0, played, np.nan)
    return rate


def _weights(half_life: float) -> Floats:
    return _WEIGHTS[half_life]


_WEIGHTS: dict[float, Floats] = {
    half_life: halvings(half_life, WINDOW_GAMES)
    for half_life in (2, MINUTES_HALF_LIFE_GAMES, 4, 8, 10, RATE_HALF_LIFE_GAMES, 16)
}


def _flag(is_so: np.ndarray, known: Floats) -> Floats:
    return np.where(np.isnan(known), np.nan, is_so.astype(np.float64))


def _median(newest: Floats) -> Floats:
    """The median of the known values of each row: sorting puts the unknown ones last."""
    ordered = np.sort(newest, axis=1)
    count = np.isfinite(newest).sum(axis=1)
    rows = np.arange(len(newest))
    lower, upper = ordered[rows, np.maximum(count - 1, 0) // 2], ordered[rows, count // 2 % newest.shape[1]]
    return np.where(count > 0, (lower + upper) / 2, np.nan)
