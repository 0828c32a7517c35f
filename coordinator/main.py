"""Wire the coordinator for Cloud Run: `gunicorn --config python:shared.gunicorn_conf "coordinator.main:create_app()"`."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from flask import Flask
from google.cloud import firestore, pubsub_v1

from coordinator.app import Guard
from coordinator.app import create_app as serve
from coordinator.assembly import Parts, assemble
from coordinator.routes.exchange import Caller
from shared import logs
from shared.adapters import bigquery_clients
from shared.adapters.coalescing import CoalescingDocuments
from shared.adapters.firestore import FirestoreDocuments
from shared.adapters.pubsub import PubsubPublisher
from shared.adapters.traced import TracedPublisher, configure, traced_documents
from shared.auth import TokenVerifier
from shared.settings import CoordinatorSettings, read

log = logging.getLogger(__name__)


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Build the service from the environment.

    Raises:
        InvalidInput: settings are missing or unusable; names all of them at once (D3).
    """
    environ = os.environ if environ is None else environ
    settings = read(CoordinatorSettings, environ)
    logs.configure(
        service="coordinator", revision=settings.revision, project=settings.project, level=settings.log_level
    )
    configure(environ, service="coordinator", revision=settings.revision, project=settings.project)
    parts = _parts(environ, settings)
    log.info(
        "service started", extra={"json_fields": {"commit": settings.commit, "schema_version": settings.schema_version}}
    )
    return serve(
        assemble(parts),
        guard=_guard(settings),
        only_loopback=settings.auth == "off",
        schedulers=settings.scheduler_callers,
    )


def _parts(environ: Mapping[str, str], settings: CoordinatorSettings) -> Parts:
    """What it needs of the world, by Google's clients; contacts nothing yet."""
    topics = pubsub_v1.PublisherClient()

    def publisher(topic: str) -> TracedPublisher:
        whole = topics.topic_path(settings.project, topic)
        return TracedPublisher(PubsubPublisher(topics, topic=whole), topic=topic)

    return Parts(
        documents=traced_documents(
            CoalescingDocuments(
                FirestoreDocuments(firestore.Client(project=settings.project, database=settings.firestore_database))
            ),
            system="gcp.firestore",
        ),
        warehouse=bigquery_clients.connect(
            environ,
            project=settings.project,
            dataset=settings.dataset,
            location=settings.location,
            max_bytes_billed=settings.max_bytes_per_query,
            staging_dataset=settings.staging_dataset,
        ),
        requests=publisher(settings.requests_topic),
        finished=publisher(settings.finished_topic),
        clock=lambda: datetime.now(UTC),
        holder=f"{settings.revision}/{uuid.uuid4()}",
        revision=settings.revision,
        commit=settings.commit,
        policy=settings.policy,
        rules=settings.rules,
        lease=timedelta(seconds=settings.lease_seconds),
        renew_every=timedelta(seconds=settings.lease_seconds / 4),
        max_bytes=settings.max_bytes_per_query,
        auto_migrate=settings.auto_migrate,
    )


def _guard(settings: CoordinatorSettings) -> Guard:
    """Who may call what (D4); with checking turned off, which Cloud Run refuses, everybody may."""
    if settings.auth == "off":
        return lambda _header, _callers: None
    verifier = TokenVerifier(settings.audience, behind_cloud_run=settings.auth == "cloud-run")
    accounts = {
        Caller.PUSH: settings.push_callers,
        Caller.SCHEDULER: settings.scheduler_callers,
        Caller.ADMIN: settings.admin_callers,
        Caller.VIEWER: settings.viewer_callers,
    }

    def guard(header: str | None, callers: frozenset[Caller]) -> str:
        return verifier.verify(header, allowed=frozenset[str]().union(*(accounts[caller] for caller in callers)))

    return guard
