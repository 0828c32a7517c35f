"""The warehouses that a contract runs over."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.adapters.duckdb import DuckdbWarehouse
from shared.ports import Warehouse
from tests.warehouse_port_kit import Bench, DuckdbServer


@pytest.fixture(params=["duckdb"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    assert request.param == "duckdb"
    server = DuckdbServer()
    warehouse = DuckdbWarehouse(
        tmp_path / "warehouse.duckdb", clock=lambda: server.now, before_commit=server.before_commit
    )
    yield Bench(warehouse, server.move, server.holding_jobs)
    warehouse.close()


@pytest.fixture
def warehouse(bench: Bench) -> Warehouse:
    return bench.warehouse


@pytest.fixture
def job_id() -> str:
    """A job id of this test alone: a server knows the jobs of every test before it."""
    return f"test_{uuid.uuid4().hex}"
