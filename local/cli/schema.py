"""`tipoff schema`: the declared tables, the rules they obey, and the live tables brought to them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from local.cli.exits import NO_SUCCESS
from local.cli.options import json_option
from local.cli.targets import Target, target_options, target_with_ledger_options
from local.cli.terminal import echo, print_json
from schemas import evolution, tables
from schemas.tables import Column
from shared.errors import InvalidInput, SchemaClash

if TYPE_CHECKING:
    from coordinator.usecases.migrate import TableChange

_LOOK_SECONDS = 1.0

_table = click.option(
    "--table", type=click.Choice(tables.TABLES), default=tables.PREDICTIONS, show_default=True, help="Declared table."
)


@click.group(short_help="See the declared tables, and update the live ones.")
def schema() -> None:
    """See and check the declared tables, and bring the live ones to them.

    A declaration is a file, schemas/TABLE/vN.json. A new version may only add NULLABLE or REPEATED columns; old and new
    workers then write into one batch, and the live table gets the columns by one ALTER TABLE.

    \b
    A new version, from the file to the cloud:
      tipoff schema check                     does it break a rule?
      tipoff schema diff v2 v3                what does it add?
      tipoff schema check --release           record it: from now on it never changes
      tipoff schema plan --project P --dataset D --staging-dataset S --location US
      tipoff schema apply --project P --dataset D --staging-dataset S --location US

    plan and apply create what is absent and change nothing twice, so a deployment runs both every time.
    """  # noqa: D301 - the character itself is what tells click to keep the lines below it


# --- declarations ---------------------------------------------------------------------------------------------


@schema.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the declared tables and their versions.

    Example: tipoff schema list
    """
    released = _released()
    found = [
        {
            "table": table,
            "version": version,
            "columns": len(tables.load(table, version).columns),
            "fingerprint": tables.load(table, version).fingerprint,
            "released": version in released.get(table, {}),
        }
        for table in tables.TABLES
        for version in tables.versions(table)
    ]
    if as_json:
        print_json(found)
        return
    for one in found:
        note = "" if one["released"] else "  not released"
        echo(f"{one['table']:<18} v{one['version']}  {one['columns']:>3} columns  {one['fingerprint']}{note}")


@schema.command()
@click.argument("version", required=False)
@_table
@json_option
def show(*, version: str | None, table: str, as_json: bool) -> None:
    """Show the columns of a VERSION; the default is the newest.

    \b
    Examples:
      tipoff schema show
      tipoff schema show v1 --json
      tipoff schema show --table points_lines
    """  # noqa: D301 - as above
    declared = tables.load(table, _version(version, table)) if version else tables.load(table)
    if as_json:
        print_json([column.api_repr() for column in declared.columns])
        return
    echo(f"{table} v{declared.version}, fingerprint {declared.fingerprint}")
    for column in declared.columns:
        echo(f"{column.name:<28} {column.sql_type:<14} {column.mode:<9} {column.description}")


@schema.command()
@click.option("--release", is_flag=True, help="Record new versions that obey the rules; they never change afterwards.")
@json_option
def check(*, release: bool, as_json: bool) -> int:
    """Check that released versions are unchanged and that new ones only add columns which may be absent.

    Names the column and the rule of everything that is wrong, and exits 1 then. A version that is not recorded in
    schemas/released.json is wrong too, so that it cannot change unseen after its release.

    Example: tipoff schema check --release
    """
    recorded: tuple[str, ...] = ()
    try:
        if release and all(breach.rule is evolution.Rule.NOT_RECORDED for breach in evolution.check()):
            recorded = evolution.record()
        breaches = evolution.check()
    except ValueError as error:
        raise InvalidInput("schemas/released.json", str(error)) from error
    if as_json:
        print_json({"recorded": recorded, "breaches": [asdict(breach) for breach in breaches]})
    else:
        for name in recorded:
            echo(f"recorded: {name}")
        for breach in breaches:
            echo(f"refused: {breach}")
        if not breaches:
            echo("every declared version obeys the rules")
    return NO_SUCCESS if breaches else 0


# --- declared and live ----------------------------------------------------------------------------------------


@schema.command()
@click.argument("a")
@click.argument("b")
@_table
@json_option
@target_options
def diff(*, target: Target, a: str, b: str, table: str, as_json: bool) -> None:
    """Show what makes A into B: each is a version, such as v2, or `live`, the table of the target.

    \b
    Examples:
      tipoff schema diff v1 v2
      tipoff schema diff live v2 --state .tipoff
    """  # noqa: D301 - as above
    from shared.declared import addition_statement  # noqa: PLC0415 - so that --help answers at once

    before, after = (_columns(target, each, table) for each in (a, b))
    drift = tables.compare(after, before)
    added = drift.missing_in_live
    statement = addition_statement(table, added) if added else None
    if as_json:
        print_json(
            {
                "added": [column.api_repr() for column in added],
                "removed": [column.api_repr() for column in drift.undeclared],
                "clashes": drift.clashes,
                "statement": statement,
            }
        )
        return
    for sign, columns in (("+", added), ("-", drift.undeclared)):
        for column in columns:
            echo(f"{sign} {column.name} {column.sql_type}, {column.mode}")
    for clash in drift.clashes:
        echo(f"! {clash.replace('declared', f'in {b}').replace('live it is', f'in {a} it is')}")
    echo(f"\n{statement};" if statement else "no column to add")


@schema.command()
@json_option
@target_options
def plan(*, target: Target, as_json: bool) -> int:
    """Print what `apply` would do to the live tables: CREATE TABLE, or ALTER TABLE ... ADD COLUMN. Changes nothing.

    Exits 1 when a live table differs in a way that no added column mends.

    \b
    Examples:
      tipoff schema plan --state .tipoff
      tipoff schema plan --project my-project --dataset nba --staging-dataset nba_staging --location US
    """  # noqa: D301 - as above
    from coordinator.usecases import migrate  # noqa: PLC0415 - so that --help answers at once

    with target.warehouse() as warehouse:
        changes = migrate.plan(warehouse)
    if as_json:
        found = [
            {
                "table": change.spec.name,
                "statement": change.statement,
                "refusals": change.refusals,
                "undeclared": change.undeclared,
            }
            for change in changes
        ]
        print_json({"target": target.name, "tables": found})
    else:
        _print_plan(target, changes)
    return NO_SUCCESS if any(change.refusals for change in changes) else 0


def _print_plan(target: Target, changes: Sequence[TableChange]) -> None:
    for change in changes:
        for refusal in change.refusals:
            echo(f"refused: `{change.spec.name}`: {refusal}")
        if change.undeclared:
            echo(f"-- `{change.spec.name}` keeps columns that are not declared: {', '.join(change.undeclared)}")
        if change.statement:
            echo(f"{change.statement};\n")
    if not any(change.statement or change.refusals for change in changes):
        echo(f"{target.name} is as declared: nothing to do")


@schema.command()
@json_option
@target_options
def apply(*, target: Target, as_json: bool) -> None:
    """Do what `plan` prints, and wait until the live tables show it. Creates what is absent; a repeat changes nothing.

    \b
    Examples:
      tipoff schema apply --state .tipoff
      tipoff schema apply --project my-project --dataset nba --staging-dataset nba_staging --location US
    """  # noqa: D301 - as above
    from coordinator.usecases import migrate  # noqa: PLC0415 - so that --help answers at once

    with target.warehouse(is_made=True) as warehouse:
        changes = migrate.plan(warehouse)
        migrate.apply(warehouse, changes, pause=lambda: time.sleep(_LOOK_SECONDS))
    applied = [change for change in changes if change.statement]
    if as_json:
        done = [{"table": change.spec.name, "statement": change.statement} for change in applied]
        print_json({"target": target.name, "applied": done})
        return
    for change in applied:
        added = [column.name for column in change.drift.missing_in_live]
        echo(f"{change.spec.name}: added {', '.join(added)}" if added else f"{change.spec.name}: created")
    if not applied:
        echo(f"{target.name} is as declared: nothing to do")


@schema.command()
@click.argument("batch_id", metavar="BATCH")
@json_option
@target_with_ledger_options
def sql(*, target: Target, batch_id: str, as_json: bool) -> None:
    """Print the exact MERGE that consolidates a BATCH as its ledger stands now, and its parameters. Runs nothing.

    Where the predictions table lacks columns that the batch needs, the ALTER TABLE comes first.

    \b
    Examples:
      tipoff schema sql 20260130_0123456789abcdef --state .tipoff
      tipoff schema sql BATCH --project P --dataset D --staging-dataset S --location US --firestore-database tipoff-ledger
    """  # noqa: D301 - as above
    from coordinator.ledger import Ledger  # noqa: PLC0415 - so that --help answers at once
    from local.cli.merge_text import merge_text  # noqa: PLC0415 - so that --help answers at once

    with target.documents() as documents, target.warehouse() as warehouse:
        text = merge_text(warehouse, Ledger(documents), batch_id)
    if as_json:
        print_json(asdict(text))
        return
    for statement in text.statements:
        echo(f"{statement};\n")
    echo(f"-- job {text.job_id}")
    for name, value in text.parameters.items():
        echo(f"-- @{name} = {json.dumps(value, ensure_ascii=False)}")


# --- arguments ------------------------------------------------------------------------------------------------


def _version(text: str, table: str) -> int:
    digits = text.removeprefix("v")
    if digits.isdecimal() and int(digits) in tables.versions(table):
        return int(digits)
    known = ", ".join(f"v{version}" for version in tables.versions(table))
    raise InvalidInput("version", f"{text!r} is not a version of {table}; there are {known}")


def _columns(target: Target, text: str, table: str) -> tuple[Column, ...]:
    if text != "live":
        return tables.load(table, _version(text, table)).columns
    with target.warehouse() as warehouse:
        live = warehouse.columns(table)
    if live is None:
        raise SchemaClash(f"{target.name} has no table `{table}`; `tipoff schema plan` prints how to create it")
    return live


def _released() -> evolution.Released:
    try:
        return evolution.read_released()
    except ValueError as error:
        raise InvalidInput("schemas/released.json", str(error)) from error
