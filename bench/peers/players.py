"""Who is fanned out, what shows that everybody came back, and what it cost: for all sides, so it imports nothing of ours."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path


def players_of(count: int) -> list[str]:
    """So many names, in order."""
    return [f"p.j.-o'player-{number:06}" for number in range(count)]


def cut(players: Sequence[str], size: int) -> list[list[str]]:
    """The players in slices of at most so many."""
    return [list(players[start : start + size]) for start in range(0, len(players), size)]


def digest(players: Sequence[str]) -> tuple[int, str]:
    """How many answered, and a hash of their names in order: the same for two sides whose players are the same."""
    return len(players), hashlib.sha256("\n".join(sorted(players)).encode()).hexdigest()


def processor_seconds(*roots: int) -> float:
    """Processor time so far of these processes, all below them, and those of them that ended; 0 where there is no /proc."""
    parents, spent = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The second field is the command in brackets, which may hold anything.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(stat.parent.name)
        parents[pid], spent[pid] = int(fields[1]), sum(map(int, fields[11:15]))
    wanted = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in wanted} - wanted:
        wanted |= more
    return sum(spent.get(pid, 0) for pid in wanted) / os.sysconf("SC_CLK_TCK")
