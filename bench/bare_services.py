"""The floor under a start: Flask and the Google clients that each service uses, and nothing else.

`bench/start.py` imports and serves these beside the real services.
"""

from __future__ import annotations

import importlib

from flask import Flask

_BOTH = (
    "google.auth.jwt",
    "google.auth.transport.requests",
    "google.cloud.bigquery",
    "google.cloud.bigquery_storage_v1",
    "google.cloud.logging_v2.handlers",
    "google.cloud.pubsub_v1",
)


def coordinator() -> Flask:
    """Import the coordinator's clients; answer `/health`."""
    return _bare("google.cloud.firestore")


def worker() -> Flask:
    """Import the worker's clients; answer `/health`."""
    return _bare()


def _bare(*more: str) -> Flask:
    for client in (*_BOTH, *more):
        importlib.import_module(client)
    app = Flask("bare")
    app.add_url_rule("/health", view_func=lambda: {"status": "alive"})
    return app
