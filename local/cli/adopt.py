"""`tipoff adopt`: predictions that another system left in its own staging tables, brought into the predictions table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

from local.cli.options import date_option, json_option
from local.cli.targets import Target, target_with_ledger_options
from local.cli.terminal import echo, print_json
from shared.errors import InvalidInput

if TYPE_CHECKING:
    from local.cli.adopter import Adopter, Survey

_SHOWN = 10
"""Refused or kept tables that are named, beyond which they are counted."""


@click.command(short_help="Bring in what another system left in staging tables.")
@click.option("--prefix", required=True, help="How the tables' names begin, such as _staging_batch_2026_01_30.")
@date_option("--game-date", help="Needed where the prefix has no date.")
@click.option("--dry-run", is_flag=True, help="Count what would be done, and do nothing.")
@click.option("--yes", "is_sure", is_flag=True, help="Do it; look with --dry-run first.")
@click.option("--drop", is_flag=True, help="Then drop the tables whose every row is verified to be adopted.")
@json_option
@target_with_ledger_options
def adopt(
    *,
    target: Target,
    prefix: str,
    game_date: date | None,
    dry_run: bool,
    is_sure: bool,
    drop: bool,
    as_json: bool,
) -> None:
    """Merge the staging tables of a prefix into the predictions table, each prediction once.

    Rows get a new key from game date, game, player, system and exact line; of copies the newest counts. Rows without a game,
    or without the line that they recommend on, rows of another date and rows that break the declared ranges are left out
    and counted by reason; so are tables with undeclared or retyped columns. The MERGE is one statement, verified
    afterwards; doing it again changes nothing. Without --drop every table stays.

    \b
    Examples:
      tipoff adopt --prefix _staging_batch_2026_01_30 --dry-run --state .tipoff
      tipoff adopt --prefix _staging_batch_2026_01_30 --yes --state .tipoff
      tipoff adopt --prefix _staging_batch_2026_01_30 --yes --drop --project P --dataset D --location US \\
        --firestore-database tipoff-ledger
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it
    if dry_run == is_sure:
        problem = "missing; look with --dry-run first, then say --yes" if not is_sure else "cannot go with --dry-run"
        raise InvalidInput("--yes", problem)
    if drop and dry_run:
        raise InvalidInput("--drop", "cannot go with --dry-run; tables are dropped only after they were adopted")
    from coordinator.ledger import Ledger  # noqa: PLC0415 - so that --help answers at once
    from local.cli.adopter import Adopter  # noqa: PLC0415 - so that --help answers at once

    with target.warehouse() as warehouse, target.documents_if_any() as documents:
        ledger = None if documents is None else Ledger(documents)
        adopter = Adopter(warehouse=warehouse, ledger=ledger, clock=lambda: datetime.now(UTC))
        survey = adopter.survey(prefix, game_date)
        try:
            _carry_out(adopter, survey, is_sure=is_sure, drop=drop, as_json=as_json)
        finally:
            adopter.finish(survey.adoption)


def _carry_out(adopter: Adopter, survey: Survey, *, is_sure: bool, drop: bool, as_json: bool) -> None:
    found = survey.as_object()
    if not as_json:
        _tell(survey, is_sure=is_sure)
    if is_sure:
        adopter.adopt(survey)
        found["verified"] = True
        if not as_json:
            echo("verified: every prediction is in the predictions table, once")
    if drop:
        dropped, kept = adopter.drop(survey)
        found |= {"dropped": len(dropped), "kept": kept}
        if not as_json:
            echo(f"{len(dropped)} tables dropped, {len(kept)} kept")
            _tell_some(kept)
    if as_json:
        print_json(found)


def _tell(survey: Survey, *, is_sure: bool) -> None:
    counts, would = survey.counts, "" if is_sure else "would be "
    echo(
        f"{len(survey.foreign) + len(survey.refused)} tables of {survey.adoption.prefix}, "
        f"game date {survey.adoption.game_date}, {survey.rows} rows"
    )
    if survey.refused:
        echo(f"{len(survey.refused)} tables left out")
        _tell_some(survey.refused)
    for reason, rows in survey.reasons.items():
        echo(f"{rows:>8} rows left out: {reason}")
    echo(f"{survey.copies:>8} rows are copies of newer ones")
    echo(
        f"{survey.keys:>8} distinct predictions: {counts.inserted} {would}inserted, {counts.updated} {would}updated, "
        f"{counts.unchanged} there already"
    )
    echo(f"{counts.superseded:>8} rows of the predictions table under other ids {would}retired")


def _tell_some(named: Mapping[str, str]) -> None:
    for name, why in list(named.items())[:_SHOWN]:
        echo(f"  {name}: {why}")
    if len(named) > _SHOWN:
        echo(f"  ... and {len(named) - _SHOWN} more; --json names all")
