"""What a player's predictions look like as rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import names
from schemas.messages import Absences, AbsentTeammate, Asked, Line, PredictionRequest, SeasonToDate
from schemas.tables import LINEAGE, Cell, RowRefused, load, staging_schema
from tests.requests_factory import (
    BATCH_ID,
    GAME_DATE,
    PLANNED_AT,
    PastGame,
    a_game,
    a_line,
    a_matchup,
    a_past_game,
    a_request,
    an_estimated_line,
    an_injury,
    some_games,
)
from worker import inputs
from worker.model import shipped_model
from worker.players import players_of
from worker.rows import rows_saying as rows_of_forecasts
from worker.rows import staged_rows
from worker.systems import OWN_SYSTEMS, SYSTEMS
from worker.systems.forecast import Forecast, Situation, StandInCode

OF_SIMILARITY = {"similarity_baseline", "similar_games_count", "avg_similarity_score", "min_similarity_score"}
OF_RIDGE = {
    "fatigue_adjustment", "shot_zone_adjustment", "pace_adjustment", "usage_spike_adjustment", "home_away_adjustment",
}  # fmt: skip
FILLED_BY_NOBODY = {"tier_adjustment", "adjusted_points", "teammate_usage_boost"}
OF_INJURY_REPORTS = {"teammate_opportunity_score", "teammate_out_starters"}
KNOWN_ONLY_TO_OTHERS = {
    "superseded_by", "last_reprocess_attempt_at", "reprocess_attempt_count", "circuit_breaker_active",
    "circuit_breaker_until", "manual_override_required", "invalidation_reason", "invalidated_at",
}  # fmt: skip
ESTIMATED_ONLY = {"estimated_line_value", "estimation_method"}
NULL_ON_A_GOOD_DAY = {"prediction_error_code", "filter_reason"}
INJURY = {
    "injury_status_at_prediction", "injury_flag_at_prediction", "injury_reason_at_prediction", "injury_checked_at",
}  # fmt: skip


def rows_of(request: PredictionRequest, *, schema_version: int = 2) -> list[dict[str, Cell]]:
    return staged_rows([request], shipped_model(), schema_version=schema_version).rows.rows()


def a_row(system_id: str = "season_average", **overrides: Any) -> dict[str, Cell]:
    return next(row for row in rows_of(a_request(**overrides)) if row["system_id"] == system_id)


def rows_saying(points: str, **overrides: Any) -> list[dict[str, Cell]]:
    request = a_request(**overrides)
    said = Forecast(
        system_id="a_system",
        points=np.array([float(points)]),
        is_stand_in=np.array([False]),
        code=StandInCode.TOO_FEW_INPUTS,
        reason=lambda _player: "a test says so",
    )
    situation = Situation.of(players_of([request]), shipped_model())
    return rows_of_forecasts([request], [said], situation, schema_version=2).rows.rows()


def null_in(row: dict[str, Cell]) -> set[str]:
    return {name for name, cell in row.items() if cell is None}


# --- which rows -----------------------------------------------------------------------------------------------


def test_there_is_a_row_for_every_system_and_line() -> None:
    rows = rows_of(a_request(lines=(a_line("24.5"), a_line("25.0"), a_line("25.5"))))

    assert [(row["system_id"], str(row["current_points_line"])) for row in rows] == [
        (system, line) for system in SYSTEMS for line in ("24.5", "25.0", "25.5")
    ]
    assert len({row["prediction_id"] for row in rows}) == 3 * len(SYSTEMS)


def test_without_a_line_there_is_one_no_line_row_per_system() -> None:
    rows = rows_of(a_request(lines=()))

    assert len(rows) == 5
    for row in rows:
        assert row["recommendation"] == "NO_LINE"
        assert row["line_source"] == "NO_PROP_LINE"
        assert row["has_prop_line"] is False
        assert row["confidence_score"] == 0
        assert row["is_actionable"] is False
        assert row["filter_reason"] == "no_line"
        for name in ("current_points_line", "line_margin", "raw_confidence_score", "calibrated_confidence_score",
                     "calibration_method", "sportsbook", "was_line_fallback"):  # fmt: skip
            assert row[name] is None


def test_the_prediction_id_is_the_shared_one_of_the_exact_line() -> None:
    row = a_row(lines=(a_line("24.5"),))

    assert row["prediction_id"] == names.prediction_id(
        game_date=GAME_DATE,
        game_id="0022500700",
        player_lookup="nikola-jokić",
        system_id="season_average",
        points_line=Decimal("24.5"),
    )


# --- which columns --------------------------------------------------------------------------------------------


def test_a_row_has_every_declared_column_in_order_and_its_delivery() -> None:
    row = a_row()

    assert tuple(row) == (*load("predictions", 2).names, *LINEAGE)
    assert len(row) == 75


def test_an_older_worker_writes_the_older_columns_only() -> None:
    rows = rows_of(a_request(), schema_version=1)

    assert tuple(rows[0]) == (*load("predictions", 1).names, *LINEAGE)
    assert len(rows[0]) == 66


def test_only_the_columns_of_others_are_null() -> None:
    row = a_row()

    never = FILLED_BY_NOBODY | OF_INJURY_REPORTS | KNOWN_ONLY_TO_OTHERS | ESTIMATED_ONLY | INJURY
    assert null_in(row) == never | OF_SIMILARITY | OF_RIDGE | NULL_ON_A_GOOD_DAY - {"filter_reason"}


def test_each_trained_system_fills_its_own_columns() -> None:
    others = null_in(a_row("season_average", matchup=a_matchup()))

    assert others - null_in(a_row("similarity", matchup=a_matchup())) == OF_SIMILARITY
    assert others - null_in(a_row("ridge", matchup=a_matchup())) == OF_RIDGE


def test_the_components_are_sums_of_the_ridges_terms_and_unknown_without_a_matchup() -> None:
    known, unknown = a_row("ridge", matchup=a_matchup()), a_row("ridge", matchup=None)

    assert null_in(unknown) - null_in(known) == {"shot_zone_adjustment", "pace_adjustment"}
    assert unknown["feature_count"] == known["feature_count"] - 3  # type: ignore[operator]  # a count, in this test
    assert known["model_version"] == shipped_model().version


def test_who_is_out_is_told_with_the_shots_he_leaves_and_silence_is_unknown() -> None:
    out = (
        AbsentTeammate(player_lookup="jamal-murray", shots=180, games=10, starts=10),
        AbsentTeammate(player_lookup="a-reserve", shots=20, games=8, starts=0),
        AbsentTeammate(player_lookup="unknown-role", shots=0, games=1, starts=None),
    )

    row = a_row(absences=Absences(team_shots=800, out=out))
    nobody = a_row(absences=Absences(team_shots=0, out=()))

    assert row["teammate_opportunity_score"] == 0.25
    assert row["teammate_out_starters"] == '["jamal-murray"]'
    assert nobody["teammate_opportunity_score"] == 0.0
    assert null_in(a_row(absences=None)) >= OF_INJURY_REPORTS


def test_a_row_carries_the_batch_and_the_game() -> None:
    row = a_row()

    assert row["player_lookup"] == "nikola-jokić"
    assert row["universal_player_id"] == "203999"
    assert row["game_date"] == GAME_DATE
    assert row["game_id"] == "0022500700"
    assert row["created_at"] == row["updated_at"] == PLANNED_AT
    assert row["prediction_version"] == 1
    assert row["is_active"] is True


def test_a_delivery_is_named_by_the_rows_and_by_nothing_else() -> None:
    rows = rows_of(a_request())

    (delivery,) = {row["_delivery"] for row in rows}
    told = {name: [row[name] for row in rows] for name in rows[0] if name not in LINEAGE}
    assert delivery == names.delivery_id(BATCH_ID, "nikola-jokić", told)


def test_a_real_line_is_told_with_its_source() -> None:
    row = a_row(lines=(a_line("24.5", is_fallback=True, minutes_before_game=0),))

    assert row["has_prop_line"] is True
    assert row["line_source"] == "ACTUAL_PROP"
    assert row["current_points_line"] == Decimal("24.5")
    assert row["line_margin"] == Decimal("0.50")
    assert row["sportsbook"] == "fanduel"
    assert row["line_source_api"] == "odds_api"
    assert row["was_line_fallback"] is True
    assert row["line_minutes_before_game"] == 0


def test_an_estimated_line_is_told_as_such_and_never_acted_on() -> None:
    row = a_row(lines=(an_estimated_line("25.0"),))

    assert row["has_prop_line"] is False
    assert row["line_source"] == "ESTIMATED_AVG"
    assert row["current_points_line"] == row["estimated_line_value"] == Decimal("25.0")
    assert row["estimation_method"] == "season_average"
    assert row["is_actionable"] is False
    assert row["filter_reason"] == "estimated_line"
    assert row["sportsbook"] is None


def test_an_injury_report_is_told_and_its_absence_is_unknown() -> None:
    reported, unreported = a_row(injury=an_injury("PROBABLE")), a_row(injury=None)

    assert reported["injury_status_at_prediction"] == "PROBABLE"
    assert reported["injury_flag_at_prediction"] is True
    assert reported["injury_reason_at_prediction"] == "Left ankle sprain"
    assert reported["injury_checked_at"] == PLANNED_AT - timedelta(hours=1)
    assert all(unreported[name] is None for name in INJURY)


def test_the_window_of_games_is_counted() -> None:
    row = a_row(recent_games=some_games([9, 8, 7, 6, 5]), recent_games_wanted=20)

    assert row["expected_games_count"] == 20
    assert row["actual_games_count"] == 5
    assert row["missing_games_count"] == 15
    assert row["completeness_percentage"] == 25.0


def test_failed_quality_rules_are_named_and_bar_the_row_from_use() -> None:
    row = a_row(recent_games=some_games([9, 8]))

    assert row["is_production_ready"] is False
    assert row["data_quality_issues"] == ["few_games", "absences_unknown"]
    assert row["is_actionable"] is False
    assert row["filter_reason"] == "few_games"


def test_a_stand_in_is_named_by_its_code_and_reason() -> None:
    row = a_row(season_to_date=SeasonToDate(games=0, points=0, minutes=0), scoring_tier=None)

    assert row["prediction_error_code"] == "NO_SEASON_GAMES"
    assert "stand-in" in str(row["processing_decision_reason"])
    assert row["filter_reason"] == "stand_in"
    assert row["scoring_tier"] is None
    assert row["early_season_flag"] is True


# --- intervals ------------------------------------------------------------------------------------------------


def test_intervals_are_as_wide_as_was_learned_and_rows_tell_what_they_asked_for() -> None:
    learned = Asked(share_50=600_000, share_80=850_000, share_90=830_000)

    fitted, wider = (json.loads(str(a_row(asked=asked)["feature_importance"])) for asked in (None, learned))

    assert [fitted[f"asked_{percent}"] for percent in (50, 80, 90)] == [0.5, 0.8, 0.9]
    assert [wider[f"asked_{percent}"] for percent in (50, 80, 90)] == [0.6, 0.85, 0.85]
    assert wider["low_80"] < fitted["low_80"] < fitted["high_80"] < wider["high_80"]
    assert (wider["low_90"], wider["high_90"]) == (wider["low_80"], wider["high_80"])
    assert (fitted["regular"], fitted["points"]) == (True, wider["points"])


# --- which numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exact", "told"), [("12.25", "12.3"), ("12.35", "12.4"), ("12.2499", "12.2"), ("0", "0.0"), ("99", "99.0")]
)
def test_points_are_rounded_half_up_to_tenths(exact: str, told: str) -> None:
    assert rows_saying(exact)[0]["predicted_points"] == Decimal(told)


@pytest.mark.parametrize("exact", ["-0.1", "99.1", "240"])
def test_points_beyond_the_column_are_refused_and_never_clamped(exact: str) -> None:
    with pytest.raises(RowRefused, match="predicted_points"):
        rows_saying(exact)


@pytest.mark.parametrize("exact", ["NaN", "Infinity"])
def test_no_row_is_made_of_what_is_no_number(exact: str) -> None:
    with pytest.raises((ArithmeticError, RowRefused)):
        rows_saying(exact, lines=())


def test_the_margin_is_told_to_the_rounded_points() -> None:
    assert rows_saying("12.25", lines=(a_line("12.5"),))[0]["line_margin"] == Decimal("-0.20")


@pytest.mark.parametrize(
    ("exact", "recommendation", "actionable"), [("70", "OVER", True), ("25", "PASS", False), ("0", "UNDER", True)]
)
def test_confidence_is_that_of_the_recommended_side_in_both_units(
    exact: str, recommendation: str, actionable: bool
) -> None:
    row = rows_saying(exact, lines=(a_line("24.5" if exact != "0" else "60.5"),))[0]

    assert row["recommendation"] == recommendation
    assert row["is_actionable"] is actionable
    share, score = row["calibrated_confidence_score"], row["confidence_score"]
    assert isinstance(share, Decimal)
    assert isinstance(score, Decimal)
    assert abs(score - 100 * share) <= Decimal("0.05")
    assert Decimal("0.5") <= share <= 1
    assert row["calibration_method"] == "market_v1"


@pytest.mark.parametrize(
    ("status", "reason"),
    [("DOUBTFUL", "injury_doubtful"), ("QUESTIONABLE", "injury_questionable"), ("PROBABLE", None)],
)
def test_doubt_about_the_player_bars_the_row_from_use(status: str, reason: str | None) -> None:
    row = rows_saying("70", injury=an_injury(status))[0]

    assert row["filter_reason"] == reason
    assert row["is_actionable"] is (reason is None)


# --- any request ----------------------------------------------------------------------------------------------

tenths = st.integers(0, 9_999).map(lambda tenth: Decimal(tenth) / 10)
lines = st.builds(Line, points_line=tenths, sportsbook=st.text(max_size=8), is_fallback=st.booleans())
estimates = st.builds(Line, points_line=tenths, is_estimated=st.just(True), estimation_method=st.just("season_average"))
stats = st.none() | st.integers(0, 60)


@st.composite
def histories(draw: st.DrawFn) -> Sequence[PastGame]:
    days = sorted(draw(st.sets(st.dates(date(2024, 10, 1), GAME_DATE - timedelta(days=1)), max_size=20)), reverse=True)
    return [
        a_past_game(
            game_date=day,
            season="2025-26" if day > date(2025, 9, 1) else "2024-25",
            # So that no system can say more than the column's 99.
            points=draw(st.integers(0, 40)),
            minutes=draw(st.integers(30, 50)),
            fga=draw(stats),
            fta=draw(stats),
        )
        for day in days
    ]


@st.composite
def requests(draw: st.DrawFn) -> PredictionRequest:
    season_games = draw(st.integers(0, 82))
    history = draw(histories())
    if not history and not season_games:
        season_games = 1
    return a_request(
        player_lookup=draw(st.text(min_size=1)),
        game=a_game(game_id=draw(st.text(min_size=1, max_size=12))),
        lines=draw(
            st.lists(lines, max_size=6, unique_by=lambda line: line.points_line) | st.lists(estimates, max_size=1)
        ),
        injury=draw(st.none() | st.sampled_from(["DOUBTFUL", "QUESTIONABLE", "PROBABLE"]).map(an_injury)),
        season_to_date=SeasonToDate(games=season_games, points=season_games * draw(st.integers(0, 40)), minutes=0),
        recent_games=history,
        recent_games_wanted=draw(st.integers(max(1, len(history)), 25)),
    )


@settings(max_examples=60, deadline=None)
@given(request=requests())
def test_any_sound_request_makes_the_same_fitting_rows_every_time(request: PredictionRequest) -> None:
    inputs.check(request)

    rows = rows_of(request)
    again = rows_of(PredictionRequest.model_validate_json(request.model_dump_json()))

    assert repr(rows) == repr(again)
    assert [staging_schema(2).validate_row(row) for row in rows] == rows
    systems = len({row["system_id"] for row in rows})
    assert systems in (len(SYSTEMS), len(OWN_SYSTEMS))
    assert len({row["prediction_id"] for row in rows}) == len(rows) == systems * max(1, len(request.lines))
