"""Grade what was predicted once it was played: one MERGE a date, verified before and after, the same laws as the
predictions'. A repeat changes nothing; a corrected box score changes what it concerns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from coordinator.rules import accuracy, grading
from coordinator.rules.accuracy import IntervalDrift
from coordinator.rules.grading import GradeCounts
from schemas import names, tables
from shared.declared import table_spec
from shared.errors import InvalidInput, QueryRefused, SchemaClash, TipoffError, Transient, Unavailable
from shared.ports import Jobs, JobState, Warehouse

log = logging.getLogger(__name__)

_US_EASTERN = ZoneInfo("America/New_York")
_NOON = 12
LAST_DAYS = timedelta(days=7)
"""So far back a daily grading looks: box scores come late, and are corrected for some days."""
MAX_DAYS = 400
"""More than a season in one call is a mistake in the year."""
_ATTEMPTS = 5
"""So often one grading lets the MERGE of a date fail; the next grading goes on from there."""
_WAIT = timedelta(seconds=20)
_PATIENCE = timedelta(seconds=400)
_ENDED = (JobState.DONE, JobState.FAILED)


class GradedDate(BaseModel):
    """What one date's grading came to, in predictions."""

    game_date: date
    graded: int
    """Grades that the date has now."""
    inserted: int
    updated: int
    unchanged: int
    retired: int
    ungraded: int
    """Active predictions whose games have no box score yet."""


class RefusedDate(BaseModel):
    """A date that could not be graded, and why."""

    game_date: date
    why: str
    may_pass: bool
    """Whether the same call may succeed later; otherwise a person has to look."""


class UngradedGame(BaseModel):
    """A game that was predicted and has no box score yet."""

    game_date: date
    game_id: str
    players: int
    predictions: int


class GradeAnswer(BaseModel):
    """What a call of `/grade` came to."""

    first: date
    last: date
    graded: int
    ungraded: int
    dates: list[GradedDate]
    refused: list[RefusedDate]
    """Dates that could not be graded; they stop no other date. Where there are any, `/grade` answers with a problem that has
    all these fields too."""
    ungraded_games: list[UngradedGame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grader:
    """The use case, over the warehouse.

    Args:
        today: the date in US Eastern, by which game dates go.
    """

    warehouse: Warehouse
    clock: Callable[[], datetime]
    today: Callable[[], date]
    max_bytes: int

    def grade(self, first: date, last: date) -> GradeAnswer:
        """Grade every prediction of a span whose game has a box score; a failure with one date does not stop the others,
        and the answer names it. A repeat changes nothing.

        Raises:
            InvalidInput: the span is upside down, too long, lies in the future, or nothing of it was predicted.
            SchemaClash, QueryRefused, TableMissing: a person has to look, at what is no single date's.
            Unavailable: the warehouse did not answer about the span; dates already graded stay graded.
        """
        check_span(first, last, today=self.today())
        answer = self.grade_what_is_there(first, last)
        if not answer.dates and not answer.refused:
            raise InvalidInput("from", f"nothing is predicted from {first} to {last}; choose dates that were run")
        return answer

    def grade_what_is_there(self, first: date, last: date) -> GradeAnswer:
        """`grade`, for a scheduler: a span of which nothing was predicted is no mistake. Raises as `grade` otherwise."""
        self._prepare()
        if self.warehouse.columns(names.PREDICTIONS_TABLE) is None:
            return GradeAnswer(first=first, last=last, graded=0, ungraded=0, dates=[], refused=[], ungraded_games=[])
        span = accuracy.span(first, last)
        found = self.warehouse.query(grading.dates_to_grade(), span)
        dates, refused = self._grade_each([row["game_date"] for row in found if isinstance(row["game_date"], date)])
        self._watch(last)
        waiting = [UngradedGame.model_validate(row) for row in self.warehouse.query(grading.ungraded_games(), span)]
        self._tell_noon(last, waiting, refused)
        return GradeAnswer(
            first=first,
            last=last,
            graded=sum(one.graded for one in dates),
            ungraded=sum(one.ungraded for one in dates),
            dates=dates,
            refused=refused,
            ungraded_games=waiting,
        )

    def due(self) -> list[date]:
        """The last eight days on which a prediction has its box score and not its grade; one query. Raises as `grade`."""
        if any(self.warehouse.columns(table) is None for table in (names.PREDICTIONS_TABLE, "player_game_logs")):
            return []
        self._prepare()
        today = self.today()
        found = self.warehouse.query(grading.dates_due(), accuracy.span(today - LAST_DAYS, today))
        return [row["game_date"] for row in found if isinstance(row["game_date"], date)]

    def grade_due(self) -> list[date]:
        """Grade what is due and return the dates that were graded. A repeat changes nothing. Raises as `grade`."""
        dates, _ = self._grade_each(self.due())
        if dates:
            self._watch(self.today())
        return [one.game_date for one in dates]

    def _grade_each(self, game_dates: Sequence[date]) -> tuple[list[GradedDate], list[RefusedDate]]:
        """Grade dates; one that cannot be graded is told in the log, and the others are graded all the same."""
        graded, refused = list[GradedDate](), list[RefusedDate]()
        for game_date in game_dates:
            try:
                graded.append(self._grade_date(game_date))
            except TipoffError as trouble:
                one = RefusedDate(game_date=game_date, why=str(trouble), may_pass=isinstance(trouble, Transient))
                log.warning("date not graded", extra={"json_fields": one.model_dump(mode="json")})
                refused.append(one)
        return graded, refused

    def _tell_noon(self, last: date, waiting: Sequence[UngradedGame], refused: Sequence[RefusedDate]) -> None:
        """Say in the log at noon which earlier dates lack grades: by this line the service level is counted."""
        local = self.clock().astimezone(_US_EASTERN)
        if local.hour < _NOON or last != local.date() or any(one.may_pass for one in refused):
            return  # Where trouble may pass the same call comes again, and then it is known what noon found.
        lacking = {one.game_date for one in waiting} | {one.game_date for one in refused}
        found_late = [str(one) for one in sorted(lacking - {last})]
        fields = {"timeliness": "late" if found_late else "on time", "dates": found_late}
        log.info("graded by noon", extra={"json_fields": fields})

    def _watch(self, last: date) -> None:
        """Say so in the log where the interval drifts; an alert counts the line."""
        drift = watched(self.warehouse, last)
        if drift.warning is not None:
            log.warning("interval drifts", extra={"json_fields": {"why": drift.warning, "share": drift.share}})

    def _prepare(self) -> None:
        """Make the table where it is absent; refuse one that is not as declared."""
        spec = table_spec(tables.GRADES)
        live = self.warehouse.columns(spec.name)
        if live is None:
            self.warehouse.create(spec)
            return
        drift = tables.compare(spec.columns, live)
        if drift.clashes or drift.missing_in_live:
            wrong = drift.clashes or [f"{column.name} is missing" for column in drift.missing_in_live]
            raise SchemaClash(f"`{spec.name}` differs from its declaration: {'; '.join(wrong)}")

    def _grade_date(self, game_date: date) -> GradedDate:
        """Grade a date, verified before and after.

        Raises:
            VerificationRefused, QueryRefused, TableMissing: a person has to look.
            Unavailable: the warehouse did not answer, or not in time.
        """
        before = self._count(game_date)
        grading.judge_before(before, game_date)
        after = before
        if not before.is_done:
            self._merge(game_date, before)
            after = self._count(game_date)
        grading.judge_after(after, game_date)
        graded = GradedDate(
            game_date=game_date,
            graded=after.grades,
            ungraded=after.ungraded,
            **before.model_dump(include={"inserted", "updated", "unchanged", "retired"}),
        )
        log.info("date graded", extra={"json_fields": graded.model_dump(mode="json")})
        return graded

    def _merge(self, game_date: date, before: GradeCounts) -> None:
        """Run the MERGE as a job of its own id, so that two graders of one state never run two at once.

        A job that has ended before does not count: either its state has come again, or another grader was faster, and
        then one more MERGE after his changes nothing.

        Raises:
            QueryRefused: it costs too much, or failed as often as it may; with the warehouse's words.
            Unavailable: it has not ended in time.
        """
        text, parameters = grading.merge(game_date), {"graded_at": self.clock()}
        cost = self.warehouse.estimate(text, parameters)
        if cost > self.max_bytes:
            raise QueryRefused(
                f"grading {game_date} would read {cost:,} bytes; TIPOFF_MAX_BYTES_PER_QUERY allows {self.max_bytes:,}"
            )
        first = grading.first_open(
            lambda attempt: self.warehouse.job(before.job_id(game_date, attempt)).state in _ENDED
        )
        said = None
        for attempt in range(first, first + _ATTEMPTS):
            job_id = before.job_id(game_date, attempt)
            self.warehouse.submit(text, parameters, job_id=job_id)
            waited = timedelta(0)
            while (job := self.warehouse.job(job_id, wait=_WAIT)).state not in _ENDED:
                waited += _WAIT
                if waited > _PATIENCE:
                    raise Unavailable(f"grading job {job_id} has not ended after {waited}; ask again")
            if job.state is JobState.DONE:
                return
            said = job.error
        raise QueryRefused(f"grading {game_date} failed {_ATTEMPTS} times: {said}")

    def _count(self, game_date: date) -> GradeCounts:
        return GradeCounts.model_validate(self.warehouse.query(grading.count(game_date))[0])


def watched(warehouse: Jobs, last: date) -> IntervalDrift:
    """How the interval did over the newest games up to a date. Raises `TableMissing` before the first grading."""
    return IntervalDrift.model_validate(
        warehouse.query(accuracy.newest_intervals(), accuracy.newest_parameters(last))[0]
    )


def check_span(first: date, last: date, *, today: date) -> None:
    """Refuse a span that nobody can have meant.

    Raises:
        InvalidInput: names `from` or `to` and what to give.
    """
    if first > today:
        raise InvalidInput(
            "from", f"{first} has not been played, today is {today} in US Eastern; give a date up to today"
        )
    if last < first:
        raise InvalidInput("to", f"{last} is before {first}; give the later date")
    if last > today:
        raise InvalidInput("to", f"{last} has not been played, today is {today} in US Eastern; give a date up to today")
    if (last - first).days >= MAX_DAYS:
        raise InvalidInput("from", f"{first} to {last} is over {MAX_DAYS} days; ask for a season at a time")
