"""`tipoff accuracy`: how good the predictions were, from their grades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import click

from local.cli.coordinator_options import CoordinatorAddress, console, coordinator_options
from local.cli.options import date_option
from local.cli.terminal import errors_table, show

_OF_LINES = ("market", "anchored")
"""The systems that are made of sportsbooks' lines."""
_BY = ("system", "month", "tier", "position", "team")


@click.command(short_help="Say how good the predictions were.")
@date_option("--from", "first", help="First date; the default is 400 days before the last.")
@date_option("--to", "last", help="Last date; the default is today.")
@click.option("--by", type=click.Choice(_BY), default="system", show_default=True, help="Split the figures by this.")
@click.option("--system", metavar="SYSTEM", help="Show one system only.")
@coordinator_options
def accuracy(
    *, where: CoordinatorAddress, first: date | None, last: date | None, by: str, system: str | None, as_json: bool
) -> None:
    """Measure graded predictions: each system's error in points, what share the intervals held, and how the
    recommendations ended. `tipoff grade` grades first.

    \b
    Examples:
      tipoff accuracy
      tipoff accuracy --from 2025-10-21 --to 2026-01-31 --by month
      tipoff accuracy --json | jq .systems.ensemble.mae
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    spoken = {"from": first, "to": last, "by": by, "system": system}
    with where.client() as client:
        answer = client.get("/accuracy", {name: str(value) for name, value in spoken.items() if value})
    show(answer, lambda found: _print(found, where), as_json=as_json)


def _print(answer: Mapping[str, Any], where: CoordinatorAddress) -> None:
    from coordinator.rules.accuracy import place  # noqa: PLC0415 - so that --help answers at once

    out = console()
    if not answer["graded"]:
        out.print(_without_grades(answer, where))
        return
    out.print(
        f"{answer['graded']:,} rows graded, {answer['void']:,} of them void (the player did not play), "
        f"{answer['ungraded']:,} ungraded\n"
    )
    if answer["hindsight"]:
        out.print(f"{answer['hindsight']:,} rows are of a model that was trained after their date: it saw the answers")
    if answer["after_tipoff"]:
        out.print(
            f"{answer['after_tipoff']:,} rows were predicted when their game had begun: nothing was active at tip-off"
        )
    out.print(errors_table(answer["systems"]))
    for sentence in _not_comparable(answer["systems"], by=answer["by"]):
        out.print(sentence)
    for share, held in answer["intervals"].items():
        out.print(f"The {float(share):.0%} interval held {held:.1%} of the games")
    for name, group in sorted(answer["groups"].items(), key=lambda each: place(each[0])):
        held = group["intervals"].get("0.8")
        beside = "" if held is None else f": the 80% interval held {held:.1%} of the games"
        out.print(f"\n{answer['by']} {name}{beside}")
        out.print(errors_table(group["systems"]))
    for one in answer["lines"]["recommendations"]:
        if one["share_won"] is not None:
            out.print(
                f"{one['recommendation']}: {one['won']:,} won, {one['lost']:,} lost, {one['pushed']:,} pushed: "
                f"{one['share_won']:.1%} won (95%: {one['low']:.1%} to {one['high']:.1%})"
            )
    if answer["drift"]["warning"]:
        out.print(f"\nwarning: {answer['drift']['warning']}")


def _without_grades(answer: Mapping[str, Any], where: CoordinatorAddress) -> str:
    """What to do about a span of which nothing is graded, as a command that can be typed."""
    from coordinator.usecases.grade import MAX_DAYS  # noqa: PLC0415 - so that --help answers at once

    first, last = (date.fromisoformat(answer[end]) for end in ("first", "last"))
    earliest = last - timedelta(days=MAX_DAYS - 1)
    at_once = f", {MAX_DAYS} days at a time" if first < earliest else ""
    waiting = f"; {answer['ungraded']:,} predictions wait for box scores" if answer["ungraded"] else ""
    command = f"tipoff grade --from {max(first, earliest)} --to {last}{where.again}"
    return f"nothing is graded from {first} to {last}{waiting}; `{command}` does it{at_once}"


def _not_comparable(systems: Mapping[str, Mapping[str, Any]], *, by: str) -> Iterator[str]:
    """Say which systems were measured on fewer games than the others, and so by other games."""
    most = max((errors["n"] for errors in systems.values()), default=0)
    fewer = [name for name, errors in systems.items() if errors["n"] < most]
    closer = "" if by == "tier" else "; `--by tier` comes closer"
    for names, games in (
        ([name for name in fewer if name in _OF_LINES], "only games with a sportsbook's line"),
        ([name for name in fewer if name not in _OF_LINES], "fewer games than the others"),
    ):
        if names:
            its = "its" if len(names) == 1 else "their"
            yield (
                f"{' and '.join(names)} predicted {games}, so {its} errors are not comparable with the others' here"
                f"{closer}"
            )
