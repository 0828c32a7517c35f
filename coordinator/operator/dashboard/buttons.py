"""What the dashboard tells of a button that was pressed: its route's answer in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REFUSED = "Not done:"
"""How words of what a button could not do begin."""

_FIRST_ERROR_STATUS = 400


def answer_words(action: str, status: int, answer: Mapping[str, Any]) -> str:
    """Say what came of a button, from the status and the JSON that its route answered with."""
    if action == "sweep" and "batches" in answer:
        return _swept(status, answer["batches"])
    if status >= _FIRST_ERROR_STATUS:
        return f"{REFUSED} {answer.get('detail') or f'the route answered {status}'}"
    match action:
        case "redrive":
            gone = _players(len(answer.get("not_expected", ())), "no longer expected: the fresh plan is without them")
            return f"Redrive {answer['batch_id']} has been started for {answer['expected']:,} players.{gone}"
        case "cancel":
            return "The batch is cancelled."
        case "policy":
            return "The deadline is changed."
        case _:
            how = "The batch is consolidated by force." if action == "force" else "The batch is consolidated."
            return how + _players(len(answer.get("left_out", ())), "left out")


def _players(count: int, how: str) -> str:
    return f" {count:,} player{' is' if count == 1 else 's are'} {how}." if count else ""


def _swept(status: int, batches: Sequence[Mapping[str, Any]]) -> str:
    told = [(one["batch_id"], "; ".join([*one["did"], *filter(None, [one["why"]])])) for one in batches]
    due = [f"{batch_id}: {deeds}" for batch_id, deeds in told if deeds]
    found = f"looked at {len(batches)} batch{'' if len(batches) == 1 else 'es'}"
    words = f"Swept: {found}" + (". " + ". ".join(due) + "." if due else "; nothing was due.")
    return words if status < _FIRST_ERROR_STATUS else f"{REFUSED} {words}"
