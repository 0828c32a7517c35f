"""The bench of completions closes the batch that it measures; its other designs need Firestore's emulator."""

from __future__ import annotations

import random
from contextlib import closing

from bench.completions import Options, measure_ledger
from bench.ledger_bench import FIRST_DATE, LedgerBench, players_of
from shared.adapters.duckdb import DuckdbWarehouse
from tests.simulation.memory_documents import MemoryDocuments


def test_the_measured_batch_is_closed_with_everybody_in_it() -> None:
    options = Options(
        players=(30,),
        at_once=(2,),
        completions=20,
        rounds=1,
        naive_seconds=1,
        designs=("joined",),
        chance=random.Random(0),  # noqa: S311 - the same players every time, no secret
    )
    with closing(DuckdbWarehouse(":memory:")) as warehouse:
        bench = LedgerBench(MemoryDocuments(), warehouse, joins=True)

        measured = measure_ledger("joined", bench, players_of(30), options, at_once=2, game_date=FIRST_DATE)

    assert (measured.players, measured.completions, measured.claims) == (30, 20, 1)
