"""Which requests may be predicted, and what is said of their inputs."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.messages import FailureCode, SeasonToDate
from shared.errors import InvalidInput, MalformedMessage
from shared.push import readable_attributes
from tests.requests_factory import GAME_DATE, a_line, a_past_game, a_request, some_games
from worker import inputs, messages
from worker.inputs import QualityRule


@pytest.mark.parametrize(
    ("overrides", "field", "problem"),
    [
        ({"lines": (a_line("24.5"), a_line("24.50"))}, "lines", "distinct"),
        ({"lines": (a_line("24.55"),)}, "lines", "multiples of 0.1"),
        ({"lines": (a_line("-0.5"),)}, "lines", "from 0 to 999.9"),
        ({"lines": (a_line("1E+40"),)}, "lines", "from 0 to 999.9"),
        ({"recent_games": (a_past_game(game_date=GAME_DATE),)}, "recent_games", "future must not leak"),
        ({"recent_games": some_games([1, 2])[::-1]}, "recent_games", "newest first"),
        ({"recent_games_wanted": 9}, "recent_games", "10 games came, 9 were asked for"),
        ({"season_to_date": SeasonToDate(games=0, points=9, minutes=9)}, "season_to_date", "9 points in no games"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused_by_name(
    overrides: dict[str, object], field: str, problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem) as refused:
        inputs.check(a_request(**overrides))

    assert refused.value.field == field


def test_lines_of_zero_and_of_whole_points_are_lines() -> None:
    inputs.check(a_request(lines=(a_line("0.0"), a_line("25"), a_line("25.5"))))


def test_sound_inputs_fail_no_rule() -> None:
    assert inputs.failed_rules(a_request()) == ()


@pytest.mark.parametrize(
    ("games", "failed"),
    [
        (some_games([9] * 5), ()),
        (some_games([9] * 4), (QualityRule.FEW_GAMES,)),
        ((), (QualityRule.FEW_GAMES,)),
        (some_games([9] * 5, before=GAME_DATE - timedelta(days=28)), ()),
        (some_games([9] * 5, before=GAME_DATE - timedelta(days=29)), (QualityRule.STALE_HISTORY,)),
        ((*some_games([9] * 5), a_past_game(game_date=date(2026, 1, 1), fga=None)), (QualityRule.MISSING_SHOTS,)),
        ((*some_games([9] * 5), a_past_game(game_date=date(2026, 1, 1), fta=None)), (QualityRule.MISSING_SHOTS,)),
        ((*some_games([0] * 5), a_past_game(game_date=date(2026, 1, 1), fga=0, fta=0)), ()),
    ],
)
def test_each_quality_rule_fails_where_it_should(games: tuple[object, ...], failed: tuple[QualityRule, ...]) -> None:
    assert inputs.failed_rules(a_request(recent_games=games)) == failed


def test_history_is_a_game_of_the_season_or_a_recent_one() -> None:
    none = SeasonToDate(games=0, points=0, minutes=0)

    assert inputs.has_history(a_request(recent_games=()))
    assert inputs.has_history(a_request(season_to_date=none))
    assert not inputs.has_history(a_request(season_to_date=none, recent_games=()))


def test_a_window_that_reaches_into_another_season_crosses_its_start() -> None:
    old = a_past_game(game_date=date(2025, 4, 10), season="2024-25")

    assert not inputs.crosses_season_start(a_request())
    assert inputs.crosses_season_start(a_request(recent_games=(a_past_game(), old)))


def test_the_first_games_of_the_season_are_early() -> None:
    after = {games: SeasonToDate(games=games, points=9, minutes=9) for games in (1, 4, 5)}

    assert inputs.is_early_in_season(a_request(season_to_date=after[4]))
    assert not inputs.is_early_in_season(a_request(season_to_date=after[5]))


@pytest.mark.parametrize(
    ("planned_at", "is_past"),
    [
        (datetime(2026, 1, 31, 4, 59, tzinfo=UTC), False),  # 23:59 in New York
        (datetime(2026, 1, 31, 5, 0, tzinfo=UTC), True),
        (datetime(2026, 1, 29, 12, 0, tzinfo=UTC), False),
    ],
)
def test_a_date_is_past_once_it_has_ended_in_us_eastern(planned_at: datetime, is_past: bool) -> None:
    assert inputs.is_for_past_date(a_request(planned_at=planned_at)) is is_past


def a_slice(*members: object) -> bytes:
    return json.dumps({"requests": members}, default=str).encode()


def as_json(**overrides: Any) -> dict[str, Any]:
    return a_request(**overrides).model_dump(mode="json")


def test_a_request_survives_its_own_json() -> None:
    request = a_request()

    assert messages.read_slice(a_slice(as_json()), revision="r").requests == (request,)


def test_a_request_that_is_unusable_fails_alone_with_the_field_that_is_wrong() -> None:
    text = json.dumps(as_json(player_lookup="the-bad-one")).replace('"points": [24', '"points": ["many"', 1)

    read = messages.read_slice(a_slice(as_json(), json.loads(text)), revision="r")

    assert [one.player_lookup for one in read.requests] == [a_request().player_lookup]
    ((code, player, detail),) = ((one.code, one.player_lookup, one.detail) for one in read.failed)
    assert (code, player) == (FailureCode.BAD_REQUEST, "the-bad-one")
    assert "recent_games.points.0" in detail


def test_a_request_that_contradicts_itself_fails_alone() -> None:
    wrong = as_json(player_lookup="the-bad-one", recent_games=some_games([1, 2])[::-1])

    read = messages.read_slice(a_slice(as_json(), wrong), revision="r")

    assert [one.player_lookup for one in read.failed] == ["the-bad-one"]
    assert "newest first" in read.failed[0].detail
    assert [one.player_lookup for one in read.requests] == [a_request().player_lookup]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'{"requests": []}',
        b'{"requests": {}}',
        b'{"requests": [1]}',
        b'{"requests": [{"batch_id": 3, "player_lookup": "x"}]}',
        b'{"request": [{}]}',
    ],
)
def test_a_message_that_says_of_nobody_what_to_predict_cannot_be_read(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        messages.read_slice(data, revision="r")


@pytest.mark.parametrize(
    "named", [{"batch_id": "x; DROP TABLE"}, {"player_lookup": "\ud800"}, {"player_lookup": "a" * 1_025}]
)
def test_names_that_nobody_can_have_make_the_message_unreadable(named: dict[str, str]) -> None:
    with pytest.raises(MalformedMessage):
        messages.check_names(messages.read_slice(a_slice(as_json() | named), revision="r"))


@pytest.mark.parametrize(
    ("body", "readable"),
    [
        (b'{"message": {"attributes": {"batch_id": "b", "count": 3, "empty": ""}}}', {"batch_id": "b"}),
        (b'{"message": {"attributes": []}}', {}),
        (b'{"message": "text"}', {}),
        (b"[1]", {}),
        (b"no JSON", {}),
    ],
)
def test_the_attributes_of_a_broken_envelope_are_read_where_they_can_be(body: bytes, readable: dict[str, str]) -> None:
    assert readable_attributes(body) == readable
