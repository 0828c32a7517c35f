"""`tipoff backtest`: how a model did on games after its training."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import Progress

from local.cli.options import date_option, json_option, max_input_option
from local.cli.terminal import Terminal, errors_table, plain_table, print_json
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from local.cli.backtesting import Backtest

ABSENCES = ("none", "last_game", "reports", "recall", "appeared")
"""How much a backtest may know of who is absent."""


@click.command(short_help="Measure a model on games after its training.")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path), help="Folder of CSV files, as `tipoff run` takes it."
)
@max_input_option
@click.option("--model", required=True, metavar="MODEL.json", help="A file of `tipoff train`, or its gs:// URL.")
@date_option("--from", "first", required=True, help="First date to predict.")
@date_option("--to", "last", required=True, help="Last date to predict.")
@click.option(
    "--absences",
    type=click.Choice(ABSENCES),
    help="What to take as known of who is absent, in all figures but the comparison; reports where there are any, else none.",
)
@click.option(
    "--recall",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    metavar="SHARE",
    help="Share of the changes since the team's last game that the comparison takes as known.",
)
@json_option
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a report with plots, which needs nothing but a browser.",
)
def backtest(*, first: date, last: date, as_json: bool, html: Path | None, **options: Any) -> int:
    """Predict every game of a span as its request would have been planned, and compare with the points scored.

    The headline figures are of players with 10 or more games and a mean of 15 or more minutes this season, before the
    game. One table compares what was known of who is absent: nothing (none); everybody as in the team's last game
    (last_game); the injury reports in the data (reports); a share of the changes, by chance (recall); and who did not
    appear, of which nobody knows all beforehand: an upper bound (appeared).

    \b
    Examples:
      tipoff backtest --data DIR --model model.json --from 2025-10-21 --to 2026-01-31
      tipoff backtest --data DIR --model model.json --from 2025-10-21 --to 2026-01-31 --html report.html

    Exits 0 when it is measured, 2 when the call or the inputs are mistaken; a span that the model was trained on is one.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    from local.cli.backtest_report import write_report  # noqa: PLC0415 - so that --help answers at once

    console = Terminal(stderr=as_json, highlight=False)
    found = _measure(console, first=first, last=last, **options)
    if html is not None:
        write_report(found, html, first=first, last=last)
    if as_json:
        print_json(found.figures)
        return 0
    _print(console, found.figures)
    if html is not None:
        console.print(f"Report written to {html}")
    return 0


def _measure(
    console: Terminal,
    *,
    data: Path,
    max_bytes: int,
    model: str,
    first: date,
    last: date,
    absences: str | None,
    recall: float,
) -> Backtest:
    from local.cli.backtesting import backtest as measure  # noqa: PLC0415 - as above
    from local.cli.backtesting import check_span, degrees_of_knowledge  # noqa: PLC0415 - as above
    from local.one_machine.past_games import DAY_ZERO, read_past_games  # noqa: PLC0415 - so that --help answers at once
    from local.one_machine.stack import model_of  # noqa: PLC0415 - as above

    fitted = model_of(model)
    check_span(fitted, first=first, last=last)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading games", total=None)
        past = read_past_games(data, until=last + timedelta(days=1), max_bytes=max_bytes)
        first_day = (first - DAY_ZERO).days
        known = degrees_of_knowledge(past.reports, first_day=first_day, recall=recall)
        if absences is not None and absences not in known:
            raise InvalidInput(
                "--absences", "the data have no injury_reports in this span; add them, or choose another"
            )
        return measure(
            fitted,
            past,
            first_day=first_day,
            progress=lambda done, total: bar.update(task, description="predicting", completed=done, total=total),
            known=known,
            shown=absences or ("reports" if "reports" in known else "none"),
        )


def _print(console: Terminal, figures: Mapping[str, Any]) -> None:
    console.print(f"Model {figures['model']}, trained on games before {figures['trained_until']}")
    console.print(f"Rows: {figures['rows']}; absences known: {figures['known_absences']}")
    _print_systems(console, figures)
    _print_absences(console, figures)
    lines = figures["lines"]
    if not lines["n"]:
        console.print("No lines on these games")
        return
    _print_lines(console, lines)


def _print_lines(console: Terminal, lines: Mapping[str, Any]) -> None:
    games = lines["player_games"]
    errors = ", ".join(f"{name} {games[name]}" for name in ("line", "market", "anchored", "ensemble"))
    console.print(f"{games['n']} games with lines, mean absolute error: {errors}")
    console.print(f"market less line: {_interval(games['market_less_line'])}")
    odds = plain_table("P(over)", "lines", "Brier", "log loss", "ECE", "ECE, equal bins")
    named = {"calibrated": lines, "raw": lines["raw"], "market": lines["implied"], "anchored": lines["anchored"]}
    for name, found in (named | {"books' own": lines["market"]}).items():
        if found["n"]:
            odds.add_row(name, *(f"{found[each]}" for each in ("n", "brier", "log_loss", "ece", "ece_equal_count")))
    console.print(odds)
    console.print(f"market's Brier less the books' own: {_interval(lines['implied_brier_less_market'])}")
    console.print(f"ECE, equal bins, that chance alone makes: {lines['chance_ece_equal_count']}")
    bets = plain_table("bets", "number", "won", "return of a stake of 1")
    for name, found in lines["bets"].items():
        bets.add_row(name.replace("_", " "), f"{found['n']}", f"{found['won']}", _interval(found["return"]))
    console.print(bets)


def _interval(found: tuple[float, float, float] | None) -> str:
    return "none" if found is None else f"{found[0]:+} [{found[1]:+}, {found[2]:+}]"


def _print_absences(console: Terminal, figures: Mapping[str, Any]) -> None:
    table = plain_table("absences known", "ensemble", "rmse", "bias", "ridge")
    for name, found in figures["absences"].items():
        if not found["ensemble"]["n"]:
            return
        of_ensemble = found["ensemble"]
        table.add_row(name, *(f"{of_ensemble[each]}" for each in ("mae", "rmse", "bias")), f"{found['ridge']['mae']}")
    console.print(table)
    console.print("appeared is an upper bound: nobody knows all of it beforehand")


def _print_systems(console: Terminal, figures: Mapping[str, Any]) -> None:
    if not any(found["n"] for found in figures["systems"].values()):
        console.print("No such player plays in this span; choose dates later in the season")
        return
    console.print(errors_table(figures["systems"]))
    for share, covered in figures["intervals"].items():
        fitted = figures["intervals_fitted"][share]
        console.print(f"The {float(share):.0%} interval holds {covered:.1%} of the games; as fitted {fitted:.1%}")
