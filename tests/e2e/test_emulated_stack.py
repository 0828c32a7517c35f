"""A whole day over the wire protocols of the cloud: curl starts it, a worker is killed amid it, and the predictions are
those of the one-machine run, cell for cell."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions as api
from google.pubsub_v1.types import PubsubMessage

from local.emulated.cloud_stack import COMMANDS, PROJECT, RETRYING, TOPICS, CloudStack
from local.emulated.provision import PushTerms, subscribe
from local.one_machine.csv_inputs import load_folder
from local.one_machine.run import follow, look
from local.one_machine.stack import local_stack
from local.sample.season import SAMPLE_GAME_DATE, write
from schemas import names, tables
from schemas.messages import BatchFinished
from schemas.tables import Row
from shared.ports import Jobs
from tests.dockerfile import command_of
from tests.e2e.conftest import started

pytestmark = pytest.mark.xdist_group("emulated_stack")  # its tests share one stack

PATIENCE_SECONDS = 600
"""Only a failing test waits as long; a machine with much else to do takes four minutes for the day."""
KEY = "the-same-day"
STAMPS = ("created_at", "updated_at")
"""When the batch was planned: the only cells in which two runs of the same day may differ."""
PULLED = replace(RETRYING, ack_deadline=timedelta(seconds=10))
"""A pull that the client gave up may still be answered, and that message comes again only after the ack deadline."""


@dataclass(frozen=True)
class Day:
    """A day that the emulated cloud has been through."""

    stack: CloudStack
    folder: Path
    event: BatchFinished
    view: dict[str, Any]
    silent_after_the_kill: int


@pytest.fixture(scope="module", params=["sample", "real"])
def day(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Run 2026-01-30 on a stack of its own, and kill the worker when it has answered for some of the players."""
    folder = tmp_path_factory.mktemp("season")
    if request.param == "real":
        folder = request.getfixturevalue("real_data")
    else:
        write(folder)
    with ExitStack() as running:
        stack = started(running, tmp_path_factory.mktemp("stack"))
        stack.load(folder, SAMPLE_GAME_DATE)
        events = subscribe(stack.subscriber, PROJECT, TOPICS.finished, push_to=None, delivery=PULLED)
        batch = curl(stack, "/start", "-H", f"Idempotency-Key: {KEY}", body={"game_date": SAMPLE_GAME_DATE.isoformat()})
        batch_path = f"/batches/{batch['batch_id']}"
        wait_until(stack, lambda: curl(stack, batch_path)["players"]["predicted"] >= 5)
        stack.kill("worker")
        silent = curl(stack, batch_path)["players"]["silent"]
        stack.start("worker")
        event = BatchFinished.model_validate_json(pull(stack, events).data)
        yield Day(stack, folder, event, curl(stack, batch_path), silent)


def curl(stack: CloudStack, path: str, *options: str, body: object = None) -> Any:
    """Ask the coordinator as a person would; posts where there is a body."""
    sent = [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    command = ["curl", "-sS", "--fail-with-body", "-m", "120", *options, *sent, stack.coordinator_url + path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout} {done.stderr}"
    return json.loads(done.stdout)


def wait_until(stack: CloudStack, is_so: Callable[[], bool]) -> None:
    """Ask again and again, as long as the worker lives."""
    for _ in range(PATIENCE_SECONDS * 5):
        if is_so():
            return
        assert not stack.has_ended("worker", within=0.2)
    pytest.fail("it did not come about in time")


def pull(stack: CloudStack, subscription: str) -> Any:
    """Wait for the next message of a subscription, and acknowledge it."""
    for _ in range(PATIENCE_SECONDS // 10):
        try:
            answer = stack.subscriber.pull(subscription=subscription, max_messages=1, timeout=10, retry=None)
        except api.DeadlineExceeded:
            continue
        if answer.received_messages:
            (received,) = answer.received_messages
            stack.subscriber.acknowledge(subscription=subscription, ack_ids=[received.ack_id])
            return received.message
    pytest.fail(f"nothing came to {subscription}")


def predictions(warehouse: Jobs) -> list[Row]:
    """Every row with every cell, JSON as what it says, ordered by id."""
    columns = tables.load(tables.PREDICTIONS).columns
    listed = ", ".join(f"`{column.name}`" for column in columns)
    rows = warehouse.query(f"SELECT {listed} FROM `{names.PREDICTIONS_TABLE}` ORDER BY `prediction_id`")
    documents = [column.name for column in columns if column.type == "JSON"]
    return [{**row, **{name: json.loads(str(row[name] or "null")) for name in documents}} for row in rows]


def on_one_machine(folder: Path, state: Path, game_date: date) -> list[Row]:
    """The same day by the embedded parts, under the same idempotency key and so the same batch id."""
    with local_stack(state) as stack:
        load_folder(stack.warehouse, folder=folder, game_date=game_date)
        answer = stack.client.post("/start", {"game_date": game_date.isoformat()}, {"Idempotency-Key": KEY})
        begun = look(stack, answer["batch_id"])
        ended = follow(stack, begun.batch_id, patience=timedelta(seconds=PATIENCE_SECONDS), shown=lambda _seen: None)
        assert ended.state == "COMPLETE"
        return predictions(stack.warehouse)


@pytest.mark.parametrize("service", ["coordinator", "worker"])
def test_the_commands_are_those_of_the_dockerfiles(service: str) -> None:
    assert list(COMMANDS[service]) == command_of(f"Dockerfile.{service}")


def test_a_day_completes_though_its_worker_is_killed_amid_it(day: Day) -> None:
    players, rows = day.event.players, day.event.rows

    assert day.silent_after_the_kill > 0
    assert (day.event.state, day.view["state"]) == ("COMPLETE", "COMPLETE")
    assert players.expected == players.predicted + players.skipped > 100
    assert rows.staged == rows.inserted >= 5 * players.predicted


def test_nothing_is_doubled(day: Day) -> None:
    (counted,) = day.stack.warehouse.query(
        f"SELECT COUNT(*) AS n, COUNT(DISTINCT prediction_id) AS ids FROM `{names.PREDICTIONS_TABLE}`"
    )

    assert counted == {"n": day.event.rows.inserted, "ids": day.event.rows.inserted}


def test_the_predictions_are_those_of_the_one_machine_run(day: Day, tmp_path: Path) -> None:
    expected = on_one_machine(day.folder, tmp_path, SAMPLE_GAME_DATE)

    found = predictions(day.stack.warehouse)

    assert len(expected[0]) == 72
    assert all(row[stamp] == day.event.planned_at for row in found for stamp in STAMPS)
    assert [without_stamps(row) for row in found] == [without_stamps(row) for row in expected]


def without_stamps(row: Row) -> Row:
    return {name: cell for name, cell in row.items() if name not in STAMPS}


def test_every_service_is_ready_and_says_why_not_if_it_is_not(day: Day) -> None:
    assert curl(day.stack, "/ready")["status"] == "ready"


def test_a_request_that_nobody_takes_is_kept_as_a_dead_letter(day: Day) -> None:
    stack, topic = day.stack, f"unwanted-{uuid.uuid4().hex}"
    name, dead_name = (stack.publisher.topic_path(PROJECT, each) for each in (topic, f"{topic}-dead"))
    stack.publisher.create_topic(name=name)
    stack.publisher.create_topic(name=dead_name)
    dead = subscribe(stack.subscriber, PROJECT, f"{topic}-dead", push_to=None, delivery=PULLED)
    subscribe(
        stack.subscriber,
        PROJECT,
        topic,
        push_to=f"{stack.worker_url}/nowhere",
        delivery=replace(RETRYING, maximum_attempts=5),
        dead_letters=dead_name,
    )

    sent = PubsubMessage(data=b"{}", attributes={"player_lookup": "nikola-jokić"})
    stack.publisher.publish(topic=name, messages=[sent])

    message = pull(stack, dead)
    assert (message.data, message.attributes["player_lookup"]) == (b"{}", "nikola-jokić")


def test_requests_have_the_dead_letter_policy_and_outcomes_are_tried_for_as_long_as_they_are_kept(day: Day) -> None:
    subscriber = day.stack.subscriber
    requests, outcomes, dead = (
        subscriber.get_subscription(subscription=subscriber.subscription_path(PROJECT, topic))
        for topic in (TOPICS.requests, TOPICS.outcomes, TOPICS.dead_requests)
    )

    assert requests.dead_letter_policy.dead_letter_topic == f"projects/{PROJECT}/topics/{TOPICS.dead_requests}"
    assert requests.dead_letter_policy.max_delivery_attempts == RETRYING.maximum_attempts
    assert requests.push_config.push_endpoint == f"{day.stack.worker_url}/predict"
    assert dead.push_config.push_endpoint == f"{day.stack.coordinator_url}/dead-letter"
    assert not outcomes.dead_letter_policy.dead_letter_topic
    assert outcomes.ack_deadline_seconds == requests.ack_deadline_seconds == 600


def test_in_the_cloud_what_is_refused_comes_again_further_and_further_apart(day: Day) -> None:
    stack, topic = day.stack, f"retried-{uuid.uuid4().hex}"
    stack.publisher.create_topic(name=stack.publisher.topic_path(PROJECT, topic))

    for _ in range(2):
        name = subscribe(stack.subscriber, PROJECT, topic, push_to=f"{stack.worker_url}/predict", delivery=PushTerms())

    policy = stack.subscriber.get_subscription(subscription=name).retry_policy
    assert (policy.minimum_backoff, policy.maximum_backoff) == (timedelta(seconds=10), timedelta(seconds=600))
