"""dlt merges two files of rows, one after the other, into a DuckDB file, by key.

Runs in the peers' own environment: python in_dlt.py arrow|lists|dicts STRATEGY NEW.parquet MATCHED.parquet OUT.duckdb. Rows are in
memory before the clock starts; prints one JSON object with the seconds of each `pipeline.run`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import dlt
import pyarrow as pa
import pyarrow.parquet as pq


def main() -> None:
    """Measure both merges."""
    form, strategy, new, matched, out = sys.argv[1:]
    Path(out).unlink(missing_ok=True)
    seconds = {}
    with tempfile.TemporaryDirectory() as scratch:
        pipeline = dlt.pipeline(
            "peers", destination=dlt.destinations.duckdb(out), dataset_name="peers", pipelines_dir=scratch
        )
        for name, path in (("new", new), ("matched", matched)):
            table = pq.read_table(path)
            given = table if form == "arrow" else table.to_pydict() if form == "lists" else table.to_pylist()
            began = time.perf_counter()
            resource = dlt.resource(
                # It takes no lists: whoever has them makes Arrow's columns of them first.
                pa.table(given, schema=table.schema) if form == "lists" else given,
                name="predictions",
                primary_key="prediction_id",
                write_disposition={"disposition": "merge", "strategy": strategy},
                columns={field.name: _hint(field.type) for field in table.schema},
                max_table_nesting=0,
            )
            # dlt's guide names Parquet as the faster file for many rows.
            pipeline.run(resource, loader_file_format="parquet")
            seconds[name] = {"seconds": time.perf_counter() - began}
    print(json.dumps(seconds))  # noqa: T201 - the answer to the bench


def _hint(kind: pa.DataType) -> dict[str, object]:
    """Dlt's own name of a type: given beforehand, so that no time goes into guessing and an empty column is made too."""
    if pa.types.is_decimal(kind):
        return {"data_type": "decimal", "precision": kind.precision, "scale": kind.scale}
    for is_one, name in _NAMES.items():
        if is_one(kind):
            return {"data_type": name}
    raise SystemExit(f"no dlt type for {kind}")


_NAMES = {
    pa.types.is_string: "text",
    pa.types.is_integer: "bigint",
    pa.types.is_floating: "double",
    pa.types.is_boolean: "bool",
    pa.types.is_date: "date",
    pa.types.is_timestamp: "timestamp",
    pa.types.is_list: "json",
}


if __name__ == "__main__":
    main()
