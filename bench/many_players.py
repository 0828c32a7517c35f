"""The sample season with every player there several times over, so that a day has more of them than the sample.

A copy has its own id and name, and the original's team, games and lines. Predictions of it are as much work as the
original's.
"""

from __future__ import annotations

import csv
from pathlib import Path

from local.sample.season import write

_NAMES = ("player_name", "player_name_book", "player_lookup")


def write_copies(folder: Path, *, copies: int) -> None:
    """Write the sample season's files to a folder, each player `copies` times."""
    write(folder)
    for path in sorted(folder.glob("*.csv")):
        _multiply(path, copies)


def _multiply(path: Path, copies: int) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    if "player_id" not in columns:
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerows(_copy(row, number) for number in range(copies if row["player_id"] else 1))


def _copy(row: dict[str, str], number: int) -> dict[str, str]:
    if number == 0:
        return row
    renamed = {name: f"{row[name]} Copy{number}" for name in _NAMES if row.get(name)}
    return {**row, **renamed, "player_id": f"{row['player_id']}-{number}"}
