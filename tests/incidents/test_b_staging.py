"""B1 to B12, B14 to B16: what is staged is what lands, whole, once, and only when it was checked.

Short, one symptom each, over whole batches; `tests/contract/test_consolidation*.py` hold the promises in full.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coordinator.rules.lifecycle import Status
from coordinator.usecases.consolidate import Report
from schemas import names, tables
from schemas.tables import FittedRows, Row
from shared.declared import staging_spec
from shared.errors import Unavailable
from shared.ports import Parameters, Table
from shared.settings import Policy
from tests.plan_inputs import a_log, an_offer
from tests.stand.ledger import a_skip
from tests.stand.world import PLAYERS, Stand, a_league, by_player

SYSTEMS = 7
ROWS = 3 * SYSTEMS + 5
"""Over two lines, one line and one estimated line."""
V1, V2 = (tables.load(names.PREDICTIONS_TABLE, version).columns for version in (1, 2))
NEW_IN_V2 = {column.name for column in V2} - {column.name for column in V1}
LATER = timedelta(minutes=30)


def a_stand_with_lines(folder: Path, *lines: str) -> closing[Stand]:
    """One player with these lines."""
    return closing(Stand(folder, replace(a_league(1), lines=[an_offer("1", line) for line in lines])))


def staged(stand: Stand, batch_id: str, version: int = 2) -> list[dict[str, Any]]:
    """Every staged row of a version, copies included, in the order of their ids."""
    table = names.staging_table(version)
    found = stand.warehouse.query(f"SELECT * FROM `{table}` WHERE _batch_id = '{batch_id}' ORDER BY prediction_id")
    return [dict(row) for row in found]


def tables_of(stand: Stand, batch_id: str) -> list[str]:
    return [table.name for table in all_tables(stand) if batch_id in table.name]


def all_tables(stand: Stand) -> list[Table]:
    return stand.warehouse.list_tables("")


class Watched:
    """A warehouse that shows the MERGE texts submitted, and stops answering queries after one while `is_blind`."""

    def __init__(self, stand: Stand) -> None:
        self._inner = stand.warehouse
        self.merges: list[str] = []
        self.is_blind = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def submit(self, sql: str, parameters: Parameters, *, job_id: str) -> None:
        self.merges.append(sql)
        self._inner.submit(sql, parameters, job_id=job_id)

    def query(self, sql: str, parameters: Parameters | None = None) -> Sequence[object]:
        if self.is_blind and self.merges:
            raise Unavailable("the check could not run")
        return self._inner.query(sql, parameters)


@pytest.fixture
def watched(stand: Stand) -> Watched:
    """The warehouse that the stand's coordinator now has."""
    watched = Watched(stand)
    stand.coordinator = stand.new_coordinator("one", warehouse=watched)
    return watched


# --- B1, B2, B3: shapes ---------------------------------------------------------------------------------------


def test_b1_rows_staged_with_63_columns_land_in_the_target_of_72(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id

    stand.record(*[stand.answer(player, version=1) for player in PLAYERS])

    assert (len(V1), len(V2)) == (63, 72)
    assert stand.batch(batch_id).status is Status.COMPLETE
    rows = stand.predictions()
    assert len(rows) == ROWS
    assert list(rows[0]) == [column.name for column in V2]
    assert all(row[name] in (None, []) for row in rows for name in NEW_IN_V2)


def test_b2_every_value_of_two_shapes_lands_in_the_column_of_its_name(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id

    stand.record(*[stand.answer(player, version=version) for player, version in zip(PLAYERS, (1, 2, 1), strict=True)])

    landed = {row["prediction_id"]: row for row in stand.predictions()}
    rows = [*staged(stand, batch_id, 1), *staged(stand, batch_id, 2)]
    assert landed.keys() == {row["prediction_id"] for row in rows}
    for row in rows:
        for lineage in ("_batch_id", "_planned_on", "_delivery"):
            del row[lineage]
        assert {name: landed[row["prediction_id"]][name] for name in row} == row


def test_b3_a_workers_own_schema_names_its_staging_table_whatever_is_live(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id

    outcomes = [stand.answer(player, version=version) for player, version in zip(PLAYERS[:2], (1, 2), strict=True)]

    assert [outcome.model_dump()["schema_version"] for outcome in outcomes] == [1, 2]
    assert [{row["player_lookup"] for row in staged(stand, batch_id, version)} for version in (1, 2)] == [
        {PLAYERS[0]},
        {PLAYERS[1]},
    ]
    live = stand.warehouse.columns(names.staging_table(2))
    assert tables.compare(tables.staging_columns(2), live or ()) == tables.Drift()


# --- B4, B5: lines --------------------------------------------------------------------------------------------


def test_b4_half_a_point_apart_is_another_row(tmp_path: Path) -> None:
    with a_stand_with_lines(tmp_path, "24.5", "25.0") as stand:
        stand.run()

        lines = Counter(row["current_points_line"] for row in stand.predictions())

    assert lines == {Decimal("24.5"): SYSTEMS, Decimal("25.0"): SYSTEMS}


def test_b5_five_lines_of_one_player_stay_five_rows_of_each_system(tmp_path: Path) -> None:
    five = ["20.5", "21.5", "22.0", "22.5", "23.5"]
    with a_stand_with_lines(tmp_path, *five) as stand:
        batch = stand.run()

        found = {(row["system_id"], str(row["current_points_line"])) for row in stand.predictions()}

    assert len(found) == batch.merged_rows.inserted == 5 * SYSTEMS
    assert {line for _, line in found} == set(five)


# --- B6, B7, B8: the statement --------------------------------------------------------------------------------


def test_b6_an_update_leaves_no_cell_of_the_older_row(stand: Stand) -> None:
    first = stand.run("morning")
    created = {row["prediction_id"]: row["created_at"] for row in stand.predictions()}
    league = a_league()
    stand.load(replace(league, logs=[*league.logs, *(a_log(player, days_ago=1, points=35) for player in "123")]))
    stand.pass_time(LATER)

    second = stand.run("evening")

    landed = {row["prediction_id"]: row for row in stand.predictions()}
    rows = staged(stand, second.batch_id)
    assert rows[0]["predicted_points"] != staged(stand, first.batch_id)[0]["predicted_points"]
    assert {row["prediction_id"] for row in rows} & created.keys()
    for row in rows:
        for lineage in ("_batch_id", "_planned_on", "_delivery"):
            del row[lineage]
        there = landed[row["prediction_id"]]
        if row["prediction_id"] in created:
            row |= {"created_at": created[row["prediction_id"]], "prediction_version": 2}
        assert there == row


def test_b7_no_column_is_assigned_or_inserted_twice(stand: Stand, watched: Watched) -> None:
    stand.run()

    (text,) = watched.merges
    updates = [re.findall(r"^\s+`(\w+)` = ", part, re.MULTILINE) for part in text.split("UPDATE SET")[1:]]
    inserted, values = text.split("INSERT (")[1].split("VALUES")
    listed = [re.findall(r"`(\w+)`", part) for part in (inserted, values)]
    assert len(updates) == 2
    for assigned in (*updates, *listed):
        assert assigned
        assert [name for name, times in Counter(assigned).items() if times > 1] == []
    assert listed[0] == listed[1] == [column.name for column in V2]
    assert set(updates[1]) == set(listed[0]) - {"game_date", "prediction_id", "created_at"}


def test_b8_a_merge_names_the_partition_and_reads_no_more_than_allowed(stand: Stand, watched: Watched) -> None:
    stand.run("morning")
    (text,) = watched.merges
    assert re.search(r"ON\s+T\.`game_date` = DATE '2026-01-30'\s+AND", text)

    stand.coordinator = stand.new_coordinator("frugal", warehouse=watched, max_bytes=1)
    stand.pass_time(LATER)
    before = stand.predictions(active=None)
    batch = stand.run("evening")

    assert batch.status is Status.FAILED
    assert "TIPOFF_MAX_BYTES_PER_QUERY" in batch.reason
    assert len(watched.merges) == 1
    assert stand.predictions(active=None) == before


# --- B9: superseding ------------------------------------------------------------------------------------------


def test_b9_a_repeated_day_deactivates_no_system_and_no_line(stand: Stand) -> None:
    stand.run("morning")
    before = by_player(stand.predictions(), "system_id")
    stand.pass_time(LATER)

    batch = stand.run("evening")

    assert batch.merged_rows.superseded == 0
    assert stand.predictions(active=False) == []
    assert by_player(stand.predictions(), "system_id") == before


def test_b9_a_mornings_estimates_give_way_to_the_lines_of_the_evening_without_a_persons_word(stand: Stand) -> None:
    league = a_league()
    stand.load(replace(league, lines=[]))
    stand.run("morning")
    stand.load(league)

    evening = stand.run("evening")

    assert evening.status is Status.COMPLETE
    rows = evening.merged_rows
    assert rows.superseded > rows.unchanged + rows.updated, "most rows of the morning"
    assert {row["has_prop_line"] for row in stand.predictions() if row["player_lookup"] != PLAYERS[2]} == {True}


def test_b9_estimates_of_players_who_vanish_are_a_loss_like_any_other(stand: Stand) -> None:
    league = a_league()
    stand.load(replace(league, lines=[]))
    stand.run("morning")
    batch_id = stand.start("evening").batch.batch_id

    stand.record(*[a_skip(batch_id, player) for player in PLAYERS[:2]], stand.answer(PLAYERS[2], batch_id=batch_id))

    assert stand.batch(batch_id).status is Status.FAILED
    result = stand.batch(batch_id).result
    assert result is not None
    assert result.code == "confirmation_needed"


def test_b9_retiring_most_of_a_day_waits_for_a_persons_word(stand: Stand) -> None:
    stand.run("morning")
    before = stand.predictions(active=None)
    stand.pass_time(LATER)
    batch_id = stand.start("evening").batch.batch_id
    stand.record(stand.answer(PLAYERS[2], batch_id=batch_id))

    stand.record(*[a_skip(batch_id, player) for player in PLAYERS[:2]])

    assert stand.batch(batch_id).status is Status.FAILED
    assert f"would retire {3 * SYSTEMS} of {ROWS} active rows" in stand.batch(batch_id).reason
    assert stand.predictions(active=None) == before

    assert stand.coordinator.consolidator.consolidate(batch_id, forced=True) is Report.MERGED
    assert stand.predicted_players() == {PLAYERS[2]}


# --- B10, B11, B12: checks ------------------------------------------------------------------------------------


def test_b10_a_check_that_could_not_run_is_no_pass(stand: Stand, watched: Watched) -> None:
    batch_id = stand.start().batch.batch_id
    outcomes = [stand.answer(player) for player in PLAYERS]
    stand.record(*outcomes[:2])
    watched.is_blind = True

    with pytest.raises(Unavailable):
        stand.record(outcomes[2])

    assert len(watched.merges) == 1, "the MERGE itself went through"
    assert stand.batch(batch_id).status is Status.RUNNING
    assert stand.events() == []

    watched.is_blind = False
    stand.record(outcomes[2])
    assert stand.batch(batch_id).status is Status.COMPLETE
    assert {row["prediction_version"] for row in stand.predictions(active=None)} == {1}


def test_b11_no_consolidation_drops_staging_verified_or_not(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id
    stand.record(stand.answer(PLAYERS[0]), stand.answer(PLAYERS[1]))
    last = stand.answer(PLAYERS[2])
    before = all_tables(stand)

    stand.record(last.model_copy(update={"digest": "another"}))
    assert stand.batch(batch_id).status is Status.FAILED
    refused = all_tables(stand)
    stand.record(last)
    stand.coordinator.consolidator.consolidate(batch_id, forced=True)
    stand.coordinator.sweeper.sweep()

    assert before == refused == all_tables(stand)
    assert tables_of(stand, batch_id) == [names.plan_table(batch_id)]
    assert len({row["player_lookup"] for row in staged(stand, batch_id)}) == len(PLAYERS)


@pytest.mark.parametrize("how", ["table gone", "table empty"])
def test_b12_nothing_staged_is_no_success(stand: Stand, how: str) -> None:
    batch = stand.start().batch
    outcomes = [stand.answer(player) for player in PLAYERS]
    stand.warehouse.drop(names.staging_table(2))
    if how == "table empty":
        stand.warehouse.create(staging_spec(2))

    stand.record(*outcomes)

    assert stand.batch(batch.batch_id).status is Status.FAILED
    assert [event.state for event in stand.events()] == ["FAILED"]
    assert stand.predictions(active=None) == []


# --- B14, B15, B16: copies ------------------------------------------------------------------------------------


def test_b14_a_batch_makes_no_staging_table_whatever_is_retried_and_its_rows_end(stand: Stand) -> None:
    before = {table.name for table in all_tables(stand)}
    batch = stand.start().batch
    for revision in ("worker-1", "worker-2"):
        for player in PLAYERS * 2:
            stand.record(stand.answer(player, revision=revision))

    assert {table.name for table in all_tables(stand)} - before == {names.plan_table(batch.batch_id)}

    stand.now = batch.planned_at + timedelta(days=31)
    assert {table.name for table in all_tables(stand)} == before
    assert staged(stand, batch.batch_id) == []
    assert len(stand.predictions()) == ROWS, "the predictions table does not expire"


class HidesYoungTables:
    """A warehouse that takes no rows for a table in its first minute, as the Storage Write API may not."""

    def __init__(self, stand: Stand) -> None:
        self._inner, self._stand = stand.warehouse, stand
        self.refused: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def append(self, table: str, rows: Sequence[Row] | FittedRows) -> None:
        (made,) = (one.created_at for one in self._inner.list_tables(table) if one.name == table)
        if self._stand.now - made < timedelta(minutes=1):
            self.refused.append(table)
            raise Unavailable(f"table {table} cannot be seen yet")
        self._inner.append(table, rows)


def test_b14_no_request_of_a_day_meets_a_table_that_was_just_made(stand: Stand) -> None:
    stand.pass_time(timedelta(hours=1))
    hiding = HidesYoungTables(stand)
    stand.warehouse = hiding  # type: ignore[assignment]  # it is that warehouse but for append
    stand.coordinator = stand.new_coordinator("one")

    assert stand.run().status is Status.COMPLETE
    assert hiding.refused == []


def test_b15_a_retry_that_staged_the_rows_again_counts_once(stand: Stand) -> None:
    batch_id = stand.start().batch.batch_id

    for player in PLAYERS:
        first, again = stand.answer(player), stand.answer(player)
        assert first == again
        stand.record(first, again)

    assert len(staged(stand, batch_id)) == 2 * ROWS
    assert len(stand.predictions(active=None)) == ROWS
    rows = stand.batch(batch_id).merged_rows
    assert (rows.staged, rows.inserted) == (ROWS, ROWS)


def test_b16_a_day_run_again_inserts_nothing_and_its_counts_add_up(stand: Stand) -> None:
    first = stand.run("morning").merged_rows
    ids = {row["prediction_id"] for row in stand.predictions(active=None)}
    stand.pass_time(LATER)

    second = stand.run("evening", policy=Policy()).merged_rows

    assert {row["prediction_id"] for row in stand.predictions(active=None)} == ids
    assert (first.staged, first.inserted, first.updated) == (ROWS, ROWS, 0)
    assert (second.staged, second.inserted, second.updated + second.unchanged) == (ROWS, 0, ROWS)
