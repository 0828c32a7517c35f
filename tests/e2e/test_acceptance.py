"""`tipoff acceptance` is green against the emulated stack, names what emulators cannot show, and cleans up; what is broken is
told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from local.cli.main import commands
from local.emulated import cloud_faults
from local.emulated.cloud_faults import lines_of
from local.emulated.cloud_stack import DATASET, LOCATION, PROJECT, STAGING_DATASET, TOPICS, CloudStack
from local.one_machine import faulty_day
from local.one_machine.acceptance import SCRATCH_FROM, Acceptance
from local.one_machine.coordinator_client import CoordinatorClient
from local.one_machine.faulty_day import CLOCK, DEAD_LETTER, LOST, TRACE, LogLine, law_of_trace
from local.one_machine.law import LawVerdict
from schemas import names
from tests.e2e.conftest import started

pytestmark = pytest.mark.xdist_group("emulated_stack")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudStack]:
    with ExitStack() as running:
        yield started(running, tmp_path_factory.mktemp("stack"))


def ran(stack: CloudStack, *options: str) -> tuple[int, list[dict[str, Any]]]:
    where = ["--url", stack.coordinator_url, "--project", PROJECT, "--dataset", DATASET, "--location", LOCATION]
    where += ["--requests-topic", TOPICS.requests, "--outcomes-topic", TOPICS.outcomes]
    arguments = ["acceptance", *where, "--staging-dataset", STAGING_DATASET, *options]
    environ = {**stack.bigquery.environment, stack.pubsub.variable: stack.pubsub.address}
    result = CliRunner().invoke(commands, arguments, obj=environ, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value), json.loads(result.output) if "--json" in options else []


@pytest.fixture(scope="module")
def day(stack: CloudStack) -> tuple[int, list[dict[str, Any]]]:
    """What one run told: its exit status, and its laws. It looks often, since nothing here is far away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloud_faults, "_PULL_SECONDS", 1)
        patch.setattr(faulty_day, "_LOOK_EVERY_SECONDS", 0.2)
        return ran(stack, "--json")


def test_every_law_that_can_be_seen_holds_and_nothing_is_left(
    stack: CloudStack, day: tuple[int, list[dict[str, Any]]]
) -> None:
    status, laws = day

    by_verdict = {verdict: [law["name"] for law in laws if law["verdict"] == verdict] for verdict in LawVerdict}
    assert (status, by_verdict[LawVerdict.BROKEN]) == (0, []), laws
    assert by_verdict[LawVerdict.SEEN] == [
        "a repeated start makes no second batch",
        "the day is COMPLETE",
        "each expected player is counted once",
        "staged rows are those that were merged",
        "what was appended is visible",
        "consolidating again changes nothing",
        "a newer batch updates every row and doubles none",
        DEAD_LETTER,
        LOST,
        "nothing of the day is left in the tables",
    ]
    assert by_verdict[LawVerdict.NOT_SHOWN] == [
        "missing and forged tokens are refused",
        "a push without Pub/Sub's token is refused",
        "the MERGE reads one partition of the predictions",
        TRACE,
        CLOCK,
    ]
    left = stack.warehouse.query(
        f"SELECT 1 AS `x` FROM `{names.PREDICTIONS_TABLE}` WHERE `game_date` >= DATE '{SCRATCH_FROM}'"
    )
    assert left == []


def lines_in(stack: CloudStack, batch_id: str) -> list[LogLine]:
    """What Cloud Logging would keep of the services' lines that name a batch."""
    logs = [part.log.read_text(encoding="utf-8") for part in stack.parts() if part.pid is not None and part.log]
    entries = [json.loads(line) for text in logs for line in text.splitlines() if batch_id in line]
    return lines_of(
        [
            {
                "labels": entry["logging.googleapis.com/labels"],
                "jsonPayload": entry,
                "trace": entry.get("logging.googleapis.com/trace", ""),
            }
            for entry in entries
        ]
    )


def test_the_trace_of_a_day_is_told_by_the_lines_that_it_really_logs(
    stack: CloudStack, day: tuple[int, list[dict[str, Any]]]
) -> None:
    _status, laws = day
    (shown,) = [law["saw"] for law in laws if law["name"] == TRACE]
    batch_id = re.findall(r"[0-9]{8}_[0-9a-f]{16}", shown)[0]
    lines = lines_in(stack, batch_id)

    whole = law_of_trace(batch_id, lambda _: lines, pause=lambda _: None)
    ends = [replace(line, trace="another") for line in lines if line.message == "batch ended"]
    torn = law_of_trace(batch_id, lambda _: [*lines, *ends], pause=lambda _: None)
    silent = [line for line in lines if line.service != "worker"]
    unheard = law_of_trace(batch_id, lambda _: silent, pause=lambda _: None)

    assert whole.verdict is LawVerdict.SEEN, whole
    assert (torn.verdict, unheard.verdict) == (LawVerdict.BROKEN, LawVerdict.BROKEN)
    assert "'requests finished' of the worker" in unheard.saw


def test_what_lets_strangers_in_is_broken() -> None:
    deployed = CoordinatorClient(lambda _ask: pytest.fail("not asked"), runs=True, is_local=False)
    nothing: Any = None
    day = Acceptance(
        client=deployed,
        warehouse=nothing,
        stage=nothing,
        stranger=lambda *_: 200,
        job_bytes=lambda _: None,
        patience_seconds=1,
    )

    assert [law.verdict for law in day._strangers()] == [LawVerdict.BROKEN, LawVerdict.BROKEN]
    refusing = replace(day, stranger=lambda *_: 403)
    assert [law.verdict for law in refusing._strangers()] == [LawVerdict.SEEN, LawVerdict.SEEN]
