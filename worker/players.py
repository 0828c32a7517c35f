"""The players of a computation as arrays, the same for one request and for a season of past games.

Holds what a request says and nothing more: whole sums and past games, unknown as NaN. Decides no feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.messages import Left, Line, Matchup, Offer, PredictionRequest

Floats = NDArray[np.float64]

WINDOW_GAMES = 25
"""So many past games are looked at; a request with fewer has unknown ones at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Players:
    """N players, each about to play one game. `(N, WINDOW_GAMES)` arrays hold past games, newest first.

    NaN is an unknown value, or a game that is not there. Everything else is `(N,)`: sums over the season so far, and
    over the last games of the teams and of the league (`schemas.messages.Matchup`).
    """

    points: Floats
    minutes: Floats
    fga: Floats
    fg3a: Floats
    fta: Floats
    days_ago: Floats
    """Days from the past game to the one to predict; 1 is a back-to-back."""
    left_shots: Floats
    """What those who missed the past game left in it (`schemas.messages.Left`), in shots and points."""
    left_points: Floats
    left_by_position: Floats
    left_by_the_same: Floats
    """Shots tonight of those who missed the past game and are absent again."""
    tonight_shots: Floats
    """What absent teammates leave tonight; NaN where nothing is known of that."""
    tonight_points: Floats
    tonight_by_position: Floats
    is_home: Floats
    season_games: Floats
    season_points: Floats
    season_minutes: Floats
    team_games: Floats
    team_points: Floats
    team_allowed: Floats
    opponent_games: Floats
    opponent_points: Floats
    opponent_allowed: Floats
    league_games: Floats
    league_points: Floats
    position_points: Floats
    position_minutes: Floats
    league_position_points: Floats
    league_position_minutes: Floats
    offered_lines: Floats
    """`(N, offers)`: every sportsbook's line, NaN after the last one; and the market's own probability of OVER."""
    fair_over: Floats

    def __len__(self) -> int:
        return len(self.is_home)

    @property
    def games(self) -> Floats:
        """How many past games of each player the window holds."""
        counted: Floats = np.isfinite(self.points).sum(axis=1).astype(np.float64)
        return counted

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Players:
        """Some of the players, in the order asked for."""
        return Players(**{name: getattr(self, name)[rows] for name in self.__slots__})


def players_of(requests: Sequence[PredictionRequest]) -> Players:
    """Lay requests out as arrays, one player each."""
    games = np.full((_PAST, len(requests), WINDOW_GAMES), np.nan)
    rows = np.empty((len(requests), len(_PER_PLAYER)))
    for place, request in enumerate(requests):
        recent, so_far = request.recent_games, request.season_to_date
        found = np.array(
            [
                recent.points,
                recent.minutes,
                recent.fga,
                recent.fg3a,
                recent.fta,
                [(request.game_date - day).days for day in recent.game_date],
                recent.left_shots,
                recent.left_points,
                recent.left_position_shots,
                recent.left_by_the_same if request.absences else [None] * len(recent),
            ],
            dtype=np.float64,
        )[:, :WINDOW_GAMES]
        games[:, place, : found.shape[1]] = found
        rows[place] = (
            *_left(request.absences.left if request.absences else None),
            request.game.is_home,
            so_far.games,
            so_far.points,
            so_far.minutes,
            *_matchup(request.matchup),
        )
    games[_LEFT] /= 100
    rows[:, :_LEFT_TONIGHT] /= 100
    return Players(**dict(zip(Players.__slots__, (*games, *rows.T, *_offers(requests)), strict=True)))


_PAST = 10
"""So many fields of `Players` are of past games; they come first."""
_LEFT = slice(6, 10)
_LEFT_TONIGHT = 3
_PER_PLAYER = Players.__slots__[_PAST:-2]


def _offers(requests: Sequence[PredictionRequest]) -> Floats:
    """Lines and probabilities, `(2, N, offers)`; what a book does not say of the odds is taken to be even."""
    # A coordinator that sends no offers yet sends distinct lines, each credited to one book.
    offers: list[Sequence[Offer | Line]] = [
        request.offers or [line for line in request.lines if not line.is_estimated] for request in requests
    ]
    found = np.full((2, len(requests), max(map(len, offers), default=0)), np.nan)
    for place, of_player in enumerate(offers):
        for number, offer in enumerate(of_player):
            found[:, place, number] = float(offer.points_line), 0.5 if offer.fair_over is None else offer.fair_over
    return found


def _left(left: Left | None) -> tuple[float, float, float]:
    """In hundredths, as the request says it."""
    return (np.nan,) * 3 if left is None else (left.shots, left.points, _known(left.position_shots))


def _known(value: int | None) -> float:
    return np.nan if value is None else value


def _matchup(matchup: Matchup | None) -> tuple[float, ...]:
    if matchup is None:
        return (np.nan,) * 12
    own, theirs, position = matchup.team, matchup.opponent, matchup.position
    unknown = (np.nan,) * 3
    return (
        *((own.games, own.points, own.points_allowed) if own else unknown),
        *((theirs.games, theirs.points, theirs.points_allowed) if theirs else unknown),
        matchup.league_games,
        matchup.league_points,
        *(
            (position.points, position.minutes, position.league_points, position.league_minutes)
            if position
            else (np.nan,) * 4
        ),
    )
