"""`tipoff`, with its calls of the ledger's store, the warehouse and the topics counted: python -m bench.counted FILE ...

Writes the counts to FILE as JSON when the command ends. The command's own arguments follow.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from local.cli.main import main
from local.one_machine.push_topic import PushTopic
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.sqlite import SqliteDocuments

_COUNTED = {
    SqliteDocuments: ("documents", ("get", "commit", "query")),
    DuckdbWarehouse: ("warehouse", ("query", "append", "submit", "job", "columns", "estimate")),
    PushTopic: ("messages", ("publish",)),
}


def count_calls(counts: Counter[str]) -> None:
    """Have every call of the ports' adapters add one to its kind; a publish adds its messages."""
    lock = threading.Lock()

    def counting(method: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @wraps(method)
        def counted(self: Any, first: Any, *rest: Any, **named: Any) -> Any:
            with lock:
                counts[kind] += len(first) if kind == "messages" else 1
            return method(self, first, *rest, **named)

        return counted

    for adapter, (kind, methods) in _COUNTED.items():
        for name in methods:
            setattr(adapter, name, counting(getattr(adapter, name), kind))


if __name__ == "__main__":
    where, sys.argv = Path(sys.argv[1]), ["tipoff", *sys.argv[2:]]
    found: Counter[str] = Counter()
    count_calls(found)
    try:
        main()
    finally:
        where.write_text(json.dumps(found), encoding="utf-8")
