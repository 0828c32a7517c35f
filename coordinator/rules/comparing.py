"""What a batch said, and how two batches differ: the SQL text that reads a batch's rows, and a pure comparison.

Must never learn how SQL is run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel

from coordinator.rules.merge import StagingTable, rows_of_batch
from coordinator.rules.sql_text import listed, union
from schemas import tables
from schemas.tables import Cell, Row

CHANGES_SHOWN = 1000
COMPARED = ("predicted_points", "recommendation", "confidence_score")

Key = tuple[str, str, str]
"""Player, system and line; the line is empty where there is none."""


def deliveries_of(version: int) -> str:
    """The name of the array parameter that holds the deliveries of a schema version."""
    return StagingTable(version, frozenset()).parameter


def _counting(version: int, batch_id: str, planned_at: datetime) -> str:
    staged = rows_of_batch(version, batch_id, planned_at)
    return f"{staged} AND `_delivery` IN UNNEST(@{deliveries_of(version)})"


def batch_rows(versions: Sequence[int], *, batch_id: str, planned_at: datetime) -> str:
    """What a batch's deliveries that count say, copies removed; takes the parameter of each version."""
    cells = ("player_lookup", "system_id", "current_points_line", *COMPARED, "model_version", "prediction_id")
    shown = listed(f"`{name}`" for name in cells)
    found = union(f"SELECT\n{shown}, `_delivery`\n{_counting(one, batch_id, planned_at)}" for one in versions)
    return f"""\
SELECT
{shown}
FROM (
{found}
)
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY `prediction_id` ORDER BY `_delivery`) = 1
ORDER BY `player_lookup`, `system_id`, `current_points_line`"""


def player_rows(version: int, *, batch_id: str, planned_at: datetime) -> str:
    """Every declared cell of one delivery's rows, copies removed; takes the version's parameter."""
    shown = listed(f"`{name}`" for name in tables.load(tables.PREDICTIONS, version).names)
    return f"""\
SELECT
{shown}
{_counting(version, batch_id, planned_at)}
QUALIFY ROW_NUMBER() OVER (PARTITION BY `prediction_id` ORDER BY `updated_at`) = 1
ORDER BY `prediction_id`"""


# --- comparing ------------------------------------------------------------------------------------------------


class PredictionChange(BaseModel):
    """One prediction that two batches say otherwise."""

    player_lookup: str
    system_id: str
    line: str
    before: dict[str, str]
    after: dict[str, str]
    by: float
    """By how many points it went up."""


class SystemChange(BaseModel):
    """How much a system says otherwise, over the predictions that both batches have."""

    compared: int
    changed: int
    mean_change: float
    """Mean size of the change in points, over all that are compared."""
    largest: float


class Difference(BaseModel):
    """How two batches differ: the answer of `/batches/{id}/diff`."""

    before: str
    after: str
    appeared: list[str]
    vanished: list[str]
    lines_appeared: int
    lines_vanished: int
    """Predictions of players in both, on lines that only one has."""
    systems: dict[str, SystemChange]
    changes: int
    """All of them; `changed` holds the largest 1,000."""
    changed: list[PredictionChange]


@dataclass(frozen=True, slots=True)
class Said:
    """What a batch said, by player, system and line."""

    batch_id: str
    cells: Mapping[Key, dict[str, str]]


def by_key(rows: Sequence[Row]) -> dict[Key, dict[str, str]]:
    """What a batch said, by player, system and line."""
    found = {}
    for row in rows:
        key = (str(row["player_lookup"]), str(row["system_id"]), plain(row["current_points_line"]) or "")
        found[key] = {name: plain(row[name]) or "" for name in COMPARED}
    return found


def compare(before: Said, after: Said) -> Difference:
    """Compare what two batches said."""
    players_before, players_after = ({key[0] for key in said.cells} for said in (before, after))
    both, shared = players_before & players_after, before.cells.keys() & after.cells.keys()
    changed = [
        _change(key, before.cells[key], after.cells[key]) for key in shared if before.cells[key] != after.cells[key]
    ]
    changed.sort(key=lambda one: (-abs(one.by), one.player_lookup, one.system_id, one.line))
    compared = Counter(system for _, system, _ in shared)
    return Difference(
        before=before.batch_id,
        after=after.batch_id,
        appeared=sorted(players_after - players_before),
        vanished=sorted(players_before - players_after),
        lines_appeared=sum(key[0] in both for key in after.cells.keys() - shared),
        lines_vanished=sum(key[0] in both for key in before.cells.keys() - shared),
        systems={name: _system_change(name, compared[name], changed) for name in sorted(compared)},
        changes=len(changed),
        changed=changed[:CHANGES_SHOWN],
    )


def _change(key: Key, before: dict[str, str], after: dict[str, str]) -> PredictionChange:
    player, system, line = key
    by = round(float(after["predicted_points"]) - float(before["predicted_points"]), 1)
    return PredictionChange(player_lookup=player, system_id=system, line=line, before=before, after=after, by=by)


def _system_change(system: str, compared: int, changed: Sequence[PredictionChange]) -> SystemChange:
    sizes = [abs(one.by) for one in changed if one.system_id == system]
    return SystemChange(
        compared=compared,
        changed=len(sizes),
        mean_change=round(sum(sizes) / compared, 3),
        largest=max(sizes, default=0.0),
    )


def plain(cell: object) -> str | None:
    """A cell as a text that is the same whichever warehouse or program gave it; None for null."""
    match cell:
        case None:
            return None
        case bool():
            return "true" if cell else "false"
        case Decimal():
            return f"{cell.normalize():f}"
        case float():
            return repr(cell)
        case date():  # a time is one too
            return cell.isoformat()
        case list() | tuple():
            return json.dumps([plain(each) for each in cell])
        case dict():
            return json.dumps(cell, sort_keys=True)
        case _:
            return str(cell)


def plain_row(row: Mapping[str, Cell], version: int) -> dict[str, str | None]:
    """A row's declared cells as texts; JSON is read first, since a warehouse may space it otherwise."""
    found = {}
    for column in tables.load(tables.PREDICTIONS, version).columns:
        cell: object = row.get(column.name)
        if column.type == "JSON" and isinstance(cell, str):
            cell = json.dumps(json.loads(cell), sort_keys=True)
        if column.mode == "REPEATED" and cell is None:
            cell = []
        found[column.name] = plain(cell)
    return found
