"""Who is absent and what he leaves: against the definition, one game at a time, and by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pytest

from local.one_machine.past_games import DAY_ZERO, PastGames, read_past_games
from local.sample.season import SAMPLE_GAME_DATE, write
from schemas.messages import ROTATION_GAMES, ROTATION_MINUTES
from worker.absences import APPEARED, LAST_GAME, NOTHING, Knowledge, Reports
from worker.history import GameLogs, past_players
from worker.players import WINDOW_GAMES, Floats, Players


@dataclass(frozen=True)
class Absent:
    """A player of a rotation who missed the game, and what he leaves."""

    player_id: str
    shots: float
    points: float
    position: str | None


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> PastGames:
    folder = tmp_path_factory.mktemp("season")
    write(folder)
    return read_past_games(folder, until=SAMPLE_GAME_DATE)


class Definition:
    """The rotation of a game as `schemas.messages` says it, found by looking at every row."""

    def __init__(self, logs: GameLogs) -> None:
        self.logs = logs
        self.games = sorted(set(zip(logs.day.tolist(), logs.game_id.tolist(), logs.team.tolist(), strict=True)))

    def rotation(self, day: int, game_id: str, team: str) -> dict[str, tuple[Absent, bool]]:
        """Everyone of the rotation by id, and whether he appeared."""
        lately = [game for each, game, of in self.games if of == team and (each, game) < (day, game_id)][
            -ROTATION_GAMES:
        ]
        found = {}
        for player_id in set(self.logs.player_id[np.isin(self.logs.game_id, lately) & (self.logs.team == team)]):
            rows = np.flatnonzero((self.logs.player_id == player_id) & (self.logs.day < day))
            newest = rows[-1]
            rows = rows[self.logs.season[rows] == self.logs.season[newest]]
            if self.logs.team[newest] != team or self.logs.minutes[rows].sum() < ROTATION_MINUTES * len(rows):
                continue
            appeared = np.any(
                (self.logs.player_id == player_id) & (self.logs.game_id == game_id) & (self.logs.team == team)
            )
            shots = self.logs.fga[rows]
            left = Absent(
                player_id, shots[np.isfinite(shots)].mean(), self.logs.points[rows].mean(), position(self.logs, newest)
            )
            found[player_id] = (left, bool(appeared))
        return found

    def absent(self, row: int) -> list[Absent]:
        """Who missed the game of a row."""
        game = int(self.logs.day[row]), self.logs.game_id[row], self.logs.team[row]
        return [left for left, appeared in self.rotation(*game).values() if not appeared]


def position(logs: GameLogs, row: int) -> str | None:
    letter = str(logs.position[row])[-1]
    return letter if letter in "GFC" else None


def test_what_is_left_is_what_the_definition_says_game_by_game(past: PastGames) -> None:
    logs = past.logs
    found, defined = past_players(logs, APPEARED), Definition(logs)
    rows = np.random.default_rng(5).choice(np.flatnonzero(found.games > 8), 12, replace=False)

    for row in rows:
        newest = position(logs, row - 1)
        tonight = defined.absent(row)
        assert found.tonight_shots[row] == pytest.approx(sum(each.shots for each in tonight), abs=0.1)
        assert found.tonight_points[row] == pytest.approx(sum(each.points for each in tonight), abs=0.1)
        for back in (0, 3, 7):
            then = defined.absent(row - 1 - back)
            same = {each.player_id for each in then}
            alike = [each.shots for each in then if each.position == newest]
            again = [each.shots for each in tonight if each.player_id in same]
            assert found.left_shots[row, back] == pytest.approx(sum(each.shots for each in then), abs=0.1)
            assert found.left_points[row, back] == pytest.approx(sum(each.points for each in then), abs=0.1)
            of_position = sum(alike) if newest else np.nan
            assert found.left_by_position[row, back] == pytest.approx(of_position, abs=0.1, nan_ok=True)
            is_here = logs.team[row] == logs.team[row - 1 - back]
            assert found.left_by_the_same[row, back] == pytest.approx(sum(again) if is_here else 0.0, abs=0.1)
    assert np.nanmax(found.left_by_the_same[rows]) > 0


# --- by hand: DEN plays every second day; star and guard play 30 minutes each, the star takes 20 shots --------


def a_season(played: dict[str, list[int]], *, games: int = 6) -> GameLogs:
    """`played` says who appeared in which of DEN's games; a name may carry `@TEAM` for games of another team."""
    rows = []
    for name, places in played.items():
        player, _, team = name.partition("@")
        rows += [(player, 2 * place, team or "DEN") for place in places if place < games]
    rows.sort()
    count = len(rows)
    numbers = np.full(count, 20.0)
    return GameLogs(
        day=np.array([day for _, day, _ in rows], dtype=np.intp),
        player_id=np.array([player for player, _, _ in rows], dtype=object),
        game_id=np.array([f"{day}-{team}" for _, day, team in rows], dtype=object),
        season=np.full(count, "2025-26", dtype=object),
        team=np.array([team for *_, team in rows], dtype=object),
        opponent=np.full(count, "LAL", dtype=object),
        position=np.array(["C" if player == "star" else "PG" for player, *_ in rows], dtype=object),
        is_home=np.ones(count),
        points=numbers,
        minutes=np.array([3.0 if player == "reserve" else 30.0 for player, *_ in rows]),
        fga=numbers,
        fg3a=numbers,
        fta=numbers,
    )


def of(logs: GameLogs, player: str, place: int, knowledge: Knowledge = APPEARED) -> Players:
    return past_players(logs, knowledge).take(np.flatnonzero((logs.player_id == player) & (logs.day == 2 * place)))


ALL = [0, 1, 2, 3, 4, 5]


def test_a_star_who_is_out_leaves_his_mean_and_not_to_his_position_only() -> None:
    player = of(a_season({"guard": ALL, "star": [0, 1, 2]}), "guard", 4)

    assert player.tonight_shots[0] == 20
    assert player.tonight_by_position[0] == 0
    assert player.left_shots[0, :4].tolist() == [20, 0, 0, 0]
    assert player.left_by_the_same[0, :4].tolist() == [20, 0, 0, 0]
    assert np.isnan(player.left_shots[0, 4:]).all()


def test_who_plays_few_minutes_or_has_gone_elsewhere_leaves_nothing() -> None:
    few = of(a_season({"guard": ALL, "reserve": [0, 1]}), "guard", 4)
    gone = of(a_season({"guard": ALL, "star": [0, 1], "star@BOS": [3]}), "guard", 4)
    not_yet = of(a_season({"guard": ALL, "star": [0, 1], "star@BOS": [3]}), "guard", 2)

    assert (few.tonight_shots[0], gone.tonight_shots[0], not_yet.tonight_shots[0]) == (0, 0, 20)


def test_who_was_not_seen_for_the_last_games_is_no_more_of_the_rotation() -> None:
    logs = a_season({"guard": list(range(40)), "star": [0]}, games=40)

    left = past_players(logs, APPEARED).tonight_shots[:40]

    assert left[1 : ROTATION_GAMES + 1].tolist() == [20] * ROTATION_GAMES
    assert not left[ROTATION_GAMES + 1 :].any()


def test_without_news_everybody_is_as_in_the_last_game_but_the_player_himself_plays() -> None:
    logs = a_season({"guard": ALL, "star": [0, 1, 4, 5]})

    assert [of(logs, "guard", place, LAST_GAME).tonight_shots[0] for place in (1, 2, 3, 4, 5)] == [0, 0, 20, 20, 0]
    assert [of(logs, "guard", place, APPEARED).tonight_shots[0] for place in (1, 2, 3, 4, 5)] == [0, 20, 20, 0, 0]
    assert of(logs, "star", 4, LAST_GAME).tonight_shots[0] == 0


def test_nothing_known_is_unknown_and_not_nobody() -> None:
    player = of(a_season({"guard": ALL, "star": [0, 1]}), "guard", 4, NOTHING)

    assert np.isnan([player.tonight_shots[0], player.tonight_points[0], player.tonight_by_position[0]]).all()
    assert np.isnan(player.left_by_the_same[0]).all()
    assert player.left_shots[0, 0] == 20


@pytest.mark.parametrize(
    ("listed", "place", "shots"),
    [
        ([("star", 4, True)], 2, 20),
        ([("star", 4, False)], 2, 0),
        ([("guard", 4, False)], 2, 0),
        ([("guard", 6, False)], 3, 20),
        ([("star", 4, True), ("guard", 6, False)], 3, 0),
        ([("star", 4, True), ("a stranger", 6, True)], 3, 20),
    ],
    ids=[
        "listed out",
        "listed, but not out",
        "not listed and played the last game",
        "not listed and missed the last game",
        "not listed any more",
        "not listed any more, but no word of the team",
    ],
)
def test_reports_decide_and_silence_leaves_all_as_in_the_last_game(
    listed: list[tuple[str, int, bool]], place: int, shots: float
) -> None:
    reports = Reports(
        np.array([day for _, day, _ in listed], dtype=np.intp),
        np.array([player for player, *_ in listed], dtype=object),
        np.array([is_out for *_, is_out in listed], dtype=np.bool_),
    )

    player = of(a_season({"guard": ALL, "star": [0, 1]}), "guard", place, Knowledge(reports=reports))

    assert player.tonight_shots[0] == shots


def test_recall_is_the_share_of_the_changes_that_are_known(past: PastGames) -> None:
    none, some, all_known = (
        past_players(past.logs, Knowledge(recall=share)).tonight_shots for share in (0.0, 0.5, 1.0)
    )

    is_change = np.flatnonzero(np.abs(all_known - none) > 1)
    known = (some[is_change] - none[is_change]) / (all_known[is_change] - none[is_change])
    assert np.mean(np.clip(known, 0, 1)) == pytest.approx(0.5, abs=0.08)


def test_what_is_known_by_chance_does_not_depend_on_later_games(past: PastGames) -> None:
    day = (date(2026, 1, 10) - DAY_ZERO).days
    kept = past.logs.day <= day
    cut = GameLogs(**{name: getattr(past.logs, name)[kept] for name in GameLogs.__slots__})
    knowledge = Knowledge(recall=0.5, unknown=0.3)

    whole, part = past_players(past.logs, knowledge).take(kept), past_players(cut, knowledge)

    np.testing.assert_array_equal(whole.tonight_shots, part.tonight_shots)
    assert 0.2 < np.isnan(part.tonight_shots).mean() < 0.4


def test_the_days_own_box_scores_tell_who_appeared_and_nothing_else(past: PastGames) -> None:
    last = past.logs.day == past.logs.day.max()
    chance = np.random.default_rng(3)

    def other(values: Floats) -> Floats:
        return np.where(last, chance.integers(0, 50, len(values)), values)

    scrambled = replace(
        past.logs,
        points=other(past.logs.points),
        minutes=other(past.logs.minutes),
        fga=other(past.logs.fga),
        fg3a=other(past.logs.fg3a),
        fta=other(past.logs.fta),
    )
    before, after = (past_players(logs, APPEARED).take(last) for logs in (past.logs, scrambled))

    for name in Players.__slots__:
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name), err_msg=name)
    assert before.left_shots.shape[1] == WINDOW_GAMES
