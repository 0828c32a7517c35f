"""Past games as the players' requests would have been: the plan of every date at once, for training and backtest.

Each row of the logs is a player about to play that game, and sees only what came before its date. It mirrors
`coordinator/rules/plan.sql`, and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from schemas.messages import TEAM_FORM_GAMES
from shared.errors import InvalidInput
from worker import absences
from worker.absences import NOTHING, Flags, Knowledge
from worker.players import WINDOW_GAMES, Floats, Players

Texts = NDArray[np.object_]
Whole = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class GameLogs:
    """The box scores as columns of one length, sorted by player, date and game; unknown numbers are NaN."""

    day: Whole
    """Days since any fixed date."""
    player_id: Texts
    game_id: Texts
    season: Texts
    team: Texts
    opponent: Texts
    position: Texts
    """The input's text, or None."""
    is_home: Floats
    points: Floats
    minutes: Floats
    fga: Floats
    fg3a: Floats
    fta: Floats

    def __len__(self) -> int:
        return len(self.day)


@dataclass(frozen=True, slots=True)
class PastOffers:
    """Every sportsbook's offers on past games, by game: its line, and the market's probability of OVER."""

    game: Whole
    """The row of the game in the logs, in order."""
    line: Floats
    fair_over: Floats

    def beside(self, players: Players, rows: Whole) -> Players:
        """The players of some games, which they are laid out for, with the offers on them."""
        first, end = (np.searchsorted(self.game, rows, side=side) for side in ("left", "right"))
        places = first[:, None] + np.arange(int((end - first).max(initial=0)))
        is_there = places < end[:, None]
        found = np.where(is_there, places, 0)
        return replace(
            players,
            offered_lines=np.where(is_there, self.line[found], np.nan),
            fair_over=np.where(is_there, self.fair_over[found], np.nan),
        )


def past_players(logs: GameLogs, knowledge: Knowledge = NOTHING) -> Players:
    """Lay out every row's player as he stood before that game.

    Args:
        knowledge: what was known before each game of who would miss it.

    Raises:
        InvalidInput: a player has two games on one date, of which neither came before the other.
    """
    player = np.unique(logs.player_id, return_inverse=True)[1]
    if np.any((np.diff(player) == 0) & (np.diff(logs.day) <= 0)):
        raise InvalidInput("player_game_logs", "a player has two games on one date; keep one")
    window, is_there = _window(player)
    season = np.unique(logs.season, return_inverse=True)[1]
    places = _positions(logs)
    position = np.where(is_there[:, 0], places[window[:, 0]], len(_POSITIONS))

    def past(values: Floats | Whole) -> Floats:
        return np.where(is_there, values[window].astype(np.float64), np.nan)

    return Players(
        points=past(logs.points),
        minutes=past(logs.minutes),
        fga=past(logs.fga),
        fg3a=past(logs.fg3a),
        fta=past(logs.fta),
        days_ago=logs.day[:, None] - past(logs.day),
        **_left(logs, places, knowledge, window=window, is_there=is_there, position=position),
        is_home=logs.is_home,
        **_season_so_far(logs, player * (season.max(initial=0) + 1) + season),
        **_matchups(logs, places, position),
        offered_lines=np.empty((len(logs), 0)),
        fair_over=np.empty((len(logs), 0)),
    )


def _window(player: Whole) -> tuple[Whole, NDArray[np.bool_]]:
    """The rows of each row's past games, newest first, and which of them are there."""
    rows = np.arange(len(player))
    earlier = rows[:, None] - 1 - np.arange(WINDOW_GAMES)
    is_there = earlier >= absences.group_starts(player)[:, None]
    return np.where(is_there, earlier, 0), is_there


def _left(
    logs: GameLogs, places: Whole, knowledge: Knowledge, *, window: Whole, is_there: Flags, position: Whole
) -> dict[str, Floats]:
    """What absent teammates left in the past games, and tonight as far as that is known."""
    seen = absences.appearances(
        day=logs.day,
        player_id=logs.player_id,
        game_id=logs.game_id,
        season=logs.season,
        team=logs.team,
        place=places,
        shots=logs.fga,
        points=logs.points,
        minutes=logs.minutes,
    )
    rotation = absences.pool(seen)
    is_taken = absences.taken_absent(seen, rotation, knowledge)
    is_known = ~absences.unknown_games(seen, logs.team, knowledge)
    found = absences.left(seen, rotation, is_taken, window=window, is_there=is_there, position=position)
    return {
        name: np.where(is_known.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan) if name in _TONIGHT else values
        for name, values in found.items()
    }


_TONIGHT = ("tonight_shots", "tonight_points", "tonight_by_position", "left_by_the_same")


def _season_so_far(logs: GameLogs, season_of_player: Whole) -> dict[str, Floats]:
    rows = np.arange(len(logs))
    # A season's games of a player follow one another, since the rows are in the order of dates.
    start = absences.group_starts(season_of_player)

    def before(values: Floats) -> Floats:
        sums = np.r_[0.0, np.cumsum(values)]
        so_far: Floats = sums[rows] - sums[start]
        return so_far

    return {
        "season_games": (rows - start).astype(np.float64),
        "season_points": before(logs.points),
        "season_minutes": before(logs.minutes),
    }


_POSITIONS = "GFC"


def _positions(logs: GameLogs) -> Whole:
    """The place of each row's position in `_POSITIONS` by its last letter; their number where it is unknown."""
    letters = {text: _POSITIONS.find(str(text)[-1:].upper()) if text else -1 for text in set(logs.position)}
    places = np.array([letters[text] for text in logs.position], dtype=np.intp)
    return np.where(places < 0, len(_POSITIONS), places)


def _matchups(logs: GameLogs, places: Whole, place: Whole) -> dict[str, Floats]:
    """The two teams' and the league's sums before each row's date; `place` is that of the newest past game."""
    teams, codes = np.unique(np.r_[logs.team, logs.opponent], return_inverse=True)
    team, opponent = codes[: len(logs)], codes[len(logs) :]
    days, day = np.unique(logs.day, return_inverse=True)
    sums = _forms(logs, places, team=team, opponent=opponent, days=days, teams=len(teams))
    league, own, theirs = sums.sum(axis=1)[day], sums[day, team], sums[day, opponent]
    rows, has_place = np.arange(len(logs)), place < len(_POSITIONS)

    def of_position(source: Floats, first: int) -> Floats:
        column = np.where(has_place, first + place, 0)
        return np.where(has_place & (theirs[:, 0] > 0), source[rows, column], np.nan)

    return {
        **_form(own, "team"),
        **_form(theirs, "opponent"),
        "league_games": _unless(league[:, 0] == 0, league[:, 0]),
        "league_points": _unless(league[:, 0] == 0, league[:, 1]),
        "position_points": of_position(theirs, 3),
        "position_minutes": of_position(theirs, 6),
        "league_position_points": of_position(league, 3),
        "league_position_minutes": of_position(league, 6),
    }


def _form(sums: Floats, whose: str) -> dict[str, Floats]:
    names = ("games", "points", "allowed")
    return {f"{whose}_{name}": _unless(sums[:, 0] == 0, sums[:, column]) for column, name in enumerate(names)}


def _unless(is_unknown: NDArray[np.bool_], values: Floats) -> Floats:
    return np.where(is_unknown, np.nan, values)


def _forms(logs: GameLogs, place: Whole, *, team: Whole, opponent: Whole, days: Whole, teams: int) -> Floats:
    """`(days, teams, 9)` sums over each team's last games before each day: games, points, points allowed, and points
    and minutes allowed by position."""
    by_position = [np.where(place == each, values, 0.0) for values in (logs.points, logs.minutes) for each in range(3)]
    number = np.unique(logs.game_id, return_inverse=True)[1]
    game = logs.day * len(number) + number
    forms = np.zeros((len(days), teams, 9))
    for each in range(teams):
        scoring, allowing = team == each, opponent == each
        games, of_row = np.unique(game[scoring | allowing], return_inverse=True)
        totals = np.zeros((len(games), 9))
        totals[:, 0] = 1
        totals[:, 1] = _sums(of_row[scoring[scoring | allowing]], logs.points[scoring], games)
        for column, values in enumerate([logs.points, *by_position], start=2):
            totals[:, column] = _sums(of_row[allowing[scoring | allowing]], values[allowing], games)
        sums = np.vstack([np.zeros(9), np.cumsum(totals, axis=0)])
        until = np.searchsorted(games, days * len(number), side="left")
        forms[:, each] = sums[until] - sums[np.maximum(until - TEAM_FORM_GAMES, 0)]
    return forms


def _sums(game: Whole, values: Floats, games: Whole) -> Floats:
    sums: Floats = np.bincount(game, values, minlength=len(games)).astype(np.float64)
    return sums
