"""The floor: DuckDB alone loads two files of rows, one after the other, into a staging table, and merges them by key.

Runs in the peers' own environment: python in_duckdb.py arrow|lists|dicts NEW.parquet MATCHED.parquet OUT.duckdb. Rows are in
memory before the clock starts; nothing is checked, and nothing tells which rows count. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def main() -> None:
    """Measure both merges."""
    form, new, matched, out = sys.argv[1:]
    Path(out).unlink(missing_ok=True)
    seconds = {}
    with duckdb.connect(out) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in ("staging", "predictions"):
            connection.execute(f"CREATE TABLE {table} AS SELECT * FROM '{new}' LIMIT 0")
        for name, path in (("new", new), ("matched", matched)):
            table = pq.read_table(path)
            given = table if form == "arrow" else table.to_pydict() if form == "lists" else table.to_pylist()
            began = time.perf_counter()
            _merge(connection, _arrow(given, table.schema))
            seconds[name] = {"seconds": time.perf_counter() - began}
    print(json.dumps(seconds))  # noqa: T201 - the answer to the bench


def _arrow(given: pa.Table | dict[str, list[object]] | list[dict[str, object]], schema: pa.Schema) -> pa.Table:
    if isinstance(given, list):
        return pa.Table.from_pylist(given, schema=schema)
    return pa.table(given, schema=schema) if isinstance(given, dict) else given


def _merge(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> None:
    connection.register("rows", rows)
    connection.execute("DELETE FROM staging")
    connection.execute("INSERT INTO staging SELECT * FROM rows")
    replaced = ", ".join(f'"{name}" = S."{name}"' for name in rows.column_names if name != "prediction_id")
    connection.execute(
        "MERGE INTO predictions AS T USING staging AS S ON T.prediction_id = S.prediction_id "
        f"WHEN MATCHED THEN UPDATE SET {replaced} WHEN NOT MATCHED THEN INSERT BY NAME"
    )


if __name__ == "__main__":
    main()
