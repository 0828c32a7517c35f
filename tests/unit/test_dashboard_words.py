"""What the dashboard makes of views and answers: bars, words, columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coordinator.operator.actions import Action
from coordinator.operator.answers import RedriveAnswer
from coordinator.operator.dashboard import words
from coordinator.operator.dashboard.words import answer_words
from coordinator.usecases.sweep_report import SweepAnswer, Swept, Verdict
from schemas.messages import PlayerCounts

NOW = datetime(2026, 1, 30, 15, 0, tzinfo=UTC)


def counts(*, predicted: int = 0, skipped: int = 0, failed: int = 0, silent: int = 0) -> PlayerCounts:
    expected = predicted + skipped + failed + silent
    return PlayerCounts(expected=expected, predicted=predicted, skipped=skipped, failed=failed, silent=silent)


def test_a_bar_holds_every_kind_in_its_share_and_says_so() -> None:
    bar = words.bar(counts(predicted=6, skipped=1, failed=1, silent=2))

    assert [(part.kind, part.start, part.width) for part in bar.parts] == [
        ("predicted", 0, 60),
        ("skipped", 60, 10),
        ("failed", 70, 10),
        ("silent", 80, 20),
    ]
    assert bar.text == "6 predicted, 1 skipped, 1 failed, 2 silent of 10"


def test_a_hundred_percent_means_everybody() -> None:
    assert words.bar(counts(predicted=999, silent=1)).percent == 99
    assert words.bar(counts(predicted=1000)).percent == 100
    assert words.bar(counts()).percent == 100


@pytest.mark.parametrize(
    ("away", "told"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=-4), "4.0 s ago"),
        (timedelta(seconds=-119), "119 s ago"),
        (timedelta(minutes=-90), "90 min ago"),
        (timedelta(hours=30), "in 30 h"),
        (timedelta(days=8), "in 8 d"),
    ],
)
def test_a_moment_is_told_in_one_unit(away: timedelta, told: str) -> None:
    assert words.ago(NOW + away, NOW) == told


@pytest.mark.parametrize(
    ("path", "body", "slug"),
    [
        ("/sweep", {}, "sweep"),
        ("/batches/b/consolidate", {"force": False}, "consolidate"),
        ("/batches/b/consolidate", {"force": True}, "force"),
        ("/batches/b/redrive", None, "redrive"),
        ("/batches/b/policy", {"deadline_minutes": 240}, "policy"),
    ],
)
def test_every_action_has_its_own_address(path: str, body: dict[str, bool | int] | None, slug: str) -> None:
    assert words.slug_of(Action(label="", effect="", command="", path=path, body=body)) == slug


def test_a_sweep_that_is_not_finished_is_told_with_what_it_did_do() -> None:
    batches = [Swept("a", did=["published it"]), Swept("b", Verdict.TRY_AGAIN, why="no answer")]

    assert answer_words("sweep", SweepAnswer(dry_run=False, batches=batches, graded=[])) == (
        "Not done: Swept: looked at 2 batches. a: published it. b: no answer."
    )
    nothing = SweepAnswer(dry_run=False, batches=[], graded=[])
    assert answer_words("sweep", nothing) == "Swept: looked at 0 batches; nothing was due."


def test_a_redrive_tells_whom_the_fresh_plan_is_without() -> None:
    answer = RedriveAnswer(batch_id="b", parent="a", state="RUNNING", expected=1200, started=True, not_expected=["ann"])

    assert answer_words("redrive", answer) == (
        "Redrive b has been started for 1,200 players. 1 player is no longer expected: the fresh plan is without them."
    )
