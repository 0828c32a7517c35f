"""How a model did against the sportsbooks' lines: errors in points, probabilities, and what bets would have returned.

Pure: arrays in, figures out. Pushes count for the errors in points and not for probabilities and bets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from worker import scores
from worker.calibration import beside_market
from worker.model import Model
from worker.players import Floats, Players
from worker.recommendation import MARGIN, USUAL_PRICE, expected_value, gain
from worker.scores import PastLines
from worker.systems import ensemble, market, season_average
from worker.systems.forecast import Situation

_PROBABLE = 0.55


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Games with what was said of them and what came, by place; `lines` are on these games."""

    players: Players
    said: Mapping[str, Floats]
    deviation: Floats
    """Of the ensemble."""
    points: Floats
    day: NDArray[np.intp]
    lines: PastLines


def line_figures(model: Model, of: Judged) -> tuple[dict[str, object], list[tuple[float, float, int]]]:
    """Judge the ensemble, the market and what is anchored in it; gives the calibration curve of the ensemble too."""
    lines, game = of.lines, of.lines.game
    predicted, came = of.said[ensemble.SYSTEM_ID][game], of.points[game]
    decided, is_over = came != lines.line, (came > lines.line).astype(np.float64)
    raw = model.spread.probability_over(lines.line, predicted=predicted, deviation=of.deviation[game])
    mean, around = market.implied(Situation.of(of.players.take(game), model))
    implied, anchored = (
        market.probability_over(lines.line, points=points, deviation=around)
        for points in (mean, of.said[market.ANCHORED_ID][game])
    )
    over = beside_market(raw, implied)
    priced = decided & np.isfinite(lines.fair_over)

    def judged(probabilities: Floats, rows: NDArray[np.bool_]) -> dict[str, float | int | None]:
        return asdict(scores.probability_scores(probabilities[rows], is_over[rows]))

    better = (implied[priced] - is_over[priced]) ** 2 - (lines.fair_over[priced] - is_over[priced]) ** 2
    figures: dict[str, object] = judged(over, decided) | {
        "line_mae": scores.point_scores(lines.line, came).mae,
        "system_mae": scores.point_scores(predicted, came).mae,
        "season_average_mae": scores.point_scores(of.said[season_average.SYSTEM_ID][game], came).mae,
        "pushes": int((~decided).sum()),
        "chance_ece_equal_count": scores.chance_error(over[decided]),
        "raw": judged(raw, decided),
        "market": judged(lines.fair_over, priced),
        "implied": judged(implied, decided),
        "anchored": judged(anchored, decided),
        "implied_brier_less_market": scores.mean_by_days(better, of.day[game][priced]),
        "player_games": _player_games(of),
        "bets": _bets(over, is_over, of.day[game], lines, decided),
    }
    return figures, scores.calibration_curve(over[decided], is_over[decided]) if decided.any() else []


def _player_games(of: Judged) -> dict[str, object]:
    """Errors of each player-game with lines once; the line is the mean of all books'."""
    rows = np.unique(of.lines.game)
    offered = of.players.offered_lines[rows]
    line = np.nansum(offered, axis=1) / np.isfinite(offered).sum(axis=1)
    systems = (ensemble.SYSTEM_ID, market.MARKET_ID, market.ANCHORED_ID)
    said = {"line": line, **{name: of.said[name][rows] for name in systems}}
    points = of.points[rows]
    better = np.abs(said[market.MARKET_ID] - points) - np.abs(line - points)
    return {
        "n": len(rows),
        **{name: scores.point_scores(each, points).mae for name, each in said.items()},
        "market_less_line": scores.mean_by_days(better, of.day[rows]),
    }


def _bets(
    over: Floats, is_over: Floats, day: NDArray[np.intp], lines: PastLines, decided: NDArray[np.bool_]
) -> dict[str, object]:
    """What a stake of 1 on each recommended side would have returned, at the best odds that any book offered there."""
    prices = np.stack([lines.over_price, lines.under_price])
    prices = np.where(np.isfinite(prices), prices, USUAL_PRICE)
    probability = np.stack([over, 1.0 - over])
    value, won = expected_value(probability, prices), np.stack([is_over, 1.0 - is_over])
    side, rows = value.argmax(axis=0), np.arange(len(over))
    returned = np.where(won[side, rows] > 0, gain(prices[side, rows]), -1.0)

    def outcome(chosen: NDArray[np.bool_]) -> dict[str, object]:
        found = np.flatnonzero(chosen & decided)
        share = float(won[side, rows][found].mean()) if len(found) else None
        return {
            "n": len(found),
            "won": None if share is None else round(share, 4),
            "return": scores.mean_by_days(returned[found], day[found]),
        }

    best = value[side, rows]
    return {
        "value_above_0": outcome(best > 0),
        f"value_above_{MARGIN}": outcome(best > MARGIN),
        f"probability_of_{_PROBABLE}": outcome(probability[side, rows] >= _PROBABLE),
    }
