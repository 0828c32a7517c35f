"""What a player's predictions look like as rows of the predictions table, from the request and the model alone.

No clock and no chance: the same request and model make the same rows, byte for byte, on every machine; the rows' own
bytes name their delivery, so that those which share it are copies (B15, F1). A column that nobody fills, or whose value the request does not tell, is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from itertools import accumulate
from typing import cast

import numpy as np

from schemas import names
from schemas.messages import Absences, Line, PredictionRequest
from schemas.tables import (
    LINEAGE,
    LINEAGE_SCHEMA,
    PREDICTIONS,
    Cell,
    FittedRows,
    TableSchema,
    lineage,
    load,
    staging_schema,
)
from worker import inputs
from worker.calibration import MARKET_V1, beside_market, calibrated
from worker.conformal import INTERVALS, asked_shares
from worker.features import FEATURE_VERSION, FEATURES
from worker.model import Model
from worker.players import players_of
from worker.portable import settled
from worker.recommendation import Odds, Pick, Recommendation, judge
from worker.staged import Staged
from worker.systems import forecasts, market
from worker.systems.forecast import Forecast, Situation

_TENTH, _HUNDREDTH, _THOUSANDTH = Decimal("0.1"), Decimal("0.01"), Decimal("0.001")
_BILLIONTH = Decimal("1e-9")


def staged_rows(requests: Sequence[PredictionRequest], model: Model, *, schema_version: int) -> Staged:
    """Predict players at once, and build their rows: one per system and line, or one NO_LINE row per system.

    Numbers are rounded half away from zero to their column's scale, since the warehouse would round silently. A value
    outside its column is refused, never clamped (E8).

    Raises:
        RowRefused: a row does not fit the declared table; the column and the value are named (E1).
        ArithmeticError: a prediction is not a finite number.
    """
    situation = Situation.of(players_of(requests), model)
    return rows_saying(requests, forecasts(situation), situation, schema_version=schema_version)


def rows_saying(
    requests: Sequence[PredictionRequest], said: Sequence[Forecast], situation: Situation, *, schema_version: int
) -> Staged:
    """Write down what systems said of the players who asked, who are those of the situation in the same order.

    Raises:
        RowRefused, ArithmeticError: as `staged_rows`.
    """
    spoken = _Spoken.of(requests, said, situation)
    of_players = [_player_cells(request, situation, place) for place, request in enumerate(requests)]
    of_points = [_points_cells(forecast, place) for place, forecast in spoken.pairs]
    of_rows = list(_row_cells(requests, spoken, situation, of_points))
    counts = [max(1, len(requests[place].lines)) for place, _ in spoken.pairs]
    pair_of_row = [pair for pair, count in enumerate(counts) for _ in range(count)]
    place_of_row = [spoken.pairs[pair][0] for pair in pair_of_row]
    schema, newer_columns = _declared(schema_version)
    cells: dict[str, list[Cell]] = {}
    for of_each, place_in in ((of_players, place_of_row), (of_points, pair_of_row), (of_rows, range(len(of_rows)))):
        for name in dict.fromkeys(name for one in of_each for name in one):
            if name not in newer_columns:
                column = [one.get(name) for one in of_each]
                cells[name] = [column[at] for at in place_in]
    fitted = schema.fit(cells)
    ends = list(accumulate(map(place_of_row.count, range(len(requests)))))
    of_player = tuple(map(slice, [0, *ends], ends))
    deliveries = tuple(
        names.delivery_id(
            one.batch_id, one.player_lookup, {name: column[rows] for name, column in fitted.cells.items()}
        )
        for one, rows in zip(requests, of_player, strict=True)
    )
    of_lineage = [
        lineage(one.batch_id, one.planned_at, delivery) for one, delivery in zip(requests, deliveries, strict=True)
    ]
    staged = LINEAGE_SCHEMA.fit({name: [of_lineage[place][name] for place in place_of_row] for name in LINEAGE})
    return Staged(_beside(fitted, staged, schema_version), deliveries, of_player)


def _beside(fitted: FittedRows, staged: FittedRows, schema_version: int) -> FittedRows:
    return replace(fitted.beside(staged), columns=staging_schema(schema_version).columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spoken:
    """What systems say, by pairs of a player and a system that speaks of him, and by bets: a pair and one of his lines."""

    pairs: Sequence[tuple[int, Forecast]]
    bounds: Mapping[str, Sequence[float]]
    """The bounds of the intervals that hold half, 80% and 90% of what may come, such as `low_80`, by pair; and what share
    the fitted spread was asked for to that end, such as `asked_80`."""
    over: Sequence[float]
    """The calibrated probability of OVER, by bet."""
    verdicts: Sequence[Pick]
    has_market: Sequence[bool]

    @classmethod
    def of(cls, requests: Sequence[PredictionRequest], said: Sequence[Forecast], situation: Situation) -> _Spoken:
        """Compute for all pairs and bets at once.

        Raises:
            ArithmeticError: a number of points is not finite.
        """
        pairs = [(place, one) for place in range(len(requests)) for one in said if one.speaks_of(place)]
        for place, forecast in pairs:
            if not np.isfinite(forecast.points[place]):
                raise ArithmeticError(f"{forecast.system_id} predicts {forecast.points[place]} points")
        bets = [(pair, line) for pair, (place, _) in enumerate(pairs) for line in requests[place].lines]
        spread, players = situation.model.spread, np.array([place for place, _ in pairs], dtype=np.intp)
        points = np.array([forecast.points[place] for place, forecast in pairs])
        deviation = spread.deviation(points, situation.players.points[players])
        pair = np.array([pair for pair, _ in bets], dtype=np.intp)
        lines = np.array([float(line.points_line) for _, line in bets])
        raw = spread.probability_over(lines, predicted=points[pair], deviation=deviation[pair])
        mean, around = (of_market[players[pair]] for of_market in market.implied(situation))
        over = calibrated(raw, situation.model.document.calibration.slope)
        known = ~np.isnan(mean)
        implied = market.probability_over(lines[known], points=mean[known], deviation=around[known])
        over[known] = beside_market(raw[known], implied)
        of_lines = np.array([forecast.needs_line for _, forecast in pairs], dtype=np.bool_)[pair] & known
        raw[of_lines] = over[of_lines] = market.probability_over(
            lines[of_lines], points=points[pair][of_lines], deviation=around[of_lines]
        )
        odds = [_odds_of(request) for request in requests]
        at_lines = [odds[pairs[pair][0]][line.points_line] for pair, line in bets]
        asked = asked_shares(np.array([inputs.learned_millionths(one) for one in requests]))[players]
        bounds = {
            f"{side}_{percent}": settled(spread.quantile(level, predicted=points, deviation=deviation))
            for percent, share in zip(INTERVALS, asked.T, strict=True)
            for side, level in (("low", (1.0 - share) / 2), ("high", (1.0 + share) / 2))
        } | {f"asked_{percent}": share for percent, share in zip(INTERVALS, asked.T, strict=True)}
        return cls(
            pairs=pairs,
            bounds={name: [round(each, 6) for each in of_pairs.tolist()] for name, of_pairs in bounds.items()},
            over=over.tolist(),
            verdicts=judge(raw, over, at_lines),
            has_market=known.tolist(),
        )


@cache
def _declared(schema_version: int) -> tuple[TableSchema, frozenset[str]]:
    """The declared table, and the columns that only newer versions have."""
    schema = load(PREDICTIONS, schema_version)
    return schema, frozenset(set(load(PREDICTIONS).names) - set(schema.names))


def _player_cells(request: PredictionRequest, situation: Situation, place: int) -> dict[str, Cell]:
    return _request_cells(request) | _hindsight_cells(request, situation.model) | _feature_cells(situation, place)


def _points_cells(forecast: Forecast, place: int) -> dict[str, Cell]:
    return {
        "system_id": forecast.system_id,
        "predicted_points": _rounded(_points(forecast, place), _TENTH),
        "prediction_error_code": forecast.code if forecast.is_stand_in[place] else None,
        "processing_decision_reason": forecast.reason(place),
        **forecast.cells(place),
    }


def _row_cells(
    requests: Sequence[PredictionRequest],
    spoken: _Spoken,
    situation: Situation,
    of_points: Sequence[dict[str, Cell]],
) -> Iterator[dict[str, Cell]]:
    """For each pair the cells of its rows. What a system tells of its terms goes into each row's numbers."""
    warnings = [_warning_of(request, situation.model) for request in requests]
    bet = 0
    for pair, (place, forecast) in enumerate(spoken.pairs):
        request, points = requests[place], of_points[pair]["predicted_points"]
        numbers = {"points": float(_points(forecast, place))} | {
            name: each[pair] for name, each in spoken.bounds.items()
        }
        numbers["regular"] = request.is_regular
        terms = of_points[pair].pop("feature_importance", None)
        before, after = json.dumps(numbers)[:-1], "}" if terms is None else f', "terms": {terms}}}'
        if not request.lines:
            no_line = _id(request, forecast, None)
            yield {**_NO_LINE_CELLS, "prediction_id": no_line, "feature_importance": before + after}
        warning = "stand_in" if forecast.is_stand_in[place] else None
        if warnings[place] == HINDSIGHT or warning is None:
            warning = warnings[place]
        for line in request.lines:
            over, verdict = spoken.over[bet], spoken.verdicts[bet]
            method = MARKET_V1 if spoken.has_market[bet] else situation.model.document.calibration.method
            filter_reason = "estimated_line" if line.is_estimated else warning or _unsure(verdict)
            yield {
                "prediction_id": _id(request, forecast, line.points_line),
                "line_margin": cast(Decimal, points) - line.points_line,
                "is_actionable": filter_reason is None,
                "filter_reason": filter_reason,
                "feature_importance": f'{before}, "over": {over!r}{after}',
                **_line_cells(line, verdict.book),
                **_verdict_cells(verdict, method),
            }
            bet += 1


def _request_cells(request: PredictionRequest) -> dict[str, Cell]:
    return {
        "player_lookup": request.player_lookup,
        "universal_player_id": request.universal_player_id,
        "game_date": request.game_date,
        "game_id": request.game.game_id,
        "prediction_version": 1,
        "is_active": True,
        "created_at": request.planned_at,
        "updated_at": request.planned_at,
        **_injury_cells(request),
        **_quality_cells(request),
        **_absence_cells(request.absences),
    }


def _injury_cells(request: PredictionRequest) -> dict[str, Cell]:
    """Tell what is known of an injury; without a report nothing is, so even the flag is null."""
    if request.injury is None:
        return {}
    return {
        "injury_status_at_prediction": request.injury.status,
        "injury_flag_at_prediction": True,
        "injury_reason_at_prediction": request.injury.reason,
        "injury_checked_at": request.injury.checked_at,
    }


def _quality_cells(request: PredictionRequest) -> dict[str, Cell]:
    wanted, found = request.recent_games_wanted, len(request.recent_games)
    failed = inputs.failed_rules(request)
    return {
        "expected_games_count": wanted,
        "actual_games_count": found,
        "completeness_percentage": 100.0 * found / wanted,
        "missing_games_count": wanted - found,
        "is_production_ready": not failed,
        "data_quality_issues": [issue.value for issue in (*failed, *inputs.absence_notes(request))],
        "season_boundary_detected": inputs.crosses_season_start(request),
        "backfill_bootstrap_mode": inputs.is_for_past_date(request),
        "scoring_tier": request.scoring_tier,
        "early_season_flag": inputs.is_early_in_season(request),
    }


HINDSIGHT = "hindsight"
"""The issue of a row whose model was trained on games of its date or later: it may have seen the answer."""


def _has_hindsight(request: PredictionRequest, model: Model) -> bool:
    return date.fromisoformat(model.document.trained_on.until) > request.game_date


def _hindsight_cells(request: PredictionRequest, model: Model) -> dict[str, Cell]:
    if not _has_hindsight(request, model):
        return {}
    issues = [rule.value for rule in inputs.failed_rules(request)]
    return {"is_production_ready": False, "data_quality_issues": [*issues, HINDSIGHT]}


def _absence_cells(absences: Absences | None) -> dict[str, Cell]:
    """Tell which teammates are OUT; without any report of the date nothing is known."""
    if absences is None:
        return {}
    starters = [
        mate.player_lookup for mate in absences.out if mate.starts is not None and 2 * mate.starts >= mate.games
    ]
    shots = sum(mate.shots for mate in absences.out)
    return {
        "teammate_opportunity_score": shots / absences.team_shots if absences.team_shots else 0.0,
        "teammate_out_starters": json.dumps(starters, ensure_ascii=False),
    }


def _feature_cells(situation: Situation, place: int) -> dict[str, Cell]:
    known = int(np.isfinite(situation.features[place]).sum())
    return {
        "model_version": situation.model.version,
        "feature_version": FEATURE_VERSION,
        "feature_count": known,
        "feature_quality_score": _rounded(Decimal(100 * known) / len(FEATURES), _HUNDREDTH),
        "feature_data_source": "player_game_logs",
    }


def _points(forecast: Forecast, place: int) -> Decimal:
    """The exact number behind the float: a mean such as 247 / 20 is a tie at the tenth, and 12.35 as a float is not."""
    return _rounded(Decimal(float(forecast.points[place])), _BILLIONTH)


def _odds_of(request: PredictionRequest) -> Mapping[Decimal, Odds]:
    """The best odds that any book offers at each line; of equal ones those of the first book."""
    return {line.points_line: _odds(request, line) for line in request.lines}


def _odds(request: PredictionRequest, line: Line) -> Odds:
    offers = [offer for offer in request.offers if offer.points_line == line.points_line]
    over = max(offers, key=lambda offer: offer.over_price or -math.inf, default=None)
    under = max(offers, key=lambda offer: offer.under_price or -math.inf, default=None)
    return Odds(
        over_price=over.over_price if over else None,
        under_price=under.under_price if under else None,
        over_book=over.sportsbook if over else None,
        under_book=under.sportsbook if under else None,
    )


_NO_LINE_CELLS: dict[str, Cell] = {
    # The column is required; without a recommendation there is nothing to be confident in.
    "confidence_score": Decimal(0),
    "recommendation": Recommendation.NO_LINE,
    "has_prop_line": False,
    "line_source": "NO_PROP_LINE",
    "is_actionable": False,
    "filter_reason": "no_line",
}


def _line_cells(line: Line, best_book: str | None) -> dict[str, Cell]:
    if line.is_estimated:
        return {
            "has_prop_line": False,
            "current_points_line": line.points_line,
            "line_source": "ESTIMATED_AVG",
            "estimated_line_value": line.points_line,
            "estimation_method": line.estimation_method,
        }
    return {
        "has_prop_line": True,
        "current_points_line": line.points_line,
        "line_source": "ACTUAL_PROP",
        "line_source_api": line.source_api,
        "sportsbook": best_book or line.sportsbook,
        "was_line_fallback": line.is_fallback,
        "line_minutes_before_game": line.minutes_before_game,
    }


def _verdict_cells(verdict: Pick, method: str) -> dict[str, Cell]:
    """Tell the recommendation; every confidence is that of the recommended side, for PASS of the likelier one (E5)."""
    calibrated = Decimal(verdict.calibrated)
    return {
        "recommendation": verdict.recommendation,
        "confidence_score": _rounded(100 * calibrated, _HUNDREDTH),
        "raw_confidence_score": _rounded(Decimal(verdict.raw), _THOUSANDTH),
        "calibration_method": method,
        "calibrated_confidence_score": _rounded(calibrated, _THOUSANDTH),
    }


def _warning_of(request: PredictionRequest, model: Model) -> str | None:
    """Name the first reason, if any, why no one should act on predictions of a player, whatever the line."""
    if _has_hindsight(request, model):
        return HINDSIGHT
    if failed := inputs.failed_rules(request):
        return failed[0].value
    if request.injury is not None and request.injury.status in ("OUT", "DOUBTFUL", "QUESTIONABLE"):
        return f"injury_{request.injury.status.lower()}"
    return None


def _unsure(verdict: Pick) -> str | None:
    return "below_margin" if verdict.recommendation is Recommendation.PASS else None


def _id(request: PredictionRequest, forecast: Forecast, points_line: Decimal | None) -> str:
    return names.prediction_id(
        game_date=request.game_date,
        game_id=request.game.game_id,
        player_lookup=request.player_lookup,
        system_id=forecast.system_id,
        points_line=points_line,
    )


def _rounded(number: Decimal, unit: Decimal) -> Decimal:
    return number.quantize(unit, ROUND_HALF_UP)
