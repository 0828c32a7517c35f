"""A day on the emulated cloud, as a collector sees it: one trace from its start to its news, every span with its parent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from local.emulated.cloud_stack import CloudStack
from local.sample.season import SAMPLE_GAME_DATE, write
from shared.tracing import SCHEMA_URL
from tests.e2e.conftest import started
from tests.otlp_receiver import Collector, Received, collecting

pytestmark = pytest.mark.xdist_group("emulated_stack")  # beside another stack it would only be slower

PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Day:
    """What is left of a day when its stack has ended."""

    collector: Collector
    batch: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def start(self) -> Received:
        """Where it begins."""
        (found,) = self.collector.named("POST /start")
        return found

    def of_slices(self, name: str) -> dict[tuple[str, str], Received]:
        """The spans of a name by shard and slice; of several deliveries one."""
        return {
            (one.attributes["tipoff.shard"], one.attributes["tipoff.slice"]): one for one in self.collector.named(name)
        }


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    season, folder = tmp_path_factory.mktemp("season"), tmp_path_factory.mktemp("stack")
    write(season)
    with collecting() as collector:
        with ExitStack() as running:
            stack = started(running, folder, settings={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
            stack.load(season, SAMPLE_GAME_DATE)
            batch = complete(stack)
            logs = [part.log for part in stack.parts() if part.pid is not None]
        lines = [json.loads(line) for log in logs if log for line in log.read_text(encoding="utf-8").splitlines()]
        yield Day(collector, batch, lines)


def complete(stack: CloudStack) -> dict[str, Any]:
    """Start the date, and wait for the end of its batch."""
    started_batch = requests.post(
        f"{stack.coordinator_url}/start", json={"game_date": SAMPLE_GAME_DATE.isoformat()}, timeout=PATIENCE_SECONDS
    )
    assert started_batch.status_code == 202, started_batch.text

    batch_url = f"{stack.coordinator_url}/batches/{started_batch.json()['batch_id']}"
    for _ in range(PATIENCE_SECONDS):
        batch = requests.get(batch_url, timeout=PATIENCE_SECONDS).json()
        if batch["state"] == "COMPLETE":
            assert isinstance(batch, dict)
            return batch
        assert not stack.has_ended("worker", within=1.0)
    pytest.fail("the batch did not end in time")


def test_every_span_has_its_parent_and_every_trace_one_root(day: Day) -> None:
    traces = {span.trace_id for span in day.collector.spans}

    for trace_id in traces:
        of_trace = [span for span in day.collector.spans if span.trace_id == trace_id]
        ids = {span.span_id for span in of_trace}
        assert len(ids) == len(of_trace)
        assert len([span for span in of_trace if span.parent_id is None]) == 1
        assert {span.parent_id for span in of_trace} - {None} <= ids
    assert {span.schema_url for span in day.collector.spans} == {SCHEMA_URL}
    # A compare-and-set that another write disturbed is made again.
    assert {span.attributes["error.type"] for span in day.collector.spans if span.failed} <= {"VersionChanged"}


def test_each_slice_is_followed_from_the_start_to_its_record(day: Day) -> None:
    requested, answered = day.of_slices("process requests"), day.of_slices("process outcomes")

    assert requested.keys() == answered.keys()
    assert len(requested) >= day.batch["players"]["expected"] / 25
    for name, request in requested.items():
        assert day.collector.ancestry(request) == ["process requests", "send requests", "POST /start"]
        assert day.collector.ancestry(answered[name]) == [
            *("process outcomes", "send outcomes"),
            *("process requests", "send requests", "POST /start"),
        ]
        assert (request.service, answered[name].service) == ("worker", "coordinator")
        done = {one.name for one in day.collector.below(request) if one.service == "worker"}
        assert done >= {"predict", "append _staging_v2", "send outcomes"}
        assert {one.name for one in day.collector.below(answered[name])} >= {"get shards", "commit"}


def test_the_consolidation_is_followed_from_the_start_to_the_news(day: Day) -> None:
    (merge,) = [one for one in day.collector.named("MERGE") if one.kind == "INTERNAL"]
    (news,) = day.collector.named("send finished")

    assert day.collector.ancestry(merge) == [
        *("MERGE", "consolidate", "process outcomes", "send outcomes"),
        *("process requests", "send requests", "POST /start"),
    ]
    assert day.collector.ancestry(news)[1:] == day.collector.ancestry(merge)[1:]
    statements = {one.name for one in day.collector.below(merge) if one.kind == "CLIENT"}
    assert statements >= {"MERGE", "job"}
    assert merge.attributes["tipoff.batch_id"] == day.batch["batch_id"]
    assert merge.trace_id == news.trace_id == day.start.trace_id


def test_spans_bear_the_names_of_the_conventions(day: Day) -> None:
    request = next(iter(day.of_slices("process requests").values()))
    (append, *_) = [one for one in day.collector.below(request) if one.name == "append _staging_v2"]

    assert (day.start.kind, day.start.attributes["http.route"], day.start.attributes["http.response.status_code"]) == (
        *("SERVER", "/start"),
        202,
    )
    assert request.kind == "CONSUMER"
    assert (
        request.attributes.items()
        >= {
            "messaging.system": "gcp_pubsub",
            "messaging.operation.type": "process",
            "messaging.destination.name": "requests",
        }.items()
    )
    assert request.attributes["messaging.message.id"]
    assert append.kind == "CLIENT"
    assert (
        append.attributes.items()
        >= {
            "db.system.name": "gcp.bigquery",
            "db.operation.name": "append",
            "db.collection.name": "_staging_v2",
        }.items()
    )


def test_log_lines_bear_the_ids_of_the_spans_within_which_they_were_written(day: Day) -> None:
    names = {(span.trace_id, span.span_id): span.name for span in day.collector.spans}

    def spans_of(message: str) -> set[str | None]:
        found = [line for line in day.lines if line["message"] == message]
        traces = [line["logging.googleapis.com/trace"].rpartition("/")[2] for line in found]
        assert traces
        return {
            names.get((trace, line["logging.googleapis.com/spanId"])) for trace, line in zip(traces, found, strict=True)
        }

    assert spans_of("batch planned") == spans_of("requests published") == {"POST /start"}
    assert spans_of("requests finished") == {"process requests"}
    assert spans_of("push finished") == {"process outcomes"}
    assert spans_of("batch consolidated") == spans_of("batch ended") == {"consolidate"}
