"""Gunicorn's configuration for both services (`gunicorn --config python:shared.gunicorn_conf ...`).

Loaded before the application, so that the server's first line is JSON already (C1); the service's `main` then
configures the same logs again with its own name and level.
"""

from __future__ import annotations

import logging
import os

from shared import logs

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
worker_class = "gthread"
threads = 8
preload_app = False  # clients with background threads must be made after the fork

# A consolidation runs inside its push request, whose ack deadline of 600 s is the bound; the server's lies above it.
timeout = 900
# Cloud Run kills 10 s after SIGTERM.
graceful_timeout = 9

control_socket_disable = True  # it would be opened under HOME, which the image's user has not

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
