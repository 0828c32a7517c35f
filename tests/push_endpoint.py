"""A push endpoint over real HTTP on loopback, for tests of whatever pushes to one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_SECONDS = 20.0
"""Only a failing test waits as long."""

HANG_UP = 0
"""An answer that is none: the connection is closed."""

ACKNOWLEDGE_AND_HANG_UP = -204
"""204, and then the connection is closed without having said so, as an idle server does."""


class PushEndpoint:
    """Keeps the bodies that are pushed to `url`, in order, and answers each with `answer(body)`'s status."""

    def __init__(self, url: str, answer: Callable[[dict[str, Any]], int]) -> None:
        self.url = url
        self._answer = answer
        self._bodies: list[dict[str, Any]] = []
        self._came = threading.Condition()

    def receive(self, content: bytes) -> int:
        """Keep one body and tell the status to answer with."""
        body = json.loads(content)
        with self._came:
            self._bodies.append(body)
            self._came.notify_all()
        return self._answer(body)

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        """Wait until `count` bodies came, and return all that did."""
        with self._came:
            arrived = self._came.wait_for(lambda: len(self._bodies) >= count, WAIT_SECONDS)
            assert arrived, f"{len(self._bodies)} of {count} pushes came"
            return list(self._bodies)


@contextmanager
def serving(answer: Callable[[dict[str, Any]], int] = lambda _: 204) -> Iterator[PushEndpoint]:
    """Serve an endpoint, with a thread for each connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            status = endpoint.receive(self.rfile.read(int(self.headers["Content-Length"])))
            self.close_connection = status <= HANG_UP
            if status == HANG_UP:
                return
            self.send_response(abs(status))
            if abs(status) >= 200:
                self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        endpoint = PushEndpoint(f"http://127.0.0.1:{server.server_port}/push", answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()
