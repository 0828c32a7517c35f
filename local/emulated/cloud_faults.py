"""What acceptance disturbs and reads of a deployed system: its subscriptions, the job that sweeps, its log lines.

Knows Pub/Sub's client and gcloud's commands; what is lost, and what counts as seen, is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions as api
from google.pubsub_v1.types import PubsubMessage, PushConfig

from local.emulated.provision import Topics, naming_refusals, pubsub_clients
from local.one_machine.faulty_day import SWEEP_JOB, Attempt, LogLine
from local.one_machine.gcloud import Gcloud, error_of
from shared.errors import InvalidInput, Unavailable
from shared.push import SliceName

EMULATOR = "PUBSUB_EMULATOR_HOST"
_PULL_SECONDS = 5
_IDLE_PULLS = 3
"""A pull may come back empty though something is held; after so many in a row nothing is."""
_SECONDS = 60


class PubsubMessages:
    """The messages between the services: see `Messages`.

    Args:
        environ: only `EMULATOR` is looked at.
    """

    def __init__(self, topics: Topics, *, environ: Mapping[str, str]) -> None:
        self._publisher, self._subscriber = pubsub_clients(environ.get(EMULATOR))
        self._dead_letters = self._publisher.topic_path(topics.project, topics.dead_requests)
        self._outcomes = self._subscriber.subscription_path(topics.project, topics.outcomes)

    @contextmanager
    def held(self) -> Iterator[None]:
        """See `Messages.held`: the subscription waits to be pulled from, and then pushes as before."""
        with naming_refusals("subscription", self._outcomes):
            found = self._subscriber.get_subscription(subscription=self._outcomes, timeout=_SECONDS)
        if not found.push_config.push_endpoint:
            problem = (
                "is not pushed to the coordinator, as a run that was killed leaves it; deploy/provision.sh mends it"
            )
            raise InvalidInput(f"subscription {self._outcomes}", problem)
        self._push_by(PushConfig())
        try:
            yield
        finally:
            self._push_by(found.push_config)

    def lose(self, batch_id: str) -> int:
        """See `Messages.lose`."""
        lost = idle = 0
        while idle < _IDLE_PULLS:
            with naming_refusals("subscription", self._outcomes):
                ours = self._taken(batch_id)
            lost += ours
            idle = 0 if ours else idle + 1
        return lost

    def give_up(self, name: SliceName) -> None:
        """See `Messages.give_up`: with the attributes that Pub/Sub gives a message that it gives up."""
        attributes = {
            **name.attributes,
            "CloudPubSubDeadLetterSourceDeliveryCount": "0",
            "CloudPubSubDeadLetterSourceSubscription": "tipoff acceptance",
        }
        with naming_refusals("topic", self._dead_letters):
            message = PubsubMessage(data=b"unreadable", attributes=attributes)
            self._publisher.publish(topic=self._dead_letters, messages=[message], timeout=_SECONDS)

    def _taken(self, batch_id: str) -> int:
        """Pull once: acknowledge what is of the batch, and let the rest come again; how many were acknowledged."""
        try:
            answer = self._subscriber.pull(
                subscription=self._outcomes, max_messages=1_000, timeout=_PULL_SECONDS, retry=None
            )
        except api.DeadlineExceeded:
            return 0
        ours = [one.ack_id for one in answer.received_messages if one.message.attributes.get("batch_id") == batch_id]
        others = [one.ack_id for one in answer.received_messages if one.ack_id not in ours]
        if ours:
            self._subscriber.acknowledge(subscription=self._outcomes, ack_ids=ours, timeout=_SECONDS)
        if others:
            self._subscriber.modify_ack_deadline(
                subscription=self._outcomes, ack_ids=others, ack_deadline_seconds=0, timeout=_SECONDS
            )
        return len(ours)

    def _push_by(self, config: PushConfig) -> None:
        with naming_refusals("subscription", self._outcomes):
            self._subscriber.modify_push_config(subscription=self._outcomes, push_config=config, timeout=_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudClock:
    """The job that sweeps, by gcloud; see `Clock`."""

    gcloud: Gcloud
    project: str
    region: str

    def run(self) -> None:
        """See `Clock.run`."""
        _answer(self.gcloud, run_command(project=self.project, region=self.region))

    def last(self) -> Attempt:
        """See `Clock.last`."""
        found = json.loads(_answer(self.gcloud, describe_command(project=self.project, region=self.region)))
        status, state = found.get("status") or {}, found.get("state", "unknown")
        problem = None if state == "ENABLED" else f"was none of late, since the job is {state}"
        if status.get("code"):
            problem = f"failed with code {status['code']}: {status.get('message', 'no message')}"
        return Attempt(str(found.get("lastAttemptTime", "")), problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudLines:
    """The log lines of a project that name a batch, by gcloud; see `ReadLines`."""

    gcloud: Gcloud
    project: str

    def __call__(self, batch_id: str) -> Sequence[LogLine]:
        """Read them. Raises `Unavailable`."""
        return lines_of(json.loads(_answer(self.gcloud, read_command(batch_id, project=self.project))))


def lines_of(entries: Sequence[Mapping[str, Any]]) -> list[LogLine]:
    """What Cloud Logging's entries say; whatever is no line of ours is left out."""
    return [
        LogLine(str(entry["labels"]["service"]), str(entry["jsonPayload"]["message"]), str(entry.get("trace", "")))
        for entry in entries
        if "service" in (entry.get("labels") or {}) and "message" in (entry.get("jsonPayload") or {})
    ]


def run_command(*, project: str, region: str) -> list[str]:
    """Have the job that sweeps call now."""
    return ["scheduler", "jobs", "run", SWEEP_JOB, f"--location={region}", f"--project={project}", "--quiet"]


def describe_command(*, project: str, region: str) -> list[str]:
    """Tell of the job that sweeps, and of its last attempt."""
    return ["scheduler", "jobs", "describe", SWEEP_JOB, f"--location={region}", f"--project={project}", "--format=json"]


def read_command(batch_id: str, *, project: str) -> list[str]:
    """Read the log lines that name a batch: as their label, or as a field."""
    named = f'labels.batch_id="{batch_id}" OR jsonPayload.batch_id="{batch_id}"'
    wanted = f'resource.type="cloud_run_revision" AND ({named})'
    return ["logging", "read", wanted, "--freshness=1d", "--limit=1000", f"--project={project}", "--format=json"]


def _answer(gcloud: Gcloud, words: Sequence[str]) -> str:
    done = gcloud.called(*words)
    if done.returncode:
        raise Unavailable(f"gcloud {' '.join(words[:3])}: {error_of(done.stderr)}")
    return done.stdout
