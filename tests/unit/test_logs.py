"""Every line is one JSON object with its labels and trace, and none is lost silently."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextvars import copy_context
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from flask import Flask

from shared import logs, tracing
from shared.errors import InvalidInput

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"

log = logging.getLogger("tests.logs")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    logs.configure(service="coordinator", revision="r7", project="demo", stream=stream)
    return stream


class Unspeakable:
    """A field that cannot be written."""

    def __str__(self) -> str:
        raise TypeError("cannot be written")


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """Return the lines written so far; fails on one that is not strict JSON."""

    def refuse(constant: str) -> object:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in stream.getvalue().split("\n")[:-1]]


def labels(line: dict[str, object]) -> dict[str, object]:
    """Return the labels of a line."""
    found = line["logging.googleapis.com/labels"]
    assert isinstance(found, dict)
    return found


def test_a_line_carries_severity_text_fields_time_and_labels(stream: io.StringIO) -> None:
    log.info("batch started", extra={"json_fields": {"players": 150}})

    (line,) = lines(stream)
    assert (line["severity"], line["message"], line["players"]) == ("INFO", "batch started", 150)
    assert labels(line) == {"python_logger": "tests.logs", "service": "coordinator", "revision": "r7"}
    assert datetime.fromisoformat(str(line["time"])).tzinfo == UTC


def test_configured_twice_writes_once_with_the_later_labels(stream: io.StringIO) -> None:
    later = io.StringIO()
    logs.configure(service="worker", revision="r8", project="demo", level="WARNING", stream=later)

    log.info("too quiet")
    log.warning("heard")

    assert lines(stream) == []
    assert [(line["message"], labels(line)["service"]) for line in lines(later)] == [("heard", "worker")]


def test_bound_labels_are_on_every_line_inside_and_none_outside(stream: io.StringIO) -> None:
    with logs.bound(batch_id="b1", player="nikola-jokić", delivery_attempt=None), logs.bound(delivery_attempt=0):
        log.info("inside")
    log.info("outside")

    inside, outside = lines(stream)
    assert labels(inside).items() >= {"batch_id": "b1", "player": "nikola-jokić", "delivery_attempt": "0"}.items()
    assert labels(outside).keys() == {"python_logger", "service", "revision"}


def test_labels_end_with_their_block_even_when_it_fails(stream: io.StringIO) -> None:
    with pytest.raises(ZeroDivisionError), logs.bound(batch_id="b1"), within(PARENT):
        _ = 1 / 0
    log.info("after")

    (line,) = lines(stream)
    assert "batch_id" not in labels(line)
    assert line["logging.googleapis.com/trace"] == ""


def within(traceparent: str) -> AbstractContextManager[None]:
    return tracing.received("a request", traceparent, kind="SERVER", attributes={})


def test_a_bound_trace_is_on_every_line_under_the_projects_name(stream: io.StringIO) -> None:
    with within(PARENT):
        log.info("inside")

    (line,) = lines(stream)
    assert line["logging.googleapis.com/trace"] == f"projects/demo/traces/{TRACE}"
    assert line["logging.googleapis.com/spanId"] == "b7ad6b7169203331"
    assert line["logging.googleapis.com/trace_sampled"] is True


def test_the_messages_trace_wins_over_the_http_requests_inside_flask(stream: io.StringIO) -> None:
    other = "00-" + "1" * 32 + "-" + "2" * 16 + "-00"

    with Flask("app").test_request_context("/predict", headers={"traceparent": other}):
        log.info("before the envelope is open")
        with within(PARENT):
            log.info("inside")

    before, inside = lines(stream)
    assert before["logging.googleapis.com/trace"] == "projects/demo/traces/" + "1" * 32
    assert inside["logging.googleapis.com/trace"] == f"projects/demo/traces/{TRACE}"


def test_a_thread_keeps_labels_and_trace_when_run_in_a_copy_of_the_context(stream: io.StringIO) -> None:
    with logs.bound(batch_id="b1"), within(PARENT):
        thread = threading.Thread(target=copy_context().run, args=(log.info, "in the thread"))
    thread.start()
    thread.join()

    (line,) = lines(stream)
    assert labels(line)["batch_id"] == "b1"
    assert line["logging.googleapis.com/spanId"] == "b7ad6b7169203331"


def test_an_exception_keeps_its_traceback_beside_the_fields(stream: io.StringIO) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.exception("merge failed", extra={"json_fields": {"merge_no": 2}})
        log.exception({"message": "as a mapping", "merge_no": 3})

    for line, number in zip(lines(stream), (2, 3), strict=True):
        assert "ZeroDivisionError: division by zero" in str(line["message"])
        assert line["merge_no"] == number


def test_a_value_that_json_lacks_costs_no_line(stream: io.StringIO) -> None:
    odd = {
        "share": float("nan"),
        "deep": [{"limit": float("-inf")}],
        "line": Decimal("24.5"),
        "at": datetime(2026, 1, 30, tzinfo=UTC),
        "names": {"a"},
        ("tuple", 1): "key",
    }

    log.info("odd", extra={"json_fields": odd})

    (line,) = lines(stream)
    assert (line["share"], line["deep"], line["line"]) == ("nan", [{"limit": "-inf"}], "24.5")
    assert (line["at"], line["names"], line["('tuple', 1)"]) == ("2026-01-30 00:00:00+00:00", ["a"], "key")


def test_a_lone_surrogate_can_be_written_to_a_utf_8_stream() -> None:
    raw = io.BytesIO()
    logs.configure(service="s", revision="r", project=None, stream=io.TextIOWrapper(raw, encoding="utf-8"))

    with logs.bound(player="\ud800"):
        log.info("named", extra={"json_fields": {"player": "jokić \udfff"}})

    line = json.loads(raw.getvalue().decode("utf-8"))
    assert line["player"] == "jokić \udfff"
    assert labels(line)["player"] == "\ud800"


def test_a_line_that_cannot_be_formatted_leaves_a_line_that_says_so(stream: io.StringIO) -> None:
    log.info("plan frozen", extra={"json_fields": {"odd": Unspeakable()}})

    (line,) = lines(stream)
    assert (line["severity"], line["message"]) == ("ERROR", "a log line could not be written")
    assert (line["logger"], line["text"]) == ("tests.logs", "'plan frozen'")
    assert line["error"] == "TypeError('cannot be written')"


def test_ready_can_tell_that_lines_flow_and_are_not_lost(stream: io.StringIO) -> None:
    log.info("one")
    log.info("two", extra={"json_fields": {"odd": Unspeakable()}})

    assert len(lines(stream)) == 2
    assert logs.stream_check() == logs.StreamCheck(configured=True, level="INFO", written=1, lost=1)


def test_a_closed_stream_breaks_nothing_and_is_counted(stream: io.StringIO) -> None:
    stream.close()

    log.info("into the void")

    assert logs.stream_check().lost == 1


def test_unconfigured_logs_are_told() -> None:
    logging.getLogger().handlers.clear()

    assert logs.stream_check().configured is False
    with pytest.raises(InvalidInput, match="configure"):
        logs.configured_handler()


def test_an_uncaught_exception_is_one_line(stream: io.StringIO) -> None:
    error = ValueError("unforeseen")

    sys.excepthook(ValueError, error, None)

    (line,) = lines(stream)
    assert line["severity"] == "CRITICAL"
    assert "ValueError: unforeseen" in str(line["message"])


def test_an_uncaught_exception_of_a_thread_is_one_line(stream: io.StringIO) -> None:
    thread = threading.Thread(target=[].pop, name="poller")
    thread.start()
    thread.join()

    (line,) = lines(stream)
    assert (line["severity"], line["thread"]) == ("CRITICAL", "poller")
    assert "IndexError" in str(line["message"])


def test_a_warning_is_one_line(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("careful", UserWarning, stacklevel=1)

    (line,) = lines(stream)
    assert line["severity"] == "WARNING"
    assert "UserWarning: careful" in str(line["message"])


@pytest.mark.parametrize(
    ("status", "severity"), [("200", "INFO"), ("204", "INFO"), ("404", "WARNING"), ("503", "ERROR")]
)
def test_an_access_line_has_the_severity_of_its_status_its_request_and_its_trace(
    stream: io.StringIO, status: str, severity: str
) -> None:
    atoms = {"m": "POST", "U": "/predict", "s": status, "B": 17, "a": "agent", "h": "10.0.0.1", "L": "0.250000"}

    logging.getLogger("gunicorn.access").info("%(h)s %(s)s", atoms | {"H": "HTTP/1.1", "{traceparent}i": PARENT})

    (line,) = lines(stream)
    assert (line["severity"], line["message"]) == (severity, f"POST /predict {status}")
    assert line["logging.googleapis.com/trace"] == f"projects/demo/traces/{TRACE}"
    assert line["httpRequest"] == {
        "requestMethod": "POST",
        "requestUrl": "/predict",
        "status": int(status),
        "responseSize": "17",
        "userAgent": "agent",
        "remoteIp": "10.0.0.1",
        "latency": "0.250000s",
        "protocol": "HTTP/1.1",
    }
