"""A backtest as one HTML file with plots: no script, no font, no address outside it. Decides only what goes where."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from coordinator.operator.dashboard.plots import Scale
from local.cli.backtesting import Backtest
from shared.errors import InvalidInput

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 16, 44


def write_report(found: Backtest, path: Path, *, first: date, last: date) -> None:
    """Write the report, replacing the file.

    Raises:
        InvalidInput: the file cannot be written.
    """
    environment = Environment(loader=PackageLoader("local.cli"), autoescape=True, undefined=StrictUndefined)
    text = environment.get_template("backtest.html").render(
        figures=found.figures,
        first=first,
        last=last,
        width=_WIDTH,
        height=_HEIGHT,
        curve=_curve(found.curve),
        tiers=_tiers(found.tiers),
        coverage=_coverage(found.figures["intervals"]),
        waterfall=_waterfall(found.parts),
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput("--html", f"{path} cannot be written: {error.strerror}") from error


def _horizontal(low: float, high: float) -> Scale:
    return Scale(low, high, _LEFT, _WIDTH - _RIGHT)


def _vertical(low: float, high: float) -> Scale:
    return Scale(low, high, _HEIGHT - _BOTTOM, _TOP)


def _curve(curve: Sequence[tuple[float, float, int]]) -> dict[str, Any] | None:
    """Calibrated probability against the share that came, on axes of one range so that the diagonal is the ideal."""
    if not curve:
        return None
    low = min(0.4, *(min(said, came) - 0.02 for said, came, _ in curve))
    high = max(0.6, *(max(said, came) + 0.02 for said, came, _ in curve))
    across, up = _horizontal(low, high), _vertical(low, high)
    ticks = [step / 20 for step in range(21) if low <= step / 20 <= high]
    return {
        "diagonal": (across.at(low), up.at(low), across.at(high), up.at(high)),
        "x_ticks": [(across.at(tick), f"{tick:.2f}") for tick in ticks],
        "y_ticks": [(up.at(tick), f"{tick:.2f}") for tick in ticks],
        "points": [(across.at(said), up.at(came), said, came, count) for said, came, count in curve],
        # Two standard errors of a share: so far off chance alone puts a bin of a well calibrated forecaster.
        "band": [
            (across.at(said), up.at(said - _chance(said, count)), up.at(said + _chance(said, count)))
            for said, _came, count in curve
        ],
    }


def _chance(share: float, count: int) -> float:
    return float(2 * (share * (1 - share) / count) ** 0.5)


_SHOWN = ("season_average", "ridge", "ensemble")


def _tiers(tiers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean absolute error by scoring tier, one bar a system."""
    filled = [tier for tier in tiers if tier["n"]]
    up = _vertical(0.0, 1.1 * max((tier[name]["mae"] for tier in filled for name in _SHOWN), default=1.0))
    room = (_WIDTH - _LEFT - _RIGHT) / max(len(filled), 1)
    bar = room / (len(_SHOWN) + 1)
    groups = []
    for place, tier in enumerate(filled):
        start = _LEFT + place * room + bar / 2
        bars = [
            {
                "x": round(start + number * bar, 1),
                "y": up.at(tier[name]["mae"]),
                "height": round(up.at(0.0) - up.at(tier[name]["mae"]), 1),
                "label": f"{name}: {tier[name]['mae']:.2f} points, bias {tier[name]['bias']:+.2f}",
                "number": number,
            }
            for number, name in enumerate(_SHOWN)
        ]
        groups.append({"name": tier["tier"], "n": tier["n"], "middle": round(start + 1.5 * bar, 1), "bars": bars})
    ticks = [(up.at(value), str(value)) for value in range(0, int(up.high) + 1, 2)]
    return {"groups": groups, "bar": round(bar * 0.9, 1), "floor": up.at(0.0), "y_ticks": ticks, "systems": _SHOWN}


def _coverage(intervals: Any) -> list[dict[str, Any]]:
    """Nominal and found coverage, as widths of bars."""
    across = Scale(0.0, 1.0, 0.0, _WIDTH - _LEFT - _RIGHT - 60)
    return [
        {
            "name": f"{float(share):.0%}",
            "nominal": across.at(float(share)),
            "found": across.at(covered),
            "said": f"{covered:.1%}",
            "y": _TOP + 44 * place,
        }
        for place, (share, covered) in enumerate(intervals.items())
        if covered is not None
    ]


def _waterfall(parts: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Bars from the sum so far to the next one; the last is the whole."""
    ends = [0.0]
    for _, points in parts:
        ends.append(ends[-1] + points)
    across = Scale(min(ends), max(*ends, 1.0), 150.0, _WIDTH - 70.0)
    bars = [(name, start, end, points) for (name, points), start, end in zip(parts, ends[:-1], ends[1:], strict=True)]
    if parts:
        bars.append(("the prediction", 0.0, ends[-1], ends[-1]))
    return [
        {
            "name": name,
            "x": min(across.at(start), across.at(end)),
            "width": round(abs(across.at(end) - across.at(start)), 1),
            "right": max(across.at(start), across.at(end)),
            "said": f"{points:+.2f}" if 0 < place < len(parts) else f"{points:.2f}",
            "y": 26 * place,
        }
        for place, (name, start, end, points) in enumerate(bars)
    ]
