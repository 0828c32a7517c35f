"""How a model comes of past games: pure, from arrays to a document, the same bytes for the same games.

Everything that is chosen or fitted on errors (k, the penalty, spread, calibration) uses walk-forward predictions: each
block of dates is predicted by a fit on the blocks before it. Only the final coefficients see all of the games.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput
from worker import scores
from worker.absences import Knowledge
from worker.calibration import PLATT_V1, PLATT_V1_SLOPE, calibrated, fit_slope
from worker.distribution import Spread
from worker.features import FEATURE_VERSION, FEATURES, features
from worker.history import GameLogs, past_players
from worker.model import (
    CalibrationPart,
    Model,
    ModelDocument,
    RidgePart,
    SimilarityPart,
    SpreadPart,
    Term,
    TrainedOn,
)
from worker.players import Floats, Players
from worker.portable import least_absolute, least_squares
from worker.scores import PastLines
from worker.systems import OWN_SYSTEMS, ensemble, forecasts
from worker.systems.forecast import Situation
from worker.systems.similarity import located, nearest_situations

BLOCKS = 6
KNOWLEDGE = Knowledge(recall=0.9, unknown=0.15)
"""Training knows of absences about as much as a day's reports tell, and of some games nothing, so that the model needs neither."""
MIN_GAMES = 2_000
"""With fewer player-games there is nothing to learn that a player's own average does not say."""
MIN_LINES = 5_000
"""With fewer distinct lines the slope's standard error exceeds half the slope; then the released one is kept."""
PENALTIES = (10.0, 100.0, 1_000.0)
NEIGHBOURS = (50, 100, 200, 400)
SITUATIONS = 4_000
METRIC = {
    "form_points": 3.0,
    "season_points": 2.0,
    "minutes_16": 2.0,
    "minutes_change_2": 1.0,
    "points_per_minute_16": 1.0,
    "rest_days": 0.5,
    "is_home": 0.3,
    "defence_by_form": 0.3,
    "absent_points_4": 1.5,
    "like_lineup_points": 1.5,
}
"""What likeness is made of: mostly how much a player scores and plays, and what is new about who is absent."""
LEVELS = (0.005, 0.01, 0.025, 0.05, *(round(0.1 + 0.05 * step, 2) for step in range(17)), 0.95, 0.975, 0.99, 0.995)
LEVEL_EDGES = (0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 99.0)
MIN_ERRORS = 300
"""So many errors make a level of scorers worth quantiles of its own."""
PRIOR_GAMES = 60.0
_NO_SPREAD = SpreadPart(
    variance_at_zero=8.0,
    variance_per_point=2.5,
    prior_games=PRIOR_GAMES,
    levels=(0.1, 0.9),
    centers=(10.0,),
    quantiles=((-1.28, 1.28),),
)
_SLOPE_ONE = CalibrationPart(method="none", slope=1.0, lines=0)


@dataclass(frozen=True, slots=True)
class _Games:
    """The games to learn from: players as they stood, what they look like, and the points that came."""

    players: Players
    features: Floats
    points: Floats

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: NDArray[np.intp]) -> _Games:
        return _Games(self.players.take(rows), self.features[rows], self.points[rows])


@dataclass(frozen=True, slots=True)
class _Choices:
    penalty: float = 100.0
    neighbours: int = 200


def train(logs: GameLogs, lines: PastLines, *, until: date, day_zero: date, is_simulated: bool) -> ModelDocument:
    """Train on games before a date.

    Args:
        logs: the games, all before `until`.
        lines: real lines on them; those of games that no earlier block can predict are left out.
        until: the first date that was not seen.
        day_zero: the date that `logs.day` counts from.
        is_simulated: whether the games are invented.

    Raises:
        InvalidInput: there are too few games.
    """
    players = past_players(logs, KNOWLEDGE)
    learnable = np.flatnonzero(players.games > 0)
    if len(learnable) < MIN_GAMES:
        problem = f"{len(learnable)} player-games with a past before {until} are too few; give at least {MIN_GAMES}"
        raise InvalidInput("player_game_logs", problem)
    order = learnable[np.lexsort((logs.player_id[learnable], logs.day[learnable]))]
    games = _Games(players, features(players), logs.points).take(order)
    blocks = _blocks(logs.day[order])
    choices = _choose(games, blocks)
    seen = blocks > 0
    said, weights = _walk_forward(games, blocks, choices)
    spread = _fit_spread(said[ensemble.SYSTEM_ID][seen], games.take(np.flatnonzero(seen)))
    trained_on = TrainedOn(
        first_date=str(day_zero + timedelta(days=int(logs.day.min()))),
        last_date=str(day_zero + timedelta(days=int(logs.day.max()))),
        until=str(until),
        player_games=len(logs),
        players=len(np.unique(logs.player_id)),
        seasons=tuple(sorted(set(logs.season))),
        is_simulated=is_simulated,
    )
    final = _document(games, choices, weights, spread=spread, trained_on=trained_on)
    known = lines.moved(_new_places(order[seen], len(logs)))
    outcome = _Outcomes({name: points[seen] for name, points in said.items()}, games.take(np.flatnonzero(seen)), known)
    return _versioned(_judged(final, outcome))


def _blocks(days: NDArray[np.intp]) -> NDArray[np.intp]:
    """The block of each game: about equally many games each, a date whole in one of them."""
    first_days = days[[len(days) * block // BLOCKS for block in range(1, BLOCKS)]]
    return np.searchsorted(first_days, days, side="right")


def _walk_forward(
    games: _Games, blocks: NDArray[np.intp], choices: _Choices
) -> tuple[dict[str, Floats], dict[str, float]]:
    """Every system's points for every game, by a fit on the blocks before, NaN for the first block; and the
    ensemble's weights, fitted to those of the other systems."""
    said = {system_id: np.full(len(games), np.nan) for system_id in OWN_SYSTEMS}
    is_own = {system_id: np.zeros(len(games), dtype=np.bool_) for system_id in OWN_SYSTEMS}
    for block in range(1, BLOCKS):
        rows = np.flatnonzero(blocks == block)
        model = Model(_document(games.take(np.flatnonzero(blocks < block)), choices))
        for forecast in forecasts(Situation.of(games.players.take(rows), model)):
            if forecast.needs_line:
                continue
            said[forecast.system_id][rows] = forecast.points
            is_own[forecast.system_id][rows] = ~forecast.is_stand_in
    inputs = [system_id for system_id in OWN_SYSTEMS if system_id != ensemble.SYSTEM_ID]
    points, own = (np.stack([each[system_id] for system_id in inputs]) for each in (said, is_own))
    weights = _fit_weights(points[:, own.all(axis=0)], games.points[own.all(axis=0)])
    blended, _ = ensemble.weighed(points, own, weights)
    said[ensemble.SYSTEM_ID] = np.where(is_own[ensemble.SYSTEM_ID], blended, said[ensemble.SYSTEM_ID])
    return said, dict(zip(inputs, weights, strict=True))


def _fit_weights(said: Floats, points: Floats) -> list[float]:
    """Move hundredths of weight between two systems as long as that lessens the absolute error."""
    count = len(said)

    def error(weights: NDArray[np.intp]) -> float:
        return round(float(np.abs((said * weights[:, None]).sum(axis=0) / 100 - points).mean()), 7)

    best = min((100 * np.eye(count, dtype=np.intp)[system] for system in range(count)), key=error)
    for step in (16, 4, 1):
        while True:
            moves = step * (np.eye(count, dtype=np.intp)[:, None] - np.eye(count, dtype=np.intp)).reshape(-1, count)
            better = min((best + move for move in moves if (best + move).min() >= 0), key=error)
            if error(better) >= error(best):
                break
            best = better
    return [int(weight) / 100 for weight in best]


def _choose(games: _Games, blocks: NDArray[np.intp]) -> _Choices:
    """Take the penalty and the number of neighbours with the least absolute error on the last block."""
    last, before = games.take(np.flatnonzero(blocks == BLOCKS - 1)), games.take(np.flatnonzero(blocks < BLOCKS - 1))
    errors = dict(_penalty_errors(last, before))
    penalty = min(errors, key=lambda each: errors[each])
    model = Model(_document(before, _Choices(penalty)))
    places = located(last.features, model)
    return _Choices(penalty, min(NEIGHBOURS, key=lambda count: _neighbour_error(places, last.points, model, count)))


def _penalty_errors(last: _Games, before: _Games) -> Iterator[tuple[float, float]]:
    for penalty in PENALTIES:
        model = Model(_document(before, _Choices(penalty)))
        points = model.document.ridge.intercept + (model.standardized(last.features) * model.coefficients).sum(axis=1)
        yield penalty, round(float(np.abs(points - last.points).mean()), 6)


def _neighbour_error(places: Floats, points: Floats, model: Model, neighbours: int) -> float:
    total = 0.0
    count = min(neighbours, len(model.situations) // 4)
    for start in range(0, len(places), 512):
        nearest, _ = nearest_situations(places[start : start + 512], model.situations, count)
        total += float(np.abs(model.situation_points[nearest].mean(axis=1) - points[start : start + 512]).sum())
    return round(total / len(points), 6)


# --- the parts of a document ----------------------------------------------------------------------------------


def _document(
    games: _Games,
    choices: _Choices,
    weights: dict[str, float] | None = None,
    *,
    spread: SpreadPart = _NO_SPREAD,
    trained_on: TrainedOn | None = None,
) -> ModelDocument:
    """Fit ridge and library to games; what is not given is a placeholder that no forecast looks at."""
    ridge = _fit_ridge(games, choices.penalty)
    return ModelDocument(
        format="tipoff-model-1",
        model_version="draft",
        feature_version=FEATURE_VERSION,
        trained_on=trained_on or _NOTHING,
        ridge=ridge,
        similarity=_library(games, ridge, choices.neighbours),
        ensemble=weights or dict.fromkeys(OWN_SYSTEMS, 1.0),
        spread=spread,
        calibration=_SLOPE_ONE,
        metrics={},
    )


_NOTHING = TrainedOn(first_date="", last_date="", until="", player_games=0, players=0, seasons=(), is_simulated=False)


def _fit_ridge(games: _Games, penalty: float) -> RidgePart:
    """Fit the median to the standardized features, with 0 for the unknown, and a column of ones."""
    known = np.isfinite(games.features)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, games.features, 0.0).sum(axis=0) / count
    centered = np.where(known, games.features - mean, 0.0)
    scale = np.sqrt((centered**2).sum(axis=0) / count)
    scale = np.where(scale > 0, scale, 1.0)
    standardized = centered / scale
    middle = float(np.median(games.points))
    design = np.column_stack([standardized, np.ones(len(games))])
    *coefficients, above = least_absolute(design, games.points - middle, penalty=penalty)
    terms = {
        name: Term(coefficient=_short(coefficients[place]), mean=_short(mean[place]), scale=_short(scale[place]))
        for place, name in enumerate(FEATURES)
    }
    return RidgePart(intercept=_short(middle + above), penalty=penalty, terms=terms)


def _library(games: _Games, ridge: RidgePart, neighbours: int) -> SimilarityPart:
    """At most `SITUATIONS` games of players with recent minutes, evenly spaced in the order of dates."""
    form = games.features[:, list(FEATURES).index("form_points")]
    usable = np.flatnonzero(np.isfinite(form))
    chosen = usable[np.linspace(0, len(usable) - 1, min(SITUATIONS, len(usable))).astype(np.intp)]
    columns = [list(FEATURES).index(name) for name in METRIC]
    means = np.array([ridge.terms[name].mean for name in METRIC])
    scales = np.array([ridge.terms[name].scale for name in METRIC])
    weights = np.array(list(METRIC.values()))
    places = np.nan_to_num((games.features[chosen][:, columns] - means) / scales) * weights
    return SimilarityPart(
        neighbours=min(neighbours, len(chosen) // 4),
        weights=METRIC,
        situations=tuple(tuple(round(float(value), 2) for value in place) for place in places),
        points=tuple(float(points) for points in games.points[chosen]),
    )


def _fit_spread(predicted: Floats, games: _Games) -> SpreadPart:
    """Fit the size of the errors to the prediction, and their shape at each level of scorers."""
    errors = games.points - predicted
    design = np.column_stack([np.ones(len(errors)), np.maximum(predicted, 0.0)])
    at_zero, per_point = least_squares(design, errors**2)
    size = {"variance_at_zero": _short(max(at_zero, 1.0)), "variance_per_point": _short(max(per_point, 0.0))}
    unshaped = Spread(**size, prior_games=PRIOR_GAMES, levels=np.empty(0), centers=np.empty(0), quantiles=np.empty(0))
    standard = errors / unshaped.deviation(predicted, games.players.points)
    centers, quantiles = [], []
    for low, high in pairwise(LEVEL_EDGES):
        rows = (predicted >= low) & (predicted < high)
        if rows.sum() >= MIN_ERRORS:
            centers.append(_short(predicted[rows].mean()))
            quantiles.append(tuple(_short(value) for value in np.quantile(standard[rows], LEVELS)))
    return SpreadPart(
        **size, prior_games=PRIOR_GAMES, levels=LEVELS, centers=tuple(centers), quantiles=tuple(quantiles)
    )


# --- what the walk-forward predictions were worth -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """What every system said of games that its fit had not seen, and the lines on them."""

    said: dict[str, Floats]
    games: _Games
    lines: PastLines


def _judged(document: ModelDocument, outcomes: _Outcomes) -> ModelDocument:
    """Fit the calibration if there are lines enough, and note down what was measured."""
    spread, lines = Model(document).spread, outcomes.lines
    points, history = outcomes.games.points[lines.game], outcomes.games.players.points[lines.game]
    decided = points != lines.line
    raw = {
        name: spread.probability_over(
            lines.line, predicted=said[lines.game], deviation=spread.deviation(said[lines.game], history)
        )[decided]
        for name, said in outcomes.said.items()
    }
    is_over = (points > lines.line)[decided].astype(np.float64)
    calibration = CalibrationPart(method=PLATT_V1, slope=PLATT_V1_SLOPE, lines=0)
    if len(is_over) >= MIN_LINES:
        # All systems together: one slope, which no system's luck decides.
        slope = fit_slope(np.concatenate(list(raw.values())), np.tile(is_over, len(raw)))
        calibration = CalibrationPart(
            method=f"platt_{document.trained_on.until}", slope=_short(slope), lines=len(is_over)
        )
    fitted = document.model_copy(update={"calibration": calibration})
    over = calibrated(raw[ensemble.SYSTEM_ID], calibration.slope)
    metrics = {
        "walk_forward": {
            name: asdict(scores.point_scores(said, outcomes.games.points)) for name, said in outcomes.said.items()
        },
    }
    if len(is_over):
        metrics["lines_raw"] = asdict(scores.probability_scores(raw[ensemble.SYSTEM_ID], is_over))
        metrics["lines_calibrated"] = asdict(scores.probability_scores(over, is_over))
    return fitted.model_copy(update={"metrics": metrics})


def _versioned(document: ModelDocument) -> ModelDocument:
    """Name the document by its span and its content."""
    digest = hashlib.sha256(document.model_dump_json().encode()).hexdigest()[:8]
    return document.model_copy(update={"model_version": f"{document.trained_on.until}-{digest}"})


def _new_places(order: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    places = np.full(count, -1, dtype=np.intp)
    places[order] = np.arange(len(order))
    return places


def _short(value: float) -> float:
    """Six digits: more than any coefficient is known to, and the same on every machine."""
    return float(f"{value:.6g}")
