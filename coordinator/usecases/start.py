"""Start a date's batch: plan it once, freeze the plan, commit the ledger, publish.

Each step may be the last before a crash. The plan table and the shards are functions of (date, key) and are made at
most once, unless the plan is refused and dropped; the batch exists from the moment its document is committed together with
`dates.newest`; from then on the sweep, or a repeat of the call, goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from coordinator.ledger import Ledger
from coordinator.rules import completeness, due, planning, quotas
from coordinator.rules.batch import Batch, DateRecord
from coordinator.rules.lifecycle import Status
from coordinator.usecases.cancel import cancel, check_cancellable
from coordinator.usecases.publish import RequestPublishing
from coordinator.usecases.record import Recorder
from schemas import names, tables
from shared.declared import KEEP_DAYS
from shared.errors import Conflict, InputsIncomplete, InvalidInput, QueryRefused, TableMissing, Unavailable
from shared.ports import JobState, Warehouse
from shared.settings import MAX_MINUTES, PlanningRules, Policy

log = logging.getLogger(__name__)

_TICK = timedelta(microseconds=1)
_DISTURBANCES = 10
_DROPPING = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Started:
    """The batch that answers a start; `is_new` is false when an earlier call with the same key made it."""

    batch: Batch
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """What a new batch is to be: a root of everybody, or a redrive of some players of its parent."""

    policy: Policy
    parent: str | None = None
    players: tuple[str, ...] | None = None
    """None: everybody whom the plan expects."""
    replaces: str | None = None
    """Id of the live batch that is cancelled for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """The use case, over its ports."""

    ledger: Ledger
    warehouse: Warehouse
    publishing: RequestPublishing
    recorder: Recorder
    rules: PlanningRules
    clock: Callable[[], datetime]
    revision: str

    def start(self, game_date: date, *, key: str, policy: Policy, force: str | None = None) -> Started:
        """Plan and publish the batch of a game date and idempotency key.

        A repeat with the same key answers with the same batch, publishing what was not yet published (A9, D5).

        Args:
            force: id of the live batch to cancel, once the new one is planned; a refused start leaves it be.

        Raises:
            Conflict: another batch of the date lives (and is named), or the MERGE of the one to cancel may still run.
            InputsIncomplete: too many of the last week's games have no box scores; they are named.
            InvalidInput: the inputs of the date are unusable, or its players are too many for the quotas; names the
                column or quota and the fix. Unless it says otherwise, a repeat with the same key plans afresh.
            Unavailable: try again with the same key; an outage is never taken for an empty day (A11).
        """

        def make_way(day: DateRecord | None) -> NewBatch:
            return NewBatch(policy=policy, replaces=self._in_the_way(game_date, force) if day is not None else None)

        return self.begin(game_date, names.batch_id(game_date, key), make_way)

    def begin(self, game_date: date, batch_id: str, choose: Callable[[DateRecord | None], NewBatch]) -> Started:
        """Plan, commit and publish the batch of an id, or go on with the one that is there.

        Args:
            choose: given what the date's batches share, says what the batch is to be, or raises what forbids it; asked again
                where another start came between.
        """
        for _ in range(_DISTURBANCES):
            known = self.ledger.find(batch_id)
            if known is not None:
                is_left = known.status is Status.PLANNED
                return Started(self._publish_and_close(known) if is_left else known, is_new=False)
            day = self.ledger.day(game_date)
            wanted = choose(day)
            batch, shards = self._plan(game_date, batch_id, wanted, day)
            self._make_way(wanted.replaces)
            if not self.ledger.plan(batch, shards, after=day):
                continue
            fields = {"batch_id": batch_id, "game_date": str(game_date), "players": batch.expected_count}
            log.info("batch planned", extra={"json_fields": fields})
            return Started(self._publish_and_close(batch), is_new=True)
        raise Unavailable(f"others changed the ledger of {game_date} {_DISTURBANCES} times in a row")

    def _publish_and_close(self, batch: Batch) -> Batch:
        """Publish, then close: every outcome may have come before the batch was RUNNING, or nobody is expected."""
        self.publishing.publish_batch(batch)
        self.recorder.close(batch, *self.ledger.shards(batch.batch_id))
        return self.ledger.batch(batch.batch_id)

    def _in_the_way(self, game_date: date, force: str | None) -> str | None:
        """Find the live batch that is to be cancelled for the new one; None where no batch of the date lives.

        Raises:
            Conflict: one lives and `force` does not name it, or it cannot be cancelled now.
        """
        living = self.ledger.living(game_date)
        if living is None:
            return None
        if force != living.batch_id:
            hint = f'to replace it, send {{"force": "{living.batch_id}"}}'
            raise Conflict(
                f"batch {living.batch_id} of {game_date} is {living.status}; {hint}", batch_id=living.batch_id
            )
        check_cancellable(living, self.warehouse)
        return living.batch_id

    def _make_way(self, replaced: str | None) -> None:
        """Cancel the batch that is replaced, unless it has ended meanwhile.

        Raises:
            Conflict: it is consolidating by now, or its MERGE may still land.
        """
        # Only the writes of the new batch come after this: whatever refuses its plan leaves the old one be.
        # Another batch that has begun to live since `_in_the_way` has changed the date, and the commit is refused.
        if replaced is not None and self.ledger.batch(replaced).is_live:
            cancel(self.ledger, self.warehouse, replaced)

    def _plan(
        self, game_date: date, batch_id: str, wanted: NewBatch, day: DateRecord | None
    ) -> tuple[Batch, Sequence[Sequence[str]]]:
        """Freeze the plan, if an earlier try has not, and read from it who is expected.

        The frozen plan says when it was made: a retry hours later does not pass its inputs off as fresh, and one that
        a newer batch has overtaken is refused.
        """
        self._check_tables()
        newest = day.newest if day else None
        now = self.clock()
        stamp = max(now, newest.planned_at + _TICK) if newest else now
        self._log_findings(planning.read_check(self.warehouse.query(planning.check_query(), {"game_date": game_date})))
        gaps = self._check_inputs(game_date, batch_id, wanted)
        self._freeze(game_date, batch_id, wanted, planned_at=stamp)
        players, planned_at = self._read_plan(batch_id, stamp)
        # This plan is kept: another start of the key, with a longer deadline, may have made the batch of it.
        quotas.check_fits(len(players), deadline_minutes=wanted.policy.deadline_minutes)
        if newest and planned_at <= newest.planned_at:
            raise Conflict(
                f"the plan of {batch_id} was made before batch {newest.batch_id}; start with another idempotency key",
                batch_id=newest.batch_id,
            )
        shards = planning.cut_shards(players)
        return replace(self._batch(game_date, batch_id, wanted, planned_at, shards), input_gaps=gaps), shards

    def _read_plan(self, batch_id: str, stamp: datetime) -> tuple[tuple[str, ...], datetime]:
        """Read from the frozen plan who is expected, and when it was made; one of nobody was made at `stamp`.

        Raises:
            InvalidInput: no start can use the plan. It is dropped, so that a repeat plans afresh; where that fails, the
                text asks for another key.
            Unavailable: another start has dropped the plan meanwhile.
        """
        try:
            rows = self.warehouse.query(planning.names_statement(batch_id))
        except TableMissing as error:
            raise Unavailable(f"the plan of {batch_id} was refused and dropped meanwhile; try again") from error
        planned_at = planning.frozen_at(rows, otherwise=stamp)
        try:
            players = planning.read_names(rows)
            quotas.check_fits(len(players), deadline_minutes=MAX_MINUTES)
        except InvalidInput as refusal:
            if self._drop_plan(batch_id, planned_at):
                raise
            kept = f"{refusal.problem}; then start with another idempotency key, since this one's plan could not be dropped"
            raise InvalidInput(refusal.field, kept) from refusal
        return players, planned_at

    def _drop_plan(self, batch_id: str, planned_at: datetime) -> bool:
        """Drop a plan that no start can use, and tell whether it is gone. A repeat drops no later plan of the batch id.

        Raises:
            Unavailable: the warehouse did not answer; the plan may or may not be gone.
        """
        # No plan of a batch goes, whatever starts with one key race. This plan has no batch: the refusal follows from its
        # rows alone, so every start that reads it refuses it too. Nor can a later one be hit, which may have a batch: the
        # job bears the time of this plan and runs once at most. Until it has run, this plan stands in the way of a later
        # one (IF NOT EXISTS); once it has, whoever submits it late changes nothing.
        job_id = names.plan_drop_job_id(batch_id, planned_at)
        try:
            self.warehouse.submit(planning.drop_statement(batch_id), {}, job_id=job_id)
        except QueryRefused:
            return False
        state = self.warehouse.job(job_id, wait=_DROPPING).state
        log.warning("plan refused", extra={"json_fields": {"batch_id": batch_id, "drop": state.value}})
        return state is JobState.DONE

    def _check_inputs(self, game_date: date, batch_id: str, wanted: NewBatch) -> tuple[str, ...]:
        """Tell what is lacking of the inputs.

        Raises:
            InputsIncomplete: too many of the last week's games have no box scores.
        """
        rows = self.warehouse.query(completeness.completeness_query(), {"game_date": game_date})
        found = completeness.read_completeness(game_date, rows)
        gaps, least = found.gaps(), wanted.policy.min_inputs_share
        fields = {"batch_id": batch_id, "game_date": str(game_date), "gaps": gaps, "share": found.share}
        if found.is_below(least):
            log.error("inputs incomplete", extra={"json_fields": fields})
            hint = 'to go on all the same, send {"policy": {"min_inputs_share": 0}}'
            raise InputsIncomplete(f"{' '.join(gaps)} Load them (tipoff load); {hint}")
        if found.is_suspiciously_empty:
            log.error("empty in the season", extra={"json_fields": fields})
        elif gaps:
            log.log(logging.WARNING if found.is_stale else logging.INFO, "input gaps", extra={"json_fields": fields})
        return gaps

    def _check_tables(self) -> None:
        """Look for the tables that plan, workers and MERGE need; a staging table made now could not be appended to for a while.

        Raises:
            Unavailable: one is not there; names the command that makes it.
        """
        for table in (names.PREDICTIONS_TABLE, tables.GRADES, names.staging_table(self.rules.schema_version)):
            if self.warehouse.columns(table) is None:
                raise Unavailable(f"there is no table `{table}`; make it with `tipoff schema apply`, then start again")

    def _freeze(self, game_date: date, batch_id: str, wanted: NewBatch, *, planned_at: datetime) -> None:
        """Write the plan table, unless an earlier try has."""
        parameters = planning.plan_parameters(game_date, planned_at=planned_at, rules=self.rules)
        some = {} if wanted.players is None else {"players": wanted.players}
        expires_at = planned_at + timedelta(days=KEEP_DAYS)
        self.warehouse.query(
            planning.plan_statement(batch_id, expires_at=expires_at, of_some=bool(some)), {**parameters, **some}
        )

    def _batch(
        self, game_date: date, batch_id: str, wanted: NewBatch, planned_at: datetime, shards: Sequence[Sequence[str]]
    ) -> Batch:
        planned = {player for shard in shards for player in shard}
        return Batch(
            batch_id=batch_id,
            game_date=game_date,
            planned_at=planned_at,
            deadline_at=planned_at + timedelta(minutes=wanted.policy.deadline_minutes),
            late_until=planned_at + self.rules.late,
            schema_version=self.rules.schema_version,
            schema_fingerprint=tables.load(tables.PREDICTIONS, self.rules.schema_version).fingerprint,
            shard_starts=tuple(shard[0] for shard in shards),
            expected_count=sum(len(shard) for shard in shards),
            policy=wanted.policy,
            kind="redrive" if wanted.parent else "root",
            parent=wanted.parent,
            left_out=tuple(player for player in wanted.players or () if player not in planned),
            revision=self.revision,
        )

    def _log_findings(self, findings: Sequence[planning.InputFinding]) -> None:
        for problem in planning.InputProblem:
            found = [finding for finding in findings if finding.problem is problem]
            if found:
                fields = {"problem": problem.value, "names": due.named([one.name for one in found])}
                rows = sum(one.rows for one in found)
                log.warning("input findings", extra={"json_fields": {**fields, "count": len(found), "rows": rows}})
