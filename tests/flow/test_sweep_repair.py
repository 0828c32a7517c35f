"""The sweep repairs the ledger from staging, drops what is over, and tells in a dry run what it would do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.documents import batch_path, shard_path
from coordinator.rules.due import LOOK_AGAIN
from coordinator.rules.entries import AnyOutcome
from coordinator.rules.lifecycle import Status
from coordinator.usecases.sweep_report import Swept, Verdict
from schemas import names
from schemas.messages import Predicted
from shared.ports import Update
from shared.settings import Policy
from tests.documents_kit import fields_of
from tests.stand.ledger import a_failure, a_skip
from tests.stand.world import LEASE, PLAYERS, Crash, Stand, a_league

POLICY = Policy(
    deadline_minutes=60,
    republish_after_minutes=10,
    max_republishes=2,
    tolerated_silent_share=0.34,
    tolerated_failed_share=0.34,
)
SILENCE, DEADLINE = timedelta(minutes=10), timedelta(minutes=60)
A_MOMENT = timedelta(microseconds=1)


def sweep(stand: Stand, *, dry_run: bool = False) -> Swept:
    """Sweep, when there is one batch."""
    (swept,) = stand.coordinator.sweeper.sweep(dry_run=dry_run)
    return swept


def rows_of(*outcomes: AnyOutcome) -> int:
    """Rows that these outcomes tell of."""
    return sum(outcome.rows for outcome in outcomes if isinstance(outcome, Predicted))


def all_tables(stand: Stand) -> list[str]:
    """Names of plan and staging tables."""
    return [table.name for table in stand.warehouse.list_tables("_")]


# --- from staging ---------------------------------------------------------------------------------------------


def test_a_delivery_whose_outcome_was_lost_is_recorded_as_its_outcome_told_it(stand: Stand) -> None:
    batch_id = stand.start(policy=POLICY).batch.batch_id
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    lost = stand.answer(PLAYERS[2])
    assert isinstance(lost, Predicted)
    published = len(stand.requests.messages)
    stand.pass_time(SILENCE)

    swept = sweep(stand)

    assert swept.did == [f"recorded {PLAYERS[2]} from staging", "consolidation: merged"]
    assert stand.batch(batch_id).status is Status.COMPLETE
    assert stand.predicted_players() == set(PLAYERS)
    assert len(stand.requests.messages) == published, "nobody is published again"
    recorded = fields_of(stand.documents, shard_path(batch_id, 0))["predicted"][PLAYERS[2]]
    (entry,) = recorded.values()
    assert list(recorded) == [lost.delivery]
    told = lost.model_dump(include={"table", "schema_version", "rows", "digest"})
    assert {name: entry[name] for name in told} == told


def test_the_outcome_itself_coming_later_changes_nothing(stand: Stand) -> None:
    batch_id = stand.start(policy=POLICY).batch.batch_id
    late = [stand.answer(player) for player in PLAYERS]
    stand.pass_time(SILENCE)
    sweep(stand)
    before, events = stand.predictions(active=None), stand.events()

    stand.record(*late)

    assert stand.predictions(active=None) == before
    assert stand.events() == events
    assert not stand.coordinator.views.batch(batch_id).answered_twice


def test_copies_of_a_lost_delivery_count_once(stand: Stand) -> None:
    stand.start(policy=POLICY)
    copies = [stand.answer(PLAYERS[0]) for _ in range(3)]
    others = [stand.answer(player) for player in PLAYERS[1:]]
    stand.record(*others)
    stand.pass_time(SILENCE)

    assert sweep(stand).state == "COMPLETE"
    assert len(stand.predictions(active=None)) == rows_of(copies[0], *others)


def test_rows_of_another_day_or_batch_are_not_vouched_for(stand: Stand) -> None:
    stand.start(policy=POLICY)
    stand.answer(PLAYERS[0])
    staging = names.staging_table(2)
    stand.warehouse.query(f"UPDATE `{staging}` SET `updated_at` = TIMESTAMP '2020-01-01 00:00:00+00' WHERE TRUE")
    stand.pass_time(SILENCE)

    assert sweep(stand).did == ["published 3 silent players again"]


def test_before_the_silence_staging_is_not_asked(stand: Stand) -> None:
    stand.start(policy=POLICY)
    stand.answer(PLAYERS[0])
    stand.pass_time(SILENCE - A_MOMENT)

    assert sweep(stand).did == []


def test_a_look_that_found_nothing_is_not_repeated_before_its_time(stand: Stand) -> None:
    stand.start(policy=POLICY)
    stand.pass_time(SILENCE)
    sweep(stand)
    stand.answer(PLAYERS[0])
    stand.pass_time(SILENCE - A_MOMENT)
    assert sweep(stand).did == []

    stand.pass_time(A_MOMENT)

    assert sweep(stand).did[0] == f"recorded {PLAYERS[0]} from staging"


def test_a_player_whose_request_died_after_his_rows_were_staged_completes_an_ended_batch(stand: Stand) -> None:
    batch_id = stand.start(policy=POLICY).batch.batch_id
    stand.record(*[stand.answer(player) for player in PLAYERS[:2]], a_failure(batch_id, PLAYERS[2]))
    assert stand.batch(batch_id).status is Status.PARTIAL
    assert sweep(stand).did == []
    stand.answer(PLAYERS[2])
    stand.pass_time(LOOK_AGAIN)

    swept = sweep(stand)

    assert swept.did == [f"recorded {PLAYERS[2]} from staging", "consolidation: merged"]
    assert (swept.state, stand.predicted_players()) == ("COMPLETE", set(PLAYERS))


def test_a_sweep_that_dies_anywhere_in_a_repair_is_finished_by_the_next(tmp_path: Path) -> None:
    for effect in range(40):
        folder = tmp_path / str(effect)
        folder.mkdir()
        with closing(Stand(folder)) as stand:
            stand.start(policy=POLICY)
            lost = [stand.answer(player) for player in PLAYERS]
            stand.pass_time(SILENCE)
            crashed = False
            try:
                with stand.crash_at(effect):
                    sweep(stand)
            except Crash:
                crashed = True
            stand.pass_time(max(LEASE, SILENCE))
            stand.coordinator = stand.new_coordinator("two")
            assert sweep(stand).state == "COMPLETE", effect
            assert len(stand.predictions(active=None)) == rows_of(*lost)
            assert len({event.event_id for event in stand.events()}) == 1
        if not crashed:
            assert effect > 8
            return
    pytest.fail("the sweep never ran through")


def test_the_last_answer_after_a_repair_finishes_the_batch_without_another_sweep(tmp_path: Path) -> None:
    with closing(Stand(tmp_path, a_league(30))) as stand:
        batch = stand.start(policy=POLICY).batch
        assert len(batch.shard_starts) == 2
        *others, silent = stand.coordinator.views.batch(batch.batch_id).silent
        for player in others:
            stand.answer(player)  # staged; no outcome arrives
        stand.pass_time(SILENCE)
        sweep(stand)

        stand.record(a_skip(batch.batch_id, silent))

        assert stand.batch(batch.batch_id).status is Status.COMPLETE


# --- a dry run ------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_the_sweep_then_does_and_changes_nothing(stand: Stand) -> None:
    batch_id = stand.start(policy=POLICY).batch.batch_id
    stand.record(stand.answer(PLAYERS[0]))
    stand.answer(PLAYERS[1])
    stand.pass_time(SILENCE)
    before = (stand.documents.query(("batches",)), stand.documents.query(("batches", batch_id, "shards")))

    told = sweep(stand, dry_run=True)

    assert told.verdict is Verdict.WOULD_REPAIR
    assert told.did == [
        f"record {PLAYERS[1]} from staging",
        "publish 2 silent players again (published 1 of at most 3 times)",
    ]
    assert (stand.documents.query(("batches",)), stand.documents.query(("batches", batch_id, "shards"))) == before
    assert len(stand.requests.messages) == 1
    assert sweep(stand).did == [f"recorded {PLAYERS[1]} from staging", "published 1 silent player again"]


# --- nobody drops anything ------------------------------------------------------------------------------------


def test_plan_and_staged_rows_outlive_late_until_and_then_end_by_themselves(stand: Stand) -> None:
    batch = stand.run(policy=POLICY)
    before = stand.predictions(active=None)
    staged = f"SELECT 1 FROM `{names.staging_table(2)}` WHERE _batch_id = '{batch.batch_id}'"

    stand.now = batch.late_until + timedelta(days=10)
    assert stand.warehouse.query(staged)
    assert stand.warehouse.columns(names.plan_table(batch.batch_id)) is not None
    stand.now = batch.planned_at + timedelta(days=31)

    assert stand.warehouse.query(staged) == []
    assert stand.warehouse.columns(names.plan_table(batch.batch_id)) is None
    assert stand.predictions(active=None) == before


def test_sweeps_at_once_are_harmless(stand: Stand) -> None:
    live = stand.start(policy=POLICY).batch
    for player in PLAYERS:
        stand.answer(player, batch_id=live.batch_id)
    stand.pass_time(SILENCE)
    others = [stand.new_coordinator(holder) for holder in ("two", "three", "four")]

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda other: other.sweeper.sweep(), others))
    sweep(stand)

    assert stand.batch(live.batch_id).status is Status.COMPLETE
    assert [merge.number for merge in stand.batch(live.batch_id).merges] == [1]


# --- cheap on an ordinary day ---------------------------------------------------------------------------------


class Asked:
    """A port that notes what it is asked."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.calls: list[tuple[str, object]] = []

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)

        def ask(*args: object, **kwargs: object) -> object:
            self.calls.append((name, args[0] if args else None))
            return found(*args, **kwargs)

        return ask


def test_of_a_batch_that_ended_whole_the_sweep_reads_its_document_only(stand: Stand) -> None:
    stand.run(policy=POLICY)
    documents, warehouse = Asked(stand.documents), Asked(stand.warehouse)

    stand.new_coordinator("two", documents=documents, warehouse=warehouse).sweeper.sweep()

    assert documents.calls == [("query", ("batches",))]
    assert warehouse.calls == []


def test_of_a_batch_with_a_skipped_player_the_shards_are_read_since_only_they_tell(stand: Stand) -> None:
    batch_id = stand.start(policy=POLICY).batch.batch_id
    stand.record(a_skip(batch_id, PLAYERS[0]), *[stand.answer(player) for player in PLAYERS[1:]])
    with pytest.raises(Crash), stand.crash_at(1):
        stand.record(stand.answer(PLAYERS[0]))

    swept = sweep(stand)

    assert swept.did[0] == "consolidation: merged"
    assert stand.predicted_players() == set(PLAYERS)


def test_a_refused_late_round_is_left_to_a_person_and_not_tried_at_every_sweep(stand: Stand) -> None:
    batch_id = stand.run(policy=POLICY).batch_id
    stand.documents.commit([Update(batch_path(batch_id), {("late_refusal",): "the rows are not the ledger's"})])

    swept = sweep(stand)

    assert (swept.verdict, swept.did) == (Verdict.NEEDS_A_PERSON, [])
    assert swept.command == f"tipoff consolidate {batch_id} --force"
