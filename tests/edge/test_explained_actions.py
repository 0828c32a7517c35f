"""Whatever state and ledger a batch has, it is explained in whole sentences, and what they offer is really there: the
command can be typed and the route can be asked."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.routing import MapAdapter

from coordinator.operator.explaining import explain
from coordinator.rules.batch import Batch, BatchMark, DateRecord, Lease, Merge
from coordinator.rules.entries import AnyOutcome, Shard
from coordinator.rules.lifecycle import Status
from local.cli.main import commands
from schemas import names
from schemas.messages import RowCounts
from tests.plan_inputs import PLANNED_AT
from tests.stand.front import Front
from tests.stand.ledger import a_batch, a_look, a_result, a_shard, failed, predicted, skipped
from tests.stand.world import Stand

MINUTE = timedelta(minutes=1)
NO_ROWS = RowCounts(staged=0, inserted=0, updated=0, unchanged=0, superseded=0)
NEWER = names.batch_id(PLANNED_AT.date(), "newer")
ENDED = (Status.COMPLETE, Status.PARTIAL, Status.FAILED)

Situation: TypeAlias = tuple[Batch, list[Shard], DateRecord, datetime, bool]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MapAdapter]:
    """The routes of a real coordinator."""
    with closing(Stand(tmp_path_factory.mktemp("stand"))) as stand:
        yield Front(stand).app.url_map.bind("localhost")


def a_merge(batch_id: str, state: Literal["submitted", "done", "failed"]) -> Merge:
    job_id = names.merge_job_id(batch_id, 1)
    return Merge(number=1, job_id=job_id, state=state, counts=NO_ROWS, error="the job's words.")


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """A batch in any state with any ledger, also such as no run of events would leave."""
    expected = [f"player-{number}" for number in range(draw(st.integers(0, 8)))]
    batch = a_batch(expected or ["nobody"], expected_count=len(expected), status=draw(st.sampled_from(Status)))
    answers = {player: draw(st.sampled_from(("silent", "predicted", "skipped", "failed"))) for player in expected}
    made: dict[str, Callable[[str], AnyOutcome]] = {"predicted": predicted, "skipped": skipped, "failed": failed}
    outcomes: list[AnyOutcome] = [made[kind](player) for player, kind in answers.items() if kind in made]
    merged = {one.player_lookup: "d" for one in outcomes if draw(st.booleans())}
    times = draw(st.integers(0, 7))
    shard = replace(
        a_shard(expected, outcomes, merged=merged),
        published_at=PLANNED_AT + draw(st.integers(0, 100)) * MINUTE if times else None,
        publishes=times,
    )
    code = draw(st.sampled_from(("merged", "too_many_missing", "confirmation_needed", "verification_refused")))
    result = a_result(code, at=PLANNED_AT + 200 * MINUTE, expected=len(expected), failed=draw(st.integers(0, 3)))
    state: Literal["submitted", "done", "failed"] | None = draw(st.sampled_from((None, "submitted", "done", "failed")))
    batch = replace(
        batch,
        kind=draw(st.sampled_from(("root", "redrive"))),
        parent=NEWER,
        merges=(a_merge(batch.batch_id, state),) if state else (),
        result=result if batch.status in ENDED else None,
        notified=draw(st.sampled_from((None, batch.event_id))),
        overtaken_by=draw(st.sampled_from((None, NEWER))),
        late_refusal=draw(st.sampled_from((None, "too many rows"))),
    )
    mark = BatchMark(NEWER, PLANNED_AT + MINUTE)
    lease = Lease(
        epoch=1,
        holder=draw(st.sampled_from((None, "one"))),
        batch_id=draw(st.sampled_from((batch.batch_id, NEWER))),
        expires_at=PLANNED_AT + draw(st.integers(0, 400)) * MINUTE,
    )
    day = DateRecord(
        newest=draw(st.sampled_from((BatchMark(batch.batch_id, batch.planned_at), mark))),
        merged=draw(st.sampled_from((None, mark))),
        lease=lease,
    )
    now = PLANNED_AT + draw(st.integers(0, 14_000)) * MINUTE
    return batch, [shard] if expected else [], day, now, draw(st.booleans())


@given(situations())
def test_any_batch_is_explained_in_whole_sentences(situation: Situation) -> None:
    batch, shards, day, now, newer_lives = situation

    explanation = explain(a_look(batch, shards, day, now=now, newer_lives=newer_lives))

    assert batch.state in explanation.headline
    assert explanation.sentences
    for sentence in explanation.sentences:
        assert sentence.text.endswith("."), sentence.text
        assert "None" not in sentence.text
        assert "  " not in sentence.text
        assert ".." not in sentence.text
    offered = [action.command for action in explanation.actions]
    assert len(offered) == len(set(offered))


@given(situations())
def test_whatever_is_offered_can_be_typed(situation: Situation) -> None:
    batch, shards, day, now, newer_lives = situation

    for action in explain(a_look(batch, shards, day, now=now, newer_lives=newer_lives)).actions:
        program, verb, *arguments = shlex.split(action.command)
        assert program == "tipoff"
        command = commands.get_command(click.Context(commands), verb)
        assert command is not None
        parsed = command.make_context(verb, list(arguments))
        assert parsed.params.get("batch", batch.batch_id) == batch.batch_id


@given(situation=situations())
def test_whatever_is_offered_can_be_asked(routes: MapAdapter, situation: Situation) -> None:
    batch, shards, day, now, newer_lives = situation

    for action in explain(a_look(batch, shards, day, now=now, newer_lives=newer_lives)).actions:
        assert routes.test(action.path, method=action.method), (action.method, action.path)


@given(situations())
def test_nothing_that_an_older_batch_could_merge_is_offered_after_a_newer_one(situation: Situation) -> None:
    batch, shards, day, now, newer_lives = situation
    day = replace(day, merged=BatchMark(NEWER, PLANNED_AT + MINUTE))

    labels = {action.label for action in explain(a_look(batch, shards, day, now=now, newer_lives=newer_lives)).actions}

    assert not labels & {"Consolidate", "Consolidate by force", "Redrive"}
