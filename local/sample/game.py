"""One simulated game: who plays how long and with what box score. Knows nothing of dates, schedules or files.

Draws only uniform numbers and adds, multiplies and compares them, so that every machine and Python version gets the same.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from local.sample.league import Player

_TEAM_MINUTES = 240
_MOST_MINUTES = 44
_TEAM_SHOTS = 88
_ROTATION_MINUTES = 10
"""Who usually plays less often does not play at all."""


@dataclass(frozen=True, slots=True)
class BoxScore:
    """What one player did in one game; points = 2 (fgm - fg3m) + 3 fg3m + ftm."""

    player: Player
    minutes: int
    started: bool
    fgm: int
    fga: int
    fg3m: int
    fg3a: int
    ftm: int
    fta: int
    oreb: int
    dreb: int
    assists: int
    steals: int
    blocks: int
    turnovers: int
    fouls: int

    @property
    def points(self) -> int:
        """Points scored."""
        return 2 * (self.fgm - self.fg3m) + 3 * self.fg3m + self.ftm


def play(rng: random.Random, home: Sequence[Player], away: Sequence[Player]) -> tuple[list[BoxScore], list[BoxScore]]:
    """Play a game among the players who can; who gets no minute has no box score. There are no draws."""
    home_scores, away_scores = _team(rng, home), _team(rng, away)
    if total(home_scores) == total(away_scores):
        winner = home_scores[0]
        home_scores[0] = replace(winner, ftm=winner.ftm + 1, fta=winner.fta + 1)
    return home_scores, away_scores


def total(scores: Sequence[BoxScore]) -> int:
    """A team's points."""
    return sum(score.points for score in scores)


def _team(rng: random.Random, players: Sequence[Player]) -> list[BoxScore]:
    minutes = _share_minutes(rng, players)
    playing = [player for player in players if minutes[player.player_id]]
    # Whoever plays takes the shots of those who do not.
    pace = _TEAM_SHOTS / sum(player.shots_per_minute * minutes[player.player_id] for player in playing)
    return [
        _box(rng, player, minutes[player.player_id], pace=pace, started=place < 5)
        for place, player in enumerate(playing)
    ]


def _share_minutes(rng: random.Random, players: Sequence[Player]) -> dict[str, int]:
    """Share out 240 whole minutes by usual minutes and the day's form."""
    form = {
        player.player_id: player.minutes * (0.75 + 0.5 * rng.random())
        for player in players
        if player.minutes >= _ROTATION_MINUTES or rng.random() < 0.3
    }
    scale = _TEAM_MINUTES / sum(form.values())
    shares = {player.player_id: min(_MOST_MINUTES, int(form.get(player.player_id, 0.0) * scale)) for player in players}
    missing = _TEAM_MINUTES - sum(shares.values())
    while missing:
        for player_id in form:
            if missing and shares[player_id] < _MOST_MINUTES + 4:
                shares[player_id] += 1
                missing -= 1
    return shares


def _box(rng: random.Random, player: Player, minutes: int, *, pace: float, started: bool) -> BoxScore:
    fga = _count(rng, minutes * player.shots_per_minute * pace)
    fg3a = _made(rng, fga, player.threes)
    fg3m = _made(rng, fg3a, player.accuracy * 0.7)
    fta = _count(rng, fga * 0.24)
    return BoxScore(
        player=player,
        minutes=minutes,
        started=started,
        fgm=fg3m + _made(rng, fga - fg3a, player.accuracy),
        fga=fga,
        fg3m=fg3m,
        fg3a=fg3a,
        ftm=_made(rng, fta, 0.3 + player.accuracy * 0.9),
        fta=fta,
        oreb=_count(rng, minutes * (0.08 if player.position == "C" else 0.03)),
        dreb=_count(rng, minutes * (0.2 if player.position == "C" else 0.12)),
        assists=_count(rng, minutes * (0.2 if player.position == "PG" else 0.09)),
        steals=_count(rng, minutes * 0.03),
        blocks=_count(rng, minutes * 0.02),
        turnovers=_count(rng, minutes * 0.055),
        fouls=min(6, _count(rng, minutes * 0.08)),
    )


def _count(rng: random.Random, mean: float) -> int:
    """A whole number around a mean: successes among twice as many tries."""
    tries = 2 * int(mean + 1)
    return _made(rng, tries, mean / tries)


def _made(rng: random.Random, tries: int, share: float) -> int:
    return sum(rng.random() < share for _ in range(tries))
