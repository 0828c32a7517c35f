"""Wire the worker for Cloud Run: `gunicorn --config python:shared.gunicorn_conf "worker.main:create_app()"`.

The only module of the worker that reads the environment and knows the Google clients.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime

from flask import Flask
from google.cloud.pubsub_v1 import PublisherClient  # type: ignore[import-untyped]  # it ships no types

from shared import logs
from shared.adapters import bigquery_clients
from shared.adapters.model_files import read_file
from shared.adapters.pubsub import PubsubPublisher
from shared.adapters.traced import TracedPublisher, configure
from shared.auth import TokenVerifier
from shared.errors import InvalidInput
from shared.settings import WorkerSettings, read
from worker.app import Guard
from worker.app import create_app as serve
from worker.model import read_model, shipped_model
from worker.service import Worker

_log = logging.getLogger(__name__)


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Build the service from the environment; contacts nothing yet but where the model lies.

    Raises:
        InvalidInput: settings are missing or unusable; names all of them at once (D3). Or the model is.
        Unavailable: the model lies in Cloud Storage, which did not answer.
    """
    environ = os.environ if environ is None else environ
    settings = read(WorkerSettings, environ)
    logs.configure(service="worker", revision=settings.revision, project=settings.project, level=settings.log_level)
    configure(environ, service="worker", revision=settings.revision, project=settings.project)
    # Before anything is connected: a model that does not fit this code must stop the start, not each request (E6).
    model = read_model(read_file(settings.model), name=settings.model) if settings.model else shipped_model()
    if model.is_simulated:
        _check_simulated(settings)
    client = PublisherClient()
    worker = Worker(
        warehouse=bigquery_clients.connect(
            environ,
            project=settings.project,
            dataset=settings.dataset,
            location=settings.location,
            staging_dataset=settings.staging_dataset,
        ),
        outcomes=TracedPublisher(
            PubsubPublisher(client, topic=client.topic_path(settings.project, settings.outcomes_topic)),
            topic=settings.outcomes_topic,
        ),
        revision=settings.revision,
        schema_version=settings.schema_version,
        model=model,
        clock=lambda: datetime.now(UTC),
    )
    app = serve(
        worker,
        guard=_guard(settings),
        commit=settings.commit,
        model=model.version,
        only_loopback=settings.auth == "off",
    )
    _log.info(
        "service started",
        extra={"json_fields": {"commit": settings.commit, "schema": settings.schema_version, "model": model.version}},
    )
    return app


def _check_simulated(settings: WorkerSettings) -> None:
    """Refuse to predict real games by a model that knows invented players only, unless that is wanted."""
    if settings.service and not settings.allow_simulated_model:
        problem = (
            "the model was trained on simulated games and says nothing of real ones; name a file of `tipoff train`, or "
            "set TIPOFF_ALLOW_SIMULATED_MODEL=true"
        )
        raise InvalidInput("TIPOFF_MODEL", problem)
    _log.warning("simulated model", extra={"json_fields": {"why": "its predictions say nothing about real games"}})


def _guard(settings: WorkerSettings) -> Guard:
    """Who may push (D4); with checking turned off, which Cloud Run refuses, everybody may."""
    if settings.auth == "off":
        return lambda _authorization: None
    verifier = TokenVerifier(settings.audience, behind_cloud_run=settings.auth == "cloud-run")
    return lambda authorization: verifier.verify(authorization, allowed=settings.push_callers)
