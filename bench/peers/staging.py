"""Part 3: the same rows staged in one permanent table and in a table a request, 823 of them, and merged from there.

Both sides are DuckDB alone, with the same statements; what differs is where the rows of a request go.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import duckdb

from bench.peers import rows

SIZES = (20_000,)
OURS, THEIRS = "one permanent table", "a table a request"
_REQUESTS = 823
"""Staging tables that the system which Tipoff replaces left of 141 players (incident B14)."""
_ROUNDS = 3
_NAMES = [column.name for column in rows.COLUMNS]


def measure(sizes: Sequence[int]) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """Measure both sides, in turns.

    Raises:
        click.ClickException: a side's table does not hold the rows afterwards.
    """
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="tipoff-peers-") as scratch:
            new, _ = rows.write_rows(Path(scratch), size)
            wanted = rows.contents_of_file(new)
            for _ in range(_ROUNDS):
                for side in (OURS, THEIRS):
                    out = Path(scratch) / "out.duckdb"
                    out.unlink(missing_ok=True)
                    took = _measure(out, new, is_one=side == OURS)
                    if rows.contents(out) != wanted:
                        raise click.ClickException(f"{side}: the predictions table does not hold the staged rows")
                    yield side, f"{size:,} rows of {_REQUESTS} requests", took


def _measure(out: Path, new: Path, *, is_one: bool) -> Mapping[str, float]:
    with duckdb.connect(str(out)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in ("predictions", "_staging"):
            connection.execute(f"CREATE TABLE {table} AS SELECT * FROM '{new}' LIMIT 0")
        connection.execute("ALTER TABLE _staging ADD COLUMN _batch_id TEXT")
        numbered = f"SELECT *, (row_number() OVER () - 1) % {_REQUESTS} AS request FROM '{new}'"
        connection.execute(f"CREATE TEMP TABLE given AS {numbered}")
        began = time.perf_counter()
        for number in range(_REQUESTS):
            of_request = f"SELECT * EXCLUDE (request), 'batch' AS _batch_id FROM given WHERE request = {number}"
            into = "INSERT INTO _staging" if is_one else f"CREATE TABLE _staging_{number} AS"
            connection.execute(f"{into} {of_request}")
        staged = time.perf_counter()
        every = "UNION ALL ".join(f"SELECT * FROM _staging_{number} " for number in range(_REQUESTS))
        connection.execute(_merge("_staging" if is_one else f"({every})"))
        return {"staging": staged - began, "merging": time.perf_counter() - staged}


def _merge(source: str) -> str:
    replaced = ", ".join(f'"{name}" = S."{name}"' for name in _NAMES if name != "prediction_id")
    columns, values = ", ".join(f'"{name}"' for name in _NAMES), ", ".join(f'S."{name}"' for name in _NAMES)
    return (
        f"MERGE INTO predictions AS T USING (SELECT * FROM {source} WHERE _batch_id = 'batch') AS S "
        f"ON T.prediction_id = S.prediction_id WHEN MATCHED THEN UPDATE SET {replaced} "
        f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
    )
