"""What must hold of the predictions table: after every job, when rows are marked as merged, and at the end of a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from coordinator.rules.batch import Batch
from tests.simulation.league import GAME_ID, Revision, simulated_points
from tests.simulation.memory_documents import MemoryDocuments
from tests.simulation.memory_warehouse import MemoryWarehouse
from tests.simulation.standing import Standing
from tests.simulation.world import LawBroken

ENDED_MERGED = {"COMPLETE", "PARTIAL", "EMPTY"}
_NEVER = datetime.max.replace(tzinfo=UTC)
Rows = Mapping[str, Any]
"""Active rows of a player by prediction id."""


class TableLaws(Standing):
    """The laws over one world's table."""

    def __init__(self, documents: MemoryDocuments, warehouse: MemoryWarehouse, revisions: Sequence[Revision]) -> None:
        super().__init__(documents, warehouse)
        self._revisions = revisions

    @property
    def tipoff_at(self) -> datetime:
        """When the date's game begins, as far as the schedule tells."""
        return self._warehouse.tipoffs.get(GAME_ID, _NEVER)

    def is_in_the_table(self, batch_id: str, player: str, delivery: str) -> None:
        """Judge a mark as merged: the rows are there, or newer ones, or those that stood at tip-off."""
        batch = self.batch(batch_id)
        for row in self.staged(batch_id, player, delivery):
            stands = self._warehouse.predictions.get(str(row["prediction_id"]))
            is_there = stands is not None and stands["updated_at"] >= batch.planned_at
            if (
                not is_there
                and not self._stood_at_tipoff(batch, player)
                and not self._is_spoken_for_by_newer(batch, player)
            ):
                raise LawBroken(f"{player} of {batch_id} is marked as merged, and his rows are not in the table")

    def _is_spoken_for_by_newer(self, batch: Batch, player: str) -> bool:
        rows = self._warehouse.predictions.values()
        if any(row["player_lookup"] == player and row["updated_at"] > batch.planned_at for row in rows):
            return True  # by a MERGE that landed, whether its batch knows that yet or not
        newer = [one for one in self.batches() if one.planned_at > batch.planned_at and one.state in ENDED_MERGED]
        return any(player in self.spoken(one) for one in newer)

    def _stood_at_tipoff(self, batch: Batch, player: str) -> bool:
        """Whether a player has rows of before the tip-off, after which the batch was planned."""
        stood = (
            row["player_lookup"] == player and row["is_active"] and row["updated_at"] < self.tipoff_at
            for row in self._warehouse.predictions.values()
        )
        return self.tipoff_at <= batch.planned_at and any(stood)

    # --- jobs ---

    def before_job(self, job_id: str) -> Mapping[str, Any]:
        """What `job_ended` needs to know of the moment before."""
        del job_id
        return {key: (row["updated_at"], row["is_active"]) for key, row in self._warehouse.predictions.items()}

    def keeps_what_stood(self, job_id: str, batch: Batch, before: Mapping[str, Any]) -> None:
        """A MERGE puts no older row over a newer one. One that was planned after the tip-off neither replaces nor retires
        what was active then."""
        for key, (updated_at, is_active) in before.items():
            row = self._warehouse.predictions[key]
            self._hold(row["updated_at"] >= updated_at, f"MERGE {job_id} put an older row over a newer one: {key}")
            if is_active and updated_at < self.tipoff_at <= batch.planned_at:
                is_kept = row["is_active"] and row["updated_at"] == updated_at
                self._hold(is_kept, f"MERGE {job_id}, planned after the tip-off, changed what was active then: {key}")

    # --- the end ---

    def judge_table(self) -> None:
        """The table is what the ledger says: for each player the rows of the newest batch that speaks for him, or of the
        newest from before the tip-off."""
        for row in self._warehouse.predictions.values():
            batch = self.batch_planned_at(row["updated_at"])
            self._hold(batch.state != "CANCELLED", f"a row of the cancelled {batch.batch_id} stands in the table")
        merged = sorted(
            (one for one in self.batches() if self._has_merged(one) or self._has_landed_unseen(one)),
            key=lambda one: one.planned_at,
        )
        expected, unsure = self._said(merged)
        at_tipoff, unsure_then = self._said([one for one in merged if one.planned_at < self.tipoff_at])
        found: dict[str, dict[str, Any]] = {}
        for key, row in self._warehouse.predictions.items():
            if row["is_active"]:
                found.setdefault(row["player_lookup"], {})[key] = row
        for player in sorted(expected.keys() | found.keys() - unsure):
            rows = found.get(player, {})
            if self._has_begun(merged) and self._is_as_said(player, at_tipoff, unsure_then, rows):
                continue
            self._judge_player(player, expected.get(player, {}), rows)

    def _has_merged(self, batch: Batch) -> bool:
        return any(merge.state == "done" for merge in batch.merges)

    def _has_landed_unseen(self, batch: Batch) -> bool:
        """Whether a MERGE has changed the table, and its holder died and a newer batch came before that was written down."""
        jobs = [self._warehouse.jobs.get(merge.job_id) for merge in batch.merges if merge.state == "submitted"]
        return any(job is not None and job.effect is not None and job.effect.is_effective for job in jobs)

    def _has_begun(self, merged: Sequence[Batch]) -> bool:
        """Whether one of these batches was planned after the tip-off."""
        return any(self.tipoff_at <= one.planned_at for one in merged)

    def _is_as_said(self, player: str, said: Mapping[str, Rows], unsure: set[str], found: Rows) -> bool:
        expected = said.get(player, {})
        if not expected:  # he had no rows then, so that only the newest batch says what he has
            return player in unsure
        try:
            self._judge_player(player, expected, found)
        except LawBroken:
            return False
        return True

    def _said(self, merged: Sequence[Batch]) -> tuple[Mapping[str, Rows], set[str]]:
        """By player, the rows that these batches speak for, in order; and of whom nothing can be said."""
        expected: dict[str, dict[str, Any]] = {}
        unsure: set[str] = set()
        for batch in merged:
            shards, snapshot = self.ledger.shards(batch.batch_id), self.snapshot(batch.batch_id)
            if batch.state == "FAILED" or not self._has_merged(batch):
                # A person has to look, or a newer batch came first: nothing says how far what it merged speaks.
                unsure |= {player for shard in shards for player in shard.expected}
                continue
            spoken = self.spoken(batch)
            if batch.kind == "root":
                expected = {player: rows for player, rows in expected.items() if player in snapshot.missing}
                unsure &= set(snapshot.missing)
            if self.has_unmerged_news(batch, snapshot):
                unsure |= set(snapshot.skipped) | set(snapshot.predicted) - self.merged_players(shards)
            for player in spoken:
                expected.pop(player, None)
                delivery = self.merged_as(shards, player)
                if player in snapshot.predicted and delivery:
                    rows = self.staged(batch.batch_id, player, delivery)
                    expected[player] = {str(row["prediction_id"]): row for row in rows}
        return expected, unsure

    def _judge_player(self, player: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        if expected.keys() != found.keys():
            raise LawBroken(
                f"{player} has {len(found)} active rows of "
                f"{sorted({str(row['updated_at']) for row in found.values()})}, the ledger says {len(expected)} of "
                f"{sorted({str(row['updated_at']) for row in expected.values()})}"
            )
        for key, row in expected.items():
            for name in ("updated_at", "predicted_points", "player_lookup"):
                stands, said = found[key][name], row[name]
                self._hold(stands == said, "{}: {} is {}, not {}", player, name, stands, said)
        if not expected:
            return
        batch = self.batch_planned_at(next(iter(expected.values()))["updated_at"])
        request = self.request(batch, player)
        possible = [simulated_points(request, revision) for revision in self._revisions]
        points = {key: row["predicted_points"] for key, row in found.items()}
        self._hold(points in possible, "{} has rows that no worker's revision gives without faults", player)

    def _hold(self, is_so: bool, otherwise: str, *named: object) -> None:
        """Raise what is `otherwise`, naming these, unless it is so; a text that nobody reads is never made."""
        if not is_so:
            raise LawBroken(otherwise.format(*named) if named else otherwise)
