"""Who of a team's rotation misses a game, and the shots and points that he leaves to the others; from box scores alone.

The rotation of a game are the players last seen with the team within its last games, with minutes enough. What each
leaves is his mean of the season so far. It mirrors `coordinator/rules/plan.sql`, and a test holds the two together.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.messages import ROTATION_GAMES, ROTATION_MINUTES
from worker.players import Floats

Texts = NDArray[np.object_]
Whole = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reports:
    """Injury reports, the newest one of each player and date: who was listed, and whether as good as out."""

    day: Whole
    player_id: Texts
    is_out: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is taken to be known, before a game, of who will miss it.

    A player of whom nothing is known is taken to be as in his team's last game. `recall` is the share of the changes
    since then that are known; of a share `unknown` of the games nothing is, not even that. Which ones is chance, but
    the same chance for the same player and day. With `reports`, those decide instead.
    """

    recall: float = 1.0
    unknown: float = 0.0
    reports: Reports | None = None


APPEARED = Knowledge()
"""Everything, as the box score of the game itself tells it: an upper bound, since nobody knows it beforehand."""
LAST_GAME = Knowledge(recall=0.0)
NOTHING = Knowledge(unknown=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearances:
    """The rows of the box scores as whole numbers, sorted by player, date and game."""

    day: Whole
    player: Whole
    player_id: Texts
    team: Whole
    team_game: Whole
    """Numbers every team's games in order, the teams one after the other."""
    place: Whole
    """Of the position: 0, 1, 2 or, where it is unknown, 3."""
    shots: Floats
    """Mean of the season so far, this game included, in whole hundredths; so are points."""
    points: Floats
    is_rotation: Flags


@dataclass(frozen=True, slots=True)
class Pool:
    """A player of a game's rotation in each entry: the row that he was last seen in, and the team's game."""

    seen: Whole
    game: Whole
    is_absent: Flags
    """That he missed it."""
    was_absent: Flags
    """That he missed the team's game before."""


def appearances(
    *, day: Whole, player_id: Texts, game_id: Texts, season: Texts, team: Texts, place: Whole,
    shots: Floats, points: Floats, minutes: Floats,
) -> Appearances:  # fmt: skip
    """Number the games of each team, and sum up each player's season up to each of his games."""
    player, teams = (np.unique(texts, return_inverse=True)[1] for texts in (player_id, team))
    number, seasons = (np.unique(texts, return_inverse=True) for texts in (game_id, season))
    days = np.unique(day, return_inverse=True)[1]
    order = (teams * (days.max(initial=0) + 1) + days) * len(number[0]) + number[1]
    rows, start = np.arange(len(day)), group_starts(player * len(seasons[0]) + seasons[1])

    def so_far(values: Floats) -> Floats:
        sums = np.r_[0.0, np.cumsum(values)]
        total: Floats = sums[rows + 1] - sums[start]
        return total

    games, counted = (rows + 1 - start).astype(np.float64), so_far(np.isfinite(shots).astype(np.float64))
    return Appearances(
        day=day,
        player=player,
        player_id=player_id,
        team=teams,
        team_game=np.unique(order, return_inverse=True)[1],
        place=place,
        shots=_hundredths(so_far(np.nan_to_num(shots)), counted),
        points=_hundredths(so_far(points), games),
        is_rotation=so_far(minutes) >= ROTATION_MINUTES * games,
    )


def _hundredths(total: Floats, count: Floats) -> Floats:
    """The mean in whole hundredths, a tie upwards: by whole numbers, as the plan's query does it."""
    return np.where(count > 0, (200 * total + count) // np.maximum(2 * count, 1), 0.0)


def group_starts(group: Whole) -> Whole:
    """For each row the first row of its run of equal values."""
    is_first = np.r_[True, group[1:] != group[:-1]][: len(group)]
    return np.maximum.accumulate(np.where(is_first, np.arange(len(group)), 0))


def pool(seen: Appearances) -> Pool:
    """Every game's rotation: from the game after a player's last one to his next, and no farther than it reaches."""
    rows = np.arange(len(seen.day))
    following = np.minimum(rows + 1, len(rows) - 1)
    has_next = (following > rows) & (seen.player[following] == seen.player)
    stays = has_next & (seen.team[following] == seen.team)
    first_row = np.unique(seen.team_game, return_index=True)[1]
    team_of, day_of = seen.team[first_row], seen.day[first_row]
    span = day_of.max(initial=0) + 2
    # A player of another team is no more of this one after his first day there.
    left_by = np.searchsorted(team_of * span + day_of, seen.team * span + seen.day[following], side="right")
    end = np.minimum(seen.team_game + 1 + ROTATION_GAMES, np.searchsorted(team_of, seen.team, side="right"))
    end = np.where(stays, np.minimum(end, seen.team_game[following] + 1), end)
    end = np.where(has_next & ~stays, np.minimum(end, left_by), end)
    source, game = expand(seen.team_game + 1, np.where(seen.is_rotation, end, 0))
    appears = stays[source] & (seen.team_game[following[source]] == game)
    return Pool(source, game, ~appears, game > seen.team_game[source] + 1)


def expand(start: Whole, end: Whole) -> tuple[Whole, Whole]:
    """All whole numbers of each span, and the span that each is of; the end is not among them."""
    count = np.maximum(end - start, 0)
    source = np.repeat(np.arange(len(count)), count)
    return source, np.arange(len(source)) + np.repeat(start - np.r_[0, np.cumsum(count)[:-1]][: len(count)], count)


def taken_absent(seen: Appearances, rotation: Pool, knowledge: Knowledge) -> Flags:
    """Whom of the rotation a forecaster of such knowledge takes to be absent."""
    if knowledge.reports is not None:
        return _by_reports(seen, rotation, knowledge.reports)
    chance = _chances(seen.player_id)[rotation.seen]
    is_known = _mixed(chance, _of_games(seen, seen.day)[rotation.game]) < knowledge.recall
    return np.where(is_known, rotation.is_absent, rotation.was_absent)


def unknown_games(seen: Appearances, team: Texts, knowledge: Knowledge) -> Flags:
    """For each row, whether nothing at all is known of its game; of a date without any report nothing is."""
    if knowledge.reports is not None:
        return ~np.isin(seen.day, knowledge.reports.day)
    return _mixed(_chances(team), seen.day) < knowledge.unknown


def _of_games(seen: Appearances, values: Whole) -> Whole:
    """What the rows say, by the team's game."""
    found: Whole = values[np.unique(seen.team_game, return_index=True)[1]]
    return found


def _chances(names: Texts) -> NDArray[np.uint64]:
    """A number of each name, whatever other names there are."""
    distinct, codes = np.unique(names, return_inverse=True)
    return np.array([zlib.crc32(str(name).encode()) for name in distinct], dtype=np.uint64)[codes]


def _mixed(number: NDArray[np.uint64], day: Whole) -> Floats:
    """Chance between 0 and 1 by a number and a day (the finalizer of splitmix64)."""
    mixed = (number << np.uint64(20)) + day.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    chance: Floats = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return chance


def _by_reports(seen: Appearances, rotation: Pool, reports: Reports) -> Flags:
    """As the plan's query does: as listed; who is not listed is as in the team's last game, unless a report explained
    that he missed it and today's, which speaks of his team, no longer lists him."""
    day = _of_games(seen, seen.day)
    before = np.where(rotation.was_absent, day[np.maximum(rotation.game - 1, 0)], -1)
    today, then = (_listed(seen, rotation, reports, on) for on in (day[rotation.game], before))
    is_listed, is_out = today >= 0, today == 1
    speaks = np.bincount(rotation.game, is_listed, minlength=len(day))[rotation.game] > 0
    taken: Flags = np.where(is_listed, is_out, rotation.was_absent & ~(speaks & (then == 1)))
    return taken


def _listed(seen: Appearances, rotation: Pool, reports: Reports, day: Whole) -> Whole:
    """Of each entry's player on a day: 1 listed as out, 0 listed as something else, -1 not listed."""
    listed = dict(zip(zip(reports.player_id, reports.day.tolist(), strict=True), reports.is_out.tolist(), strict=True))
    players = seen.player_id[rotation.seen]
    found = [int(listed.get(key, -1)) for key in zip(players, day.tolist(), strict=True)]
    return np.array(found, dtype=np.intp)


# --- what they leave ------------------------------------------------------------------------------------------


def left(
    seen: Appearances, rotation: Pool, is_taken: Flags, *, window: Whole, is_there: Flags, position: Whole
) -> dict[str, Floats]:
    """What absent teammates left in every player's past games, and leave tonight, in shots and points.

    Args:
        is_taken: who is taken to be absent tonight; the player himself is never counted.
        window: rows of each row's past games.
        position: of each row's player by his newest past game; no number where it is unknown.
    """
    games = int(seen.team_game.max(initial=-1)) + 1
    rows, has_place = np.arange(len(seen.day)), position < _PLACES
    place = np.where(has_place, position, 0)
    past, tonight = (_sums(seen, rotation, each, games) for each in (rotation.is_absent, is_taken))
    ours = tonight[seen.team_game]
    own = np.flatnonzero(is_taken & ~rotation.is_absent)
    himself, source = rotation.seen[own] + 1, rotation.seen[own]
    ours[himself] -= _values(seen, source)
    past_game = seen.team_game[window]

    def past_of(values: Floats) -> Floats:
        return np.where(is_there, values, np.nan) / 100

    return {
        "left_shots": past_of(past[past_game, 0]),
        "left_points": past_of(past[past_game, 1]),
        "left_by_position": np.where(has_place[:, None], past_of(past[past_game, 2 + place[:, None]]), np.nan),
        "left_by_the_same": past_of(_by_the_same(seen, rotation, is_taken, past_game)),
        "tonight_shots": ours[:, 0] / 100,
        "tonight_points": ours[:, 1] / 100,
        "tonight_by_position": np.where(has_place, ours[rows, 2 + place] / 100, np.nan),
    }


_PLACES = 3


def _values(seen: Appearances, rows: Whole) -> Floats:
    shots = seen.shots[rows]
    by_position = [np.where(seen.place[rows] == place, shots, 0.0) for place in range(_PLACES)]
    return np.column_stack([shots, seen.points[rows], *by_position])


def _sums(seen: Appearances, rotation: Pool, counts: Flags, games: int) -> Floats:
    values = _values(seen, rotation.seen[counts])
    return np.column_stack(
        [np.bincount(rotation.game[counts], column, minlength=games).astype(np.float64) for column in values.T]
    )


def _by_the_same(seen: Appearances, rotation: Pool, is_taken: Flags, past_game: Whole) -> Floats:
    """Tonight's shots left by those who were absent from each past game too."""
    games = int(seen.team_game.max(initial=-1)) + 1
    who = seen.player.astype(np.int64) * games
    absent = np.sort(who[rotation.seen[rotation.is_absent]] + rotation.game[rotation.is_absent])
    source, game = rotation.seen[is_taken], rotation.game[is_taken]
    team = seen.team[source]
    start_of_team = np.searchsorted(_of_games(seen, seen.team), team)
    entry, found = expand(
        np.searchsorted(absent, who[source] + start_of_team), np.searchsorted(absent, who[source] + game)
    )
    # Of all pairs of a game and an earlier one of the same team, by how far the earlier one lies back.
    back = game[entry] - absent[found] % games
    width = int(back.max(initial=0)) + 1
    pairs = np.bincount(game[entry] * width + back, seen.shots[source[entry]], minlength=games * width).astype(float)
    ago = seen.team_game[:, None] - past_game
    is_pair = (ago > 0) & (ago < width) & (seen.team[:, None] == _of_games(seen, seen.team)[past_game])
    return np.where(is_pair, pairs[seen.team_game[:, None] * width + np.where(is_pair, ago, 0)], 0.0)
