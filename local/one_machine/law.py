"""One law of a deployed system as acceptance tells it: whether it was seen to hold, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LawVerdict(StrEnum):
    """What became of a law."""

    SEEN = "ok"
    BROKEN = "BROKEN"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True, slots=True)
class Law:
    """One law, whether it was seen to hold, and what was seen."""

    name: str
    verdict: LawVerdict
    saw: str


def judged(name: str, holds: bool, saw: str) -> Law:
    """A law that was looked at."""
    return Law(name, LawVerdict.SEEN if holds else LawVerdict.BROKEN, saw)


def line_of(law: Law) -> str:
    """One line for a person."""
    return f"{law.verdict:<9}  {law.name}: {law.saw}"
