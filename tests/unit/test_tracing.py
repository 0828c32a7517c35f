"""What passes a trace on, whether or not anybody records it, and when spans are recorded at all."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv.attributes import db_attributes, error_attributes, http_attributes, url_attributes
from opentelemetry.semconv.schemas import Schemas

from shared import tracing
from shared.adapters.duckdb import DuckdbWarehouse
from shared.adapters.otlp import OtlpSpans
from shared.adapters.traced import TracedPublisher, configure, traced_warehouse
from shared.errors import InvalidInput, Unavailable
from shared.ports import Outgoing
from tests.memory_publisher import MemoryPublisher
from tests.otlp_receiver import Collector, collecting

ROOT = Path(__file__).parents[2]
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def passed_on(messages: int = 1) -> list[str]:
    topic = MemoryPublisher()
    TracedPublisher(topic, topic="requests").publish([Outgoing(b"{}", {"shard": "0"})] * messages)
    assert all(message.attributes["shard"] == "0" for message in topic.messages)
    return [message.attributes["traceparent"] for message in topic.messages]


def within(traceparent: str | None) -> AbstractContextManager[None]:
    return tracing.received("process requests", traceparent, kind="CONSUMER", attributes={"tipoff.shard": None})


# --- without an exporter --------------------------------------------------------------------------------------


def test_the_trace_is_passed_on_under_a_new_span() -> None:
    with within(PARENT):
        first, second = passed_on(2)

    assert first.startswith(f"00-{TRACE}-")
    assert first.endswith("-01")
    assert len({first, second, PARENT}) == 3


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        "",
        "rubbish",
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT.upper(),
        PARENT + '","x',
    ],
)
def test_an_absent_or_malformed_trace_begins_one_new_trace(malformed: str | None) -> None:
    with within(malformed):
        (told,), at_hand = passed_on(), tracing.current()

    assert at_hand is not None
    assert told.split("-")[1] == at_hand.trace_id != TRACE
    assert tracing.current() is None


def test_outside_all_traces_each_message_begins_one() -> None:
    first, second = passed_on(2)

    assert first.split("-")[1] != second.split("-")[1]


def test_what_names_no_trace_goes_on_with_the_one_at_hand() -> None:
    with within(PARENT), within(None):
        (told,) = passed_on()

    assert told.split("-")[1] == TRACE


def test_without_an_exporter_stores_are_left_as_they_are_and_the_sdk_is_not_imported() -> None:
    with closing(DuckdbWarehouse(":memory:")) as warehouse:
        assert traced_warehouse(warehouse, system="duckdb") is warehouse

    asked = (
        "import sys, coordinator.main, worker.main; from shared.adapters.traced import configure; "
        "configure({}, service='s', revision='r', project=None); print('opentelemetry.sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- what sets one --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "is_on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "tipoff"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://telemetry.googleapis.com/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_standard_variables_turn_it_on(
    environ: dict[str, str], is_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    configure(environ, service="worker", revision="r1", project="demo")

    assert tracing.is_exporting() is is_on


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ],
)
def test_what_is_not_built_in_is_refused_by_name(environ: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        configure(environ, service="worker", revision="r1", project="demo")

    assert refused.value.field == field
    assert not tracing.is_exporting()


@pytest.mark.parametrize("provider", ["nobody", "gcp_http_credentials"])
def test_credentials_that_are_not_there_are_told_by_the_variable_that_asks_for_them(
    provider: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variable = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER"
    monkeypatch.setenv(variable, provider)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))

    with pytest.raises(InvalidInput, match=variable):
        configure({"OTEL_TRACES_EXPORTER": "otlp"}, service="worker", revision="r1", project="demo")


# --- with one -------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _nobody_records_afterwards() -> Iterator[None]:
    yield
    tracing.export_to(None)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector to which this process sends its spans."""
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")  # nothing but what is asked for is sent
        spans = OtlpSpans({"service.name": "worker"})
        tracing.export_to(spans)
        yield found
        spans.shut_down()


def test_spans_are_sent_before_the_answer_and_messages_are_siblings(collector: Collector) -> None:
    with within(PARENT):
        told = passed_on(2)

    (process,), sent = collector.named("process requests"), collector.named("send requests")
    assert (process.trace_id, process.parent_id, process.kind) == (TRACE, PARENT.split("-")[2], "CONSUMER")
    assert {one.parent_id for one in sent} == {process.span_id}
    assert [one.split("-")[2] for one in told] == [one.span_id for one in sent]
    assert {one.kind for one in sent} == {"PRODUCER"}


def test_a_receiver_that_does_not_answer_delays_one_request_and_not_the_next(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.adapters.otlp._LONG_SECONDS", 0.0)
    with within(PARENT):
        passed_on()
    collector.may_answer.clear()

    with within(PARENT):  # would wait here
        passed_on()

    assert len(collector.named("process requests")) == 1
    collector.may_answer.set()


def test_what_was_not_sampled_by_whom_it_comes_from_is_not_recorded(collector: Collector) -> None:
    with within(PARENT.removesuffix("01") + "00"):
        (told,) = passed_on()

    assert told.endswith("-00")
    assert collector.spans == []


def test_an_error_is_told_on_the_span_that_it_leaves(collector: Collector) -> None:
    topic = MemoryPublisher()
    topic.fail_next(1)
    with pytest.raises(Unavailable), within(PARENT):
        TracedPublisher(topic, topic="requests").publish([Outgoing(b"{}")])

    assert [(one.failed, one.attributes["error.type"]) for one in collector.spans] == [(True, "Unavailable")] * 2


def test_a_call_of_a_store_is_a_span_named_by_what_it_does(collector: Collector) -> None:
    with closing(DuckdbWarehouse(":memory:")) as found, within(PARENT):
        warehouse = traced_warehouse(found, system="duckdb")
        warehouse.query("-- What is one.\n-- And no more.\nSELECT 1 AS one")
        warehouse.columns("nowhere")

    assert [one.name for one in collector.spans if one.kind == "CLIENT"] == ["SELECT", "columns nowhere"]


def test_every_attribute_is_one_of_the_pinned_conventions_or_ours() -> None:
    found = (messaging_attributes, db_attributes, error_attributes, http_attributes, url_attributes)
    known = {value for module in found for value in vars(module).values() if isinstance(value, str)}
    files = [*ROOT.glob("shared/**/*.py"), *ROOT.glob("coordinator/**/*.py"), *ROOT.glob("worker/**/*.py")]
    texts = "".join(file.read_text(encoding="utf-8") for file in files)

    named = set(re.findall(r'"((?:messaging|db|error|http|url)\.[a-z_.]+)"', texts))

    assert list(Schemas)[-1].value == tracing.SCHEMA_URL
    assert {"messaging.system", "db.system.name", "http.route"} <= named <= known
