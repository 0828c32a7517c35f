"""What a batch said, and how two batches differ: the SQL text that reads a batch's rows, and a pure comparison.

Must never learn how SQL is run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from coordinator.rules.merge import StagingTable, listed, rows_of_batch, union
from schemas import tables
from schemas.tables import Cell, Row

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


@dataclass(frozen=True, slots=True)
class Changed:
    """One prediction that two batches say otherwise."""

    player_lookup: str
    system_id: str
    line: str
    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def by(self) -> float:
        """By how many points it went up."""
        return round(float(self.after["predicted_points"]) - float(self.before["predicted_points"]), 1)


@dataclass(frozen=True, slots=True)
class SystemChange:
    """How much a system says otherwise, over the predictions that both batches have."""

    compared: int
    changed: int
    mean_change: float
    """Mean size of the change in points, over all that are compared."""
    largest: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How two batches differ."""

    appeared: tuple[str, ...]
    vanished: tuple[str, ...]
    lines_appeared: int
    lines_vanished: int
    """Predictions of players in both, on lines that only one has."""
    systems: Mapping[str, SystemChange]
    changed: tuple[Changed, ...]
    """Largest change first."""


def by_key(rows: Sequence[Row]) -> dict[Key, dict[str, str]]:
    """What a batch said, by player, system and line."""
    found = {}
    for row in rows:
        key = (str(row["player_lookup"]), str(row["system_id"]), plain(row["current_points_line"]) or "")
        found[key] = {name: plain(row[name]) or "" for name in COMPARED}
    return found


def compare(before: Mapping[Key, Mapping[str, str]], after: Mapping[Key, Mapping[str, str]]) -> Difference:
    """Compare what two batches said."""
    players_before, players_after = {key[0] for key in before}, {key[0] for key in after}
    both = players_before & players_after
    changed = [
        Changed(*key, before[key], after[key]) for key in before.keys() & after.keys() if before[key] != after[key]
    ]
    systems = {}
    for system in sorted({key[1] for key in before.keys() & after.keys()}):
        shared = [key for key in before.keys() & after.keys() if key[1] == system]
        sizes = [abs(float(after[key]["predicted_points"]) - float(before[key]["predicted_points"])) for key in shared]
        differing = sum(before[key] != after[key] for key in shared)
        systems[system] = SystemChange(len(shared), differing, round(sum(sizes) / len(sizes), 3), round(max(sizes), 1))
    return Difference(
        appeared=tuple(sorted(players_after - players_before)),
        vanished=tuple(sorted(players_before - players_after)),
        lines_appeared=sum(key[0] in both for key in after.keys() - before.keys()),
        lines_vanished=sum(key[0] in both for key in before.keys() - after.keys()),
        systems=systems,
        changed=tuple(sorted(changed, key=lambda one: (-abs(one.by), one.player_lookup, one.system_id, one.line))),
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
        case datetime():
            return cell.isoformat()
        case date():
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
