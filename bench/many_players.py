"""The sample season with its whole league there several times over, so that a day has more players than the sample.

A copy of a player has an id, a name, teams and games of his own league's, and the original's numbers and lines. Predictions
of him are as much work as the original's, and the same.
"""

from __future__ import annotations

import csv
from pathlib import Path

from local.sample.season import write

_OWN = ("player_id", "game_id", "team", "opponent", "home_team", "away_team")
_NAMES = ("player_name", "player_name_book", "player_lookup")


def write_copies(folder: Path, *, copies: int) -> None:
    """Write the sample season's files to a folder, the league `copies` times."""
    write(folder)
    for path in sorted(folder.glob("*.csv")):
        _multiply(path, copies)


def _multiply(path: Path, copies: int) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerows(_copy(row, number) for number in range(copies))


def _copy(row: dict[str, str], number: int) -> dict[str, str]:
    if number == 0:
        return row
    own = {name: f"{row[name]}-{number}" for name in _OWN if row.get(name)}
    renamed = {name: f"{row[name]} Copy{number}" for name in _NAMES if row.get(name)}
    return {**row, **own, **renamed}
