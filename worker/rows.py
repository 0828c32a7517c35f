"""What a player's predictions look like as rows of the predictions table, from the request alone.

No clock and no chance: the same request and systems make the same rows, byte for byte, so copies that were staged
twice are copies (B15). A column whose maker does not exist yet, or whose value the request does not tell, is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal

from schemas import names
from schemas.messages import Line, PredictionRequest
from schemas.tables import DELIVERY_COLUMN, PREDICTIONS, Cell, load, staging_schema
from worker import distribution, inputs
from worker.calibration import PLATT_V1, Recommendation, Verdict, judge
from worker.systems.prediction import SystemPrediction

_TENTH, _HUNDREDTH, _THOUSANDTH = Decimal("0.1"), Decimal("0.01"), Decimal("0.001")


def staged_rows(
    request: PredictionRequest, predictions: Sequence[SystemPrediction], *, delivery: str, schema_version: int
) -> list[dict[str, Cell]]:
    """Build one row per system and line, or one NO_LINE row per system, as the staging table takes them.

    Numbers are rounded half away from zero to their column's scale, since the warehouse would round silently. A value
    outside its column is refused, never clamped (E8).

    Raises:
        RowRefused: a row does not fit the declared table; the column and the value are named (E1).
        ArithmeticError: a prediction is not a finite number.
    """
    schema = staging_schema(schema_version)
    newer_columns = set(load(PREDICTIONS).names) - set(schema.names)
    common = _request_cells(request) | {DELIVERY_COLUMN: delivery}
    rows = (
        common | _system_cells(prediction) | judged
        for prediction in predictions
        for judged in _judged_cells(request, prediction)
    )
    return [
        schema.validate_row({name: cell for name, cell in row.items() if name not in newer_columns}) for row in rows
    ]


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
        "data_quality_issues": [rule.value for rule in failed],
        "season_boundary_detected": inputs.crosses_season_start(request),
        "backfill_bootstrap_mode": inputs.is_for_past_date(request),
        "scoring_tier": inputs.scoring_tier(request),
        "early_season_flag": inputs.is_early_in_season(request),
    }


def _system_cells(prediction: SystemPrediction) -> dict[str, Cell]:
    return {
        "system_id": prediction.system_id,
        "predicted_points": _rounded(prediction.points, _TENTH),
        "prediction_error_code": prediction.error_code,
        "processing_decision_reason": prediction.reason,
    }


def _judged_cells(request: PredictionRequest, prediction: SystemPrediction) -> Iterator[dict[str, Cell]]:
    if not request.lines:
        yield {**_NO_LINE_CELLS, "prediction_id": _id(request, prediction, None)}
        return
    recent_points = [game.points for game in request.recent_games]
    warning = _warning(request, prediction)
    for line in request.lines:
        over = distribution.probability_over(line.points_line, predicted=prediction.points, recent_points=recent_points)
        verdict = judge(over)
        filter_reason = "estimated_line" if line.is_estimated else warning or _unsure(verdict)
        yield {
            "prediction_id": _id(request, prediction, line.points_line),
            "line_margin": _rounded(prediction.points, _TENTH) - line.points_line,
            "is_actionable": filter_reason is None,
            "filter_reason": filter_reason,
            **_line_cells(line),
            **_verdict_cells(verdict),
        }


_NO_LINE_CELLS: dict[str, Cell] = {
    # The column is required; without a recommendation there is nothing to be confident in.
    "confidence_score": Decimal(0),
    "recommendation": Recommendation.NO_LINE,
    "has_prop_line": False,
    "line_source": "NO_PROP_LINE",
    "is_actionable": False,
    "filter_reason": "no_line",
}


def _line_cells(line: Line) -> dict[str, Cell]:
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
        "sportsbook": line.sportsbook,
        "was_line_fallback": line.is_fallback,
        "line_minutes_before_game": line.minutes_before_game,
    }


def _verdict_cells(verdict: Verdict) -> dict[str, Cell]:
    """Tell the recommendation; every confidence is that of the recommended side, for PASS of the likelier one (E5)."""
    calibrated = Decimal(verdict.calibrated)
    return {
        "recommendation": verdict.recommendation,
        "confidence_score": _rounded(100 * calibrated, _HUNDREDTH),
        "raw_confidence_score": _rounded(Decimal(verdict.raw), _THOUSANDTH),
        "calibration_method": PLATT_V1.method,
        "calibrated_confidence_score": _rounded(calibrated, _THOUSANDTH),
    }


def _warning(request: PredictionRequest, prediction: SystemPrediction) -> str | None:
    """Name the first reason, if any, why no one should act on the prediction, whatever the line."""
    if prediction.is_stand_in:
        return "stand_in"
    if failed := inputs.failed_rules(request):
        return failed[0].value
    if request.injury is not None and request.injury.status in ("OUT", "DOUBTFUL", "QUESTIONABLE"):
        return f"injury_{request.injury.status.lower()}"
    return None


def _unsure(verdict: Verdict) -> str | None:
    return "below_threshold" if verdict.recommendation is Recommendation.PASS else None


def _id(request: PredictionRequest, prediction: SystemPrediction, points_line: Decimal | None) -> str:
    return names.prediction_id(
        game_date=request.game_date,
        game_id=request.game.game_id,
        player_lookup=request.player_lookup,
        system_id=prediction.system_id,
        points_line=points_line,
    )


def _rounded(number: Decimal, unit: Decimal) -> Decimal:
    return number.quantize(unit, ROUND_HALF_UP)
