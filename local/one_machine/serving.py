"""An app served on this machine alone, in a thread of this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from shared.errors import InvalidInput

_STOP_SECONDS = 0.02
"""How often the server looks whether it is to stop."""


class _Silent(WSGIRequestHandler):
    """Leaves access lines out: the services log every request's end."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write no access line."""


@contextmanager
def serving(app: Flask, *, port: int = 0) -> Iterator[str]:
    """Serve an app on loopback for the length of the block, on a free port unless one is named; gives its address.

    Raises:
        InvalidInput: the port is taken.
    """
    with _bound(port) as bound:
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Silent, fd=bound.fileno())
    thread = threading.Thread(target=server.serve_forever, args=(_STOP_SECONDS,), name=f"http-{app.name}", daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _bound(port: int) -> socket.socket:
    """A socket that listens on a port of this machine: the server itself would end the process where it is taken."""
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise InvalidInput("--port", f"{port} cannot be used: {error.strerror}; name another, or 0 for any") from error
    return bound
