"""Load: thousands of players in one batch, and bursts of pushes at one instance.

What is asked is whether anything is lost or refused for good, and how much memory it takes; how fast it is, `bench/` says.
"""

from __future__ import annotations

import base64
import os
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from google.api_core import exceptions as api
from google.pubsub_v1.types import PushConfig

from bench.many_players import write_copies
from bench.pushes import _look, _start
from local.emulated.cloud_stack import PROJECT, TOPICS, CloudStack
from local.sample.season import SAMPLE_GAME_DATE
from schemas import names
from schemas.messages import Outcomes, Skipped, SkipReason

SAMPLE_PLAYERS = 141
PATIENCE_SECONDS = 1_800
PULL_SECONDS = 600
CALLERS = 80
OVERLOAD = 900
QUEUE = 64
"""The kernel's queue of connections in front of an instance that is to be overloaded; what does not fit in is turned away."""
GIVEN_UP_SECONDS = 2
ROUNDS = 50
"""A push that is answered 429 or 503 comes again, as Pub/Sub would bring it."""


@dataclass
class Load:
    """How one load ended."""

    what: str
    players: int = 0
    rows: int = 0
    state: str = ""
    seconds: float = 0.0
    megabytes: dict[str, int] = field(default_factory=dict)
    """The most memory that each service's processes took together."""
    answers: dict[str, int] = field(default_factory=dict)
    """Answers of the services to pushes, by status."""
    lost: int = 0
    """Players without an outcome at the end, and of an overload those too whose outcome was acknowledged and is not there."""


def a_batch(players: int) -> Load:
    """One batch of at least so many players on the emulated cloud."""
    found = Load(f"one batch of {players:,} players on the emulators")
    with tempfile.TemporaryDirectory(prefix="tipoff-load-") as text:
        folder = Path(text)
        write_copies(folder / "season", copies=-(-players // SAMPLE_PLAYERS))
        with CloudStack(folder / "stack", environ=os.environ) as stack:
            stack.load(folder / "season", SAMPLE_GAME_DATE, max_bytes=1 << 40)
            begun = time.monotonic()
            batch_id = _start(stack)
            while True:
                _measure(stack, found)
                view = _look(stack, batch_id)
                if view["state"] not in ("PLANNED", "RUNNING", "CONSOLIDATING"):
                    break
                if time.monotonic() - begun > PATIENCE_SECONDS:
                    break
                time.sleep(1)
            found.seconds = time.monotonic() - begun
            found.state, found.players = view["state"], view["players"]["expected"]
            found.lost = view["players"]["silent"] + view["players"]["failed"]
            (counted,) = stack.warehouse.query(
                f"SELECT COUNT(*) AS n, COUNT(DISTINCT prediction_id) AS ids FROM `{names.PREDICTIONS_TABLE}`"
            )
            found.rows = int(str(counted["ids"]))
            found.lost += int(str(counted["n"])) - found.rows
    return found


def bursts(copies: int = 3) -> Load:
    """A day's pushes, one player each, eighty at a time at the worker and then at the coordinator."""
    found = Load(f"bursts of {CALLERS} concurrent pushes at one instance of each service")
    with tempfile.TemporaryDirectory(prefix="tipoff-load-") as text:
        folder = Path(text)
        write_copies(folder / "season", copies=copies)
        settings = {"TIPOFF_PLAYERS_PER_REQUEST": "1"}
        with CloudStack(folder / "stack", environ=os.environ, settings=settings) as stack:
            stack.load(folder / "season", SAMPLE_GAME_DATE)
            for topic in (TOPICS.requests, TOPICS.outcomes):
                name = stack.subscriber.subscription_path(PROJECT, topic)
                stack.subscriber.modify_push_config(subscription=name, push_config=PushConfig())
            begun = time.monotonic()
            batch_id = _start(stack)
            found.players = _look(stack, batch_id)["players"]["expected"]
            for url, topic in (
                (f"{stack.worker_url}/predict", TOPICS.requests),
                (f"{stack.coordinator_url}/complete", TOPICS.outcomes),
            ):
                _burst(url, _pulled(stack, topic, count=found.players), found)
                _measure(stack, found)
            view = _look(stack, batch_id)
            found.seconds = time.monotonic() - begun
            found.state = view["state"]
            found.lost = view["players"]["silent"] + view["players"]["failed"]
            found.rows = view["rows"]["inserted"] if view.get("rows") else 0
    return found


def overload(copies: int = 8) -> Load:
    """More connections at once than a coordinator has threads, connections and queue for; a caller gives up after a while, and
    comes again. After each round whatever was acknowledged has to be in the ledger."""
    found = Load(f"{OVERLOAD} concurrent pushes at one coordinator, given up after {GIVEN_UP_SECONDS} s and sent again")
    with tempfile.TemporaryDirectory(prefix="tipoff-load-") as text:
        folder = Path(text)
        write_copies(folder / "season", copies=copies)
        settings = {"GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:0 --backlog {QUEUE}"}
        with CloudStack(folder / "stack", environ=os.environ, settings=settings) as stack:
            stack.load(folder / "season", SAMPLE_GAME_DATE)
            requested = stack.subscriber.subscription_path(PROJECT, TOPICS.requests)
            stack.subscriber.modify_push_config(subscription=requested, push_config=PushConfig())
            begun = time.monotonic()
            batch_id = _start(stack)
            left = {player: _skip(batch_id, player) for player in _look(stack, batch_id)["silent"]}
            found.players = len(left)
            for _ in range(ROUNDS):
                taken = _posted(f"{stack.coordinator_url}/complete", left, found)
                _measure(stack, found)
                view = _look(stack, batch_id)
                found.lost += len(taken & set(view["silent"]))
                left = {player: push for player, push in left.items() if player not in taken}
                if not left:
                    break
            while view["state"] == "CONSOLIDATING" and time.monotonic() - begun < PATIENCE_SECONDS:
                time.sleep(1)  # its push was given up, and goes on
                view = _look(stack, batch_id)
            found.seconds = time.monotonic() - begun
            found.state = view["state"]
            found.lost += len(view["silent"])
    return found


def _skip(batch_id: str, player: str) -> dict[str, Any]:
    """The push of a player's outcome for which no row has to be staged."""
    skipped = Skipped(batch_id=batch_id, player_lookup=player, worker_revision="load", reason=SkipReason.LISTED_OUT)
    data = Outcomes(outcomes=(skipped,)).model_dump_json().encode()
    return {
        "subscription": "projects/load/subscriptions/outcomes",
        "message": {
            "data": base64.b64encode(data).decode(),
            "attributes": {},
            "messageId": player,
            "publishTime": "2026-01-30T12:00:00Z",
        },
    }


def _posted(url: str, pushes: Mapping[str, dict[str, Any]], found: Load) -> set[str]:
    """Post all at once; whose were acknowledged."""
    answers: Counter[str] = Counter(found.answers)

    def post(player: str) -> str | None:
        try:
            status = str(requests.post(url, json=pushes[player], timeout=GIVEN_UP_SECONDS).status_code)
        except requests.Timeout:
            status = "no answer"
        except requests.ConnectionError:
            status = "turned away"
        answers[status] += 1
        return player if status == "204" else None

    with ThreadPoolExecutor(OVERLOAD) as pool:
        taken = {player for player in pool.map(post, pushes) if player is not None}
    found.answers = dict(answers)
    return taken


def _pulled(stack: CloudStack, topic: str, *, count: int) -> list[dict[str, Any]]:
    """Take `count` messages, each of another player, off a topic's subscription, as a push would bring them."""
    name = stack.subscriber.subscription_path(PROJECT, topic)
    taken: dict[str, dict[str, Any]] = {}
    given_up_at = time.monotonic() + PULL_SECONDS
    while len(taken) < count:
        if time.monotonic() > given_up_at:
            raise TimeoutError(f"{len(taken)} of {count} messages came to {topic}")
        try:
            answer = stack.subscriber.pull(subscription=name, max_messages=count, timeout=10, retry=None)
        except api.DeadlineExceeded:
            continue
        for received in answer.received_messages:
            message = received.message
            taken[f"{message.attributes['shard']}/{message.attributes['slice']}"] = _envelope(name, message)
        if answer.received_messages:
            acknowledged = [received.ack_id for received in answer.received_messages]
            stack.subscriber.acknowledge(subscription=name, ack_ids=acknowledged)
    return list(taken.values())


def _envelope(subscription: str, message: Any) -> dict[str, Any]:
    return {
        "subscription": subscription,
        "message": {
            "data": base64.b64encode(message.data).decode(),
            "attributes": dict(message.attributes),
            "messageId": message.message_id,
            "publishTime": message.publish_time.isoformat(),
        },
    }


def _burst(url: str, envelopes: Sequence[dict[str, Any]], found: Load) -> None:
    """Post all, so many at once, and again what was answered 429 or 503."""
    answers: Counter[str] = Counter(found.answers)

    def post(envelope: dict[str, Any]) -> dict[str, Any] | None:
        try:
            status = str(requests.post(url, json=envelope, timeout=600).status_code)
        except requests.ConnectionError:
            status = "connection refused"
        answers[status] += 1
        return None if status == "204" else envelope

    left = list(envelopes)
    with ThreadPoolExecutor(CALLERS) as pool:
        for _ in range(ROUNDS):
            left = [one for one in pool.map(post, left) if one is not None]
            if not left:
                break
            time.sleep(0.5)
    found.answers = dict(answers)


def _measure(stack: CloudStack, found: Load) -> None:
    for part in stack.parts():
        if part.pid is not None:
            taken = _megabytes(part.pid)
            found.megabytes[part.name] = max(taken, found.megabytes.get(part.name, 0))


def _megabytes(group: int) -> int:
    """Resident memory of a process group."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
            if int(fields[2]) == group:
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return total >> 20
