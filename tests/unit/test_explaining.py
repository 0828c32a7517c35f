"""Every batch, however it stands, explains itself: whom it waits for, since when, what comes next, and what a person can do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from coordinator.operator.explaining import explain, when
from coordinator.rules.batch import Batch, BatchMark, DateRecord, Lease, Merge
from coordinator.rules.entries import Shard
from coordinator.rules.lifecycle import Status
from schemas import names
from schemas.messages import FailureCode, RowCounts
from tests.plan_inputs import PLANNED_AT
from tests.stand.ledger import a_batch, a_look, a_result, a_shard, failed, predicted

MINUTE = timedelta(minutes=1)
NO_ROWS = RowCounts(staged=0, inserted=0, updated=0, unchanged=0, superseded=0)
NEWER = names.batch_id(PLANNED_AT.date(), "newer")


def a_day(batch: Batch, **changes: Any) -> DateRecord:
    return replace(DateRecord(newest=BatchMark(batch.batch_id, batch.planned_at)), **changes)


def a_merge(batch: Batch, state: Any = "submitted", **changes: Any) -> Merge:
    return Merge(number=1, job_id=names.merge_job_id(batch.batch_id, 1), state=state, counts=NO_ROWS, **changes)


def published(shard: Shard, *, times: int = 1, at: datetime = PLANNED_AT) -> Shard:
    return replace(shard, published_at=at, publishes=times)


def players(count: int) -> list[str]:
    return [f"player-{number:02}" for number in range(count)]


def explained(
    batch: Batch, *shards: Shard, day: DateRecord | None = None, now: datetime = PLANNED_AT + 5 * MINUTE
) -> tuple[str, list[str]]:
    """All that is said, as one text, and the commands that are offered."""
    explanation = explain(a_look(batch, shards, day or a_day(batch), now=now))
    told = [explanation.headline, *(sentence.text for sentence in explanation.sentences)]
    return "\n".join(told), [action.command for action in explanation.actions]


# --- before the end -------------------------------------------------------------------------------------------


def test_a_planned_batch_names_whose_requests_are_not_published() -> None:
    batch = a_batch(players(7))

    text, offered = explained(batch, a_shard(players(7)))

    assert "PLANNED: the requests of 7 players are not published yet" in text
    assert (
        "It has waited since 2026-01-30 15:00 UTC (5 minutes ago) for the requests of 7 players to be published: "
        in text
    )
    assert "player-00, player-01, player-02, player-03, player-04 and 2 more" in text
    assert "The next sweep will publish what was never published." in text
    assert offered[0] == "tipoff sweep"
    assert f"tipoff cancel {batch.batch_id}" in offered


def test_a_running_batch_names_who_is_silent_since_when_and_when_they_are_asked_again() -> None:
    batch = a_batch(players(3), status=Status.RUNNING)
    shard = published(a_shard(players(3), [predicted("player-00"), failed("player-01")]))

    text, offered = explained(batch, shard)

    assert "RUNNING: 1 of 3 players have not answered." in text
    assert "whose requests were last published 2026-01-30 15:00 UTC (5 minutes ago): player-02." in text
    assert "1 player failed for good: player-01 (prediction_error)." in text
    assert "The first sweep after 2026-01-30 15:15 UTC (in 10 minutes) will publish 1 silent player again" in text
    assert "(published 1 of at most 6 times)" in text
    assert "after 2026-01-30 18:00 UTC (in 2 hours) will decide by the policy without the silent players" in text
    assert "ends as FAILED, since 1 of 3 players are failed; the policy tolerates 5.0%" in text
    assert offered == [
        "tipoff sweep",
        f"tipoff policy {batch.batch_id} --deadline-minutes 240",
        f"tipoff consolidate {batch.batch_id} --force",
        f"tipoff cancel {batch.batch_id}",
    ]


def test_silence_is_measured_from_the_last_publishing_and_the_tries_run_out() -> None:
    batch = a_batch(players(1), status=Status.RUNNING)
    asked_again = PLANNED_AT + 90 * MINUTE

    due, _ = explained(batch, published(a_shard(players(1))), now=PLANNED_AT + 15 * MINUTE)
    spent, _ = explained(batch, published(a_shard(players(1)), times=6, at=asked_again), now=asked_again + 20 * MINUTE)

    assert "The next sweep will publish 1 silent player again" in due
    assert "were last published 2026-01-30 16:30 UTC (20 minutes ago)" in spent
    assert "published 6 times and will not be again: player-00" in spent


def test_past_its_deadline_a_batch_says_how_the_next_sweep_ends_it() -> None:
    outcomes = [predicted(player) for player in players(29)]
    batch = a_batch(players(30), status=Status.RUNNING)

    text, offered = explained(batch, published(a_shard(players(30), outcomes)), now=batch.deadline_at + MINUTE)

    assert "Its deadline passed 2026-01-30 18:00 UTC (1 minute ago)" in text
    assert "ends as PARTIAL, since the 1 player missing are within" in text
    assert f"tipoff consolidate {batch.batch_id}" in offered


def test_a_settled_batch_that_nobody_claimed_says_so() -> None:
    batch = a_batch(players(1), status=Status.RUNNING)

    text, offered = explained(batch, published(a_shard(players(1), [predicted("player-00")])))

    assert "Every player has answered, and no instance has begun to consolidate it." in text
    assert "The next sweep will consolidate, since every player has an outcome." in text
    assert "As things stand it then ends as COMPLETE." in text
    assert offered[:2] == ["tipoff sweep", f"tipoff consolidate {batch.batch_id}"]


def test_a_failed_attempt_is_told_in_the_warehouses_words() -> None:
    batch = a_batch(players(1), status=Status.RUNNING)
    batch = replace(batch, merges=(a_merge(batch, "failed", error="table is locked"),))

    text, _ = explained(batch, published(a_shard(players(1), [predicted("player-00")])))

    assert f"MERGE 1 (job tipoff_merge_{batch.batch_id}_1), failed: table is locked" in text


def test_the_lease_of_another_batch_of_the_date_is_named() -> None:
    batch = a_batch(players(1), status=Status.RUNNING)
    lease = Lease(epoch=3, holder="one", batch_id=NEWER, expires_at=PLANNED_AT + 7 * MINUTE)

    text, offered = explained(
        batch, published(a_shard(players(1), [predicted("player-00")])), day=a_day(batch, lease=lease)
    )

    assert f"Batch {NEWER} of the same date is being consolidated first" in text
    assert "2026-01-30 15:07 UTC (in 2 minutes)" in text
    assert f"tipoff consolidate {batch.batch_id}" not in offered


@pytest.mark.parametrize(
    ("minutes_left", "says", "offers_sweep"),
    [
        (
            7,
            "rev/1 is consolidating it and holds the lease of 2026-01-30 until 2026-01-30 15:12 UTC (in 7 minutes)",
            False,
        ),
        (-3, "rev/1 was consolidating it, but its lease ended 2026-01-30 15:02 UTC (3 minutes ago)", True),
    ],
)
def test_a_consolidation_names_its_holder_and_job(minutes_left: int, says: str, *, offers_sweep: bool) -> None:
    batch = a_batch(players(1), status=Status.CONSOLIDATING)
    batch = replace(batch, merges=(a_merge(batch),))
    expires_at = PLANNED_AT + (5 + minutes_left) * MINUTE
    lease = Lease(epoch=1, holder="rev/1", batch_id=batch.batch_id, merge_no=1, expires_at=expires_at)

    text, offered = explained(
        batch, published(a_shard(players(1), [predicted("player-00")])), day=a_day(batch, lease=lease)
    )

    assert says in text
    assert f"MERGE 1 (job tipoff_merge_{batch.batch_id}_1) is submitted." in text
    assert "It cannot be cancelled now" in text
    assert ("tipoff sweep" in offered) is offers_sweep


# --- after the end --------------------------------------------------------------------------------------------


def an_ended(status: Status, code: str, reason: str, *, missing: int = 0, count: int = 3, **changes: Any) -> Batch:
    """A batch that ended 170 minutes after its planning, with downstream told of it."""
    at = PLANNED_AT + 170 * MINUTE
    result = a_result(code, reason=reason, at=at, expected=count, predicted=count - missing, silent=missing)
    batch = a_batch(players(count) or ["x"], expected_count=count, status=status, result=result)
    return replace(batch, notified=batch.event_id, **changes)


LATER = PLANNED_AT + 190 * MINUTE


def test_a_complete_batch_needs_nobody() -> None:
    batch = an_ended(Status.COMPLETE, "merged", "all 1 players are predicted or skipped", count=1)
    one = predicted("player-00")

    text, offered = explained(
        batch, published(a_shard(players(1), [one], merged={"player-00": one.delivery})), now=LATER
    )

    assert "It ended as COMPLETE 2026-01-30 17:50 UTC (20 minutes ago): all 1 players are predicted" in text
    assert offered == []


def test_an_empty_batch_says_that_nobody_was_expected() -> None:
    batch = an_ended(Status.COMPLETE, "merged", "nobody was expected", count=0)

    text, offered = explained(batch, now=LATER)

    assert "is EMPTY: nobody was expected." in text
    assert offered == []


def test_a_partial_batch_names_who_is_missing_and_offers_their_redrive() -> None:
    batch = an_ended(Status.PARTIAL, "merged", "1 of 3 players are missing: player-02", missing=1)
    answers = [predicted("player-00"), predicted("player-01")]
    merged = {one.player_lookup: one.delivery for one in answers}

    text, offered = explained(batch, published(a_shard(players(3), answers, merged=merged)), now=LATER)

    assert "1 player never answered: player-02." in text
    assert "Outcomes of missing players are still merged if they arrive by 2026-02-07 15:00 UTC (in 7 days)." in text
    assert offered == [f"tipoff redrive {batch.batch_id}"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("too_many_missing", "consolidated without a person once enough of the missing have answered"),
        ("confirmation_needed", "A person has to confirm that so many earlier rows may be retired."),
        ("verification_refused", "Correct what it names, then consolidate by force"),
    ],
)
def test_a_failed_batch_says_what_each_refusal_needs(code: str, says: str) -> None:
    batch = an_ended(Status.FAILED, code, "the very reason", missing=2)

    text, offered = explained(batch, published(a_shard(players(3), [predicted("player-00")])), now=LATER)

    assert "It ended as FAILED 2026-01-30 17:50 UTC (20 minutes ago): the very reason." in text
    assert says in text
    assert f"tipoff consolidate {batch.batch_id} --force" in offered


def test_forcing_asks_with_the_names_of_who_is_left_out() -> None:
    batch = an_ended(Status.FAILED, "too_many_missing", "2 of 3 players are silent", missing=2)

    shards = [published(a_shard(players(3), [predicted("player-00")]))]
    explanation = explain(a_look(batch, shards, a_day(batch), now=LATER))

    (force,) = [action for action in explanation.actions if action.label == "Consolidate by force"]
    assert force.confirm is not None
    assert "2 players are left out: player-01, player-02." in force.confirm
    assert "how many of the date's earlier rows it retires; every other check is made" in force.effect
    assert (force.path, force.body) == (f"/batches/{batch.batch_id}/consolidate", {"force": True})


def test_a_cancelled_batch_offers_nothing_and_says_how_to_go_on() -> None:
    batch = a_batch(players(1), status=Status.CANCELLED)
    batch = replace(batch, notified=batch.event_id)

    text, offered = explained(batch, a_shard(players(1)))

    assert "CANCELLED: a person cancelled it." in text
    assert "POST /start plans a new one" in text
    assert offered == []


def test_late_rows_are_named_until_the_sweep_merges_them() -> None:
    batch = an_ended(Status.PARTIAL, "merged", "1 of 2 players are missing", missing=1, count=2)
    answers = [predicted("player-00"), predicted("player-01")]
    shard = published(a_shard(players(2), answers, merged={"player-00": answers[0].delivery}))

    text, offered = explained(batch, shard, now=LATER)

    assert "Rows of 1 player came late and are not merged yet: player-01." in text
    assert "The next sweep will merge the late rows." in text
    assert offered == ["tipoff sweep", f"tipoff consolidate {batch.batch_id}"]


def test_a_redrive_names_its_parent_and_whom_its_plan_left_out() -> None:
    batch = a_batch(players(1), status=Status.RUNNING, kind="redrive", parent=NEWER, left_out=("player-07",))

    text, _ = explained(batch, published(a_shard(players(1))))

    assert f"It is a redrive of {NEWER} and changes the rows of its own players only." in text
    assert "Its plan no longer expects: player-07." in text


def test_a_deadline_is_not_put_off_beyond_what_a_policy_may_say() -> None:
    batch = a_batch(players(1), status=Status.RUNNING)
    shard = published(a_shard(players(1)))

    _, offered = explained(batch, shard, now=PLANNED_AT + timedelta(days=7))

    assert not [command for command in offered if command.startswith("tipoff policy")]


def test_a_refused_later_round_says_why_and_can_be_forced() -> None:
    batch = an_ended(Status.COMPLETE, "merged", "all", count=1, late_refusal="the MERGE would retire 9 of 10 rows")

    text, offered = explained(batch, published(a_shard(players(1), [predicted("player-00")])), now=LATER)

    assert "A later round for 1 player (player-00) was refused: the MERGE would retire 9 of 10 rows." in text
    assert offered == [f"tipoff consolidate {batch.batch_id} --force"]


def test_an_overtaken_batch_names_the_newer_one() -> None:
    batch = an_ended(Status.PARTIAL, "merged", "1 missing", missing=1, count=2)
    day = a_day(batch, newest=BatchMark(NEWER, LATER), merged=BatchMark(NEWER, LATER))

    text, offered = explained(batch, published(a_shard(players(2), [predicted("player-00")])), day=day, now=LATER)

    assert (
        f"The newer batch {NEWER} of the date has merged: what this one has not merged by now (player-00) stays" in text
    )
    assert f"Batch {NEWER} of the date was planned later." in text
    assert offered == []


def test_an_end_that_downstream_has_not_heard_of_is_told() -> None:
    batch = an_ended(Status.FAILED, "too_many_missing", "2 of 3 players are silent", missing=3)
    batch = replace(batch, notified=None)

    text, offered = explained(batch, published(a_shard(players(3))), now=LATER)

    assert "`batch-finished` has not been published for this end." in text
    assert "The next sweep will publish batch-finished." in text
    assert offered == ["tipoff sweep", f"tipoff redrive {batch.batch_id}"]


def test_after_its_last_day_nothing_is_promised_any_more() -> None:
    batch = an_ended(Status.FAILED, "too_many_missing", "2 of 3 players are silent", missing=2)

    text, offered = explained(
        batch, published(a_shard(players(3), [predicted("player-00")])), now=batch.late_until + 3 * MINUTE
    )

    assert "What came after 2026-02-07 15:00 UTC (3 minutes ago) no longer counts" in text
    assert not [command for command in offered if command.startswith(("tipoff consolidate", "tipoff sweep"))]


@pytest.mark.parametrize(
    ("away", "relative"),
    [
        (timedelta(seconds=-59), "just now"),
        (timedelta(seconds=59), "in a moment"),
        (timedelta(minutes=-1), "1 minute ago"),
        (timedelta(minutes=119), "in 119 minutes"),
        (timedelta(hours=-2), "2 hours ago"),
        (timedelta(days=2), "in 2 days"),
    ],
)
def test_times_are_told_in_utc_and_from_now(away: timedelta, relative: str) -> None:
    told = when(PLANNED_AT + away, PLANNED_AT)

    assert told == f"{PLANNED_AT + away:%Y-%m-%d %H:%M} UTC ({relative})"


def test_a_failure_code_is_told_with_the_name() -> None:
    batch = a_batch(players(1), status=Status.RUNNING)

    text, _ = explained(batch, published(a_shard(players(1), [failed("player-00", FailureCode.DEAD_LETTERED)])))

    assert "player-00 (dead_lettered)" in text


def test_the_wait_is_counted_from_the_oldest_shard_that_is_silent() -> None:
    batch = a_batch(players(3), status=Status.RUNNING)
    settled = published(a_shard(["player-00"], [predicted("player-00")]))
    older = published(a_shard(["player-01"], number=1), at=PLANNED_AT + 2 * MINUTE)
    newer = published(a_shard(["player-02"], number=2), at=PLANNED_AT + 4 * MINUTE)

    text, _ = explained(batch, settled, newer, older)

    assert "last published 2026-01-30 15:02 UTC (3 minutes ago): player-01, player-02." in text
    assert "The first sweep after 2026-01-30 15:17 UTC (in 12 minutes)" in text
