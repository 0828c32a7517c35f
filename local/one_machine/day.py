"""One day on one machine, from the CSV files to the exported predictions: what `tipoff run` does between its options
and its tables."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from local.one_machine.csv_inputs import InputSummary, load_folder
from local.one_machine.export import export
from local.one_machine.run import Phases, Sample, Seen, find_batch, follow, samples, start_batch
from local.one_machine.stack import LocalStack, local_stack, model_of
from local.sample.season import SAMPLE_GAME_DATE, write
from shared.errors import Conflict, InvalidInput

LOG_NAME = "tipoff.log"
"""The services' log within the folder of a system, which every run writes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What the user asked for; `data` None is the simulated sample season, `game_date` None its default date."""

    game_date: date | None
    data: Path | None
    max_bytes: int
    state: Path
    export: Path | None
    spreadsheet_safe: bool
    model: str | None
    """Path or gs:// URL; None is the shipped model."""
    resume: bool
    force: bool
    allow_retiring: bool
    allow_incomplete: bool = False
    patience: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of it."""

    seen: Seen
    phases: Phases
    inputs: InputSummary | None
    """None where an earlier run's batch was resumed: its plan is frozen, so nothing was loaded."""
    samples: tuple[Sample, ...]
    exported_rows: int | None
    """None where nothing was to be exported, or the batch did not end well."""
    export: Path | None
    is_simulated: bool
    has_shipped_model: bool
    """Whether the model of simulated games predicted real ones."""
    log: Path

    @property
    def home(self) -> Path:
        """The folder of the system that it ran in."""
        return self.log.parent

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
                "rows": dict(self.inputs.rows) if self.inputs else {},
                "warnings": list(self.inputs.warnings) if self.inputs else [],
            },
            "exported": None if self.exported_rows is None else {"file": str(self.export), "rows": self.exported_rows},
            "log": str(self.log),
        }


def run_day(day: Day, *, say: Callable[[str], None], shown: Callable[[Seen], None]) -> Done:
    """Load, plan, predict, consolidate, export. `say` hears what is going on, `shown` every look at the batch.

    Raises:
        InvalidInput: a file, value or option is unusable, or another process uses the state folder.
        Conflict: a live batch of the date is in the way and neither `resume` nor `force` was given.
        Unavailable: the batch did not end in time.
    """
    phases, home = Phases(), home_of_day(day)
    with ExitStack() as opened:
        say("starting services")
        with phases.timed("start"):
            stack = opened.enter_context(local_stack(home, model=model_of(day.model)))
        begun, inputs = _begin(stack, day, home, phases, say=say)
        seen = _wait(stack, begun, phases, patience=day.patience, shown=shown)
        exported = None
        if seen.has_ended_well and day.export is not None:
            say("exporting")
            with phases.timed("export"):
                exported = export(stack.warehouse, seen.game_date, day.export, spreadsheet_safe=day.spreadsheet_safe)
        say("stopping services")
        return Done(
            seen=seen,
            phases=phases,
            inputs=inputs,
            samples=samples(stack, seen.game_date) if seen.has_ended_well else (),
            exported_rows=exported,
            export=day.export,
            is_simulated=home != day.state,
            has_shipped_model=home == day.state and day.model is None and inputs is not None,
            log=home / LOG_NAME,
        )


def home_of_day(day: Day) -> Path:
    """The folder of the system that the day runs in.

    Simulated predictions are kept apart from the user's own, of which they would otherwise retire those of the same date.
    What is to be resumed needs no inputs any more, so without a data folder it is looked for where the last run was.

    Raises:
        InvalidInput: a run is to be resumed without a data folder, and none was ever begun.
    """
    simulated = day.state / "simulated"
    if day.resume and day.data is None and not max(_last_used(day.state), _last_used(simulated)):
        problem = f"no run was begun in {day.state}; leave --resume out, or give --data and --game-date as well"
        raise InvalidInput("--resume", problem)
    if day.data is not None or (day.resume and _last_used(day.state) > _last_used(simulated)):
        return day.state
    return simulated


def _last_used(home: Path) -> float:
    log = home / LOG_NAME
    return log.stat().st_mtime if log.exists() else 0.0


def _begin(
    stack: LocalStack, day: Day, home: Path, phases: Phases, *, say: Callable[[str], None]
) -> tuple[Seen, InputSummary | None]:
    """Take up the batch to resume, or load the inputs and start one."""
    game_date = day.game_date or (None if day.resume else SAMPLE_GAME_DATE)
    left = find_batch(stack, game_date)
    if left is not None and day.resume:
        return left, None
    if day.data is None and home == day.state:
        raise InvalidInput("--resume", f"no batch to finish in {home}; give --data and --game-date to start one")
    if left is not None and not left.has_ended and not day.force:
        raise Conflict(
            f"batch {left.batch_id} of {left.game_date} is {left.state}, left by an interrupted run; "
            "add --resume to finish it or --force to replace it",
            batch_id=left.batch_id,
        )
    game_date = day.game_date or SAMPLE_GAME_DATE
    say("loading inputs")
    with phases.timed("load"):
        inputs = load_folder(
            stack.warehouse, folder=folder_of(day.data, home), game_date=game_date, max_bytes=day.max_bytes
        )
    say("planning")
    with phases.timed("plan"):
        return _start(stack, day, game_date, left), inputs


def _start(stack: LocalStack, day: Day, game_date: date, left: Seen | None) -> Seen:
    """Start a batch in place of the one that was left, which may be past cancelling: then it is seen to its end first."""
    start = partial(
        start_batch, stack, game_date, allow_retiring=day.allow_retiring, allow_incomplete=day.allow_incomplete
    )
    if left is None or left.has_ended:
        return start()
    try:
        return start(force=left.batch_id)
    except Conflict:
        follow(stack, left.batch_id, patience=day.patience, shown=lambda _seen: None)
        return start()


def folder_of(data: Path | None, home: Path) -> Path:
    """The user's folder, or one into which the sample season is written anew, the same bytes every time."""
    if data is not None:
        return data
    folder = home / "csv"
    write(folder)
    return folder


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
