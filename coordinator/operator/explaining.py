"""Why a batch stands where it does, in sentences: what it waits for, since when, for whom, and what happens next and when.

Everything is derived from one reading of the ledger (C6). Must never learn how the ledger is read or who asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import assert_never

from pydantic import BaseModel, ConfigDict

from coordinator.operator.actions import Action, actions_for
from coordinator.rules.due import By, Due, Look, Step, due, named
from coordinator.rules.entries import Shard, TooManyMissing
from coordinator.rules.lifecycle import Event, Status
from coordinator.rules.pace import pace_of
from shared.declared import kept_until


class Sentence(BaseModel):
    """One sentence, and what a person can do about what it says."""

    model_config = ConfigDict(frozen=True)

    text: str
    action: Action | None = None


class DueStep(BaseModel):
    """One thing that is due, now or later, and who may do it."""

    model_config = ConfigDict(frozen=True)

    step: Step
    to_do: str
    at: datetime
    by: tuple[By, ...]


class Explanation(BaseModel):
    """The answer of `/batches/{id}/explain`: sentences in order of importance, those with an action last, and what is due."""

    model_config = ConfigDict(frozen=True)

    batch_id: str
    game_date: date
    state: str
    headline: str
    sentences: tuple[Sentence, ...]
    due: tuple[DueStep, ...]

    @property
    def actions(self) -> tuple[Action, ...]:
        """What a person can do, the first thing to try in front."""
        return tuple(sentence.action for sentence in self.sentences if sentence.action is not None)


def explain(look: Look) -> Explanation:
    """Explain a batch, whatever its state."""
    batch, steps = look.batch, due(look)
    headline, *others = (*_state(look), *_next(look, steps), *_refused(look), *_around(look))
    return Explanation(
        batch_id=batch.batch_id,
        game_date=batch.game_date,
        state=batch.state,
        headline=f"Batch {batch.batch_id} of {batch.game_date} is {batch.state}: {headline}.",
        sentences=(
            *(Sentence(text=text) for text in others),
            *(Sentence(text=action.effect, action=action) for action in actions_for(look)),
        ),
        due=tuple(DueStep(step=one.step, to_do=one.to_do, at=one.at, by=tuple(sorted(one.by))) for one in steps),
    )


def when(at: datetime, now: datetime) -> str:
    """A time for people: `2026-01-30 15:00 UTC (12 minutes ago)`."""
    return f"{at:%Y-%m-%d %H:%M} UTC ({_relative(at - now)})"


def _relative(away: timedelta) -> str:
    size = abs(away)
    if size < timedelta(minutes=1):
        return "just now" if away <= timedelta() else "in a moment"
    units = (("day", timedelta(days=2), timedelta(days=1)), ("hour", timedelta(hours=2), timedelta(hours=1)))
    name, unit = next(((name, unit) for name, least, unit in units if size >= least), ("minute", timedelta(minutes=1)))
    count = size // unit
    lasting = f"{count:,} {name}{'' if count == 1 else 's'}"
    return f"in {lasting}" if away > timedelta() else f"{lasting} ago"


def _state(look: Look) -> Iterator[str]:
    """The headline, and what more there is to say of the state."""
    match look.batch.status:
        case Status.PLANNED:
            return _planned(look)
        case Status.RUNNING:
            return _waiting(look) if look.snapshot.silent else _settled(look)
        case Status.CONSOLIDATING:
            return _consolidating(look)
        case Status.CANCELLED:
            return _cancelled(look)
        case Status.COMPLETE | Status.PARTIAL | Status.FAILED:
            return _ended(look)
        case _:
            assert_never(look.batch.status)


def _next(look: Look, steps: Sequence[Due]) -> Iterator[str]:
    """What sweeps will do, and when."""
    for one in steps:
        if By.SWEEP not in one.by:
            continue
        sweep = "The next sweep" if one.at <= look.now else f"The first sweep after {when(one.at, look.now)}"
        yield f"{sweep} will {one.to_do}."
    if any(one.step in (Step.CONSOLIDATE, Step.DECIDE, Step.TAKE_OVER) for one in steps):
        yield f"As things stand it then ends as {_end(look)}."


# --- before the end -------------------------------------------------------------------------------------------


def _planned(look: Look) -> Iterator[str]:
    unpublished = _unpublished(look.shards)
    if unpublished:
        yield f"the requests of {_players(len(unpublished))} are not published yet"
        yield (
            f"It has waited since {when(look.batch.planned_at, look.now)} for the requests of {_players(len(unpublished))} "
            f"to be published: {named(unpublished)}."
        )
    else:
        yield "all requests are published"
        yield f"All its requests are published, and only the move to RUNNING is left ({_planned_at(look)})."
    yield "A start with the same idempotency key continues it at once."


def _waiting(look: Look) -> Iterator[str]:
    yield f"{len(look.snapshot.silent):,} of {_players(look.batch.expected_count)} have not answered"
    waited = [shard for shard in look.shards if shard.silent and shard.published_at is not None]
    if waited:
        silent = _union(shard.silent for shard in waited)
        since = min(shard.published_at for shard in waited if shard.published_at is not None)
        yield (
            f"It waits for {len(silent):,} of {_players(look.batch.expected_count)}, whose requests were last "
            f"published {when(since, look.now)}: {named(silent)}."
        )
    if never := _unpublished(look.shards):
        yield f"The requests of {_players(len(never))} were never published: {named(never)}."
    yield from _failures(look)
    most = look.batch.policy.max_republishes
    if spent := _union(shard.silent for shard in waited if shard.publishes > most):
        yield (
            f"The requests of {_players(len(spent))} were published {most + 1} times and will not be again: "
            f"{named(spent)}. Search the worker's logs for the batch id to see what happened to them."
        )
    yield from _pace(look)
    passed = "passed" if look.is_past_deadline else "is"
    yield f"Its deadline {passed} {when(look.batch.deadline_at, look.now)}; until then it waits for silent players."


def _pace(look: Look) -> Iterator[str]:
    pace = pace_of(look)
    if pace is None:
        return
    if pace.ends_at is None:
        yield "Nobody has answered yet, so it would miss its deadline."
        return
    verdict = "which is too late for its deadline" if pace.is_late else "in time for its deadline"
    yield (
        f"{_players(pace.answered)} {'has' if pace.answered == 1 else 'have'} answered so far, {pace.a_minute:,.1f} a minute; at this rate the last will "
        f"answer {when(pace.ends_at, look.now)}, {verdict}."
    )


def _settled(look: Look) -> Iterator[str]:
    yield "every player has answered, and it waits for its consolidation"
    yield "Every player has answered, and no instance has begun to consolidate it."
    yield from _failures(look)
    last = look.batch.last_merge
    if last is not None and last.state == "failed":
        yield f"The last attempt, MERGE {last.number} (job {last.job_id}), failed: {_said(last.error)}."
    elif last is not None:
        yield f"MERGE {last.number} (job {last.job_id}) is {last.state}; the next attempt looks that job up first."
    yield from _lease_of_another(look)


def _consolidating(look: Look) -> Iterator[str]:
    lease, is_merged = look.day.lease, look.is_busy and look.day.lease.batch_id == look.batch.batch_id
    let_go = "the instance that was merging it has let its lease expire"
    yield "an instance is merging it" if is_merged else let_go
    if is_merged and lease.expires_at is not None:
        yield (
            f"{lease.holder} is consolidating it and holds the lease of {look.batch.game_date} until "
            f"{when(lease.expires_at, look.now)}; it renews the lease while it works."
        )
    elif lease.holder is not None and lease.expires_at is not None and lease.batch_id == look.batch.batch_id:
        yield (
            f"{lease.holder} was consolidating it, but its lease ended {when(lease.expires_at, look.now)}: it died, or "
            "cannot reach the ledger."
        )
    else:
        yield "No instance holds the lease for it; the next one continues where the last holder stopped."
        yield from _lease_of_another(look)
    last = look.batch.last_merge
    if last is None:
        yield "No MERGE is recorded yet: staging is being verified."
    else:
        yield f"MERGE {last.number} (job {last.job_id}) is {last.state}{f': {_said(last.error)}' if last.error else ''}."
    yield "It cannot be cancelled now, since its MERGE may land."


def _lease_of_another(look: Look) -> Iterator[str]:
    lease = look.day.lease
    if look.is_busy and lease.expires_at is not None and lease.batch_id != look.batch.batch_id:
        yield (
            f"Batch {lease.batch_id} of the same date is being consolidated first; its lease, unless renewed, ends "
            f"{when(lease.expires_at, look.now)}."
        )


def _end(look: Look) -> str:
    match look.ending:
        case TooManyMissing(reason=reason):
            return f"FAILED, since {reason}"
        case Event.MERGED_WHOLE:
            return "COMPLETE"
        case _:
            missing = len(look.snapshot.missing)
            return f"PARTIAL, since the {_players(missing)} missing are within its policy's tolerance"


def _failures(look: Look) -> Iterator[str]:
    failed = look.snapshot.failed
    if failed:
        listed = named([f"{player} ({code})" for player, code in failed.items()])
        yield f"{_players(len(failed))} failed for good: {listed}."


# --- after the end --------------------------------------------------------------------------------------------


def _ended(look: Look) -> Iterator[str]:
    batch, result = look.batch, look.batch.result
    yield (batch.reason or "it has ended").rstrip(".")
    reason = (batch.reason or "no reason is recorded").rstrip(".")
    yield f"It ended as {batch.state}{f' {when(result.at, look.now)}' if result else ''}: {reason}."
    if batch.status is Status.FAILED:
        left = _LEFT_TO_DO.get(result.code if result else "")
        what = "Nothing was merged" if left else "A check did not hold"
        yield f"{what}, and its rows stay in staging until {kept_until(batch.planned_at)}. {left or _CORRECT}"
    elif batch.expected_count:
        rows = batch.merged_rows
        yield (
            f"In the predictions table {rows.inserted:,} rows were inserted, {rows.updated:,} updated, "
            f"{rows.unchanged:,} left as they were (newer, or of a game that had begun) and {rows.superseded:,} older ones retired."
        )
    yield from _failures(look)
    if silent := look.snapshot.silent:
        yield f"{_players(len(silent))} never answered: {named(silent)}."
    yield from _late(look)
    if not look.is_notified:
        yield "`batch-finished` has not been published for this end."
    if look.is_past_late:
        yield f"What came after {when(batch.late_until, look.now)} no longer counts; the plan and the staged rows expire by themselves."
    elif look.overtaken_by is None and look.snapshot.missing:
        yield f"Outcomes of missing players are still merged if they arrive by {when(batch.late_until, look.now)}."


_LEFT_TO_DO = {
    "too_many_missing": "It is consolidated without a person once enough of the missing have answered; otherwise a person decides.",
    "confirmation_needed": "A person has to confirm that so many earlier rows may be retired.",
}
_CORRECT = "Correct what it names, then consolidate by force; the checks are made again."


def _late(look: Look) -> Iterator[str]:
    late, batch = look.snapshot.late, look.batch
    if look.overtaken_by:
        yield (
            f"The newer batch {look.overtaken_by} of the date has merged: what this one has not merged by now"
            f"{f' ({named(late)})' if late else ''} stays recorded and is never merged."
        )
    elif batch.late_refusal is not None:
        whose = f" for {_players(len(late))} ({named(late)})" if late else ""
        yield f"A later round{whose} was refused: {batch.late_refusal.rstrip('.')}."
    elif look.has_news and late:
        yield f"Rows of {_players(len(late))} came late and are not merged yet: {named(late)}."
    elif look.has_news:
        yield "Players who were missing have answered since."


def _cancelled(look: Look) -> Iterator[str]:
    yield "a person cancelled it"
    yield f"It was cancelled ({_planned_at(look)}): outcomes that still arrive are recorded and never merged."
    if look.day.newest.batch_id == look.batch.batch_id:
        yield f"No other batch of {look.batch.game_date} followed: POST /start plans a new one."
    if not look.is_notified:
        yield "`batch-finished` has not been published for this end."


def _refused(look: Look) -> Iterator[str]:
    for shard in look.shards:
        reason = look.batch.refused_writes.get(shard.number)
        if reason is not None and not shard.is_settled:
            yield (
                f"The document store refuses outcomes of shard {shard.number}, so {_players(len(shard.silent))} of it "
                f"({named(shard.silent)}) cannot be recorded: {reason.rstrip('.')}."
            )


def _around(look: Look) -> Iterator[str]:
    """What holds whatever the state."""
    batch = look.batch
    if batch.input_gaps:
        yield f"It was planned on incomplete inputs: {' '.join(batch.input_gaps)}"
    if batch.kind == "redrive":
        yield f"It is a redrive of {batch.parent} and changes the rows of its own players only."
    if batch.left_out:
        yield f"Its plan no longer expects: {named(batch.left_out)}."
    if look.day.newest.batch_id != batch.batch_id:
        yield f"Batch {look.day.newest.batch_id} of the date was planned later."
    if batch.status is Status.FAILED and (other := look.other_live):
        yield f"Batch {other} of the date has not ended: until it ends this one cannot be consolidated by force."
    if batch.is_live and look.overtaken_by is not None:
        yield f"The newer batch {look.overtaken_by} of the date has merged, so this one never will; cancel it."
    if batch.is_live and look.is_past_late:
        yield f"Sweeps stopped looking at it {when(batch.late_until, look.now)}; only a person can end it."


def _planned_at(look: Look) -> str:
    return f"planned {when(look.batch.planned_at, look.now)}"


def _unpublished(shards: Iterable[Shard]) -> frozenset[str]:
    return _union(shard.silent for shard in shards if shard.published_at is None)


def _union(sets: Iterable[Collection[str]]) -> frozenset[str]:
    return frozenset(player for some in sets for player in some)


def _said(error: str | None) -> str:
    return (error or "nothing was said").rstrip(".")


def _players(count: int) -> str:
    return f"{count:,} player{'' if count == 1 else 's'}"
