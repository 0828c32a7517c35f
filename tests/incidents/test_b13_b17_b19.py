"""B13, B17, B19: late rows are merged and never just deleted, a batch has one MERGE, a count is of what is then done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from coordinator.rules.lifecycle import Status
from schemas import names
from shared.settings import Policy
from tests.plan_inputs import a_report
from tests.stand.front import Front
from tests.stand.world import PLAYERS, Stand, a_league

POLICY = Policy(deadline_minutes=60, tolerated_silent_share=0.34)
A_MOMENT = timedelta(microseconds=1)


def past_deadline(stand: Stand) -> str:
    """A batch that its deadline ended while one player was silent."""
    batch_id = stand.run(players=PLAYERS[:2], policy=POLICY).batch_id
    stand.now = stand.batch(batch_id).deadline_at
    stand.coordinator.sweeper.sweep()
    assert stand.batch(batch_id).status is Status.PARTIAL
    return batch_id


def sweep(stand: Stand, **body: object) -> dict[str, Any]:
    answer = Front(stand).post("/sweep", body)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


# --- B13 ------------------------------------------------------------------------------------------------------


def test_b13_rows_of_a_worker_who_came_after_the_deadline_are_merged(stand: Stand) -> None:
    batch_id = past_deadline(stand)
    stand.now = stand.batch(batch_id).late_until

    stand.record(stand.answer(PLAYERS[2]))

    assert stand.predicted_players() == set(PLAYERS)
    assert stand.batch(batch_id).status is Status.COMPLETE


def test_b13_rows_whose_outcome_came_but_whose_merge_never_did_are_not_deleted(stand: Stand) -> None:
    batch_id = past_deadline(stand)
    late = stand.answer(PLAYERS[2])
    stand.coordinator = stand.new_coordinator("refusing", max_bytes=0)
    stand.record(late)
    assert stand.batch(batch_id).late_refusal
    told = sweep(stand)["batches"]
    assert [(one["verdict"], one["command"]) for one in told] == [
        ("needs_a_person", f"tipoff consolidate {batch_id} --force")
    ]
    stand.now = stand.batch(batch_id).late_until + timedelta(days=10)

    stand.coordinator = stand.new_coordinator("another")
    assert Front(stand).post(f"/batches/{batch_id}/consolidate", {"force": True}).status_code == 200
    assert stand.predicted_players() == set(PLAYERS)


# --- B17 ------------------------------------------------------------------------------------------------------


def test_b17_a_batch_has_one_merge_however_many_workers_answer_at_once(tmp_path: Path) -> None:
    with closing(Stand(tmp_path, a_league(30))) as stand:
        batch_id = stand.start().batch.batch_id
        jobs: list[str] = []
        stand.in_job.append(jobs.append)
        answers = [stand.answer(player) for player in stand.coordinator.views.batch(batch_id).silent]
        instances = [stand.new_coordinator(f"instance {number}") for number in range(8)]

        with ThreadPoolExecutor(8) as pool:
            work = enumerate(answers)
            list(pool.map(lambda one: instances[one[0] % 8].recorder.record([one[1]]), work))

        assert stand.batch(batch_id).status is Status.COMPLETE
        assert jobs == [names.merge_job_id(batch_id, 1)]


# --- B19 ------------------------------------------------------------------------------------------------------


def test_b19_a_merge_retires_exactly_as_many_rows_as_were_counted_before_it(stand: Stand) -> None:
    stand.run("morning")
    league = a_league()
    stand.load(replace(league, lines=league.lines[1:], reports=[a_report("3", "OUT")]))

    evening = stand.run("evening", policy=Policy(max_retired_share=1))

    retired = [row for row in stand.predictions(active=False) if row["superseded_by"] == evening.batch_id]
    assert {row["player_lookup"] for row in retired} == {PLAYERS[0], PLAYERS[2]}
    assert len(retired) == evening.merges[0].counts.superseded
