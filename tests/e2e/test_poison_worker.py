"""Poison on the emulated cloud: a player at whose name a worker process dies, and one whose messages cannot be read. Each
costs that player, and nobody else."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import requests

from local.emulated.cloud_stack import RETRYING
from local.sample.season import SAMPLE_GAME_DATE, write
from tests.e2e.conftest import started

pytestmark = pytest.mark.xdist_group("emulated_stack")  # two stacks at once are more than two processors carry

DEADLY, UNREADABLE = "dastan-thornbury", "zadok-wrenbourne"
PATIENCE_SECONDS = 600
IMPATIENT = replace(RETRYING, maximum_attempts=8)
"""The deadly one takes whoever is in the process with him along: a neighbour needs one attempt of his own that he misses."""

POISONED = f'''
"""Python imports a module of this name at its start: the worker's gunicorn, and the processes that it forks."""
import os, random, time
import worker.messages
import worker.service
make_rows, read_slice = worker.service.staged_rows, worker.messages.read_slice
def deadly(requests, model, *, schema_version):
    if any(request.player_lookup == {DEADLY!r} for request in requests):
        time.sleep(random.random())  # the emulator repeats two messages in step: who died at once would take one along each time
        os._exit(1)
    return make_rows(requests, model, schema_version=schema_version)
def garbled(data, *, revision):
    return read_slice(data[1:] if {UNREADABLE!r}.encode() in data else data, revision=revision)
worker.service.Worker.__init__.__kwdefaults__["make_rows"] = deadly
worker.messages.read_slice = garbled
'''


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A day of the sample season with both, as the coordinator tells it in the end."""
    season, patch = tmp_path_factory.mktemp("season"), tmp_path_factory.mktemp("patch")
    write(season)
    (patch / "sitecustomize.py").write_text(POISONED, encoding="utf-8")
    with ExitStack() as running:
        settings = {"PYTHONPATH": str(patch)}
        stack = started(running, tmp_path_factory.mktemp("stack"), settings=settings, delivery=IMPATIENT)
        stack.load(season, SAMPLE_GAME_DATE)
        started_batch = requests.post(
            f"{stack.coordinator_url}/start", json={"game_date": SAMPLE_GAME_DATE.isoformat()}, timeout=120
        ).json()
        return followed(f"{stack.coordinator_url}", started_batch["batch_id"])


def test_f3_a_worker_process_that_dies_on_one_name_costs_that_player_alone(seen: dict[str, Any]) -> None:
    assert seen["failed"].get(DEADLY) == "dead_lettered"
    assert seen["failed"].keys() <= {DEADLY, UNREADABLE}


def test_f3_messages_that_cannot_be_read_cost_the_player_alone_whom_they_name(seen: dict[str, Any]) -> None:
    assert seen["failed"].get(UNREADABLE) == "bad_request"
    assert seen["failed"].keys() <= {DEADLY, UNREADABLE}


def test_f3_all_others_of_a_poisoned_day_are_accounted_for(seen: dict[str, Any]) -> None:
    players = seen["players"]

    assert seen["state"] == "PARTIAL"
    assert seen["silent"] == []
    assert players["predicted"] + players["skipped"] == players["expected"] - 2


def followed(url: str, batch_id: str) -> dict[str, Any]:
    """Sweep, as Cloud Scheduler would, until the batch has ended; a deadline is not what ends it."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        seen: dict[str, Any] = requests.get(f"{url}/batches/{batch_id}", timeout=60).json()
        if seen["state"] not in ("PLANNED", "RUNNING", "CONSOLIDATING"):
            return seen
        requests.post(f"{url}/sweep", json={}, timeout=300)
        time.sleep(2)
    pytest.fail(f"the batch has not ended: {seen['silent'][:5]} are silent, {seen['failed']} failed")
