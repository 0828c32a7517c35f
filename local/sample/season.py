"""The shipped sample season: SIMULATED, made from a fixed seed, the same bytes at every call, in the CSV form that
`local.one_machine.csv_inputs` reads. No team, player, game or line in it is real.

It decides the schedule, who is hurt or traded when, and which lines are offered.
"""

from __future__ import annotations

import csv
import random
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from statistics import NormalDist

from local.sample.game import BoxScore, play, total
from local.sample.league import ROSTER_SIZE, TEAMS, Player, make_player, make_rosters

SAMPLE_GAME_DATE = date(2026, 1, 30)
"""The date to predict: six games, with everything that a day can bring."""
SAMPLE_EMPTY_DATE = date(2026, 1, 27)
"""A date on which nobody plays."""

_SEED = 20260130
_SEASON = "2025-26"
_SEASON_TYPE = "Simulated Season"
_FIRST_DATE = date(2025, 12, 2)
_LAST_DATE = date(2026, 2, 2)
_EMPTY_DATES = frozenset({date(2025, 12, 24), SAMPLE_EMPTY_DATE})
_LINES_FROM = date(2026, 1, 9)
_BOOKS = ("simbook-east", "simbook-north", "simbook-west")
_USUAL_ERROR = NormalDist(0, 6)
"""Of a market in points, by which a book that holds a line beside it asks unequal odds."""
_NOTICE = """SIMULATED DATA. Every team, player, game, injury and points line in this folder is invented by a program.
Any likeness to real people is a coincidence. It has the form of real input files and is for trying Tipoff out.
"""

Cells = Mapping[str, object]


def write(folder: Path) -> None:
    """Write the sample season's CSV files and a notice into a folder, made when absent; a repeat writes the same bytes."""
    season = _Season(random.Random(_SEED))  # noqa: S311 - a simulation, to be repeated exactly
    season.run()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SIMULATED.txt").write_text(_NOTICE, encoding="utf-8")
    for table, rows in season.tables.items():
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


class _Season:
    """The season as it unfolds, day by day."""

    def __init__(self, rng: random.Random) -> None:
        self.tables: dict[str, list[Cells]] = {
            "player_game_logs": [],
            "scheduled_games": [],
            "points_lines": [],
            "injury_reports": [],
        }
        self._rng = rng
        self._rosters = make_rosters(rng)
        self._back_on: dict[str, date] = {}
        self._points: dict[str, list[int]] = defaultdict(list)
        self._played: list[date | None] = [None] * len(TEAMS)
        self._games: list[int] = [0] * len(TEAMS)

    def run(self) -> None:
        """Play every date from first to last."""
        for offset in range((_LAST_DATE - _FIRST_DATE).days + 1):
            day = _FIRST_DATE + timedelta(days=offset)
            self._news(day)
            if day not in _EMPTY_DATES:
                for slot, (home, away) in enumerate(self._pairs(day)):
                    self._game(day, slot, home, away)

    def _news(self, day: date) -> None:
        """What happens off the court: trades, a newcomer, and injuries that the sample date is to show."""
        rosters = self._rosters
        if day == date(2026, 1, 15):
            rosters[1][5], rosters[8][6] = rosters[8][6], rosters[1][5]
        if day == date(2026, 1, 28):
            self._back_on |= {rosters[team][2].player_id: date(2026, 2, 4) for team in (0, 4, 7)}
        if day == SAMPLE_GAME_DATE:
            # Traded by a team that rests to one that plays, so that only his line tells; and one without a past.
            rosters[5].append(rosters[12].pop(3))
            rosters[2].append(make_player(self._rng, team=2, rank=ROSTER_SIZE))

    def _pairs(self, day: date) -> list[tuple[int, int]]:
        """Draw who plays whom: the teams with the fewest games so far, seldom on two days running."""
        if day == SAMPLE_GAME_DATE:
            teams = list(range(12))
        else:
            rested = [team for team in range(len(TEAMS)) if self._may_play(team, day)]
            by_need = sorted(rested, key=lambda team: (self._games[team], self._rng.random()))
            teams = by_need[: 2 * (3 + int(3 * self._rng.random()))]
        drawn = sorted(teams, key=lambda _: self._rng.random())
        return list(zip(drawn[::2], drawn[1::2], strict=False))

    def _may_play(self, team: int, day: date) -> bool:
        return self._played[team] != day - timedelta(days=1) or self._rng.random() < 0.25

    def _game(self, day: date, slot: int, home: int, away: int) -> None:
        game = _Game(day, f"00925{len(self.tables['scheduled_games']) + 1:05d}", TEAMS[home], TEAMS[away], slot)
        self.tables["scheduled_games"].append(game.row())
        for team in (home, away):
            self._played[team] = day
            self._games[team] += 1
            self._get_hurt(team, day)
        sides = tuple([player for player in self._rosters[team] if self._is_fit(player, day)] for team in (home, away))
        for team, code in ((home, game.home), (away, game.away)):
            self._report(game, code, self._rosters[team])
            if day >= _LINES_FROM:
                self._offer(game, code, self._rosters[team])
        home_scores, away_scores = play(self._rng, *sides)
        self._log(game, home_scores, away_scores, is_home=True)
        self._log(game, away_scores, home_scores, is_home=False)

    # --- injuries ---------------------------------------------------------------------------------------------

    def _is_fit(self, player: Player, day: date) -> bool:
        return self._back_on.get(player.player_id, day) <= day

    def _get_hurt(self, team: int, day: date) -> None:
        for player in self._rosters[team]:
            if self._is_fit(player, day) and self._rng.random() < 0.012:
                self._back_on[player.player_id] = day + timedelta(days=3 + int(14 * self._rng.random()))

    def _report(self, game: _Game, team: str, roster: Sequence[Player]) -> None:
        for rank, player in enumerate(roster):
            is_fit = self._is_fit(player, game.day)
            is_doubted = self._rng.random() < 0.03 or (game.day == SAMPLE_GAME_DATE and rank == 4 and team < "D")
            if is_fit and not is_doubted:
                continue
            row = {
                "game_date": game.day.isoformat(),
                "player_id": player.player_id,
                "player_name": player.name,
                "team": team,
                "status": "QUESTIONABLE" if is_fit else "OUT",
                "reason": "Simulated; sore knee" if is_fit else "Simulated; ankle sprain",
                "reported_at": _utc(game.tipoff_at - timedelta(hours=6)),
            }
            self.tables["injury_reports"].append(row)

    # --- lines ------------------------------------------------------------------------------------------------

    def _offer(self, game: _Game, team: str, roster: Sequence[Player]) -> None:
        for player in roster:
            if player.minutes < 20:
                continue
            past = self._points[player.player_id]
            expected = sum(past) / len(past) if past else player.minutes * player.shots_per_minute * 1.1
            # Its own chance, so that what the books think changes no game. They see one market, and differ a little.
            market = expected + random.Random(f"{game.game_id} {player.player_id}").uniform(-0.8, 0.8)  # noqa: S311 - a simulation
            is_void = not self._is_fit(player, game.day)
            for number, book in enumerate(_BOOKS):
                if self._rng.random() < (0.5 if is_void else 0.92):
                    self.tables["points_lines"].append(self._line(game, team, player, book, number, market, is_void))

    def _line(
        self, game: _Game, team: str, player: Player, book: str, number: int, market: float, is_void: bool
    ) -> Cells:
        around = max(2.0, market + 0.4 * (self._rng.random() - 0.5))
        is_whole = number == 1 and self._rng.random() < 0.4
        halves = 2 * int(around) + (0 if is_whole else 1)
        fair = _USUAL_ERROR.cdf(around - halves / 2) + 0.05 * (self._rng.random() - 0.5)
        over, under = _american(fair * 1.045), _american((1 - fair) * 1.045)
        return {
            "game_date": game.day.isoformat(),
            "game_id": "" if is_void else game.game_id,
            "player_id": "" if is_void else player.player_id,
            "player_name_book": _plain(player.name) if number else player.name,
            "player_name": "" if is_void else player.name,
            "team": "" if is_void else team,
            "sportsbook": book,
            "points_line": f"{halves // 2}.{5 * (halves % 2)}",
            "over_price": over,
            "under_price": under,
            "fair_over": f"{_implied(over) / (_implied(over) + _implied(under)):.4f}",
            "commence_time_utc": _utc(game.tipoff_at),
            "snapshot_label": f"{game.day:%Y%m%d}_170000",
            "captured_at": _utc(datetime.combine(game.day, time(17, 0), UTC)),
        }

    # --- logs -------------------------------------------------------------------------------------------------

    def _log(self, game: _Game, own: Sequence[BoxScore], other: Sequence[BoxScore], *, is_home: bool) -> None:
        margin = total(own) - total(other)
        for score in own:
            self._points[score.player.player_id].append(score.points)
            is_untracked = self._rng.random() < 0.003
            row = {
                "game_date": game.day.isoformat(),
                "season": _SEASON,
                "season_type": _SEASON_TYPE,
                "game_id": game.game_id,
                "player_id": score.player.player_id,
                "player_name": score.player.name,
                "team": game.home if is_home else game.away,
                "opponent": game.away if is_home else game.home,
                "is_home": int(is_home),
                "won": int(margin > 0),
                "minutes": score.minutes,
                "points": score.points,
                "rebounds": score.oreb + score.dreb,
                **{name: getattr(score, name) for name in ("assists", "steals", "blocks", "turnovers", "fouls")},
                "fgm": score.fgm,
                "fga": "" if is_untracked else score.fga,
                "fg3m": score.fg3m,
                "fg3a": "" if is_untracked else score.fg3a,
                "ftm": score.ftm,
                "fta": "" if is_untracked else score.fta,
                "oreb": score.oreb,
                "dreb": score.dreb,
                "plus_minus": int(margin * score.minutes / 48 + 8 * (self._rng.random() - 0.5)),
                "started": int(score.started),
                "position": score.player.position if score.started else "",
            }
            self.tables["player_game_logs"].append(row)


@dataclass(frozen=True, slots=True)
class _Game:
    day: date
    game_id: str
    home: str
    away: str
    slot: int

    @property
    def tipoff_at(self) -> datetime:
        """From 7 pm US Eastern on, which in winter is midnight UTC, every half hour."""
        return datetime.combine(self.day + timedelta(days=1), time(0, 0), UTC) + timedelta(minutes=30 * self.slot)

    def row(self) -> Cells:
        return {
            "game_date": self.day.isoformat(),
            "game_id": self.game_id,
            "home_team": self.home,
            "away_team": self.away,
            "is_neutral": 0,
            "season": _SEASON,
            "season_type": _SEASON_TYPE,
            "tipoff_at": _utc(self.tipoff_at),
        }


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _american(probability: float) -> int:
    """American odds whose implied probability is the nearest."""
    odds = 100 * probability / (1 - probability)
    return -round(odds) if probability > 0.5 else round(10_000 / odds)


def _implied(odds: int) -> float:
    return -odds / (100 - odds) if odds < 0 else 100 / (100 + odds)


def _plain(name: str) -> str:
    """The name as a sportsbook types it: without diacritics and periods."""
    return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).replace(".", "")
