"""Computes a date's `season_average` predictions straight from the CSV files, to be compared with the system's.

Written apart from the system on purpose and importing nothing of it: who is expected, which lines there are and what
the mean is are worked out here a second time, row by row. Run as `python tests/independent_season_average.py DIR DATE`.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

Log = dict[str, str]
Predictions = dict[tuple[str, Decimal], Decimal]
"""(player_lookup, exact line) → predicted points to one decimal."""

TEAM_GAMES_BACK = 10
RECENT_GAMES = 25


def season_averages(folder: Path, game_date: str, *, stand_ins: bool = False) -> Predictions:
    """Predict every expected player of `game_date` (2026-01-30) for each of his lines.

    Without a game this season there is no season average: such a player is left out, or with `stand_ins` his last games
    of earlier seasons stand in.
    """
    logs = sorted(_rows(folder, "player_game_logs"), key=lambda row: (row["game_date"], row["game_id"]))
    past = [row for row in logs if row["game_date"] < game_date]
    today = [row for row in logs if row["game_date"] == game_date]
    offered = _offered_lines(folder, game_date, {row["game_id"] for row in today})
    of_player: dict[str, list[Log]] = defaultdict(list)
    for row in past:
        of_player[row["player_id"]].append(row)

    predictions: Predictions = {}
    for player_id in _roster(past, of_player, {row["team"] for row in today}) | offered.keys():
        games = of_player.get(player_id, [])
        of_season = [row for row in games if row["season"] == _season(game_date)]
        counted = of_season or (games[-RECENT_GAMES:] if stand_ins else [])
        if not counted:
            continue
        mean = Fraction(sum(int(row["points"]) for row in counted), len(counted))
        for line in offered.get(player_id) or {_to_nearest(mean, Fraction(1, 2))}:
            predictions[_lookup(games[-1]), line] = _to_nearest(mean, Fraction(1, 10))
    return predictions


def _rows(folder: Path, stem: str) -> Iterator[Log]:
    for path in sorted([*folder.glob(f"{stem}*.csv"), *folder.glob(f"{stem}*.csv.gz")]):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        yield from csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))


def _offered_lines(folder: Path, game_date: str, game_ids: set[str]) -> dict[str, set[Decimal]]:
    offered: dict[str, set[Decimal]] = defaultdict(set)
    for row in _rows(folder, "points_lines"):
        if row["game_date"] == game_date and row["player_id"] and row["game_id"] in game_ids:
            offered[row["player_id"]].add(Decimal(row["points_line"]))
    return dict(offered)


def _roster(past: list[Log], of_player: dict[str, list[Log]], playing: set[str]) -> set[str]:
    team_games: dict[str, list[str]] = {team: [] for team in playing}
    for row in past:
        if row["team"] in playing and row["game_id"] not in team_games[row["team"]][-1:]:
            team_games[row["team"]].append(row["game_id"])
    lately = {(team, game_id) for team, ids in team_games.items() for game_id in ids[-TEAM_GAMES_BACK:]}
    return {
        player_id
        for player_id, games in of_player.items()
        if any((games[-1]["team"], game["game_id"]) in lately and game["team"] == games[-1]["team"] for game in games)
    }


def _season(game_date: str) -> str:
    year, month = int(game_date[:4]), int(game_date[5:7])
    first = year if month >= 10 else year - 1
    return f"{first}-{(first + 1) % 100:02d}"


def _lookup(row: Log) -> str:
    return row.get("player_lookup") or row["player_name"].lower().replace(" ", "-")


def _to_nearest(value: Fraction, step: Fraction) -> Decimal:
    steps = int(value / step + Fraction(1, 2))  # points are never negative, so cutting off is rounding half up
    nearest = steps * step
    return (Decimal(nearest.numerator) / nearest.denominator).quantize(Decimal("0.1"))


def main(folder: str, game_date: str) -> None:
    """Print the predictions as CSV, in order."""
    out = csv.writer(sys.stdout)
    out.writerow(["player_lookup", "points_line", "predicted_points"])
    for (player, line), points in sorted(season_averages(Path(folder), game_date, stand_ins=True).items()):
        out.writerow([player, line, points])


if __name__ == "__main__":
    main(*sys.argv[1:])
