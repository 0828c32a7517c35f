"""One day on one machine, from the CSV files to the exported predictions: what `tipoff run` does between its options
and its tables."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from local.export import export
from local.inputs import InputSummary, load_folder
from local.run import Phases, Sample, Seen, find_batch, follow, samples, start_batch
from local.sample_season import SAMPLE_GAME_DATE, write
from local.stack import LocalStack
from shared.errors import Conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What the user asked for; `data` None is the simulated sample season, `game_date` None its default date."""

    game_date: date | None
    data: Path | None
    state: Path
    export: Path | None
    resume: bool
    force: bool
    patience: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of it."""

    seen: Seen
    phases: Phases
    inputs: InputSummary
    samples: tuple[Sample, ...]
    exported_rows: int | None
    export: Path | None
    is_simulated: bool

    def as_object(self) -> dict[str, object]:
        """What `--json` prints."""
        seen, seconds = self.seen, self.phases.seconds
        return {
            "batch_id": seen.batch_id,
            "game_date": seen.game_date.isoformat(),
            "state": seen.state,
            "reason": seen.reason,
            "players": seen.players.model_dump(),
            "rows": seen.rows.model_dump(),
            "failed": seen.failed,
            "skipped": seen.skipped,
            "seconds": round(sum(seconds.values()), 3),
            "seconds_by_phase": {phase: round(taken, 3) for phase, taken in seconds.items()},
            "inputs": {
                "simulated": self.is_simulated,
                "rows": dict(self.inputs.rows),
                "warnings": list(self.inputs.warnings),
            },
            "exported": None if self.export is None else {"file": str(self.export), "rows": self.exported_rows},
        }


def run_day(day: Day, *, say: Callable[[str], None], shown: Callable[[Seen], None]) -> Done:
    """Load, plan, predict, consolidate, export. `say` hears what is going on, `shown` every look at the batch.

    Raises:
        InvalidInput: a file, value or option is unusable.
        Conflict: a live batch of the date is in the way and neither `resume` nor `force` was given.
        Unavailable: the batch did not end in time, or another process uses the state folder.
    """
    phases = Phases()
    game_date = day.game_date or SAMPLE_GAME_DATE
    with ExitStack() as opened:
        say("starting services")
        with phases.timed("start"):
            stack = opened.enter_context(LocalStack(day.state))
        say("loading inputs")
        with phases.timed("load"):
            inputs = load_folder(stack.warehouse, folder=_folder(day), game_date=game_date)
        say("planning")
        with phases.timed("plan"):
            begun = _begin(stack, day, game_date)
        seen = _wait(stack, begun, phases, patience=day.patience, shown=shown)
        say("exporting")
        with phases.timed("export"):
            exported = None if day.export is None else export(stack.warehouse, game_date, day.export)
        return Done(
            seen=seen,
            phases=phases,
            inputs=inputs,
            samples=samples(stack, game_date),
            exported_rows=exported,
            export=day.export,
            is_simulated=day.data is None,
        )


def _folder(day: Day) -> Path:
    """The user's folder, or one into which the sample season is written anew, the same bytes every time."""
    if day.data is not None:
        return day.data
    folder = day.state / "simulated_season"
    write(folder)
    return folder


def _begin(stack: LocalStack, day: Day, game_date: date) -> Seen:
    left = find_batch(stack, game_date)
    if left is not None and day.resume:
        return left
    is_in_the_way = left is not None and not left.has_ended
    if left is not None and is_in_the_way and not day.force:
        raise Conflict(
            f"batch {left.batch_id} of {game_date} is {left.state}, left by an interrupted run; "
            "add --resume to finish it or --force to replace it",
            batch_id=left.batch_id,
        )
    return start_batch(stack, game_date, force=left.batch_id if left is not None and is_in_the_way else None)


def _wait(
    stack: LocalStack, begun: Seen, phases: Phases, *, patience: timedelta, shown: Callable[[Seen], None]
) -> Seen:
    """Follow the batch, and tell predicting and consolidating apart by the coordinator's own times."""
    with phases.timed("predict"):
        seen = follow(stack, begun.batch_id, patience=patience, shown=shown)
    waited = phases.seconds["predict"]
    if seen.finished_at is not None and seen.last_outcome_at is not None:
        consolidating = min(waited, (seen.finished_at - seen.last_outcome_at).total_seconds())
        phases.seconds |= {"predict": waited - consolidating, "consolidate": consolidating}
    return seen
