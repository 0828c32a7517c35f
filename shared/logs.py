"""Knows how every line of a service becomes one JSON line in Cloud Logging's structured form, and what labels it.

`configure` comes before anything that may log is imported (C1). Labels live in a context variable: work handed to another
thread takes them along only when run in a copy of the context (`contextvars.copy_context`).
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO
from urllib.parse import urlsplit

import google.cloud.logging_v2
from google.cloud.logging_v2.handlers import StructuredLogHandler

from shared import tracing
from shared.errors import InvalidInput

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamCheck:
    """Whether lines flow: `written` and `lost` count this process's lines since it configured its logs."""

    configured: bool
    level: str
    written: int
    lost: int


_labels: ContextVar[Mapping[str, str]] = ContextVar("tipoff_labels")


# --- set-up ---------------------------------------------------------------------------------------------------


def configure(
    *, service: str, revision: str, project: str | None, level: int | str = logging.INFO, stream: TextIO | None = None
) -> None:
    """Send every line of this process to `stream` (standard output) as JSON, labelled with service and revision.

    Covers all loggers, gunicorn's included, warnings and uncaught exceptions of every thread. Replaces the root
    logger's handlers, so a repeat (the service after the gunicorn configuration) changes the labels and doubles
    nothing. Contacts no network. `project` turns a trace id into the name that Cloud Trace links to.
    """
    # Otherwise the handler's first line is preceded by two about the logging library itself.
    google.cloud.logging_v2._instrumentation_emitted = True  # noqa: SLF001  the library has no other switch
    labels = {"service": service, "revision": revision}
    root = logging.getLogger()
    root.handlers[:] = [_JsonLines(labels=labels, project=project, stream=stream or sys.stdout)]
    root.setLevel(level)
    for name in ("gunicorn.error", "gunicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def stream_check() -> StreamCheck:
    """Tell, for `/ready`, whether this process's logs are configured and how many lines were written and lost."""
    handler = _installed()
    level = logging.getLevelName(logging.getLogger().level)
    if handler is None:
        return StreamCheck(configured=False, level=level, written=0, lost=0)
    return StreamCheck(configured=True, level=level, written=handler.written, lost=handler.lost)


def configured_handler() -> logging.Handler:
    """Return the handler that `configure` installed, for a server that wants to be given its handlers.

    Raises:
        InvalidInput: `configure` has not been called.
    """
    handler = _installed()
    if handler is None:
        raise InvalidInput("logs", "are not configured; call shared.logs.configure first")
    return handler


def _installed() -> _JsonLines | None:
    return next((handler for handler in logging.getLogger().handlers if isinstance(handler, _JsonLines)), None)


# --- context --------------------------------------------------------------------------------------------------


@contextmanager
def bound(**labels: str | int | None) -> Iterator[None]:
    """Add labels (`batch_id`, `player`, `message_id`, `delivery_attempt`) to every line logged inside; None adds none."""
    added = {name: str(value) for name, value in labels.items() if value is not None}
    token = _labels.set({**_labels.get({}), **added})
    try:
        yield
    finally:
        _labels.reset(token)


# --- lines ----------------------------------------------------------------------------------------------------


class _Fields(json.JSONEncoder):
    """Encodes any field: a line with an odd value in it is worth more than no line (C2)."""

    def default(self, value: object) -> str:
        return str(value)

    def encode(self, value: object) -> str:
        return super().encode(_plain(value))


class _JsonLines(StructuredLogHandler):
    """Google's structured handler, with our labels, trace and access lines, that never loses a line silently."""

    def __init__(self, *, labels: Mapping[str, str], project: str | None, stream: TextIO) -> None:
        # The library's handler carries no annotations.
        super().__init__(  # type: ignore[no-untyped-call]  # the client is untyped
            labels=dict(labels), stream=stream, project_id=project, json_encoder_cls=_Fields
        )
        self.written = 0
        self.lost = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "gunicorn.access" and isinstance(record.args, Mapping):
            _describe_access(record, record.args)
        self._add_context(record)
        passes = bool(super().filter(record))
        _leave_the_query_out(record)
        return passes

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, Mapping):
            # The library drops the traceback of a mapping message.
            record.__dict__["json_fields"] = {**record.msg, **getattr(record, "json_fields", {})}
            record.msg = str(record.msg.get("message", ""))
        # A lone surrogate, which JSON input may carry, cannot be written as UTF-8; its escape is valid JSON.
        # The library leaves the time to the collector; a terminal or a file has none.
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = f'{{"time": "{time}", {str(super().format(record))[1:]}'  # type: ignore[no-untyped-call]  # the client is untyped
        return line.encode("utf-8", "backslashreplace").decode("utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        lost_before = self.lost
        super().emit(record)  # type: ignore[no-untyped-call]  # the client is untyped
        self.written += 1 if self.lost == lost_before else 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        """Write what can be written of a line that could not be formatted; a closed stream only counts it."""
        self.lost += 1
        error = sys.exc_info()[1]
        line = {
            "severity": "ERROR",
            "message": "a log line could not be written",
            "error": repr(error),
            "logger": record.name,
            "text": ascii(record.msg),
        }
        try:
            self.stream.write(json.dumps(line) + self.terminator)
            self.flush()
        except (OSError, ValueError):
            return

    def _add_context(self, record: logging.LogRecord) -> None:
        own = {name: str(value) for name, value in getattr(record, "labels", {}).items()}
        record.__dict__["labels"] = {**_labels.get({}), **own}
        trace = record.__dict__.get("_access_trace") or tracing.current()
        if trace is not None and not hasattr(record, "trace"):
            name = f"projects/{self.project_id}/traces/{trace.trace_id}" if self.project_id else trace.trace_id
            record.__dict__.update(trace=name, span_id=trace.span_id, trace_sampled=trace.is_sampled)


def _describe_access(record: logging.LogRecord, atoms: Mapping[str, object]) -> None:
    """Give gunicorn's access record (all INFO, without a trace) the severity of its status, its trace and its request.

    The atoms are those of gunicorn's `access_log_format`.
    """
    status = int(str(atoms.get("s", "0")))
    record.levelno = logging.ERROR if status >= 500 else logging.WARNING if status >= 400 else logging.INFO
    record.levelname = logging.getLevelName(record.levelno)
    record.msg, record.args = "%s %s %d", (str(atoms.get("m")), str(atoms.get("U")), status)
    record.__dict__["http_request"] = {
        "requestMethod": atoms.get("m"),
        "requestUrl": atoms.get("U"),
        "status": status,
        "responseSize": str(atoms.get("B") or 0),
        "userAgent": atoms.get("a"),
        "remoteIp": atoms.get("h"),
        "latency": f"{atoms.get('L')}s",
        "protocol": atoms.get("H"),
    }
    record.__dict__["_access_trace"] = tracing.parsed(str(atoms.get("{traceparent}i", "")))


def _leave_the_query_out(record: logging.LogRecord) -> None:
    """Log of a request its path only: a query may hold a token (F11). The library takes the whole URL."""
    of_request = record.__dict__.get("_http_request") or {}
    if url := of_request.get("requestUrl"):
        bare = {**of_request, "requestUrl": urlsplit(str(url)).path}
        record.__dict__.update(_http_request=bare, _http_request_str=json.dumps(bare, ensure_ascii=False))


def _plain(value: object) -> object:
    """Make keys strings, collections lists, and the floats that JSON lacks text; leave the rest to `default`."""
    match value:
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(inner) for inner in value]
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


# --- last resort ----------------------------------------------------------------------------------------------


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    _log.critical("uncaught exception", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    name = args.thread.name if args.thread else "unknown"
    exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
    _log.critical("uncaught exception in a thread", exc_info=exc_info, extra={"json_fields": {"thread": name}})
