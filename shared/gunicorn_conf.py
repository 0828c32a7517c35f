"""Gunicorn's configuration for both services (`gunicorn --config python:shared.gunicorn_conf ...`).

Loaded before the application, so that the server's first line is JSON already (C1); the service's `main` then
configures the same logs again with its own name and level.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]  # it tells no types

from shared import logs


class Threads(ThreadWorker):  # type: ignore[misc]  # untyped, as its module is
    """Gunicorn's threads, which linger for a client that keeps its end open where they served it.

    Gunicorn itself does so in the thread that accepts for everybody: two seconds for each such client (F8).
    """

    def handle(self, conn: Any) -> Any:
        """Serve a connection's next request; false when the connection is closed."""
        goes_on = super().handle(conn)
        if not goes_on:
            conn.close(graceful=True)
            conn.close = lambda **_: None  # the accepting thread closes what has ended
        return goes_on


logs.configure(
    service=os.environ.get("K_SERVICE", "gunicorn"),
    revision=os.environ.get("K_REVISION", "local"),
    project=os.environ.get("TIPOFF_PROJECT"),
)
# The first line of all, so that an image that cannot even import its service tells what it is (D1, D2).
logging.getLogger(__name__).info(
    "image starting", extra={"json_fields": {"commit": os.environ.get("TIPOFF_COMMIT", "unknown")}}
)

bind = f"0.0.0.0:{os.environ.get('PORT', '8080')}"
workers = 1  # Cloud Run scales by instances
worker_class = Threads
# Cloud Run sends an instance at most 8 requests at once (--concurrency); the rest are for those who send theirs slowly,
# so that they silence nobody (F8).
threads = 32
worker_connections = 256  # beyond them connections wait in the kernel's queue
keepalive = 5  # seconds that an idle connection is kept
limit_request_line, limit_request_fields, limit_request_field_size = 4_094, 64, 16_380  # a token is a few kB
preload_app = False  # clients with background threads must be made after the fork

# A consolidation runs inside its push request, whose ack deadline of 600 s is the bound; the server's lies above it.
timeout = 900
# Cloud Run kills 10 s after SIGTERM.
graceful_timeout = 9

control_socket_disable = True  # it would be opened under HOME, which the image's user has not

_READING_SECONDS = 10
"""A client that sends nothing for so long in the middle of a request is given up."""


def when_ready(server: Any) -> None:
    """Bound how long a thread waits for a client's next byte; accepted sockets inherit it (Linux, socket(7))."""
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _READING_SECONDS, 0))


loglevel = "info"
accesslog = "-"
errorlog = "-"
# Gunicorn's loggers hand every line to the root logger, and that one to the handler made above.
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["json"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
        "gunicorn.access": {"level": "INFO", "handlers": [], "propagate": True},
    },
    "handlers": {"json": {"()": "shared.logs.configured_handler"}},
    "formatters": {},
}
