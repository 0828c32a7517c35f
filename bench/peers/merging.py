"""Part 2: 20,000 rows of 72 columns, first all new and then all matched: Tipoff's warehouse, dlt and DuckDB alone, in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bench.peers import rows
from bench.peers.environment import run_ours, run_peer

SIZES = (20_000,)
OURS, DLT, FLOOR = "Tipoff", "dlt", "DuckDB alone"
FORMS = {
    "lists of Python values": ("lists", "lists"),
    "dicts": ("dicts", "dicts"),
    "Arrow (Tipoff: lists)": ("lists", "arrow"),
}
"""How Tipoff is given the rows, and how the others are: columns as lists, one dict a row, and Arrow, which Tipoff does not take."""
_ROUNDS = 3


def measure(sizes: Sequence[int]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Measure every side in both forms.

    Raises:
        click.ClickException: a side's table does not hold the rows, cell by cell.
    """
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="tipoff-peers-") as scratch:
            new, matched = rows.write_rows(Path(scratch), size)
            wanted = rows.contents_of_file(matched)
            for _ in range(_ROUNDS):
                for form in FORMS:
                    yield from _round(form, size, new, matched, wanted)


def _round(
    form: str, size: int, new: Path, matched: Path, wanted: tuple[int, str]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    (ours, theirs), out = FORMS[form], new.with_name("out.duckdb")
    sides: Mapping[str, tuple[Callable[[], Mapping[str, Any]], str]] = {
        OURS: (lambda: run_ours("bench.peers.in_warehouse", ours, new, matched, out), "main"),
        DLT: (lambda: run_peer("in_dlt.py", theirs, "upsert", new, matched, out), "peers"),
        FLOOR: (lambda: run_peer("in_duckdb.py", theirs, new, matched, out), "main"),
    }
    for side, (run, schema) in sides.items():
        took = run()
        if rows.contents(out, schema=schema) != wanted:
            raise click.ClickException(f"{side}: the table does not hold the rows that it was given as {form}")
        for kind, figures in took.items():
            yield side, f"{form}, all {kind}" + ("" if size in SIZES else f", {size:,} rows"), figures
