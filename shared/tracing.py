"""Knows which trace and span the work at hand belongs to, and passes that on; who records spans is wired in by `export_to`.

Without that a span is nothing, and trace ids are passed on all the same, so that the log lines of a day share one. The
trace at hand lives in a context variable: work handed to another thread takes it along only when run in a copy of the
context (`contextvars.copy_context`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
"""The version of OpenTelemetry's semantic conventions whose names our spans and their attributes bear."""

Kind: TypeAlias = Literal["INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
Attributes: TypeAlias = Mapping[str, "str | int | None"]
"""Named by the conventions, or by `tipoff.` and a name of ours; what is None is left out."""

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class Trace:
    """Where the work at hand stands: in which trace, within which span."""

    trace_id: str
    span_id: str
    flags: str
    recorded: object = field(default=None, compare=False)
    """What `Spans` made of it; None of what came from outside and where nobody records."""

    @property
    def is_sampled(self) -> bool:
        """Whether spans of this trace are recorded."""
        return bool(int(self.flags, 16) & 1)

    def __str__(self) -> str:
        """As a W3C `traceparent` (https://www.w3.org/TR/trace-context/)."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


class Spans(Protocol):
    """Who records spans and sends them away. Its trouble is in the log and never that of the work."""

    def start(self, name: str, *, parent: Trace | None, kind: Kind, attributes: Attributes) -> Trace:
        """Begin a span: in the trace of its parent, or of a new one."""

    def note(self, trace: Trace, attributes: Attributes, error: BaseException | None) -> None:
        """Add attributes to a span that has not ended; with an error it counts as failed."""

    def end(self, trace: Trace) -> None:
        """End a span."""

    def flush(self) -> None:
        """Send what has ended."""


_current: ContextVar[Trace] = ContextVar("tipoff_trace")
_spans: Spans | None = None


def export_to(spans: Spans | None) -> None:
    """Have the spans of this process recorded from now on; None: by nobody."""
    global _spans  # noqa: PLW0603 - as with logging, who listens is a matter of the whole process
    _spans = spans


def is_exporting() -> bool:
    """Whether anybody records spans."""
    return _spans is not None


# --- the trace at hand ----------------------------------------------------------------------------------------


def current() -> Trace | None:
    """Tell where the work at hand stands; None outside all traces."""
    return _current.get(None)


def parsed(traceparent: str | None) -> Trace | None:
    """Read a W3C `traceparent`; None for an absent or malformed one."""
    match = _TRACEPARENT.fullmatch((traceparent or "").strip())
    return Trace(trace_id=match[1], span_id=match[2], flags=match[3]) if match else None


@contextmanager
def received(name: str, traceparent: str | None, *, kind: Kind, attributes: Attributes) -> Iterator[None]:
    """Do what a request or message asks for: within its trace, else the one at hand, else a new one.

    Recorded spans are sent before this ends, since Cloud Run gives no processor after the answer.
    """
    parent = parsed(traceparent) or _current.get(None)
    if _spans is None:
        token = _current.set(parent or _new_trace())
        try:
            yield
        finally:
            _current.reset(token)
        return
    try:
        with _recorded(_spans, name, parent, kind, attributes):
            yield
    finally:
        _spans.flush()


def span(name: str, *, kind: Kind = "INTERNAL", attributes: Attributes | None = None) -> AbstractContextManager[None]:
    """Record a step of the work at hand; an error that leaves it is recorded with it."""
    if _spans is None:
        return nullcontext()
    return _recorded(_spans, name, _current.get(None), kind, attributes or {})


def note(attributes: Attributes, *, error: BaseException | None = None) -> None:
    """Add to the span at hand what became known within it; with an error it counts as failed."""
    at_hand = _current.get(None)
    if _spans is not None and at_hand is not None:
        _spans.note(at_hand, attributes, error)


@contextmanager
def sending(topic: str, *, messages: int) -> Iterator[list[str]]:
    """Give for each of some messages the `traceparent` to send along, while they are published to a topic."""
    parent = _current.get(None)
    if _spans is None:
        traces = [parent or _new_trace() for _ in range(messages)]
        yield [f"00-{one.trace_id}-{secrets.token_hex(8)}-{one.flags}" for one in traces]
        return
    spans, named = _spans, messaging("send", topic)
    begun = [spans.start(f"send {topic}", parent=parent, kind="PRODUCER", attributes=named) for _ in range(messages)]
    try:
        yield [str(one) for one in begun]
    except BaseException as error:
        for one in begun:
            spans.note(one, {}, error)
        raise
    finally:
        for one in begun:
            spans.end(one)


def messaging(operation: Literal["send", "process"], topic: str) -> dict[str, str | int | None]:
    """The attributes by which the conventions name what is done with a message of Pub/Sub."""
    return {
        "messaging.system": "gcp_pubsub",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": topic,
    }


@contextmanager
def _recorded(spans: Spans, name: str, parent: Trace | None, kind: Kind, attributes: Attributes) -> Iterator[None]:
    begun = spans.start(name, parent=parent, kind=kind, attributes=attributes)
    token = _current.set(begun)
    try:
        yield
    except BaseException as error:
        spans.note(begun, {}, error)
        raise
    finally:
        _current.reset(token)
        spans.end(begun)


def _new_trace() -> Trace:
    # Flag 00: no spans are recorded here, so no one is told that they were sampled.
    return Trace(trace_id=secrets.token_hex(16), span_id=secrets.token_hex(8), flags="00")
