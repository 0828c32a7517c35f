"""The simulated league: fictional teams and players, with every kind of name that is hard to get right.

Nobody in it exists. It decides who there is and how good he is; what he does is `local.sample.game`'s.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

TEAMS = ("ALB", "BRX", "CDL", "DNF", "EBN", "FLX", "GRV", "HVN", "IRW", "JSP", "KLD", "LRK", "MSK", "NVA")
ROSTER_SIZE = 13

_MINUTES = (35, 34, 32, 30, 27, 24, 20, 17, 13, 10, 7, 5, 4)
"""Minutes in a usual game, by rank within the team."""
_POSITIONS = ("PG", "SF", "C", "SG", "PF")

# By place in the league: rank within team, team by team. Two of one name but for a swapped letter on one team, two of one
# name but for diacritics on different teams, hyphens, periods, apostrophes, suffixes, several words, letters that have no
# plain form.
_NAMES = {
    (0, 0): "Jarrel Windlass",
    (0, 1): "Jarell Windlass",
    (0, 4): "P.T. Quillfeather",
    (1, 0): "Tomaš Krejovič",
    (1, 2): "D'Arvo Lindmarsh",
    (1, 5): "Karl-Emil Vossberg",
    (2, 0): "A.J. O'Fenwick Jr.",
    (2, 3): "Luukas Åkerströmm",
    (3, 1): "Tomas Krejovic",
    (3, 2): "Obadiah Finchley III",
    (3, 4): "De'Ondrix Palewater",
    (4, 0): "Sheldon Gilding-Hearst",
    (4, 3): "Marek Dvořelný II",
    (5, 1): "Joost van der Hoolst",
    (5, 4): "C.J. St. Clairmont",
    (6, 0): "Ólafur Þorvik",
    (6, 2): "Jean-Luc D'Aubrémont IV",
    (7, 1): "O.B. Nanterfield",
    (7, 3): "Ha'Keem al-Sahrout",
    (8, 0): "Ťibor Ľubenský",
    (8, 4): "Santi de la Cruzada",
    (9, 2): "Moussa N'Gambré",
    (9, 5): "Tréy Sambrano Sr.",
    (10, 1): "T.J. Łuczyn-Reed Jr.",
    (10, 3): "Bogdan-Ștefan Ilvescu",
    (11, 0): "Ignác Őrsfalvy",
    (11, 4): "Nikodem Žurawick",
    (12, 3): "Wim ter Braakhuis",
}
_FIRST = (
    "Adrel", "Bastor", "Corvin", "Dastan", "Elric", "Fenn", "Gorran", "Haldo", "Ivander", "Jovan", "Kellan", "Lorcan",
    "Merrit", "Nestor", "Orlan", "Perrin", "Quade", "Rendell", "Sorrel", "Tavish", "Ulmer", "Varick", "Wendel", "Xander",
    "Yorick", "Zadok", "Arlo", "Brannoc", "Cassel", "Dorian", "Evander", "Flint", "Garrod", "Hollis", "Ingram", "Jory",
    "Kester",
)  # fmt: skip
_HEADS = (
    "Quill",
    "Ember",
    "Marsh",
    "Thorn",
    "Brindle",
    "Copper",
    "Fallow",
    "Glim",
    "Hollow",
    "Juni",
    "Lark",
    "Mottle",
    "Wren",
)
_TAILS = ("wick", "mere", "stone", "bury", "gate", "croft", "shaw", "bourne", "ley")


@dataclass(frozen=True, slots=True)
class Player:
    """A fictional player and what he does in a usual game."""

    player_id: str
    name: str
    position: str
    minutes: int
    shots_per_minute: float
    threes: float
    """Share of his shots that are threes."""
    accuracy: float
    """Of twos; threes and free throws follow from it."""


def make_rosters(rng: random.Random) -> list[list[Player]]:
    """Make the teams' rosters, best player first, in the order of `TEAMS`."""
    return [[make_player(rng, team=team, rank=rank) for rank in range(ROSTER_SIZE)] for team in range(len(TEAMS))]


def make_player(rng: random.Random, *, team: int, rank: int) -> Player:
    """Make the player of a rank, from 0; a rank of `ROSTER_SIZE` or more is a newcomer off the bench."""
    place = team + rank * len(TEAMS)
    return Player(
        player_id=str(9_000_001 + place),
        name=_NAMES.get((team, rank)) or _plain_name(place),
        position=_POSITIONS[rank % len(_POSITIONS)],
        minutes=_MINUTES[rank] if rank < ROSTER_SIZE else 22,
        shots_per_minute=0.25 + 0.20 * rng.random() + (0.10 if rank < 2 else 0.0),
        threes=0.05 + 0.1 * rng.random() if _POSITIONS[rank % len(_POSITIONS)] == "C" else 0.25 + 0.3 * rng.random(),
        accuracy=0.46 + 0.12 * rng.random(),
    )


def _plain_name(place: int) -> str:
    # 37, 13 and 9 have no common divisor, so no two places share a name.
    return f"{_FIRST[place % 37]} {_HEADS[place % 13]}{_TAILS[place % 9]}"
