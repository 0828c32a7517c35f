"""What is due is decided once: whatever an explanation promises next is what the sweep then does, and a dry run prints."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

from coordinator.documents import batch_path
from coordinator.rules.due import CLOSING, By, Step
from coordinator.usecases.sweep_report import Swept
from schemas import names
from shared.errors import TipoffError
from shared.settings import Policy
from tests.plan_inputs import GAME_DATE
from tests.stand.ledger import a_failure, a_skip
from tests.stand.world import PLAYERS, Crash, Stand

SEEDS = 12
ACTIONS = 25
MINUTE = timedelta(minutes=1)
BATCH_ID = names.batch_id(GAME_DATE, "a-key")

DONE_AS = {
    "published what": Step.PUBLISH,
    "recorded": Step.RECORD_FROM_STAGING,
    "published batch-finished": Step.NOTIFY,
    "published": Step.PUBLISH_AGAIN,
    "consolidation": Step.CONSOLIDATE,
}
"""How a sweep says that it did a step; the first that fits."""


def promised(stand: Stand, batch_id: str) -> list[Step]:
    """What an explanation says that the next sweep does, less looks into staging, which may find nothing."""
    explanation = stand.coordinator.diagnosis.explain(batch_id)
    now = [one.step for one in explanation.due if By.SWEEP in one.by and one.at <= stand.now]
    return [as_one(step) for step in now if step is not Step.RECORD_FROM_STAGING]


def as_one(step: Step) -> Step:
    """All consolidations as one step."""
    return Step.CONSOLIDATE if step in CLOSING else step


def done(swept: Swept) -> list[Step]:
    """What a sweep says that it did."""
    return [next(step for words, step in DONE_AS.items() if done.startswith(words)) for done in swept.did]


def sweep(stand: Stand, batch_id: str, *, dry_run: bool = False) -> Swept:
    return next(one for one in stand.coordinator.sweeper.sweep(dry_run=dry_run) if one.batch_id == batch_id)


def what_may_happen(stand: Stand, batch_id: str, chance: random.Random) -> Callable[[], object]:
    """One thing that happens to a batch."""
    player = chance.choice(PLAYERS)
    return chance.choice(
        (
            lambda: stand.record(stand.answer(player)),
            lambda: stand.answer(player),  # its outcome is lost
            lambda: stand.record(a_failure(batch_id, player)),
            lambda: stand.record(a_skip(batch_id, player)),
            lambda: stand.pass_time(chance.choice((1, 16, 61)) * MINUTE),
            stand.coordinator.sweeper.sweep,
            lambda: stand.coordinator.consolidator.leases.take(batch_id),  # by a holder that dies
            lambda: stand.coordinator.consolidator.consolidate(batch_id, forced=chance.random() < 0.2),
        )
    )


def live(stand: Stand, chance: random.Random) -> set[Step]:
    """A batch's random life, looked at and swept every few moments; returns the steps that sweeps took."""
    policy = Policy(tolerated_failed_share=0.4, tolerated_silent_share=0.4, republish_after_minutes=15)
    crash = 0
    while stand.documents.get(batch_path(BATCH_ID)) is None:  # the one after the plan's commit leaves it PLANNED
        with suppress(Crash), stand.crash_at(crash):
            stand.start(policy=policy)
        crash += 1
    seen: set[Step] = set()
    for _ in range(ACTIONS):
        with suppress(TipoffError, Crash, IndexError), stand.crash_at(chance.randrange(1, 13)):
            what_may_happen(stand, BATCH_ID, chance)()
        if chance.random() < 0.5:
            continue
        expected = promised(stand, BATCH_ID)
        would, did = sweep(stand, BATCH_ID, dry_run=True), done(sweep(stand, BATCH_ID))

        assert len([done for done in would.did if not done.startswith("record")]) == len(expected)
        if did[:1] != [Step.RECORD_FROM_STAGING]:
            assert did[:1] == expected[:1]
        assert promised(stand, BATCH_ID) == [], "a sweep leaves nothing that it could have done"
        seen |= {*did}
    return seen


def test_what_is_promised_is_what_the_sweep_does(tmp_path: Path) -> None:
    seen: set[Step] = set()
    for seed in range(SEEDS):
        (folder := tmp_path / str(seed)).mkdir()
        with closing(Stand(folder)) as stand:
            seen |= live(stand, random.Random(seed))  # noqa: S311 - a replayable order, no secret

    assert seen == set(DONE_AS.values()), "the random lives meet every step that a sweep takes"
