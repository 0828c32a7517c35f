"""Starts local-bigquery inside its own environment, with one fault of it mended and its engine on one thread a statement.
Run as a script; never imported by us.

Its dry run of a MERGE asks its storage engine, which knows one UPDATE or DELETE a statement and refuses the rest, though
the server itself runs any number. BigQuery checks them all: here each clause is checked by itself.

Its statements are many and tiny: with threads that share one of them it takes a fifth more processor time. Statements of
different requests run beside each other all the same.
"""

from __future__ import annotations

import functools
from typing import Any

from local_bigquery import cli  # type: ignore[import-not-found]  # it is in the server's environment, not in ours
from local_bigquery.engine import database  # type: ignore[import-not-found]  # as above
from local_bigquery.jobs import query  # type: ignore[import-not-found]  # as above
from sqlglot import exp

_run = query._run  # noqa: SLF001 - there is no other place to mend it


def _run_mended(cur: Any, tree: Any, context: Any, destination: Any, config: Any, dry_run: bool, isolated: bool) -> Any:
    if not dry_run or not isinstance(tree, exp.Merge):
        return _run(cur, tree, context, destination, config, dry_run, isolated)
    statistics = None
    for clause in tree.args["whens"].expressions:
        alone = tree.copy()
        alone.args["whens"].set("expressions", [clause.copy()])
        statistics = _run(cur, alone, context, destination, config, dry_run, isolated)
    return statistics


_connect = database._connect  # noqa: SLF001 - there is no setting for it


@functools.cache  # as theirs, which `reset` empties
def _connect_on_one_thread() -> Any:
    connection = _connect()
    connection.execute("SET threads = 1")
    return connection


if __name__ == "__main__":
    database._connect = _connect_on_one_thread  # noqa: SLF001 - as above
    query._run = _run_mended  # noqa: SLF001 - as above
    cli.main()
