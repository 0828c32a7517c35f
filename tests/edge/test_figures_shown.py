"""What `accuracy`, `quota` and `diff` print for a person says what its figures mean, and what to type next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from local.cli.accuracy import _OF_LINES, _not_comparable, _without_grades
from local.cli.coordinator_options import CoordinatorAddress
from local.cli.diff import print_difference
from local.cli.main import commands
from local.one_machine.serving import serving
from tests.plan_inputs import GAME_DATE
from tests.stand.front import Front
from tests.stand.world import Stand
from tests.terminal import Terminal
from worker.systems import OWN_SYSTEMS, SYSTEMS


@pytest.fixture
def terminal(front: Front, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    with serving(front.app) as url:
        yield Terminal(url, capsys, monkeypatch)


def said(games: dict[str, int], by: str = "system") -> list[str]:
    return list(_not_comparable({name: {"n": n} for name, n in games.items()}, by=by))


@pytest.mark.parametrize("span", [(), ("--from", "2024-01-01"), ("--from", str(GAME_DATE), "--to", str(GAME_DATE))])
def test_the_command_that_grades_a_span_without_grades_can_be_typed(
    stand: Stand, terminal: Terminal, span: tuple[str, ...]
) -> None:
    stand.run()

    told = terminal.run("accuracy", *span)
    (typed,) = re.findall(r"`tipoff (grade --from .+)`", told.out)
    graded = terminal.run(*shlex.split(typed))

    assert told.status == graded.status == 0, (told, graded)
    assert str(GAME_DATE) in graded.out
    assert ("400 days at a time" in told.out) == (len(span) < 4)


def test_the_command_that_grades_names_the_state_folder_that_was_named() -> None:
    there = CoordinatorAddress(
        url=None, state=Path("my week"), audience=None, impersonate=None, search_path=None, again=" --state 'my week'"
    )

    told = _without_grades({"first": "2026-01-24", "last": "2026-01-30", "ungraded": 5}, there)

    assert "5 predictions wait" in told
    assert "`tipoff grade --from 2026-01-24 --to 2026-01-30 --state 'my week'`" in told


def test_systems_that_were_measured_on_fewer_games_are_named() -> None:
    assert said({"anchored": 90, "ensemble": 140, "market": 90, "ridge": 140}) == [
        (
            "anchored and market predicted only games with a sportsbook's line, so their errors are not comparable with the "
            "others' here; `--by tier` comes closer"
        )
    ]
    assert said({"ensemble": 140, "last_five": 20}, by="tier") == [
        "last_five predicted fewer games than the others, so its errors are not comparable with the others' here"
    ]


def test_the_systems_of_sportsbooks_lines_are_those_of_the_worker() -> None:
    assert set(_OF_LINES) == SYSTEMS.keys() - set(OWN_SYSTEMS)


@pytest.mark.parametrize("games", [{}, {"market": 90}, {"market": 140, "ensemble": 140}])
def test_systems_of_the_same_games_need_no_word(games: dict[str, int]) -> None:
    assert said(games) == []


def test_a_quota_that_is_not_used_up_is_called_by_its_kind_alone() -> None:
    fits = CliRunner().invoke(commands, ["quota", "--players", "450"], standalone_mode=False).output
    over = CliRunner().invoke(commands, ["quota", "--players", "130000"], standalone_mode=False).output

    def kinds(shown: str) -> set[str]:
        return set(re.findall(r"% +(\w+.*?) *$", shown, re.MULTILINE))

    assert kinds(fits) == {"hard", "soft"}
    assert kinds(over) == {"hard", "soft", "hard: OVER", "soft: OVER"}


def test_a_difference_says_its_unit_and_what_counts_as_changed(capsys: pytest.CaptureFixture[str]) -> None:
    same = {"compared": 5, "changed": 1, "mean_change": 0.02, "largest": 0.1}

    print_difference(
        {
            "appeared": [],
            "vanished": [],
            "lines_appeared": 0,
            "lines_vanished": 0,
            "systems": {"ensemble": same},
            "changes": 0,
            "changed": [],
        }
    )

    shown = capsys.readouterr().out
    assert re.search(r"mean change, points +largest, points", shown)
    assert "changed: points, recommendation or confidence differ" in shown
