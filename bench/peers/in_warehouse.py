"""Tipoff's warehouse adapter and MERGE text load two files of rows, one after the other, into a DuckDB file.

Run as `python -m bench.peers.in_warehouse lists|dicts NEW.parquet MATCHED.parquet OUT.duckdb`. Rows are in memory
before the clock starts: by columns, as a worker makes them, or as one dict a row. Prints one JSON object: seconds to
check and stage the rows and to merge them, and beside it those of the checks that a consolidation makes before and after.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import duckdb

from bench.peers.rows import COLUMNS, MATCHED_AT, NEW_AT
from coordinator.rules import merge
from coordinator.rules.entries import Delivery, Snapshot
from schemas import digest, names, tables
from schemas.tables import Cell
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import every_spec
from shared.ports import JobState

_GAME_DATE = date(2026, 1, 30)
_VERSION = tables.latest_version(tables.PREDICTIONS)
Columns = dict[str, list[Cell]]


def main() -> None:
    """Measure both merges."""
    form, new, matched, out = sys.argv[1:]
    Path(out).unlink(missing_ok=True)
    measured = {}
    with closing(DuckdbWarehouse(out)) as warehouse:
        for spec in every_spec():
            warehouse.create(spec)
        for name, path, at in (("new", new, NEW_AT), ("matched", matched, MATCHED_AT)):
            measured[name] = _measure(warehouse, form, _read(path, at), at)
    print(json.dumps(measured))  # noqa: T201 - the answer to the bench


def _read(path: str, at: datetime) -> Columns:
    """The file's rows and their lineage, as Python values by columns."""
    # Zoned times come as plain ones, since DuckDB hands them out with another package only.
    plain = ", ".join(
        f'CAST("{one.name}" AS TIMESTAMP)' if one.type == "TIMESTAMP" else f'"{one.name}"' for one in COLUMNS
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(f"SELECT {plain} FROM '{path}' ORDER BY player_lookup").fetchall()
    cells: Columns = {one.name: list(values) for one, values in zip(COLUMNS, zip(*rows, strict=True), strict=True)}
    for column in COLUMNS:
        if column.type == "TIMESTAMP":
            cells[column.name] = [_in_utc(cell) for cell in cells[column.name]]
    lineage = [tables.lineage(_batch(at), at, _delivery(player)) for player in cells["player_lookup"]]
    return cells | {name: [one[name] for one in lineage] for name in tables.LINEAGE}


def _in_utc(cell: Cell) -> Cell:
    return cell.replace(tzinfo=UTC) if isinstance(cell, datetime) else cell


def _batch(at: datetime) -> str:
    return names.batch_id(_GAME_DATE, at.isoformat())


def _delivery(player: object) -> str:
    return digest.of_ids([str(player)])[:16]


def _measure(warehouse: DuckdbWarehouse, form: str, cells: Columns, at: datetime) -> dict[str, float]:
    job, seconds = _job(cells, at), 0.0
    rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    table, schema = names.staging_table(_VERSION), tables.staging_schema(_VERSION)
    append = {
        "lists": lambda: warehouse.append(table, schema.fit(cells)),
        "dicts": lambda: warehouse.append(table, rows),
    }
    seconds += _timed(append[form])
    checking = _timed(lambda: _check_before(warehouse, job))
    seconds += _timed(lambda: _merge(warehouse, job))
    checking += _timed(lambda: merge.judge_result(_count(warehouse, job), job.snapshot))
    return {"seconds": seconds, "checks": checking}


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _job(cells: Columns, at: datetime) -> merge.Consolidation:
    pairs = zip(map(str, cells["player_lookup"]), map(str, cells["prediction_id"]), strict=True)
    ids = {player: [one for _, one in of_one] for player, of_one in groupby(pairs, key=lambda pair: pair[0])}
    predicted = {
        player: Delivery(_VERSION, _delivery(player), len(some), digest.of_ids(some)) for player, some in ids.items()
    }
    nobody: frozenset[str] = frozenset()
    return merge.Consolidation(
        game_date=_GAME_DATE,
        planned_at=at,
        batch_id=_batch(at),
        kind="root",
        columns=COLUMNS,
        staging=(merge.StagingTable(_VERSION, frozenset(column.name for column in COLUMNS)),),
        snapshot=Snapshot(predicted, {}, {}, nobody, nobody, nobody, {}),
    )


def _check_before(warehouse: DuckdbWarehouse, job: merge.Consolidation) -> None:
    found = warehouse.query(merge.staging_check(job), merge.staging_check_parameters(job))
    merge.judge_staging(found, job.snapshot.predicted)
    merge.judge_count(_count(warehouse, job), job.snapshot, max_retired_share=0.0, confirmed=False)


def _count(warehouse: DuckdbWarehouse, job: merge.Consolidation) -> merge.Counted:
    return merge.read_count(warehouse.query(merge.count(job), merge.count_parameters(job)))


def _merge(warehouse: DuckdbWarehouse, job: merge.Consolidation) -> None:
    warehouse.submit(merge.merge(job), job.parameters, job_id=job.batch_id)
    if (ended := warehouse.job(job.batch_id, wait=timedelta(minutes=10))).state is not JobState.DONE:
        raise SystemExit(f"the MERGE is {ended.state}: {ended.error}")


if __name__ == "__main__":
    main()
