"""Receives spans as a collector does, by OTLP over HTTP, and takes them apart."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


@dataclass(frozen=True)
class Received:
    """One span as it came over the wire; ids in hexadecimal, as log lines have them."""

    service: str
    schema_url: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str | None
    attributes: dict[str, Any]
    failed: bool


@dataclass
class Collector:
    """Where to send spans (`url`), and those that came; it answers when it `may_answer`."""

    url: str = ""
    may_answer: threading.Event = field(default_factory=threading.Event)
    spans: list[Received] = field(default_factory=list)

    def named(self, name: str) -> list[Received]:
        """Those of a name."""
        return [span for span in self.spans if span.name == name]

    def ancestry(self, span: Received) -> list[str]:
        """The names from a span up to the root of its trace; fails where a parent never came."""
        of_trace = {one.span_id: one for one in self.spans if one.trace_id == span.trace_id}
        names = [span.name]
        while span.parent_id is not None:
            span = of_trace[span.parent_id]
            names.append(span.name)
        return names

    def below(self, span: Received) -> list[Received]:
        """All spans that a span led to, however far."""
        children = [one for one in self.spans if (one.trace_id, one.parent_id) == (span.trace_id, span.span_id)]
        return [*children, *(far for child in children for far in self.below(child))]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Listen on a free port of this machine."""
    collector = Collector()
    collector.may_answer.set()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_ours = (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            if is_ours:
                collector.spans.extend(_taken_apart(body))
            collector.may_answer.wait()
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if is_ours else 404)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the server's own name
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _taken_apart(body: bytes) -> Iterator[Received]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _attributes(of_resource.resource.attributes)["service.name"]
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Received(
                    service=service,
                    schema_url=of_scope.schema_url,
                    name=span.name,
                    kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex() or None,
                    attributes=_attributes(span.attributes),
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")

    return {pair.key: value(pair) for pair in pairs}
