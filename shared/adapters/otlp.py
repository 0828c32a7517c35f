"""Spans by OpenTelemetry's SDK. It alone knows OpenTelemetry, and it is imported only where spans are sent."""

from __future__ import annotations

import threading
import time
from typing import Any

from google.auth.exceptions import GoogleAuthError
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from shared.errors import InvalidInput
from shared.tracing import SCHEMA_URL, Attributes, Kind, Trace

_LONG_SECONDS = 1.0
_PAUSE_SECONDS = 60.0


class OtlpSpans:
    """`Spans` that are sent by OTLP over HTTP; the standard variables say where to, which ones, and how.

    Not the process's global tracer, or the Google clients would add spans of their own. Make it after any fork.

    Args:
        resource: what they are said to come from, unless `OTEL_RESOURCE_ATTRIBUTES` or `OTEL_SERVICE_NAME` say otherwise.

    Raises:
        InvalidInput: the credential provider that the environment names is not there, or finds no credentials.
    """

    def __init__(self, resource: dict[str, str]) -> None:
        merged = Resource.create(resource).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=merged)
        try:
            exporter = OTLPSpanExporter()
        except (RuntimeError, GoogleAuthError) as error:
            wrong = f"{error}; name gcp_http_credentials where Google's are found, or leave it out"
            raise InvalidInput("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", wrong) from error
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("tipoff", schema_url=SCHEMA_URL)
        self._flushing = threading.Lock()
        self._not_before = 0.0

    def start(self, name: str, *, parent: Trace | None, kind: Kind, attributes: Attributes) -> Trace:
        """See `Spans.start`."""
        # The context is always given, lest OpenTelemetry's own current span be taken for ours.
        within = Context() if parent is None else set_span_in_context(_span_of(parent), Context())
        begun = self._tracer.start_span(name, within, SpanKind[kind], _given(attributes))
        ids = begun.get_span_context()
        return Trace(f"{ids.trace_id:032x}", f"{ids.span_id:016x}", f"{ids.trace_flags:02x}", begun)

    def note(self, trace: Trace, attributes: Attributes, error: BaseException | None) -> None:
        """See `Spans.note`."""
        noted = _span_of(trace)
        noted.set_attributes(_given(attributes))
        if error is not None:
            noted.record_exception(error)
            noted.set_attribute("error.type", type(error).__qualname__)
            noted.set_status(StatusCode.ERROR, str(error))

    def end(self, trace: Trace) -> None:
        """See `Spans.end`."""
        _span_of(trace).end()

    def flush(self) -> None:
        """See `Spans.flush`. Where another thread is at it, or it lately took long, it is left to the SDK's own thread and to
        who comes later: a receiver that does not answer must not slow a day."""
        if time.monotonic() < self._not_before or not self._flushing.acquire(blocking=False):
            return
        begun = time.monotonic()
        try:
            self._provider.force_flush()
        finally:
            if time.monotonic() - begun > _LONG_SECONDS:
                self._not_before = time.monotonic() + _PAUSE_SECONDS
            self._flushing.release()

    def shut_down(self) -> None:
        """Send what has ended and stop."""
        self._provider.shutdown()


def _span_of(trace: Trace) -> Span:
    if isinstance(trace.recorded, Span):
        return trace.recorded
    flags = TraceFlags(int(trace.flags, 16))
    ids = SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), is_remote=True, trace_flags=flags)
    return NonRecordingSpan(ids)


def _given(attributes: Attributes) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
