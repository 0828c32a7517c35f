"""What a batch is forecast to use of the quotas: 100,000 players fit, and the sizes it counts with are those in use."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from google.cloud import bigquery
from hypothesis import given
from hypothesis import strategies as st

from coordinator.documents import shards_path
from coordinator.rules import quotas
from coordinator.rules.planning import cut_shards
from coordinator.rules.quotas import Deployment, Quota, check_fits, forecast
from local.cli.main import commands
from schemas import tables
from shared.errors import InvalidInput
from shared.settings import CoordinatorSettings, describe
from tests.provision_stand import Provisioning, flags_of
from tests.stand.world import Stand
from worker.service import ROWS_PER_APPEND

LONG_NAME = "giannis-antetokounmpo-jr."
"""25 bytes; the longest real name of a player has 24."""


def named(found: tuple[Quota, ...]) -> dict[str, Quota]:
    return {quota.name: quota for quota in found}


# --- what fits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("players", [0, 1, 24, 25, 150, 450, 20_000, 100_000])
def test_a_batch_of_every_size_of_the_design_fits(players: int) -> None:
    check_fits(players, deadline_minutes=180)

    assert all(quota.fits for quota in forecast(players) if quota.is_hard)


def test_what_cannot_fit_is_refused_with_quota_forecast_limit_and_source() -> None:
    with pytest.raises(InvalidInput, match="players: a batch of 130,000 players cannot be finished") as refused:
        check_fits(130_000, deadline_minutes=180)

    assert "BigQuery request of the MERGE: 10,400,000 of 10,000,000 bytes (BigQuery, Quotas" in str(refused.value)


def test_a_deadline_that_the_workers_cannot_meet_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"workers' time before the deadline: 67 of 60 seconds"):
        check_fits(80_000, deadline_minutes=1)


def test_a_soft_limit_refuses_nobody() -> None:
    over = [quota for quota in forecast(100_000) if not quota.fits]

    assert [quota.name for quota in over] == ["MERGE, of TIPOFF_MAX_BYTES_PER_QUERY"]
    assert not any(quota.is_hard for quota in over)


@given(st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_more_players_never_use_less_of_a_hard_limit(one: int, other: int) -> None:
    fewer, more = (named(forecast(players)) for players in sorted((one, other)))

    for name, quota in fewer.items():
        # A shard more or less may make each a little smaller.
        assert not quota.is_hard or quota.forecast <= more[name].forecast + 100 * quotas.SHARD_MARK_BYTES


@given(st.integers(1, 200_000))
def test_the_forecast_cuts_shards_as_the_plan_does(players: int) -> None:
    shards = cut_shards([str(number) for number in range(players)])

    found = named(forecast(players))
    assert found["Firestore shard document"].forecast == len(shards[0]) * quotas.ENTRY_BYTES
    assert found["Firestore batch document"].forecast == len(shards) * quotas.SHARD_MARK_BYTES


def test_the_most_used_comes_first() -> None:
    shares = [quota.share for quota in forecast(20_000)]

    assert shares == sorted(shares, reverse=True)
    hard, soft = ([quota.name for quota in forecast(100_000) if quota.is_hard is kind] for kind in (True, False))
    assert (hard[0], soft[0]) == ("BigQuery request of the MERGE", "MERGE, of TIPOFF_MAX_BYTES_PER_QUERY")


@pytest.mark.parametrize(("players", "rows", "field"), [(-1, 60, "players"), (1, 0, "rows_per_player")])
def test_nonsense_is_refused(players: int, rows: int, field: str) -> None:
    with pytest.raises(InvalidInput, match=f"{field}:"):
        forecast(players, rows_per_player=rows)


# --- what it counts with --------------------------------------------------------------------------------------


def test_a_player_takes_no_more_of_a_parameter_than_is_counted() -> None:
    parameters = [
        bigquery.ArrayQueryParameter("deliveries", "STRING", ["0123456789abcdef"] * 1_000),
        bigquery.ArrayQueryParameter("players", "STRING", [LONG_NAME] * 1_000),
    ]

    written = json.dumps([parameter.to_api_repr() for parameter in parameters])

    assert 60_000 < len(written) <= 1_000 * quotas.PARAMETER_BYTES


def test_a_player_takes_no_more_of_his_shard_than_is_counted(stand: Stand) -> None:
    batch = stand.run()
    (shard,) = stand.documents.query(shards_path(batch.batch_id))
    predicted = shard.fields["predicted"]
    assert isinstance(predicted, dict)

    for player, deliveries in predicted.items():
        # Under each of the maps he may stand in, with the longest of names; a number or a time takes 8 bytes.
        names_bytes = 5 * (len(LONG_NAME) + 1) + 2 * (16 + 1)
        (delivery,) = deliveries.values()
        entry = sum(len(name) + 1 + stored_bytes(value) for name, value in delivery.items())
        assert entry + names_bytes + 32 <= quotas.ENTRY_BYTES, player


def stored_bytes(value: object) -> int:
    """As Firestore's page on storage size counts."""
    return len(value.encode()) + 1 if isinstance(value, str) else 8 if isinstance(value, int | datetime) else 1


def test_staging_has_as_many_columns_as_are_counted() -> None:
    assert named(forecast(1))["columns of staging"].forecast >= len(
        tables.staging_columns(tables.latest_version("predictions"))
    )


def test_the_bound_on_a_merge_is_that_of_the_settings() -> None:
    (default,) = (row.default for row in describe(CoordinatorSettings) if row.name == "TIPOFF_MAX_BYTES_PER_QUERY")

    assert named(forecast(1))["MERGE, of TIPOFF_MAX_BYTES_PER_QUERY"].limit == int(default or 0)


def test_the_rates_are_those_of_the_deployment(tmp_path: Path) -> None:
    printed = Provisioning(tmp_path).printed()
    (worker,) = (flags_of(command) for command in printed if command[1:4] == ["run", "deploy", "tipoff-worker"])

    assert int(worker["max-instances"]) == Deployment().worker_instances
    assert int(worker["concurrency"]) == Deployment().worker_concurrency


def test_a_worker_appends_as_many_rows_at_once_as_are_counted() -> None:
    assert quotas.ROWS_PER_APPEND == ROWS_PER_APPEND


# --- the command ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("players", "status"), [(450, 0), (130_000, 1)])
def test_the_command_says_whether_it_fits(players: int, status: int) -> None:
    told = CliRunner().invoke(commands, ["quota", "--players", str(players), "--json"], standalone_mode=False)

    answer = json.loads(told.output)
    assert (told.return_value, answer["fits"], answer["players"]) == (status, status == 0, players)
    assert {"name", "unit", "forecast", "limit", "share", "is_hard", "fits", "source"} == answer["quotas"][0].keys()


def test_the_command_shows_every_limit_with_its_source_to_people() -> None:
    told = CliRunner().invoke(commands, ["quota", "--players", "100000"], standalone_mode=False, env={"COLUMNS": "160"})

    for quota in forecast(100_000):
        assert quota.name in told.output
        assert quota.source in told.output
    assert "A batch of 100,000 players fits." in told.output
