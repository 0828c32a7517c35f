"""Compare a shadow run with the run that it shadows: two state folders, of which nothing of the one reaches the other."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date
from pathlib import Path

from coordinator.operator.differences import said
from coordinator.rules.comparing import Difference, Said, compare
from local.one_machine.stack import open_parts
from shared.errors import InvalidInput

FOLDER = "shadow"
"""The shadow's state, within the folder of the system that it shadows."""


def compare_folders(shadowed: Path, shadow: Path, game_date: date) -> Difference:
    """Compare the newest batches of a date in two folders.

    Raises:
        InvalidInput: one of them has none.
        Conflict: the staging of one has ended.
        Unavailable: another process uses a folder.
    """
    return compare(_said(shadowed, game_date), _said(shadow, game_date))


def _said(home: Path, game_date: date) -> Said:
    with ExitStack() as opened:
        coordinator = open_parts(home, opened).coordinator
        found = coordinator.views.batches(game_date=game_date, limit=1)
        if not found:
            raise InvalidInput("--shadow", f"{home} has no batch of {game_date} to compare with; run the date first")
        return said(coordinator.ledger, coordinator.parts.warehouse, found[0].batch_id)
