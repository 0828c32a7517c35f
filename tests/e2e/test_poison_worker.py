"""A worker process that dies on one player's name, on the emulated cloud: it costs that player, and nobody else."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from local.emulated.cloud_stack import RETRYING
from local.sample.season import SAMPLE_GAME_DATE, write
from tests.e2e.conftest import started

pytestmark = [
    pytest.mark.xdist_group("emulated_stack"),  # two stacks at once are more than two processors carry
    pytest.mark.skipif("SLOW" not in os.environ, reason="takes minutes; SLOW=1 runs it"),
]

POISON = "dastan-thornbury"
PATIENCE_SECONDS = 600
AS_DEPLOYED = replace(RETRYING, maximum_attempts=20)
"""The poison takes whoever is in the process with it along: a neighbour needs one attempt of his own that it misses."""

DIES_ON_ONE_NAME = f'''
"""Python imports a module of this name at its start: the worker's gunicorn, and the processes that it forks."""
import os
import worker.service
make_rows = worker.service.staged_rows
def deadly(requests, model, *, schema_version):
    if any(request.player_lookup == {POISON!r} for request in requests):
        os._exit(1)
    return make_rows(requests, model, schema_version=schema_version)
worker.service.Worker.__init__.__kwdefaults__["make_rows"] = deadly
'''


def test_f3_a_worker_process_that_dies_on_one_name_costs_that_player_alone(tmp_path: Path) -> None:
    season, patch = tmp_path / "season", tmp_path / "patch"
    season.mkdir()
    patch.mkdir()
    write(season)
    (patch / "sitecustomize.py").write_text(DIES_ON_ONE_NAME, encoding="utf-8")
    with ExitStack() as running:
        settings = {"PYTHONPATH": str(patch)}
        stack = started(running, tmp_path / "stack", settings=settings, delivery=AS_DEPLOYED)
        stack.load(season, SAMPLE_GAME_DATE)
        started_batch = requests.post(
            f"{stack.coordinator_url}/start", json={"game_date": SAMPLE_GAME_DATE.isoformat()}, timeout=120
        ).json()
        seen = followed(f"{stack.coordinator_url}", started_batch["batch_id"])

    assert seen["state"] == "PARTIAL"
    assert seen["failed"] == {POISON: "dead_lettered"}
    assert seen["silent"] == []
    players = seen["players"]
    assert players["predicted"] + players["skipped"] == players["expected"] - 1


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
