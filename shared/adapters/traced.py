"""Whether spans are sent, and the ports whose calls are spans; where none are sent, stores are left as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, cast
from urllib.parse import urlsplit

from shared import tracing
from shared.errors import InvalidInput
from shared.ports import DocumentStore, Outgoing, Publisher, Warehouse

_READ = (
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
)


# --- whether spans are sent -----------------------------------------------------------------------------------


def configure(environ: Mapping[str, str], *, service: str, revision: str, project: str | None) -> None:
    """Send spans where OpenTelemetry's own variables name an exporter; else its SDK is not even imported.

    On by `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_TRACES_EXPORTER=otlp`; the SDK reads the
    rest of its variables from the process's environment. Call it before ports are wrapped, in the process that serves.

    Raises:
        InvalidInput: a variable asks for what is not built in, or for credentials that are not there.
    """
    if not _is_wanted({name: environ.get(name, "").strip() for name in _READ}):
        tracing.export_to(None)
        return
    from shared.adapters.otlp import OtlpSpans  # noqa: PLC0415 - it costs every start a third of a second, wanted or not

    resource = {"service.name": service, "service.version": revision}
    tracing.export_to(OtlpSpans(resource | ({"gcp.project_id": project} if project else {})))


def _is_wanted(given: Mapping[str, str]) -> bool:
    endpoints = [name for name in _READ if name.endswith("ENDPOINT") and given[name]]
    exporter = given["OTEL_TRACES_EXPORTER"] or ("otlp" if endpoints else "none")
    if exporter not in ("otlp", "none"):
        raise InvalidInput("OTEL_TRACES_EXPORTER", f"{exporter!r} is not built in; set otlp or none")
    if exporter == "none" or given["OTEL_SDK_DISABLED"].lower() == "true":
        return False
    for name in _READ:
        if name.endswith("PROTOCOL") and given[name] not in ("", "http/protobuf"):
            raise InvalidInput(name, f"{given[name]!r} is not built in; set http/protobuf or leave it out")
        if name in endpoints and urlsplit(given[name]).scheme not in ("http", "https"):
            raise InvalidInput(
                name, f"{given[name]!r} is not a URL of http or https; write it as http://localhost:4318"
            )
    return True


# --- ports ----------------------------------------------------------------------------------------------------


class TracedPublisher:
    """A `Publisher` whose messages carry the trace on, each under a span of its own.

    Args:
        topic: the topic's short name.
    """

    def __init__(self, inner: Publisher, *, topic: str) -> None:
        self._inner = inner
        self._topic = topic

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """See `Publisher.publish`."""
        with tracing.sending(self._topic, messages=len(messages)) as traceparents:
            self._inner.publish(
                [
                    replace(message, attributes={**message.attributes, "traceparent": traceparent})
                    for message, traceparent in zip(messages, traceparents, strict=True)
                ]
            )

    def check(self) -> None:
        """See `Publisher.check`."""
        self._inner.check()


def traced_documents(store: DocumentStore, *, system: str) -> DocumentStore:
    """Make each call of a document store a span; `system` names the database as the conventions do (`db.system.name`)."""
    return cast(DocumentStore, _Traced(store, system)) if tracing.is_exporting() else store


def traced_warehouse(store: Warehouse, *, system: str) -> Warehouse:
    """Make each call of a warehouse a span; `system` names the database as the conventions do (`db.system.name`)."""
    return cast(Warehouse, _Traced(store, system)) if tracing.is_exporting() else store


class _Traced:
    """Whatever is called of a port is one span: one wrapper for all of them."""

    def __init__(self, inner: object, system: str) -> None:
        self._inner = inner
        self._system = system

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._spanned(name, found) if callable(found) else found

    def _spanned(self, operation: str, call: Callable[..., object]) -> Callable[..., object]:
        @wraps(call)
        def spanned(*arguments: object, **options: object) -> object:
            target = _target(operation, arguments[0] if arguments else None)
            attributes = {"db.system.name": self._system, "db.operation.name": operation, **target}
            shown = target.get("db.query.summary") or " ".join([operation, *target.values()])
            with tracing.span(shown, kind="CLIENT", attributes=attributes):
                return call(*arguments, **options)

        return spanned


_FIRST_WORD = re.compile(r"\A(?:\s|--.*)*(\w+)")
"""Of a statement, behind the comments that it begins with."""
_STATEMENTS = frozenset({"query", "estimate", "submit"})


def _target(operation: str, first: object) -> dict[str, str]:
    """What a call is about: the first word of a statement, else a table, or the collection that a path leads to."""
    match first:
        case str() if operation == "job":
            return {}
        case str() if operation in _STATEMENTS:
            return {"db.query.summary": _FIRST_WORD.findall(first)[0]}
        case str():
            return {"db.collection.name": first}
        case tuple():
            return {"db.collection.name": str(first[-1 if operation == "query" else -2])}
        case _:
            return {}
