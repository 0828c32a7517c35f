"""A query that meets lasting trouble ends within its bounds, and within them passing trouble costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.adapters import bigquery as adapter
from shared.adapters.bigquery import BigqueryWarehouse
from shared.errors import Unavailable
from tests.bigquery_wire import Wire, error, job_answer


@pytest.mark.parametrize(
    ("ask", "answered"),
    [
        (lambda warehouse: warehouse.query("SELECT 1"), []),
        (lambda warehouse: warehouse.query("SELECT 1"), [job_answer("RUNNING")]),
        (lambda warehouse: warehouse.query("SELECT 1"), [error(409, "duplicate")]),
        (lambda warehouse: warehouse.estimate("SELECT 1"), []),
    ],
)
def test_nothing_is_asked_again_past_the_bound_of_a_call(
    wire: Wire,
    warehouse: BigqueryWarehouse,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[BigqueryWarehouse], object],
    answered: list[tuple[int, dict[str, Any]]],
) -> None:
    monkeypatch.setattr(adapter, "_RETRY", adapter._RETRY.with_timeout(0.0))
    # Whoever asks once more meets the refusal.
    wire.answers = [*answered, error(503, "backendError"), error(400, "invalidQuery")]

    with pytest.raises(Unavailable):
        ask(warehouse)

    assert len(wire.asked) == len(answered) + 1


def test_a_query_whose_first_answer_was_lost_gives_the_rows_of_the_job_that_it_started(
    wire: Wire, warehouse: BigqueryWarehouse
) -> None:
    rows = {"jobComplete": True, "totalRows": "1", "schema": {"fields": [{"name": "n", "type": "INTEGER"}]}}
    answered = rows | {"rows": [{"f": [{"v": "7"}]}], "jobReference": job_answer("DONE")[1]["jobReference"]}
    lost, known = error(503, "backendError"), error(409, "duplicate")
    wire.answers = [lost, known, error(404, "notFound"), job_answer("DONE"), (200, answered), (200, answered)]

    assert warehouse.query("SELECT 7 AS n") == [{"n": 7}]

    first, second, look = wire.asked[:3]
    job_id = first[2]["jobReference"]["jobId"]
    assert second[2]["jobReference"]["jobId"] == job_id
    assert look[1].endswith(f"/jobs/{job_id}")


def test_a_job_that_failed_of_passing_trouble_is_not_started_again(wire: Wire, warehouse: BigqueryWarehouse) -> None:
    failed = job_answer("DONE", {"reason": "jobBackendError", "message": "try again"})
    wire.answers = [failed, error(400, "invalidQuery")]

    with pytest.raises(Unavailable, match="try again"):
        warehouse.query("ALTER TABLE t ...")

    assert [method for method, _, _ in wire.asked] == ["POST"]
