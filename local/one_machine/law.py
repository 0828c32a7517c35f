"""One law of a deployed system as acceptance tells it: whether it was seen to hold, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What became of a law."""

    SEEN = "ok"
    BROKEN = "BROKEN"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True, slots=True)
class Law:
    """One law, whether it was seen to hold, and what was seen."""

    name: str
    verdict: Verdict
    saw: str


def judged(name: str, holds: bool, saw: str) -> Law:
    """A law that was looked at."""
    return Law(name, Verdict.SEEN if holds else Verdict.BROKEN, saw)


def told(law: Law) -> str:
    """One line for a person."""
    return f"{law.verdict:<9}  {law.name}: {law.saw}"
