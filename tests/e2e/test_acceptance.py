"""`tipoff acceptance` is green against the emulated stack, names what emulators cannot show, and cleans up; what is broken is
told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from local.cli.main import commands
from local.emulated.cloud_stack import DATASET, LOCATION, PROJECT, STAGING_DATASET, CloudStack
from local.one_machine.acceptance import SCRATCH_FROM, Acceptance, Verdict
from local.one_machine.coordinator_client import CoordinatorClient
from schemas import names
from tests.e2e.conftest import started

pytestmark = pytest.mark.xdist_group("emulated_stack")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudStack]:
    with ExitStack() as running:
        yield started(running, tmp_path_factory.mktemp("stack"))


def ran(stack: CloudStack, *options: str) -> tuple[int, list[dict[str, Any]]]:
    where = ["--url", stack.coordinator_url, "--project", PROJECT, "--dataset", DATASET, "--location", LOCATION]
    arguments = ["acceptance", *where, "--staging-dataset", STAGING_DATASET, *options]
    result = CliRunner().invoke(commands, arguments, obj=stack.bigquery.environment, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value), json.loads(result.output) if "--json" in options else []


def test_every_law_that_can_be_seen_holds_and_nothing_is_left(stack: CloudStack) -> None:
    status, laws = ran(stack, "--json")

    by_verdict = {verdict: [law["name"] for law in laws if law["verdict"] == verdict] for verdict in Verdict}
    assert (status, by_verdict[Verdict.BROKEN]) == (0, []), laws
    assert by_verdict[Verdict.SEEN] == [
        "a repeated start makes no second batch",
        "the day is COMPLETE",
        "each expected player is counted once",
        "staged rows are those that were merged",
        "what was appended is visible",
        "consolidating again changes nothing",
        "a newer batch updates every row and doubles none",
        "nothing of the day is left in the tables",
    ]
    assert "missing and forged tokens are refused" in by_verdict[Verdict.NOT_SHOWN]
    assert "the MERGE reads one partition of the predictions" in by_verdict[Verdict.NOT_SHOWN]
    left = stack.warehouse.query(
        f"SELECT 1 AS `x` FROM `{names.PREDICTIONS_TABLE}` WHERE `game_date` >= DATE '{SCRATCH_FROM}'"
    )
    assert left == []


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

    assert [law.verdict for law in day._strangers()] == [Verdict.BROKEN, Verdict.BROKEN]
    refusing = replace(day, stranger=lambda *_: 403)
    assert [law.verdict for law in refusing._strangers()] == [Verdict.SEEN, Verdict.SEEN]
