"""What a sweep says of a batch: what it found, what it did or would do, and what is left to a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from pydantic import BaseModel


class Verdict(StrEnum):
    """What a batch needed of a sweep."""

    NOTHING = "nothing"
    REPAIRED = "repaired"
    WOULD_REPAIR = "would_repair"
    """Of a dry run: something is due."""
    TRY_AGAIN = "try_again"
    NEEDS_A_PERSON = "needs_a_person"


@dataclass(slots=True)
class Swept:
    """What a sweep found and did for one batch, in words; of a dry run, `did` is what it would do."""

    batch_id: str
    verdict: Verdict = Verdict.NOTHING
    state: str = ""
    did: list[str] = field(default_factory=list)
    why: str = ""
    command: str = ""
    """For a person to run."""

    def note(self, step: str, verdict: Verdict) -> None:
        """Note a repair, or what a sweep that is no dry run would do."""
        self.did.append(step)
        self.verdict = verdict

    def needs_a_person(self, why: str, command: str) -> None:
        """Note what no sweep will cure."""
        self.verdict, self.why, self.command = Verdict.NEEDS_A_PERSON, why, command


class SweepAnswer(BaseModel):
    """The answer of `POST /sweep`."""

    dry_run: bool
    batches: list[Swept]
    graded: list[date]
    """Dates whose predictions were graded, since their box scores had come; of a dry run, those that would be."""

    @property
    def unfinished(self) -> list[str]:
        """Batches that met trouble which may pass."""
        return [one.batch_id for one in self.batches if one.verdict is Verdict.TRY_AGAIN]
