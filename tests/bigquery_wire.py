"""A server on loopback that answers like BigQuery's REST API whatever a test tells it to, and notes what it was asked."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Wire:
    """A loopback endpoint that gives BigQuery's documented answers in turn and keeps what the real client asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        wire = self

        class Answering(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                wire.asked.append((self.command, self.path.partition("?")[0], json.loads(body) if body else {}))
                status, answer = wire.answers.pop(0)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _answer  # noqa: N815 - the names that http.server calls

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)


def error(status: int, reason: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"code": status, "message": reason, "errors": [{"reason": reason, "message": reason}]}}


def job_answer(state: str, failure: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    return 200, {
        "jobReference": {"projectId": "p", "jobId": "merge_1", "location": "us-east1"},
        "configuration": {"query": {"query": "SELECT 1"}},
        "status": {"state": state} | ({"errorResult": failure} if failure else {}),
    }
