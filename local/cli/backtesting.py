"""How a model does on games after its training: every game as its request would have been planned, and what came.

Pure: arrays in, figures out. It measures and never fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput
from worker import scores
from worker.history import GameLogs, past_players
from worker.model import Model
from worker.players import Floats, Players
from worker.scores import PastLines, PointScores
from worker.systems import SYSTEMS, ensemble, predict_all, season_average

HEADLINE_GAMES = 10
HEADLINE_MINUTES = 15
"""The headline figures are of players with so many games this season before the game, and minutes in their mean."""

NOMINAL = (0.5, 0.8, 0.9)
_TIERS = ((0.0, 5.0), (5.0, 10.0), (10.0, 15.0), (15.0, 20.0), (20.0, 25.0), (25.0, 100.0))
_DAYS_AT_ONCE = 7


@dataclass(frozen=True, slots=True)
class _Said:
    """Points by system, and the ensemble's deviation, of some games."""

    points: dict[str, Floats]
    deviation: Floats


@dataclass(frozen=True, slots=True)
class Backtest:
    """The figures of a span of dates; `figures` is what `--json` prints."""

    figures: dict[str, object]
    tiers: list[dict[str, object]]
    curve: list[tuple[float, float, int]]
    """Calibrated probability, share that went over, number of lines."""


def backtest(
    model: Model,
    logs: GameLogs,
    lines: PastLines,
    *,
    first_day: int,
    progress: Callable[[int, int], None],
) -> Backtest:
    """Predict every game from `first_day` on, and score it.

    Args:
        logs: all games to the last day of the span; earlier ones are the players' pasts.
        first_day: the span's first day, counted as `logs.day` is.
        progress: hears how many games of how many are predicted.

    Raises:
        InvalidInput: no player with a past plays in the span.
    """
    players = past_players(logs)
    rows = np.flatnonzero((logs.day >= first_day) & (players.games > 0))
    if not len(rows):
        raise InvalidInput("--from", "no game of a player with a past in the span; choose dates that the data cover")
    place = np.full(len(logs), -1, dtype=np.intp)
    place[rows] = np.arange(len(rows))
    players, points = players.take(rows), logs.points[rows]
    said = _predict(model, players, logs.day[rows], progress)
    headline = _is_headline(players)
    known = lines.moved(place)
    by_line, curve = _line_figures(model, said, points, known)
    figures: dict[str, object] = {
        "model": model.version,
        "trained_until": model.document.trained_on.until,
        "rows": f"players with {HEADLINE_GAMES} or more games and a mean of {HEADLINE_MINUTES} or more minutes this season",
        "systems": _systems(said.points, points, headline),
        "intervals": _coverages(model, said, points, headline),
        "lines": by_line,
        "played_15_minutes": _systems(
            said.points, points, (players.season_games >= HEADLINE_GAMES) & (logs.minutes[rows] >= HEADLINE_MINUTES)
        ),
        "all_players": _systems(said.points, points, np.ones(len(rows), dtype=np.bool_)),
        "tiers": (tiers := _tiers(said.points, points, headline, players)),
    }
    return Backtest(figures, tiers, curve)


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


def _predict(model: Model, players: Players, days: NDArray[np.intp], progress: Callable[[int, int], None]) -> _Said:
    points = {system_id: np.empty(len(players)) for system_id in SYSTEMS}
    done = 0
    for rows in _parts(days):
        for forecast in predict_all(players.take(rows), model):
            points[forecast.system_id][rows] = forecast.points
        done += len(rows)
        progress(done, len(players))
    return _Said(points, model.spread.deviation(points[ensemble.SYSTEM_ID], players.points))


def _parts(days: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for start in range(int(days.min()), int(days.max()) + 1, _DAYS_AT_ONCE):
        rows = np.flatnonzero((days >= start) & (days < start + _DAYS_AT_ONCE))
        if len(rows):
            yield rows


def _is_headline(players: Players) -> NDArray[np.bool_]:
    return (players.season_games >= HEADLINE_GAMES) & (
        players.season_minutes >= HEADLINE_MINUTES * players.season_games
    )


def _systems(said: Mapping[str, Floats], points: Floats, rows: NDArray[np.bool_]) -> dict[str, dict[str, float | None]]:
    return {name: asdict(scores.point_scores(each[rows], points[rows])) for name, each in said.items()}


def _coverages(model: Model, said: _Said, points: Floats, rows: NDArray[np.bool_]) -> dict[str, float | None]:
    predicted, deviation = said.points[ensemble.SYSTEM_ID], said.deviation
    found = {}
    for share in NOMINAL:
        low, high = (
            model.spread.quantile(level, predicted=predicted, deviation=deviation)
            for level in ((1 - share) / 2, (1 + share) / 2)
        )
        found[f"{share}"] = scores.coverage(points[rows], low[rows], high[rows])
    return found


def _line_figures(
    model: Model, said: _Said, points: Floats, lines: PastLines
) -> tuple[dict[str, object], list[tuple[float, float, int]]]:
    """Judge the ensemble against the lines; pushes count for the errors in points and not for the probabilities."""
    predicted, came = said.points[ensemble.SYSTEM_ID][lines.game], points[lines.game]
    raw = model.spread.probability_over(lines.line, predicted=predicted, deviation=said.deviation[lines.game])
    over, decided = model.calibration.calibrate_all(raw), came != lines.line
    is_over = (came > lines.line).astype(np.float64)
    priced = decided & np.isfinite(lines.fair_over)
    calibrated = scores.probability_scores(over[decided], is_over[decided])
    figures: dict[str, object] = asdict(calibrated) | {
        "line_mae": scores.point_scores(lines.line, came).mae,
        "system_mae": scores.point_scores(predicted, came).mae,
        "season_average_mae": scores.point_scores(said.points[season_average.SYSTEM_ID][lines.game], came).mae,
        "pushes": int((~decided).sum()),
        "raw": asdict(scores.probability_scores(raw[decided], is_over[decided])),
        "market": asdict(scores.probability_scores(lines.fair_over[priced], is_over[priced])),
    }
    curve = scores.calibration_curve(over[decided], is_over[decided]) if decided.any() else []
    return figures, curve


def _tiers(
    said: Mapping[str, Floats], points: Floats, headline: NDArray[np.bool_], players: Players
) -> list[dict[str, object]]:
    """Errors by the season's mean points so far."""
    tiers: list[dict[str, object]] = []
    with np.errstate(invalid="ignore"):
        mean = players.season_points / players.season_games
    for low, high in _TIERS:
        rows = headline & (mean >= low) & (mean < high)
        found: dict[str, PointScores] = {
            name: scores.point_scores(each[rows], points[rows]) for name, each in said.items()
        }
        tiers.append(
            {
                "tier": f"{low:.0f} to {high:.0f}" if high < 100 else f"{low:.0f} and more",
                "n": int(rows.sum()),
                **{name: {"mae": score.mae, "bias": score.bias} for name, score in found.items()},
            }
        )
    return tiers
