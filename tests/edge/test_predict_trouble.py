"""What the worker's HTTP edge does when something that it needs does not do its part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from schemas import names
from shared.adapters.duckdb import DuckdbWarehouse
from shared.ports import Outgoing, TableSpec
from tests.denied_bigquery import REFUSAL, denied_warehouse
from tests.memory_publisher import MemoryPublisher
from tests.requests_factory import a_request
from tests.stand.worker import LoggedLines, WorkerStand, another_worker


def test_a_topic_out_of_reach_asks_for_redelivery_as_a_problem_document(worker_stand: WorkerStand) -> None:
    worker_stand.outcomes.fail_next(1)

    answer = worker_stand.push(a_request())

    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["type"] == "urn:tipoff:problem:unavailable"
    assert "Retry-After" in answer.headers


def test_a_warehouse_out_of_reach_asks_for_redelivery_and_publishes_nothing(worker_stand: WorkerStand) -> None:
    worker_stand.warehouse.close()

    answer = worker_stand.push(a_request())

    assert answer.status_code == 503
    assert worker_stand.published() == []


@pytest.mark.parametrize("has_looked", [True, False])
def test_a_refused_right_asks_for_redelivery_and_fails_nobody(has_looked: bool) -> None:
    denied = denied_warehouse(has_looked=has_looked)
    with another_worker(denied, MemoryPublisher(), revision="worker-00001") as worker_stand:  # type: ignore[arg-type]  # another adapter
        answer = worker_stand.push(a_request(), a_request(player_lookup="other"))

        assert answer.status_code == 503
        assert REFUSAL in answer.get_json()["detail"]
        assert worker_stand.published() == []


class LateTables(DuckdbWarehouse):
    """A warehouse whose new tables cannot be seen for a while, as the Storage Write API's may not."""

    def create(self, spec: TableSpec) -> None:
        """Accept the table."""


def test_a_table_that_cannot_be_seen_yet_asks_for_redelivery(tmp_path: Path) -> None:
    warehouse = LateTables(tmp_path / "late.duckdb")
    with another_worker(warehouse, MemoryPublisher(), revision="worker-00001") as worker_stand:
        answer = worker_stand.push(a_request())

        assert answer.status_code == 503
        assert names.staging_table(2) in answer.get_json()["detail"]
        assert worker_stand.published() == []
    warehouse.close()


class FaultyPublisher(MemoryPublisher):
    """A topic whose client has a bug that nobody foresaw."""

    def publish(self, messages: Sequence[Outgoing]) -> None:
        raise KeyError(len(messages))


def test_an_unforeseen_error_is_no_acknowledgement_and_leaves_its_traceback(
    worker_stand: WorkerStand, lines_logged: LoggedLines
) -> None:
    with another_worker(worker_stand.warehouse, FaultyPublisher(), revision="worker-00001") as faulty:
        answer = faulty.push(a_request())

    assert answer.status_code == 500
    assert answer.get_json()["type"] == "urn:tipoff:problem:unexpected"
    (line,) = lines_logged()
    assert line["severity"] == "ERROR"
    assert "KeyError" in line["message"]
