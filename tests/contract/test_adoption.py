"""What `tipoff adopt` promises over every warehouse: left-behind tables become each prediction once, then may be dropped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.cli.adopter import Adopter
from schemas import names
from shared.declared import table_spec
from shared.ports import TableSpec, Warehouse
from tests.left_behind import PREFIX, V1, a_day, an_id, at, in_target
from tests.warehouse_kit import PEERS, open_warehouse

PREDICTIONS = names.PREDICTIONS_TABLE


@pytest.fixture(params=PEERS)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    with open_warehouse(request, tmp_path) as peer:
        yield peer.warehouse


def test_left_behind_tables_become_each_prediction_once_and_are_dropped_when_verified(warehouse: Warehouse) -> None:
    day = a_day(3)
    warehouse.create(table_spec(PREDICTIONS))
    for table, rows in day.tables.items():
        warehouse.create(TableSpec(table, V1))
        warehouse.append(table, rows)
    key = next(iter(day.expected))
    warehouse.append(PREDICTIONS, [in_target(key, batch=0, prediction_id="random", updated_at=at(-1))])
    adopter = Adopter(warehouse=warehouse, ledger=None, clock=lambda: datetime.now(UTC))

    survey = adopter.survey(PREFIX, None)
    adopter.adopt(survey)
    dropped, kept = adopter.drop(survey)
    adopter.finish(survey.adoption)

    assert (survey.rows, survey.keys, survey.copies, dict(survey.reasons)) == (day.rows, 5, 10, day.left_out)
    assert (survey.counts.inserted, survey.counts.superseded) == (5, 1)
    active = warehouse.query(f"SELECT `prediction_id`, `predicted_points` FROM `{PREDICTIONS}` WHERE `is_active`")
    found = {row["prediction_id"]: row["predicted_points"] for row in active}
    assert found == {an_id(key): points for key, points in day.expected.items()}
    flawed, *whole = sorted(day.tables, key=lambda table: -len(day.tables[table]))
    assert (sorted(dropped), list(kept)) == (sorted(whole), [flawed])
    assert [table.name for table in warehouse.list_tables("_")] == [flawed]
