"""Bring the live tables to their newest declared versions: plan what is lacking, apply it, wait until it is seen.

Only ever adds tables and columns. Knows nothing of batches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from schemas import tables
from schemas.tables import Column, Drift
from shared.declared import addition_statement, create_statement, every_spec
from shared.errors import SchemaClash, Unavailable
from shared.ports import Tables, TableSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableChange:
    """What one declared table needs; `live` is None where there is no such table."""

    spec: TableSpec
    live: tuple[Column, ...] | None

    @property
    def drift(self) -> Drift:
        """How the live table differs; of a table that is not there, not at all."""
        return Drift() if self.live is None else tables.compare(self.spec.columns, self.live)

    @property
    def statement(self) -> str | None:
        """The one statement that is wanting, or None."""
        if self.live is None:
            return create_statement(self.spec)
        lacking = self.drift.missing_in_live
        return addition_statement(self.spec.name, lacking) if lacking else None

    @property
    def refusals(self) -> tuple[str, ...]:
        """One sentence for everything that no added column mends; nothing is done to such a table."""
        return self.drift.clashes

    @property
    def undeclared(self) -> tuple[str, ...]:
        """Live columns that no version declares; they are kept."""
        return tuple(column.name for column in self.drift.undeclared)


def plan(warehouse: Tables) -> tuple[TableChange, ...]:
    """Compare every table that lasts with its declaration; changes nothing. Raises `Unavailable`."""
    return tuple(TableChange(spec, warehouse.columns(spec.name)) for spec in every_spec())


def apply(warehouse: Tables, changes: Iterable[TableChange], *, pause: Callable[[], None], looks: int = 60) -> None:
    """Carry planned changes out and wait until the live tables show them. A repeat changes nothing.

    Args:
        changes: what `plan` found; a table that has changed since is compared anew.
        pause: waits between two looks.
        looks: how often to look for one table.

    Raises:
        SchemaClash: a table cannot be mended by adding; raised before anything is changed, naming its columns.
        Unavailable: the warehouse did not answer, or does not show a change; a repeat goes on.
    """
    planned = tuple(changes)
    if refused := [f"`{change.spec.name}`: {problem}" for change in planned for problem in change.refusals]:
        raise SchemaClash(f"nothing was applied; {'; '.join(refused)}")
    for change in planned:
        if change.statement is None:
            continue
        if change.live is None:
            warehouse.create(change.spec)
        else:
            warehouse.add_columns(change.spec.name, change.drift.missing_in_live)
        _await(warehouse, change.spec, pause=pause, looks=looks)
        log.info("table brought to its declaration", extra={"json_fields": {"table": change.spec.name}})


def _await(warehouse: Tables, spec: TableSpec, *, pause: Callable[[], None], looks: int) -> None:
    for look in range(looks):
        if look:
            pause()
        live = warehouse.columns(spec.name)
        if live is not None and not tables.compare(spec.columns, live).missing_in_live:
            return
    raise Unavailable(f"`{spec.name}` does not show its new columns after {looks} checks; apply again")
