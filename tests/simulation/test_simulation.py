"""The part of the simulation that every run of the suite plays, and that the harness itself can fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.simulation import crash_matrix
from tests.simulation.__main__ import play_all, play_some, tell
from tests.simulation.crash_matrix import Fault, Place
from tests.simulation.day import Day
from tests.simulation.laws import Laws
from tests.simulation.league import GAME_DATE
from tests.simulation.mutation import ROOT, Mutant, find, mutants
from tests.simulation.schedules import play
from tests.simulation.world import Climate, LawBroken

SEEDS = range(400)
QUICK = (
    "failed_job_taken_as_done",
    "forced_without_cancelling",
    "merged_written_before_the_check",
    "trouble_acknowledged",
)
"""Planted bugs that are looked for in every run of the suite; `make reliability` looks for all."""
FORMER_FAILURES = (108, 406, 2802, 4091, 16953, 24352, 28091, 29891, 99050)
"""Seeds that found something when they were first played; what they found has tests and planted bugs of its own."""


def test_no_law_is_broken_in_any_schedule() -> None:
    played = play_all(SEEDS, processes=2)

    assert played.failures == {}
    assert played.schedules == len(SEEDS)
    assert {"COMPLETE", "PARTIAL", "FAILED", "CANCELLED", "EMPTY"} <= set(played.ends)
    assert played.kills > 50


@pytest.mark.parametrize("seed", FORMER_FAILURES)
def test_a_seed_that_once_failed_holds(seed: int) -> None:
    play(seed)


def test_a_seed_tells_the_same_story_again(capsys: pytest.CaptureFixture[str]) -> None:
    stories = []
    for _ in range(2):
        assert tell(4091)
        stories.append(capsys.readouterr().out)

    assert stories[0] == stories[1]
    assert "PLANNED → RUNNING" in stories[0]
    assert "begins" in stories[0]


def test_the_story_does_not_depend_on_how_python_orders_sets() -> None:
    stories = {
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "4091"],
            cwd=ROOT,
            env={"PYTHONHASHSEED": hash_seed, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert len(stories) == 1


def test_a_law_that_never_holds_fails_every_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_laws: Laws) -> None:
        raise LawBroken("the canary")

    monkeypatch.setattr(Laws, "hold_at_the_end", never)

    played = play_some(range(5))

    assert set(played.failures) == set(range(5))
    assert set(played.failures.values()) == {"LawBroken: the canary"}


def test_a_planted_bug_that_shows_at_once_is_found_at_once() -> None:
    found = find(_named("told_before_the_end"), most=5, runs=1)

    assert found.schedules
    assert "is told" in found.law


# --- every fault at every place -------------------------------------------------------------------------------


def test_every_single_fault_at_every_place_of_a_day_is_recovered_exactly() -> None:
    scores = crash_matrix.singles()

    assert {fault: score.failed for fault, score in scores.items()} == {fault: [] for fault in Fault}
    assert all(score.tried > 15 for score in scores.values())


def test_a_second_fault_during_the_recovery_from_the_first_is_recovered_exactly() -> None:
    scores = crash_matrix.pairs(tuple(Fault), tuple(Fault), every=211)

    failed = [one for score in scores.values() for one in score.failed or ()]
    assert failed == []
    assert sum(score.tried for score in scores.values()) > 50


def test_a_day_that_ends_otherwise_fails_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_matrix, "_EXPECTED", [("another row",)])

    with pytest.raises(LawBroken, match="not as it does without faults"):
        crash_matrix.run([])


# --- planted bugs ---------------------------------------------------------------------------------------------


def _named(name: str) -> Mutant:
    return next(one for one in mutants() if one.name == name)


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_a_planted_bug_still_fits_the_code(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text(encoding="utf-8")

    compile(mutant.applied_to(source), mutant.file, "exec")


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found_by_the_simulation(name: str) -> None:
    assert find(_named(name), most=300, runs=1).schedules


def test_there_are_enough_planted_bugs() -> None:
    assert len(mutants()) >= 40


def test_nothing_is_found_where_nothing_is_planted() -> None:
    harmless = Mutant("harmless", "none", "coordinator/ledger.py", (), (('"""The ledger: who', '"""The  ledger: who'),))

    assert not find(harmless, most=30, runs=1).is_found


# --- scenarios by name ----------------------------------------------------------------------------------------


def _every_nth_is_exact(first: Fault, second: Fault, *, every: int) -> None:
    """Try pairs of two faults, spread over the whole day."""
    scores = crash_matrix.pairs((first,), (second,), every=every)
    assert scores[first, second].failed == []
    assert scores[first, second].tried >= 20


def test_the_store_restarts_during_a_recovery() -> None:
    _every_nth_is_exact(Fault.KILL_AFTER, Fault.STORE_RESTART, every=31)


def test_a_holder_goes_on_from_a_stale_reading_after_a_takeover() -> None:
    ran = [crash_matrix.run([place]) for place in _places(Fault.PAUSE)]

    assert sum(_holders(one) > 1 for one in ran) >= 5


def test_a_second_lease_expires_during_a_takeover() -> None:
    pairs = [(first, Place(Fault.PAUSE, later)) for first in _places(Fault.PAUSE)[30:] for later in range(3, 36, 8)]

    ran = [crash_matrix.run(pair) for pair in pairs]

    assert sum(_holders(one) > 2 for one in ran) >= 5


def test_a_draining_instance_overlaps_its_successor_which_is_killed_too() -> None:
    _every_nth_is_exact(Fault.DRAIN, Fault.KILL_BEFORE, every=31)


def test_a_holder_that_is_drained_during_a_long_merge_dies_after_ten_seconds_and_its_successor_goes_on() -> None:
    long_merges = Climate(job_slow=1.0)

    ran = [crash_matrix.run([place], climate=long_merges) for place in _places(Fault.DRAIN)]

    assert sum(_holders(one) > 1 for one in ran) >= 10


def _places(fault: Fault) -> list[Place]:
    """Every place of the day for a fault."""
    return list(crash_matrix.places_of(crash_matrix.run([]).calls, (fault,)))


def _holders(ran: crash_matrix.Run) -> int:
    """How often the date's lease was taken."""
    day = ran.day.ledger.day(GAME_DATE)
    assert day is not None
    return day.lease.epoch


def test_a_day_under_no_fault_is_the_day_that_all_others_are_compared_with() -> None:
    calm: Day = crash_matrix.run([]).day

    (batch,) = calm.laws.batches()
    assert batch.state == "COMPLETE"
    assert len(calm.warehouse.predictions) == 4
