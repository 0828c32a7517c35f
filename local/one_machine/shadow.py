"""Compare a shadow run with the run that it shadows: two state folders, of which nothing of the one reaches the other."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date
from pathlib import Path

from coordinator.operator.comparing import DifferenceView, view_of
from coordinator.rules import comparing
from coordinator.rules.comparing import Key
from local.one_machine.stack import open_parts
from shared.errors import InvalidInput

FOLDER = "shadow"
"""The shadow's state, within the folder of the system that it shadows."""


def compare_folders(shadowed: Path, shadow: Path, game_date: date) -> DifferenceView:
    """Compare the newest batches of a date in two folders.

    Raises:
        InvalidInput: one of them has none.
        Conflict: the staging of one has ended.
        Unavailable: another process uses a folder.
    """
    (before_id, before), (after_id, after) = (_said(home, game_date) for home in (shadowed, shadow))
    return view_of(comparing.compare(before, after), before=before_id, after=after_id)


def _said(home: Path, game_date: date) -> tuple[str, dict[Key, dict[str, str]]]:
    with ExitStack() as opened:
        coordinator = open_parts(home, opened).coordinator
        found = coordinator.views.batches(game_date=game_date, limit=1)
        if not found:
            raise InvalidInput("--shadow", f"{home} has no batch of {game_date} to compare with; run the date first")
        return found[0].batch_id, coordinator.comparing.said(found[0].batch_id)
