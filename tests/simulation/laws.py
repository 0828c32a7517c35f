"""What must hold at every step of a simulated day, and at its end.

The laws are told over what the world can see: documents, tables, messages, answers. They are written apart from the rules
that they judge, so that a mistake in a rule is not repeated here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from coordinator.documents import entry_of
from coordinator.operator.views import Views
from coordinator.rules.batch import Batch
from coordinator.rules.due import By, Step, due_now
from schemas.messages import BatchFinished, Predicted, RowCounts
from shared.errors import MalformedMessage
from shared.ports import Document, Outgoing, Path, Write
from shared.push import slice_of
from tests.simulation.league import GAME_DATE, Revision, simulated_points
from tests.simulation.memory_documents import MemoryDocuments
from tests.simulation.memory_warehouse import MemoryWarehouse
from tests.simulation.standing import Standing, outcomes_in
from tests.simulation.world import LawBroken, World

LIVE = {"PLANNED", "RUNNING", "CONSOLIDATING"}
MOVES = {
    "PLANNED": {"RUNNING", "CANCELLED"},
    "RUNNING": {"CONSOLIDATING", "CANCELLED"},
    "CONSOLIDATING": {"RUNNING", "COMPLETE", "PARTIAL", "FAILED"},
    "FAILED": {"CONSOLIDATING", "PARTIAL", "COMPLETE"},
    "PARTIAL": {"COMPLETE"},
    "COMPLETE": set(),
    "CANCELLED": set(),
}
_DATE: Path = ("dates", GAME_DATE.isoformat())
HOLDERS_ONLY = ("merges", "result")
"""Fields of a batch that only the holder of its date's lease writes."""


class Laws(Standing):
    """The laws over one world, and what they have to remember of it."""

    def __init__(
        self, world: World, documents: MemoryDocuments, warehouse: MemoryWarehouse, revisions: Sequence[Revision]
    ) -> None:
        super().__init__(documents, warehouse)
        self._world = world
        self._revisions = revisions
        self._history: dict[str, set[tuple[Any, ...]]] = {}
        """Of each batch, the ends that it has had: state and counts of rows."""
        self._announced: set[tuple[str, str]] = set()
        self._unreadable: set[tuple[str, str]] = set()
        self._told: dict[str, list[BatchFinished]] = {}
        self._effective: dict[str, int] = {}

    # --- commits ---

    def committed(self, writes: Sequence[Write], before: Mapping[Path, Document | None]) -> None:
        """Judge a commit by what stood in its documents before and after."""
        for write in writes:
            path, was = write.path, before[write.path]
            found = self._documents.get(path)
            assert found is not None
            if was is not None and was.version == found.version:
                continue
            match path:
                case ("batches", batch_id):
                    self._judge_batch(batch_id, was, found, before)
                case ("dates", _):
                    self._judge_date(was, found)
                case ("batches", batch_id, "shards", _):
                    self._judge_shard(batch_id, was, found, before)

    def _judge_batch(
        self,
        batch_id: str,
        was: Document | None,
        found: Document,
        before: Mapping[Path, Document | None],
    ) -> None:
        after: Any = found.fields
        old: Any = was.fields if was else {}
        if was is None:
            self._hold(after["status"] == "PLANNED", "batch {} begins as {}", batch_id, after["status"])
            self._hold(_DATE in before, "batch {} exists without being the newest", batch_id)
        elif after["status"] != old["status"]:
            self._world.say("ledger", f"{batch_id}: {old['status']} → {after['status']}")
            allowed = after["status"] in MOVES[old["status"]]
            self._hold(allowed, "batch {} moved from {} to {}", batch_id, old["status"], after["status"])
        if was is not None:
            for name in HOLDERS_ONLY:
                if after[name] is not old[name] and after[name] != old[name]:
                    self._hold_lease(batch_id, f"{name} of {batch_id}", before)
            if after["status"] != old["status"] and {after["status"], old["status"]} & {"CONSOLIDATING"}:
                self._hold_lease(batch_id, f"the status of {batch_id}", before)
            for number in after["settled_shards"].keys() - old["settled_shards"].keys():
                silent = self.shard(batch_id, int(number)).silent
                self._hold(not silent, "shard {} of {} is marked settled without {}", number, batch_id, silent)
        if was is None or after["status"] != old["status"]:
            live = [one.path[-1] for one in self._documents.query(("batches",)) if one.fields["status"] in LIVE]
            self._hold(len(live) <= 1, "several batches of the date live: {}", live)
        if after["status"] not in LIVE:
            self._judge_end(batch_id)

    def _judge_end(self, batch_id: str) -> None:
        batch = self.batch(batch_id)
        ends = self._history.setdefault(batch_id, set())
        end = _end_of(batch)
        if end in ends:
            return
        ends.add(end)
        if batch.state in ("COMPLETE", "EMPTY"):
            missing = self.snapshot(batch_id).missing
            self._hold(not missing, "batch {} is COMPLETE without {}", batch_id, missing)

    def _judge_date(self, was: Document | None, found: Document) -> None:
        if was is None:
            return
        old: Any = was.fields
        after: Any = found.fields
        self._hold(after["lease"]["epoch"] >= old["lease"]["epoch"], "the lease's epoch went back")
        if after["newest"]["batch_id"] != old["newest"]["batch_id"]:
            self._hold(after["newest"]["planned_at"] > old["newest"]["planned_at"], "a newer batch is planned no later")
        if old["merged"] and after["merged"]["batch_id"] != old["merged"]["batch_id"]:
            self._hold(
                after["merged"]["planned_at"] > old["merged"]["planned_at"], "an older root merged after a newer one"
            )

    def _judge_shard(
        self, batch_id: str, was: Document | None, found: Document, before: Mapping[Path, Document | None]
    ) -> None:
        if was is None:
            return
        old: Any = was.fields
        after: Any = found.fields
        for kind in ("expected", "predicted", "skipped", "failed", "carried", "merged"):
            lost = old[kind].keys() - after[kind].keys() if old[kind] is not after[kind] else None
            self._hold(not lost, "the ledger of {} lost {} {}", batch_id, kind, lost)
        for kind in ("carried", "merged"):
            if old[kind] is after[kind]:
                continue
            changed = {player: one for player, one in after[kind].items() if old[kind].get(player) != one}
            if changed:
                self._hold_lease(batch_id, f"{kind} of {batch_id}", before)
            if kind == "merged":
                for player, delivery in changed.items():
                    self._is_in_the_table(batch_id, player, delivery)

    def _hold_lease(self, batch_id: str, what: str, before: Mapping[Path, Document | None]) -> None:
        """Only the lease's holder writes `what`: who had it before the commit, or takes it by the commit itself."""
        leases: list[Any] = [day.fields["lease"] for day in (before.get(_DATE), self._documents.get(_DATE)) if day]
        task = self._world.author
        assert task is not None
        assert task.instance is not None
        is_held = any(one["holder"] == task.instance.name and one["batch_id"] == batch_id for one in leases)
        self._hold(is_held, "{} wrote {}, and the lease stood {}", task.name, what, leases)

    def _is_in_the_table(self, batch_id: str, player: str, delivery: str) -> None:
        batch = self.batch(batch_id)
        for row in self.staged(batch_id, player, delivery):
            stands = self._warehouse.predictions.get(str(row["prediction_id"]))
            is_there = stands is not None and stands["updated_at"] >= batch.planned_at
            if not is_there and not self._is_spoken_for_by_newer(batch, player):
                raise LawBroken(f"{player} of {batch_id} is marked as merged, and his rows are not in the table")

    def _is_spoken_for_by_newer(self, batch: Batch, player: str) -> bool:
        rows = self._warehouse.predictions.values()
        if any(row["player_lookup"] == player and row["updated_at"] > batch.planned_at for row in rows):
            return True  # by a MERGE that landed, whether its batch knows that yet or not
        newer = [one for one in self.batches() if one.planned_at > batch.planned_at and one.state in ENDED_MERGED]
        return any(player in self.spoken(one) for one in newer)

    # --- jobs ---

    def submitted(self, job_id: str, sql: str) -> None:
        """A MERGE's number is in the ledger before its job begins."""
        if not sql.startswith("MERGE"):
            return
        known = {str(merge["job_id"]) for one in self.batch_fields() for merge in one["merges"].values()}
        self._hold(job_id in known, f"job {job_id} is submitted and no batch has recorded it")

    def before_job(self, job_id: str) -> Mapping[str, Any]:
        """What `job_ended` needs to know of the moment before."""
        del job_id
        return {key: (row["updated_at"], row["is_active"]) for key, row in self._warehouse.predictions.items()}

    def job_ended(self, job_id: str, before: Mapping[str, Any]) -> None:
        """Judge what a job did to the table."""
        job = self._warehouse.jobs[job_id]
        if job.effect is None or not job.effect.is_effective:
            return
        batch = self.batch(job.effect.batch_id)
        self._hold(batch.state != "CANCELLED", f"MERGE {job_id} of the cancelled batch {batch.batch_id} landed")
        number = next((merge.number for merge in batch.merges if merge.job_id == job_id), None)
        self._hold(number is not None, f"MERGE {job_id} landed and batch {batch.batch_id} does not know it")
        numbered = f"{batch.batch_id} {number}"
        self._effective[numbered] = self._effective.get(numbered, 0) + 1
        self._hold(self._effective[numbered] == 1, f"MERGE {number} of {batch.batch_id} took effect twice")
        for key, (updated_at, _) in before.items():
            now_at = self._warehouse.predictions[key]["updated_at"]
            self._hold(now_at >= updated_at, f"MERGE {job_id} put an older row over a newer one: {key}")
        newer = [one for one in self.batches() if one.kind == "root" and one.planned_at > batch.planned_at]
        merged = self._documents.get(_DATE)
        assert merged is not None
        mark: Any = merged.fields["merged"]
        overtaken = [one.batch_id for one in newer if mark and mark["batch_id"] == one.batch_id]
        self._hold(not overtaken, f"MERGE {job_id} landed after the newer root {overtaken} had merged")

    # --- messages ---

    def announced(self, sent: Outgoing) -> None:
        """Remember whose outcomes a worker has published."""
        outcomes = outcomes_in(sent.data)
        self._announced |= {(one.batch_id, one.player_lookup) for one in outcomes.outcomes}
        for one in outcomes.outcomes:
            if isinstance(one, Predicted):
                staged = self.staged(one.batch_id, one.player_lookup, one.delivery)
                self._hold(bool(staged), "{} is announced before his rows are staged", one.player_lookup)

    def told(self, sent: Outgoing) -> None:
        """Whoever follows the batches is told nothing that was not so."""
        event = BatchFinished.model_validate_json(sent.data)
        said = (event.state, *_counted(event.rows))
        true = self._history.get(event.batch_id, set())
        self._hold(said in true, "it is told of {} that it is {}; it was {}", event.batch_id, said, true or "not ended")
        others = {one.state for one in self._told.get(event.event_id, [])} - {event.state}
        self._hold(not others, "one id tells of {} that it is {} and {}", event.batch_id, event.state, others)
        self._told.setdefault(event.event_id, []).append(event)

    def acknowledged(self, topic: str, sent: Outgoing) -> None:
        """What a push answered with success is durable."""
        if topic == "requests":
            for request in json.loads(sent.data)["requests"]:
                key = (request["batch_id"], request["player_lookup"])
                self._hold(key in self._announced, "the request of {} is acknowledged without an outcome", key[1])
        elif topic == "outcomes":
            for outcome in outcomes_in(sent.data).outcomes:
                batch = self.batch(outcome.batch_id)
                if self._world.now > batch.late_until:
                    continue
                (kind, player, answer), _ = entry_of(outcome, at=self._world.now)
                shard: Any = next(
                    one.fields
                    for one in self._documents.query(("batches", batch.batch_id, "shards"))
                    if player in one.fields["expected"]  # type: ignore[operator]  # a map, as the codec writes it
                )
                is_there = answer in shard[kind].get(player, {})
                self._hold(is_there, "the outcome of {} is acknowledged and not in the ledger", player)
        else:
            try:
                name = slice_of(sent.attributes)
            except MalformedMessage:
                return
            found = self.shard(name.batch_id, name.shard)
            players = found.ordered[name.start : name.stop]
            if len(players) == 1:
                self._hold(players[0] not in found.silent, f"{players[0]} was given up and nobody knows")

    # --- the end ---

    def nothing_is_stuck(self) -> None:
        """After the deadline and some sweeps nothing waits but for a person, and what is due says so."""
        for batch in self.batches():
            if batch.is_live:
                asked = batch.overtaken_by is not None
                self._hold(asked, f"batch {batch.batch_id} is {batch.state} and nobody will finish it")

    def hold_at_the_end(self) -> None:
        """Judge ledger, table and messages once nothing is under way."""
        with self._world.noticing():
            for batch in self.batches():
                self._judge_ended(batch)
            self._judge_table()

    def _judge_ended(self, batch: Batch) -> None:
        shards, snapshot = self.ledger.shards(batch.batch_id), self.snapshot(batch.batch_id)
        look = self.ledger.look(batch, now=self._world.now)
        waiting = [one.to_do for one in due_now(look, By.SWEEP) if one.step is not Step.RECORD_FROM_STAGING]
        self._hold(not waiting, "batch {} is left with what is due: {}", batch.batch_id, waiting)
        view = Views(self.ledger).batch(batch.batch_id)
        counts = view.players
        total = counts.predicted + counts.skipped + counts.failed + counts.silent
        self._hold(counts.expected == batch.expected_count == total, "{} counts {}", batch.batch_id, counts)
        if batch.is_live:
            return
        self._judge_result(batch)
        if batch.state == "FAILED" and not look.overtaken_by:
            asked = any(one.step is Step.ASK for one in due_now(look, By.PERSON))
            self._hold(asked, f"batch {batch.batch_id} is FAILED and nobody is asked")
        rows = batch.merged_rows
        self._hold(rows.staged == rows.inserted + rows.updated + rows.unchanged, "{}: {}", batch.batch_id, rows)
        said = [event for event in self._told.get(batch.event_id, []) if event.state == batch.state]
        self._hold(bool(said), f"nobody was told that {batch.batch_id} is {batch.state}")
        for merge in batch.merges:
            job = self._warehouse.jobs.get(merge.job_id)
            if merge.state == "done":
                effect = job.effect if job else None
                counted = (merge.counts.inserted, merge.counts.updated, merge.counts.superseded)
                true = (effect.inserted, effect.updated, effect.superseded) if effect else None
                self._hold(
                    counted == true, f"MERGE {merge.number} of {batch.batch_id} is told as {counted}, did {true}"
                )
        if batch.overtaken_by is None and batch.state != "CANCELLED":
            lost = [
                player
                for player in snapshot.missing
                if self.staged_by(batch.batch_id, player) and not self.is_asked(batch)
            ]
            self._hold(not lost, f"rows of {lost} are staged, and {batch.batch_id} ended without them")
        if batch.state in ENDED_MERGED and batch.overtaken_by is None and batch.late_refusal is None:
            late = [player for player in snapshot.predicted if not self.merged_as(shards, player)]
            self._hold(not late, f"{late} are predicted and {batch.batch_id} never merged them")

    def _judge_result(self, batch: Batch) -> None:
        """Whoever looks at an ended batch reads why it ended, and of how many players."""
        if batch.state == "CANCELLED":
            return
        told = batch.result
        is_merged = told is not None and told.code == "merged"
        is_right = is_merged is not (batch.state == "FAILED")
        self._hold(is_right, "{} is {} and says {}", batch.batch_id, batch.state, told)
        if told is not None:
            is_whole = bool(told.reason) and told.players.expected == batch.expected_count
            self._hold(is_whole, "{} says {}", batch.batch_id, told)

    def _judge_table(self) -> None:
        """The table is what the ledger says: for each player the rows of the newest batch that speaks for him."""
        for row in self._warehouse.predictions.values():
            batch = self.batch_planned_at(row["updated_at"])
            self._hold(batch.state != "CANCELLED", f"a row of the cancelled {batch.batch_id} stands in the table")
        merged = sorted(
            (one for one in self.batches() if any(merge.state == "done" for merge in one.merges)),
            key=lambda one: one.planned_at,
        )
        expected: dict[str, dict[str, Any]] = {}
        unsure: set[str] = set()
        for batch in merged:
            shards, snapshot = self.ledger.shards(batch.batch_id), self.snapshot(batch.batch_id)
            if batch.state == "FAILED":
                # A person has to look: of what it merged before the refusal nothing says how far it speaks.
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
        found: dict[str, dict[str, Any]] = {}
        for key, row in self._warehouse.predictions.items():
            if row["is_active"]:
                found.setdefault(row["player_lookup"], {})[key] = row
        for player in sorted(expected.keys() | found.keys() - unsure):
            self._judge_player(player, expected.get(player, {}), found.get(player, {}))

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

    def _hold(self, is_so: bool, otherwise: str, *told: object) -> None:
        """Raise what is `otherwise`, told of these, unless it is so; a text that nobody reads is never made."""
        if not is_so:
            raise LawBroken(otherwise.format(*told) if told else otherwise)


ENDED_MERGED = {"COMPLETE", "PARTIAL", "EMPTY"}


_counted = attrgetter(*RowCounts.model_fields)


def _end_of(batch: Batch) -> tuple[Any, ...]:
    return (batch.state, *_counted(batch.merged_rows))
