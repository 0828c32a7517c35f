"""D3, D4, D6: settings are complete or the start fails, only proven callers get in, and days are US Eastern."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from coordinator.app import create_app as serve_coordinator
from coordinator.assembly import Parts, assemble
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.sqlite import SqliteDocuments
from shared.auth import Certificates, TokenVerifier
from shared.declared import every_spec
from shared.errors import InvalidInput
from shared.settings import CoordinatorSettings, PlanningRules, Policy, WorkerSettings, describe, read
from tests.memory_publisher import MemoryPublisher
from worker.app import create_app as serve_worker
from worker.model import shipped_model
from worker.service import Worker

NOON = datetime(2026, 1, 30, 17, 0, tzinfo=UTC)
OPEN_TO_ALL = {("GET", "/health"), ("GET", "/ready")}


@contextmanager
def both_services(
    folder: Path, *, now: datetime = NOON, verify: Callable[[str | None], object] = lambda _: None
) -> Iterator[tuple[Flask, Flask]]:
    """Give a coordinator and a worker over embedded parts whose input tables are empty."""
    with ExitStack() as stack:
        warehouse = stack.enter_context(closing(DuckdbWarehouse(folder / "warehouse.duckdb", clock=lambda: now)))
        documents = stack.enter_context(closing(SqliteDocuments(folder / "ledger.sqlite")))
        for spec in every_spec():
            warehouse.create(spec)
        coordinator = assemble(
            Parts(
                documents=documents,
                warehouse=warehouse,
                requests=MemoryPublisher(),
                finished=MemoryPublisher(),
                clock=lambda: now,
                holder="test",
                revision="r1",
                policy=Policy(),
                rules=PlanningRules(),
                lease=timedelta(seconds=120),
                max_bytes=10**9,
            )
        )
        worker = Worker(
            warehouse=warehouse,
            outcomes=MemoryPublisher(),
            revision="r1",
            schema_version=2,
            model=shipped_model(),
            clock=lambda: now,
        )

        def guard(authorization: str | None, _: object) -> None:
            verify(authorization)

        yield serve_coordinator(coordinator, guard=guard), serve_worker(worker, guard=verify)


def guarded_routes(app: Flask) -> list[tuple[str, str]]:
    """Return method and path of every route but the health checks and Flask's own static files."""
    routes = [
        (method, rule.rule.replace("<batch_id>", "20260130_0123456789abcdef"))
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    return [route for route in routes if route not in OPEN_TO_ALL]


# --- D3 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CoordinatorSettings, WorkerSettings])
def test_d3_a_wiped_environment_is_told_whole_in_one_error(kind: type[CoordinatorSettings | WorkerSettings]) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(kind, {})

    named = {line.removeprefix("- ").split(":")[0] for line in str(refused.value).split("\n")[1:]}
    assert named == {row.name for row in describe(kind) if row.required}


def test_d3_a_mistyped_name_does_not_fall_back_to_a_default_in_silence() -> None:
    with pytest.raises(InvalidInput, match=r"TIPOFF_LEASE_SECOND: no such setting; did you mean TIPOFF_LEASE_SECONDS"):
        read(CoordinatorSettings, {"TIPOFF_LEASE_SECOND": "60"})


def test_d3_no_name_of_a_cloud_resource_has_a_default() -> None:
    named = ("PROJECT", "LOCATION", "DATASET", "DATABASE", "TOPIC")

    resources = [row for row in describe(CoordinatorSettings) if row.name.endswith(named)]

    assert len(resources) == 8
    assert all(row.required and row.default is None for row in resources)


# --- D4 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "Bearer x", "Bearer ", "bearer eyJhbGciOiJub25lIn0.e30."])
def test_d4_no_route_but_the_health_checks_opens_to_any_bearer(tmp_path: Path, header: str | None) -> None:
    verifier = TokenVerifier("https://tipoff.example", fetch=lambda: Certificates({}, 3600))
    everyone = frozenset({"anyone@example.com"})
    headers = {} if header is None else {"Authorization": header}

    with both_services(tmp_path, verify=lambda told: verifier.verify(told, allowed=everyone)) as services:
        answers = {
            (app.name, method, path): app.test_client().open(path, method=method, headers=headers)
            for app in services
            for method, path in guarded_routes(app)
        }

    assert {("coordinator", "POST", "/start"), ("worker", "POST", "/predict")} <= answers.keys()
    assert {route: answer.status_code for route, answer in answers.items()} == dict.fromkeys(answers, 401)
    assert all(answer.headers["WWW-Authenticate"] == "Bearer" for answer in answers.values())


def test_d4_the_health_checks_stay_open(tmp_path: Path) -> None:
    verifier = TokenVerifier("https://tipoff.example", fetch=lambda: Certificates({}, 3600))

    with both_services(tmp_path, verify=lambda told: verifier.verify(told, allowed=frozenset())) as services:
        assert [app.test_client().get("/health").status_code for app in services] == [200, 200]


def test_d4_checking_nobody_is_refused_on_cloud_run() -> None:
    with pytest.raises(InvalidInput, match="TIPOFF_AUTH: off is refused on Cloud Run"):
        read(WorkerSettings, {"TIPOFF_AUTH": "off", "K_SERVICE": "worker"})


# --- D6 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "game_date"),
    [
        (datetime(2026, 1, 31, 3, 0, tzinfo=UTC), "20260130"),
        (datetime(2026, 1, 31, 4, 59, tzinfo=UTC), "20260130"),
        (datetime(2026, 1, 31, 5, 0, tzinfo=UTC), "20260131"),
        (datetime(2025, 11, 2, 5, 30, tzinfo=UTC), "20251102"),
        (datetime(2026, 6, 14, 3, 30, tzinfo=UTC), "20260613"),
        (datetime(2026, 6, 14, 4, 30, tzinfo=UTC), "20260614"),
    ],
)
def test_d6_a_start_without_a_date_means_today_in_us_eastern(tmp_path: Path, now: datetime, game_date: str) -> None:
    with both_services(tmp_path, now=now) as (coordinator, _):
        answer = coordinator.test_client().post("/start", json={})

    assert answer.get_json()["batch_id"].startswith(f"{game_date}_"), answer.get_json()


def test_d6_an_explicit_date_is_taken_whatever_the_clock_says(tmp_path: Path) -> None:
    with both_services(tmp_path, now=datetime(2026, 1, 31, 3, 0, tzinfo=UTC)) as (coordinator, _):
        answer = coordinator.test_client().post("/start", json={"game_date": "2026-02-01"})

    assert answer.get_json()["batch_id"].startswith("20260201_"), answer.get_json()
