"""What the dashboard tells of a button that was pressed: its route's answer in words. Pure."""

from __future__ import annotations

from pydantic import BaseModel

from coordinator.operator.answers import ConsolidateAnswer, RedriveAnswer
from coordinator.usecases.sweep_report import SweepAnswer

REFUSED = "Not done:"
"""How words of what a button could not do begin."""


def answer_words(action: str, answer: BaseModel) -> str:
    """Say what came of a button, from what its route answered with."""
    match answer:
        case SweepAnswer():
            return _swept(answer)
        case RedriveAnswer():
            gone = _players(len(answer.not_expected), "no longer expected: the fresh plan is without them")
            return f"Redrive {answer.batch_id} has been started for {answer.expected:,} players.{gone}"
        case ConsolidateAnswer():
            how = "The batch is consolidated by force." if action == "force" else "The batch is consolidated."
            return how + _players(len(answer.left_out), "left out")
        case _:
            return "The batch is cancelled." if action == "cancel" else "The deadline is changed."


def _players(count: int, how: str) -> str:
    return f" {count:,} player{' is' if count == 1 else 's are'} {how}." if count else ""


def _swept(answer: SweepAnswer) -> str:
    told = [(one.batch_id, "; ".join([*one.did, *filter(None, [one.why])])) for one in answer.batches]
    due = [f"{batch_id}: {steps}" for batch_id, steps in told if steps]
    found = f"looked at {len(told)} batch{'' if len(told) == 1 else 'es'}"
    words = f"Swept: {found}" + (". " + ". ".join(due) + "." if due else "; nothing was due.")
    return f"{REFUSED} {words}" if answer.unfinished else words
