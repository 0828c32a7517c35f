"""What a player's predictions look like as rows of the predictions table, from the request and the model alone.

No clock and no chance: the same request and model make the same rows, byte for byte, on every machine; the rows' own
bytes name their delivery, so that those which share it are copies (B15, F1). A column that nobody fills, or whose value the request does not tell, is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import numpy as np

from schemas import names
from schemas.messages import Absences, Line, PredictionRequest
from schemas.tables import PREDICTIONS, Cell, TableSchema, lineage, load
from worker import inputs
from worker.calibration import MARKET_V1, Odds, Recommendation, Verdict, beside_market, judge
from worker.features import FEATURE_VERSION, FEATURES
from worker.model import Model
from worker.players import Floats, players_of
from worker.portable import settled
from worker.systems import forecasts, market
from worker.systems.forecast import Forecast, Situation

_TENTH, _HUNDREDTH, _THOUSANDTH = Decimal("0.1"), Decimal("0.01"), Decimal("0.001")
_BILLIONTH = Decimal("1e-9")
INTERVALS = (50, 80, 90)
"""The intervals that every row tells, in percent of what may come."""


def staged_rows(
    requests: Sequence[PredictionRequest], model: Model, *, schema_version: int
) -> list[list[dict[str, Cell]]]:
    """Predict players at once, and build each one's rows as the staging table takes them: one per system and line, or one
    NO_LINE row per system.

    Numbers are rounded half away from zero to their column's scale, since the warehouse would round silently. A value
    outside its column is refused, never clamped (E8).

    Raises:
        RowRefused: a row does not fit the declared table; the column and the value are named (E1).
        ArithmeticError: a prediction is not a finite number.
    """
    situation = Situation.of(players_of(requests), model)
    said, implied = forecasts(situation), market.implied(situation)
    return [
        rows_saying(
            request,
            [forecast for forecast in said if forecast.speaks_of(place)],
            situation,
            place,
            implied=implied,
            schema_version=schema_version,
        )
        for place, request in enumerate(requests)
    ]


Implied = tuple[Floats, Floats]
"""What the market implies of each player of a situation, and the deviation around it."""


def rows_saying(
    request: PredictionRequest,
    said: Sequence[Forecast],
    situation: Situation,
    place: int,
    *,
    implied: Implied,
    schema_version: int,
) -> list[dict[str, Cell]]:
    """Write down what systems said of a request's player, who has a place in the situation.

    Raises:
        RowRefused, ArithmeticError: as `staged_rows`.
    """
    schema, newer_columns = _declared(schema_version)
    common = _request_cells(request) | _hindsight_cells(request, situation.model) | _feature_cells(situation, place)
    rows = []
    of_systems = [_system_cells(forecast, place) for forecast in said]
    judged_of_each = _judged_cells(request, said, situation, place, implied)
    for forecast, of_system, bounds, all_judged in zip(
        said, of_systems, _intervals(said, situation, place), judged_of_each, strict=True
    ):
        numbers = {"points": float(_points(forecast, place)), **bounds}
        terms = json.loads(str(of_system.get("feature_importance", "{}")))
        for judged, over in all_judged:
            how = {**numbers, **({} if over is None else {"over": over}), **({"terms": terms} if terms else {})}
            rows.append(of_system | judged | {"feature_importance": json.dumps(how)})

    def declared(row: dict[str, Cell]) -> dict[str, Cell]:
        return {name: cell for name, cell in row.items() if name not in newer_columns} if newer_columns else row

    told = schema.validate_rows(declared(common), map(declared, rows))
    delivery = names.delivery_id(request.batch_id, request.player_lookup, told)
    staged = lineage(request.batch_id, request.planned_at, delivery)
    return [row | staged for row in told]


@cache
def _declared(schema_version: int) -> tuple[TableSchema, frozenset[str]]:
    """The declared table, and the columns that only newer versions have."""
    schema = load(PREDICTIONS, schema_version)
    return schema, frozenset(set(load(PREDICTIONS).names) - set(schema.names))


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
        "scoring_tier": inputs.scoring_tier(request),
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


def _system_cells(forecast: Forecast, place: int) -> dict[str, Cell]:
    return {
        "system_id": forecast.system_id,
        "predicted_points": _rounded(_points(forecast, place), _TENTH),
        "prediction_error_code": forecast.code if forecast.is_stand_in[place] else None,
        "processing_decision_reason": forecast.reason(place),
        **forecast.cells(place),
    }


def _points(forecast: Forecast, place: int) -> Decimal:
    """The exact number behind the float: a mean such as 247 / 20 is a tie at the tenth, and 12.35 as a float is not.

    Raises:
        ArithmeticError: it is no finite number.
    """
    if not np.isfinite(forecast.points[place]):
        raise ArithmeticError(f"{forecast.system_id} predicts {forecast.points[place]} points")
    return _rounded(Decimal(float(forecast.points[place])), _BILLIONTH)


def _intervals(said: Sequence[Forecast], situation: Situation, place: int) -> Iterator[dict[str, float]]:
    """For each forecast, the bounds of the intervals that hold half, 80% and 90% of what may come, such as `low_80`."""
    spread = situation.model.spread
    predicted = np.array([forecast.points[place] for forecast in said])
    history = np.repeat(situation.players.points[place : place + 1], len(said), axis=0)
    deviation = spread.deviation(predicted, history)
    bounds = {
        f"{side}_{percent}": settled(spread.quantile(level, predicted=predicted, deviation=deviation))
        for percent in INTERVALS
        for side, level in (("low", (100 - percent) / 200), ("high", (100 + percent) / 200))
    }
    for system in range(len(said)):
        yield {name: round(float(each[system]), 6) for name, each in bounds.items()}


def _judged_cells(
    request: PredictionRequest, said: Sequence[Forecast], situation: Situation, place: int, implied: Implied
) -> Iterator[list[tuple[dict[str, Cell], float | None]]]:
    """For each forecast, in order, the cells of each of its rows and the calibrated probability of OVER, if any."""
    raw, calibrated, method = _probabilities(request, said, situation, place, implied)
    odds = [_odds(request, line) for line in request.lines]
    for system, forecast in enumerate(said):
        if not request.lines:
            yield [({**_NO_LINE_CELLS, "prediction_id": _id(request, forecast, None)}, None)]
            continue
        points = _rounded(_points(forecast, place), _TENTH)
        warning = _warning(request, forecast, situation.model, place)
        judged: list[tuple[dict[str, Cell], float | None]] = []
        for number, line in enumerate(request.lines):
            over = float(calibrated[system, number])
            verdict = judge(float(raw[system, number]), over, odds[number])
            filter_reason = "estimated_line" if line.is_estimated else warning or _unsure(verdict)
            cells: dict[str, Cell] = {
                "prediction_id": _id(request, forecast, line.points_line),
                "line_margin": points - line.points_line,
                "is_actionable": filter_reason is None,
                "filter_reason": filter_reason,
                **_line_cells(line, verdict.book),
                **_verdict_cells(verdict, method),
            }
            judged.append((cells, over))
        yield judged


def _odds(request: PredictionRequest, line: Line) -> Odds:
    """The best odds that any book offers at a line; of equal ones those of the first book."""
    offers = [offer for offer in request.offers if offer.points_line == line.points_line]
    over = max(offers, key=lambda offer: offer.over_price or -math.inf, default=None)
    under = max(offers, key=lambda offer: offer.under_price or -math.inf, default=None)
    return Odds(
        over_price=over.over_price if over else None,
        under_price=under.under_price if under else None,
        over_book=over.sportsbook if over else None,
        under_book=under.sportsbook if under else None,
    )


def _probabilities(
    request: PredictionRequest, said: Sequence[Forecast], situation: Situation, place: int, implied: Implied
) -> tuple[Floats, Floats, str]:
    """The probability of OVER, `(systems, lines)`: as the system itself has it, and calibrated, by the method named."""
    spread, lines = situation.model.spread, np.array([float(line.points_line) for line in request.lines])
    predicted = np.array([forecast.points[place] for forecast in said])
    history = np.repeat(situation.players.points[place : place + 1], len(said), axis=0)
    deviation = spread.deviation(predicted, history)
    raw = spread.probability_over(
        np.tile(lines, len(said)),
        predicted=np.repeat(predicted, len(lines)),
        deviation=np.repeat(deviation, len(lines)),
    ).reshape(len(said), len(lines))
    mean, around = implied[0][place], implied[1][place]
    if np.isnan(mean):
        return raw, situation.model.calibration.calibrate_all(raw), situation.model.calibration.method
    of_market = market.probability_over(lines, points=mean, deviation=around)
    calibrated = beside_market(raw, np.broadcast_to(of_market, raw.shape))
    for system, forecast in enumerate(said):
        if forecast.needs_line:
            raw[system] = market.probability_over(lines, points=predicted[system], deviation=around)
            calibrated[system] = raw[system]
    return raw, calibrated, MARKET_V1


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


def _verdict_cells(verdict: Verdict, method: str) -> dict[str, Cell]:
    """Tell the recommendation; every confidence is that of the recommended side, for PASS of the likelier one (E5)."""
    calibrated = Decimal(verdict.calibrated)
    return {
        "recommendation": verdict.recommendation,
        "confidence_score": _rounded(100 * calibrated, _HUNDREDTH),
        "raw_confidence_score": _rounded(Decimal(verdict.raw), _THOUSANDTH),
        "calibration_method": method,
        "calibrated_confidence_score": _rounded(calibrated, _THOUSANDTH),
    }


def _warning(request: PredictionRequest, forecast: Forecast, model: Model, place: int) -> str | None:
    """Name the first reason, if any, why no one should act on the prediction, whatever the line."""
    if _has_hindsight(request, model):
        return HINDSIGHT
    if forecast.is_stand_in[place]:
        return "stand_in"
    if failed := inputs.failed_rules(request):
        return failed[0].value
    if request.injury is not None and request.injury.status in ("OUT", "DOUBTFUL", "QUESTIONABLE"):
        return f"injury_{request.injury.status.lower()}"
    return None


def _unsure(verdict: Verdict) -> str | None:
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
