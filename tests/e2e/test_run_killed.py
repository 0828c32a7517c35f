"""`tipoff run` killed at the worst moments, then run again: the same batch is finished, no row lost or doubled."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.tipoff_command import (
    Table,
    command,
    environment,
    finished_events,
    read_csv,
    stored_predictions,
    tipoff,
    without,
)

pytestmark = pytest.mark.xdist_group("run_killed")  # its tests share the run that nobody disturbed

STAMPS = ("created_at", "updated_at")
GIVE_UP_LOOKS = 20_000

Events = list[Mapping[str, Any]]
"""The services' log lines so far."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """The export of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ran = tipoff("run", "--state", folder / "state", "--export", folder / "predictions.csv")
    assert ran.status == 0, ran.err
    return read_csv(folder / "predictions.csv")


def is_planned(events: Events) -> bool:
    return any(event["message"] == "batch planned" for event in events)


def is_predicting(events: Events) -> bool:
    return any(event["message"] == "requests finished" for event in events)


def is_consolidating(events: Events) -> bool:
    """Claimed; its staging is being verified, so it surely lives for a moment yet."""
    return any(event["message"] == "batch claimed" for event in events)


def is_merging(events: Events) -> bool:
    return any(event["message"] == "merge recorded" for event in events)


def stop(
    state: Path, *, when: Callable[[Events], bool], by: signal.Signals
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Start a run, send it a signal at that moment, and tell how it ended and which batch it left."""
    process = subprocess.Popen(
        command("run", "--json", "--state", state),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    with process:
        for _ in range(GIVE_UP_LOOKS):
            if when(logged(state)):
                break
            try:
                process.wait(timeout=0.002)
            except subprocess.TimeoutExpired:
                continue
            break
        assert process.poll() is None, "the run ended before the moment came"
        process.send_signal(by)
        out, err = process.communicate()
    planned = next(event for event in logged(state) if event["message"] == "batch planned")
    return subprocess.CompletedProcess(process.args, process.returncode, out, err), str(planned["batch_id"])


def logged(state: Path) -> Events:
    """The log so far; a last line that is still being written is left out."""
    log = state / "simulated/tipoff.log"
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


@pytest.mark.parametrize("moment", [is_planned, is_predicting, is_merging])
def test_a_killed_run_is_resumed_with_no_row_lost_or_doubled(
    tmp_path: Path, undisturbed: Table, moment: Callable[[Events], bool]
) -> None:
    killed, batch_id = stop(tmp_path, when=moment, by=signal.SIGKILL)

    resumed = tipoff("run", "--json", "--resume", "--state", tmp_path, "--export", tmp_path / "predictions.csv")

    assert killed.returncode == -signal.SIGKILL
    assert (resumed.status, resumed.json["batch_id"], resumed.json["state"]) == (0, batch_id, "COMPLETE")
    assert without(read_csv(tmp_path / "predictions.csv"), *STAMPS) == without(undisturbed, *STAMPS)
    assert stored_predictions(tmp_path / "simulated") == (len(undisturbed), len(undisturbed))
    assert {event["batch_id"] for event in finished_events(tmp_path / "simulated")} == {batch_id}
    assert len({event["event_id"] for event in finished_events(tmp_path / "simulated")}) == 1


def test_ctrl_c_says_how_to_go_on_and_resuming_finishes_the_batch(tmp_path: Path, undisturbed: Table) -> None:
    interrupted, batch_id = stop(tmp_path, when=is_predicting, by=signal.SIGINT)

    resumed = tipoff("run", "--json", "--resume", "--state", tmp_path, "--export", tmp_path / "predictions.csv")

    assert interrupted.returncode == 130
    assert interrupted.stdout == ""
    assert interrupted.stderr.strip() == "tipoff: interrupted; run the same command with --resume to finish the batch"
    assert (resumed.status, resumed.json["batch_id"], resumed.json["state"]) == (0, batch_id, "COMPLETE")
    assert without(read_csv(tmp_path / "predictions.csv"), *STAMPS) == without(undisturbed, *STAMPS)


@pytest.mark.parametrize("moment", [is_planned, is_predicting, is_consolidating])
def test_a_live_batch_is_in_the_way_until_it_is_resumed_or_replaced(
    tmp_path: Path, undisturbed: Table, moment: Callable[[Events], bool]
) -> None:
    _killed, batch_id = stop(tmp_path, when=moment, by=signal.SIGKILL)

    refused = tipoff("run", "--state", tmp_path)
    replaced = tipoff("run", "--json", "--force", "--state", tmp_path, "--export", tmp_path / "predictions.csv")

    assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert batch_id in refused.err
    assert "--resume" in refused.err
    assert "--force" in refused.err
    assert (replaced.status, replaced.json["state"]) == (0, "COMPLETE")
    assert replaced.json["batch_id"] != batch_id
    assert without(read_csv(tmp_path / "predictions.csv"), *STAMPS, "prediction_version") == without(
        undisturbed, *STAMPS, "prediction_version"
    )
