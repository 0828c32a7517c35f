"""What the templates of batches call: how views, explanations and answers become words, bars and short lists. Pure.

Must never learn how a page is served or an action carried out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from pydantic import BaseModel

from coordinator.operator.actions import Action
from coordinator.operator.answers import ConsolidateAnswer, RedriveAnswer
from coordinator.operator.explaining import Explanation
from coordinator.operator.gaps import Gaps
from coordinator.operator.histogram import AnswerTimes
from coordinator.operator.views import BatchSummary, BatchView, ShardView
from coordinator.rules.lifecycle import LIVE
from coordinator.usecases.sweep_report import SweepAnswer
from schemas.messages import PlayerCounts

NAMES_LISTED = 200
"""So many names of a group are on the page; the rest is a number."""
TONES = {"COMPLETE": "good", "EMPTY": "good", "PARTIAL": "warn", "FAILED": "bad", "CANCELLED": "idle"}


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar, in percent of its length."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """Players by how they stand, as a bar and in words."""

    parts: tuple[Part, ...]
    text: str
    percent: int
    """Share that has an outcome, rounded down, so that 100 means everybody."""


@dataclass(frozen=True, slots=True)
class PlayerGroup:
    """Players of one kind: the first names with what is known of each, and how many more there are."""

    title: str
    meaning: str
    count: int
    names: tuple[tuple[str, str], ...]
    more: int


def by_date(batches: Sequence[BatchSummary]) -> list[tuple[date, list[BatchSummary]]]:
    """Game dates newest first, each with its batches by plan, newest first."""
    ordered = sorted(batches, key=lambda batch: (batch.game_date, batch.planned_at), reverse=True)
    return [(day, list(same)) for day, same in groupby(ordered, key=lambda batch: batch.game_date)]


def needs(same_date: Sequence[BatchSummary], now: datetime) -> Iterator[tuple[str, str]]:
    """The batches of a date that need a person, and why; only the newest does for what it left undone, since a later one
    speaks for what an earlier one could not."""
    for number, batch in enumerate(same_date):
        if batch.late_refusal:
            yield batch.batch_id, f"a later round was refused: {batch.late_refusal}"
        elif number == 0 and batch.state == "FAILED":
            yield batch.batch_id, f"failed: {batch.reason}"
        elif batch.state in LIVE and batch.deadline_at < now:
            yield batch.batch_id, f"is past its deadline since {ago(batch.deadline_at, now)}"


def refresh_seconds(batches: Iterable[BatchSummary]) -> int:
    """How often a page looks again: the larger its live batches, the rarer, since every look reads their whole ledgers; 0
    where none lives."""
    live = [batch.expected for batch in batches if batch.state in LIVE]
    return min(3 + sum(live) // 2_000, 60) if live else 0


def tone(state: str) -> str:
    """How a state looks; live ones are busy."""
    return TONES.get(state, "busy")


def long_date(day: date) -> str:
    """A date, for people."""
    return f"{day:%A}, {day.day} {day:%B} {day.year}"


def headline(explanation: Explanation) -> str:
    """The headline without batch and state, which stand above it."""
    said = explanation.headline.split(f" is {explanation.state}: ", 1)[-1]
    return said[:1].upper() + said[1:]


def bar(players: PlayerCounts | ShardView) -> Bar:
    """Draw how players stand."""
    counts = {"predicted": players.predicted, "skipped": players.skipped, "failed": players.failed}
    counts["silent"] = players.silent
    parts, start = [], 0.0
    for kind, count in counts.items():
        width = 100 * count / players.expected if players.expected else 0.0
        if count:
            parts.append(Part(kind, round(start, 3), round(width, 3)))
        start += width
    said = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    answered = players.expected - players.silent
    percent = 100 * answered // players.expected if players.expected else 100
    return Bar(tuple(parts), f"{said} of {players.expected:,}" if said else "nobody is expected", percent)


def gap_groups(gaps: Gaps) -> tuple[PlayerGroup, ...]:
    """Every stage with somebody in it."""
    return tuple(
        group(stage.name.replace("_", " "), stage.meaning, {one.player: one.detail for one in stage.players})
        for stage in gaps.stages
        if stage.count
    )


def in_need_first(shards: Sequence[ShardView]) -> list[ShardView]:
    """The shards, those with somebody missing in front."""
    return sorted(shards, key=lambda shard: (not (shard.silent or shard.failed), shard.shard))


def clock_time(at: datetime) -> str:
    """A moment, for people."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def ago(at: datetime, now: datetime) -> str:
    """How far a moment is away, in the one unit that tells most."""
    size = abs(now - at)
    if size < timedelta(seconds=1):
        return "now"
    count = lasting(size.total_seconds())
    return f"{count} ago" if at <= now else f"in {count}"


def lasting(seconds: float) -> str:
    """A length of time in the one unit that tells most."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def slug_of(action: Action) -> str:
    """The name of an action in the dashboard's addresses."""
    verb = action.path.rsplit("/", 1)[-1]
    return "force" if verb == "consolidate" and action.body == {"force": True} else verb


def groups(view: BatchView) -> Iterator[PlayerGroup]:
    """Who is not as he should be, or rightly not predicted."""
    yield group("Silent", "published, and no outcome yet", view.silent)
    yield group("Failed", "could not be predicted", view.failed)
    yield group("Not merged", "predicted, and not (yet) in the predictions table", view.late)
    yield group("Skipped", "rightly not predicted", view.skipped)


def group(title: str, meaning: str, players: Collection[str] | Mapping[str, str]) -> PlayerGroup:
    """A list of players, cut where it would be too long to read."""
    reasons = players if isinstance(players, Mapping) else {}
    listed = sorted(players)[:NAMES_LISTED]
    names = tuple((name, reasons.get(name, "").replace("_", " ")) for name in listed)
    return PlayerGroup(title, meaning, len(players), names, len(players) - len(listed))


def histogram(times: AnswerTimes) -> list[tuple[str, int]]:
    """The columns of how long outcomes took, four or more of them, by label; none without any outcome."""
    used = [number for number, bucket in enumerate(times.buckets) if bucket.players]
    shown = times.buckets[: max(used[-1] + 1, 4)] if used else []
    before = [0, *(bucket.up_to_seconds or 0 for bucket in times.buckets)]
    return [
        (
            f"≤ {_short(bucket.up_to_seconds)}" if bucket.up_to_seconds else f"> {_short(before[number])}",
            bucket.players,
        )
        for number, bucket in enumerate(shown)
    ]


def _short(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"


# --- what came of a button ------------------------------------------------------------------------------------

REFUSED = "Not done:"
"""How words of what a button could not do begin."""


def answer_words(action: str, answer: BaseModel) -> str:
    """Say what came of a button, from what its route answered with."""
    match answer:
        case SweepAnswer():
            return _swept(answer)
        case RedriveAnswer():
            gone = _count(len(answer.not_expected), "no longer expected: the fresh plan is without them")
            return f"Redrive {answer.batch_id} has been started for {answer.expected:,} players.{gone}"
        case ConsolidateAnswer():
            how = "The batch is consolidated by force." if action == "force" else "The batch is consolidated."
            return how + _count(len(answer.left_out), "left out")
        case _:
            return "The batch is cancelled." if action == "cancel" else "The deadline is changed."


def _count(count: int, how: str) -> str:
    return f" {count:,} player{' is' if count == 1 else 's are'} {how}." if count else ""


def _swept(answer: SweepAnswer) -> str:
    swept = [(one.batch_id, "; ".join([*one.did, *filter(None, [one.why])])) for one in answer.batches]
    due = [f"{batch_id}: {steps}" for batch_id, steps in swept if steps]
    found = f"looked at {len(swept)} batch{'' if len(swept) == 1 else 'es'}"
    words = f"Swept: {found}" + (". " + ". ".join(due) + "." if due else "; nothing was due.")
    return f"{REFUSED} {words}" if answer.unfinished else words
