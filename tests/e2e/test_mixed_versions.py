"""A rollout in either order: worker and coordinator of neighbouring schema versions run a day together over real HTTP."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from local.one_machine.csv_inputs import load_folder
from local.one_machine.run import Seen, follow, start_batch
from local.one_machine.stack import local_stack
from schemas import names, tables
from schemas.tables import Row
from shared.settings import PlanningRules
from tests.tipoff_command import write_league

pytestmark = pytest.mark.xdist_group("mixed_versions")  # its tests share a day of the newest version

GAME_DATE = date(2026, 1, 30)
NEWEST = tables.latest_version(tables.PREDICTIONS)
OLDER = NEWEST - 1
ONLY_NEWEST = set(tables.load(tables.PREDICTIONS, NEWEST).names) - set(tables.load(tables.PREDICTIONS, OLDER).names)
STAMPS = {"created_at", "updated_at"}
PLAYERS = {f"player-{number}": [10 + number, 20, 15 + number] for number in range(6)}


def a_day(folder: Path, *, coordinator: int, worker: int) -> tuple[Seen, list[Row], set[str]]:
    """Run the day; returns its end, the rows less their stamps, and the staging tables that were written."""
    data = write_league(folder / "data", players=PLAYERS)
    rules = PlanningRules(schema_version=coordinator)
    with local_stack(folder / "state", rules=rules, worker_schema_version=worker) as stack:
        load_folder(stack.warehouse, folder=data, game_date=GAME_DATE)
        batch = start_batch(stack, GAME_DATE)
        seen = follow(stack, batch.batch_id, patience=timedelta(seconds=60), shown=lambda _seen: None)
        rows = stack.warehouse.query(f"SELECT * FROM `{names.PREDICTIONS_TABLE}` ORDER BY `prediction_id`")
        written = {
            table.name.rpartition("_")[2]
            for table in stack.warehouse.list_tables("_staging_")
            if stack.warehouse.query(f"SELECT 1 AS `one` FROM `{table.name}` LIMIT 1")
        }
    return seen, [{name: cell for name, cell in row.items() if name not in STAMPS} for row in rows], written


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """The day with both services of the newest version."""
    _seen, rows, _written = a_day(tmp_path_factory.mktemp("together"), coordinator=NEWEST, worker=NEWEST)
    return rows


@pytest.mark.parametrize(("coordinator", "worker"), [(NEWEST, OLDER), (OLDER, NEWEST), (OLDER, OLDER)])
def test_neighbouring_versions_run_a_day_together(
    tmp_path: Path, together: list[Row], coordinator: int, worker: int
) -> None:
    seen, rows, written = a_day(tmp_path, coordinator=coordinator, worker=worker)

    assert (seen.state, seen.players.predicted) == ("COMPLETE", len(PLAYERS))
    assert written == {f"v{worker}"}
    lost = ONLY_NEWEST if worker == OLDER else set()
    assert len(rows) == len(together) > 0
    for row, whole in zip(rows, together, strict=True):
        assert {n: c for n, c in row.items() if n not in lost} == {n: c for n, c in whole.items() if n not in lost}
        assert all(row.get(name) is None for name in lost)
