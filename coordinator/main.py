"""Wire the coordinator for Cloud Run: `gunicorn --config python:shared.gunicorn_conf "coordinator.main:create_app()"`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from flask import Flask
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, bigquery_storage_v1, firestore, pubsub_v1

from coordinator.app import Caller, Guard
from coordinator.app import create_app as serve
from coordinator.assembly import Parts, assemble
from coordinator.batch import Policy
from coordinator.starting import PlanningRules
from shared import logs
from shared.adapters.bigquery import BigqueryWarehouse
from shared.adapters.firestore import FirestoreDocuments
from shared.adapters.pubsub import PubsubPublisher
from shared.settings import CoordinatorSettings, read


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """Build the service from the environment.

    Raises:
        InvalidInput: settings are missing or unusable; names all of them at once (D3).
    """
    environ = os.environ if environ is None else environ
    settings = read(CoordinatorSettings, environ)
    logs.configure(service="coordinator", revision=settings.revision, project=settings.project)
    clients = _Clients(settings, emulated="BIGQUERY_EMULATOR_HOST" in environ)
    parts = Parts(
        documents=FirestoreDocuments(clients.firestore()),
        warehouse=clients.warehouse(),
        requests=clients.topic(settings.requests_topic),
        finished=clients.topic(settings.finished_topic),
        clock=lambda: datetime.now(UTC),
        traceparent=logs.traceparent,
        holder=f"{settings.revision}/{uuid.uuid4()}",
        revision=settings.revision,
        policy=policy_of(settings),
        rules=rules_of(settings),
        lease=timedelta(seconds=settings.lease_seconds),
        renew_every=timedelta(seconds=settings.lease_seconds / 4),
        max_bytes=settings.max_bytes_per_query,
    )
    return serve(assemble(parts), guard=_guard(settings))
