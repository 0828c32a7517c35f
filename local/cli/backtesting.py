"""How a model does on games after its training: every game as its request would have been planned, and what came.

Pure: arrays in, figures out. It measures and never fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from local.cli.backtest_lines import Judged, line_figures
from local.one_machine.past_games import DAY_ZERO, PastGames
from schemas.messages import REGULAR_GAMES, ROTATION_MINUTES
from shared.errors import InvalidInput
from worker import scores
from worker.absences import APPEARED, LAST_GAME, NOTHING, Knowledge, Reports
from worker.conformal import INTERVALS, adapted_shares
from worker.features import FEATURES, NAMES, features
from worker.history import GameLogs, past_players
from worker.model import Model
from worker.players import Floats, Players
from worker.systems import OWN_SYSTEMS, SYSTEMS, ensemble, predict_all

_SHARES = tuple(percent / 100 for percent in INTERVALS)
_OF_80 = INTERVALS.index(80)
_TIERS = ((0.0, 5.0), (5.0, 10.0), (10.0, 15.0), (15.0, 20.0), (20.0, 25.0), (25.0, 100.0))
_DAYS_AT_ONCE = 7


@dataclass(frozen=True, slots=True)
class Backtest:
    """The figures of a span of dates; `figures` is what `--json` prints."""

    figures: dict[str, object]
    tiers: list[dict[str, object]]
    curve: list[tuple[float, float, int]]
    """Calibrated probability, share that went over, number of lines."""
    parts: list[tuple[str, float]]
    """The points of one prediction by component of its features, the first one the average player's."""


def backtest(
    model: Model,
    past: PastGames,
    *,
    first_day: int,
    progress: Callable[[int, int], None],
    known: Mapping[str, Knowledge] = MappingProxyType({"none": NOTHING}),
    shown: str = "none",
) -> Backtest:
    """Predict every game from `first_day` on, and score it.

    Args:
        past: all games to the last day of the span; earlier ones are the players' pasts.
        first_day: the span's first day, counted as `logs.day` is.
        progress: hears how many games of how many are predicted, for the figures of `shown`.
        known: by name, what to take as known of who is absent; each is measured.
        shown: the one of them that all figures but that comparison are of.

    Raises:
        InvalidInput: no player with a past plays in the span.
    """
    games = _predicted(model, past, known[shown], first_day=first_day, progress=progress)
    headline = _is_regular(games.players)
    by_line, curve = line_figures(model, games)
    ours = _systems(games, headline)
    figures: dict[str, object] = {
        "model": model.version,
        "trained_until": model.document.trained_on.until,
        "rows": f"players with {REGULAR_GAMES} or more games and a mean of {ROTATION_MINUTES} or more minutes this season",
        "known_absences": shown,
        "absences": {
            name: ours if name == shown else _known_errors(model, past.logs, games.rows[headline], each)
            for name, each in known.items()
        },
        "systems": ours,
        **_coverages(games, headline),
        "lines": by_line,
        "played_15_minutes": _systems(
            games,
            (games.players.season_games >= REGULAR_GAMES) & (past.logs.minutes[games.rows] >= ROTATION_MINUTES),
        ),
        "all_players": _systems(games, np.ones(len(games.rows), dtype=np.bool_)),
        "tiers": (tiers := _grouped(games, headline, _tiers(games.players), "tier")),
        "months": _grouped(games, headline, _months(games.day), "month"),
        "positions": _grouped(games, headline, _positions(past.logs.position[games.rows]), "position"),
        "largest_misses": _largest_misses(model, past, games, headline),
    }
    return Backtest(figures, tiers, curve, _parts_of_one(model, games.players.take(headline)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Games(Judged):
    """The games of the span, and their rows in the logs."""

    rows: NDArray[np.intp]
    held: Floats
    """Of each the narrowest interval of the ensemble's that holds what came, as a share."""
    asked: Floats
    """What the served intervals ask for, `(N, 3)`: as the days before taught them."""


def _predicted(
    model: Model, past: PastGames, known: Knowledge, *, first_day: int, progress: Callable[[int, int], None]
) -> _Games:
    logs = past.logs
    players = past_players(logs, known)
    rows = np.flatnonzero((logs.day >= first_day) & (players.games > 0))
    if not len(rows):
        raise InvalidInput("--from", "no game of a player with a past in the span; choose dates that the data cover")
    place = np.full(len(logs), -1, dtype=np.intp)
    place[rows] = np.arange(len(rows))
    players, points = past.offers.beside(players.take(rows), rows), logs.points[rows]
    said = _predict(model, players, logs.day[rows], progress)
    predicted = said[ensemble.SYSTEM_ID]
    deviation = model.spread.deviation(predicted, players.points)
    held = model.spread.central_share(points, predicted=predicted, deviation=deviation)
    return _Games(
        players=players,
        said=said,
        deviation=deviation,
        points=points,
        day=logs.day[rows],
        lines=past.lines.moved(place),
        rows=rows,
        held=held,
        asked=adapted_shares(held, day=logs.day[rows], group=learning_groups(players, logs.season[rows])),
    )


def learning_groups(players: Players, season: NDArray[np.object_]) -> NDArray[np.intp]:
    """Number the players by who learns together: those of one scoring tier, regular ones and others apart, in a season."""
    of_season = np.unique(season, return_inverse=True)[1]
    return (of_season * (len(_TIERS) + 1) + _tier_of(players)) * 2 + _is_regular(players)


def degrees_of_knowledge(reports: Reports, *, first_day: int, recall: float) -> dict[str, Knowledge]:
    """Give what may be known of absences by name; reports only where the data have some of the span."""
    known = {"none": NOTHING, "last_game": LAST_GAME}
    if np.any(reports.day >= first_day):
        known["reports"] = Knowledge(reports=reports)
    return known | {"recall": Knowledge(recall=recall), "appeared": APPEARED}


def check_span(model: Model, *, first: date, last: date) -> None:
    """Refuse a span that is empty or that the model was trained on.

    Raises:
        InvalidInput: it is one of these.
    """
    if last < first:
        raise InvalidInput("--to", f"{last} is before --from {first}; give the later date")
    until = date.fromisoformat(model.document.trained_on.until)
    if first < until:
        raise InvalidInput(
            "--from", f"{first} is before {until}, up to which the model was trained; start from {until}"
        )


def _predict(
    model: Model, players: Players, days: NDArray[np.intp], progress: Callable[[int, int], None]
) -> dict[str, Floats]:
    points = {system_id: np.empty(len(players)) for system_id in SYSTEMS}
    done = 0
    for rows in _parts(days):
        for forecast in predict_all(players.take(rows), model):
            points[forecast.system_id][rows] = forecast.points
        done += len(rows)
        progress(done, len(players))
    return points


def _known_errors(
    model: Model, logs: GameLogs, rows: NDArray[np.intp], knowledge: Knowledge
) -> dict[str, dict[str, float | None]]:
    if not len(rows):
        return {name: asdict(scores.point_scores(np.empty(0), np.empty(0))) for name in OWN_SYSTEMS}
    said = _predict(model, past_players(logs, knowledge).take(rows), logs.day[rows], lambda _done, _all: None)
    return {name: asdict(scores.point_scores(said[name], logs.points[rows])) for name in OWN_SYSTEMS}


def _parts(days: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for start in range(int(days.min()), int(days.max()) + 1, _DAYS_AT_ONCE):
        rows = np.flatnonzero((days >= start) & (days < start + _DAYS_AT_ONCE))
        if len(rows):
            yield rows


def _is_regular(players: Players) -> NDArray[np.bool_]:
    return (players.season_games >= REGULAR_GAMES) & (players.season_minutes >= ROTATION_MINUTES * players.season_games)


def _systems(games: _Games, rows: NDArray[np.bool_]) -> dict[str, dict[str, float | None]]:
    said = games.said
    return {name: asdict(scores.point_scores(said[name][rows], games.points[rows])) for name in OWN_SYSTEMS}


def _coverages(games: _Games, rows: NDArray[np.bool_]) -> dict[str, object]:
    """The share of games that the intervals hold as they are served, and as they were fitted."""
    served = games.held[:, None] <= games.asked
    return {
        "intervals": {f"{share}": _share(served[rows, place]) for place, share in enumerate(_SHARES)},
        "intervals_fitted": {f"{share}": _share(games.held[rows] <= share) for share in _SHARES},
    }


def _share(is_held: NDArray[np.bool_]) -> float | None:
    return round(float(is_held.mean()), 4) if len(is_held) else None


def _tier_of(players: Players) -> NDArray[np.intp]:
    """The scoring tier by the season's mean so far; before a season's first game there is one of its own."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = players.season_points / players.season_games
    return np.digitize(mean, [high for _, high in _TIERS]).astype(np.intp)


def _tiers(players: Players) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    tier = _tier_of(players)
    for number, (low, high) in enumerate(_TIERS):
        yield f"{low:.0f} to {high:.0f}" if high < 100 else f"{low:.0f} and more", tier == number


def _months(day: NDArray[np.intp]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    month = np.array([str(DAY_ZERO + timedelta(days=each))[:7] for each in day.tolist()])
    for each in np.unique(month):
        yield str(each), month == each


def _positions(position: NDArray[np.object_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    letter = np.array([str(each)[-1:].upper() if each else "" for each in position])
    for name, of in (("guard", "G"), ("forward", "F"), ("center", "C")):
        yield name, letter == of
    yield "unknown", ~np.isin(letter, ("G", "F", "C"))


def _grouped(
    games: _Games, headline: NDArray[np.bool_], groups: Iterator[tuple[str, NDArray[np.bool_]]], kind: str
) -> list[dict[str, object]]:
    """Errors and coverage of the headline's players by group; a group of nobody is left out."""
    found = list[dict[str, object]]()
    for label, is_in in groups:
        rows = headline & is_in
        if rows.any():
            errors = {name: {key: each[key] for key in ("mae", "bias")} for name, each in _systems(games, rows).items()}
            coverage = {
                "coverage_80": _share(games.held[rows] <= games.asked[rows, _OF_80]),
                "coverage_80_fitted": _share(games.held[rows] <= _SHARES[_OF_80]),
            }
            found.append({kind: label, "n": int(rows.sum()), **coverage, **errors})
    return found


_MOST_MISSES = 10


def _largest_misses(
    model: Model, past: PastGames, games: _Games, headline: NDArray[np.bool_]
) -> list[dict[str, object]]:
    """The games that were predicted worst, by name, with what moved the ridge most from an average player's points."""
    logs, rows, players = past.logs, games.rows[headline], games.players.take(headline)
    predicted = games.said[ensemble.SYSTEM_ID][headline]
    worst = np.argsort(-np.abs(predicted - logs.points[rows]), kind="stable")[:_MOST_MISSES]
    found: list[dict[str, object]] = []
    for each, terms in zip(worst, _terms(model, players.take(worst)), strict=True):
        row = rows[each]
        largest = np.argsort(-np.abs(terms), kind="stable")[:_MOST_TERMS]
        found.append(
            {
                "player": past.names.get(logs.player_id[row], logs.player_id[row]),
                "date": str(DAY_ZERO + timedelta(days=int(logs.day[row]))),
                "game": f"{logs.team[row]} against {logs.opponent[row]}",
                "predicted": round(float(predicted[each]), 1),
                "points": int(logs.points[row]),
                "minutes": int(logs.minutes[row]),
                "saw": {NAMES[term]: round(float(terms[term]), 1) for term in largest},
            }
        )
    return found


_MOST_TERMS = 4


def _terms(model: Model, players: Players) -> Floats:
    terms: Floats = model.standardized(features(players)) * model.coefficients
    return terms


def _parts_of_one(model: Model, players: Players) -> list[tuple[str, float]]:
    """Of the prediction that absences move most: an average player's points, and what each component adds to them."""
    if not len(players):
        return []
    components = np.array(list(FEATURES.values()))
    terms = _terms(model, players)
    one = terms[int(np.argmax(np.abs(terms[:, components == "absences"].sum(axis=1))))]
    added = [(each, round(float(one[components == each].sum()), 2)) for each in dict.fromkeys(FEATURES.values())]
    return [("an average player", round(model.document.ridge.intercept, 2)), *added]
