"""The MERGE's text: its golden files, its structure as BigQuery's grammar reads it, and what its checks conclude.

After a wanted change of the text, `TIPOFF_WRITE_GOLDEN=1 python -m pytest tests/unit/test_merge_texts.py` writes the
golden files anew (and fails once, so that nobody leaves it on); review them as code.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import pytest
import sqlglot
from sqlglot import exp

from coordinator.rules import merge
from coordinator.rules.entries import Delivery, Snapshot
from coordinator.rules.merge import Consolidation, Counted, StagingTable
from schemas import digest, names, tables
from schemas.messages import RowCounts
from schemas.tables import Row
from shared.errors import VerificationRefused

GOLDEN = Path(__file__).parents[1] / "golden"
GAME_DATE = date(2026, 1, 30)
BATCH_ID = names.batch_id(GAME_DATE, "a-key")
COLUMNS = tables.load(names.PREDICTIONS_TABLE).columns
NAMES = [column.name for column in COLUMNS]
Kind = Literal["root", "redrive"]
KINDS: tuple[Kind, ...] = ("root", "redrive")
VERSIONS = ((1,), (2,), (1, 2))


def a_delivery(player: str, *, version: int = 2, rows: int = 2) -> Delivery:
    return Delivery(version, f"of-{player}", rows, digest.of_ids([player]))


def a_snapshot(**predicted: Delivery) -> Snapshot:
    """These players predicted, one skipped, one failed, one silent."""
    return Snapshot(
        predicted=predicted,
        skipped={"skipped": "listed_out"},
        failed={"failed": "prediction_error"},
        silent=frozenset({"silent"}),
        late=frozenset(predicted),
        answered_twice=frozenset(),
        shard_of=dict.fromkeys(predicted, 0),
    )


def a_job(kind: Kind = "root", versions: tuple[int, ...] = (1, 2)) -> Consolidation:
    return Consolidation(
        game_date=GAME_DATE,
        planned_at=datetime(2026, 1, 30, 15, tzinfo=UTC),
        batch_id=BATCH_ID,
        kind=kind,
        columns=COLUMNS,
        staging=tuple(StagingTable(version, frozenset(tables.staging_schema(version).names)) for version in versions),
        snapshot=a_snapshot(ann=a_delivery("ann", version=versions[-1])),
    )


def parsed(sql: str) -> exp.Merge:
    tree = sqlglot.parse_one(sql, read="bigquery")
    assert isinstance(tree, exp.Merge)
    return tree


def branches(sql: str) -> list[exp.When]:
    whens = parsed(sql).args["whens"].expressions
    assert all(isinstance(when, exp.When) for when in whens)
    return list(whens)


def column_names(of: exp.Expression) -> list[str]:
    return [column.name for column in of.expressions]


# --- golden files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_merges_text_is_the_reviewed_one(kind: Kind) -> None:
    text = merge.merge(a_job(kind)) + "\n"
    golden = GOLDEN / f"merge_{kind}.sql"
    if os.environ.get("TIPOFF_WRITE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
        pytest.fail(f"{golden.name} is written anew; review it and run again without TIPOFF_WRITE_GOLDEN")

    assert text == golden.read_text(encoding="utf-8")


def test_the_same_job_always_gives_the_same_text() -> None:
    assert merge.merge(a_job()) == merge.merge(a_job())


def test_players_and_deliveries_are_parameters_and_no_part_of_the_text() -> None:
    assert not {"ann", "skipped", "failed", "silent"} & set(merge.merge(a_job()).replace("'", " ").split())


# --- structure ------------------------------------------------------------------------------------------------

every_text = pytest.mark.parametrize(
    "sql",
    [merge.merge(a_job(kind, versions)) for kind in KINDS for versions in VERSIONS],
    ids=[f"{kind} {versions}" for kind in KINDS for versions in VERSIONS],
)


@every_text
def test_every_declared_column_is_inserted_exactly_once_from_its_own_value(sql: str) -> None:
    (insert,) = [when.args["then"] for when in branches(sql) if not when.args["matched"]]

    assert isinstance(insert, exp.Insert)
    assert column_names(insert.this) == NAMES
    assert [(value.table, value.name) for value in insert.expression.expressions] == [("S", name) for name in NAMES]


@every_text
def test_every_declared_column_but_the_key_and_created_at_is_updated_exactly_once(sql: str) -> None:
    _, update = [when.args["then"] for when in branches(sql) if when.args["matched"]]

    assert isinstance(update, exp.Update)
    assigned = Counter(set_.this.name for set_ in update.expressions)
    assert assigned == Counter(set(NAMES) - {"game_date", "prediction_id", "created_at"})
    values = {set_.this.name: set_.expression.sql(dialect="bigquery") for set_ in update.expressions}
    assert values.pop("prediction_version") == "T.`prediction_version` + 1"
    assert values == {name: f"S.`{name}`" for name in values}


@every_text
def test_a_retired_row_loses_its_activity_and_gets_its_successor_and_nothing_else(sql: str) -> None:
    retire, _ = [when for when in branches(sql) if when.args["matched"]]

    assert retire.args["condition"].sql(dialect="bigquery") == "S.`retire`"
    assert [set_.sql(dialect="bigquery") for set_ in retire.args["then"].expressions] == [
        "`is_active` = FALSE",
        "`superseded_by` = @batch_id",
    ]


@every_text
def test_the_join_has_the_literal_date_by_itself_and_the_key_by_plain_equality(sql: str) -> None:
    condition = parsed(sql).args["on"]

    assert [part.sql(dialect="bigquery") for part in condition.flatten()] == [
        "T.`game_date` = CAST('2026-01-30' AS DATE)",
        "T.`prediction_id` = S.`prediction_id`",
    ]
    assert "ON T.`game_date` = DATE '2026-01-30' AND " in sql


@every_text
def test_only_newer_rows_replace(sql: str) -> None:
    _, update = [when for when in branches(sql) if when.args["matched"]]
    insert = branches(sql)[-1]

    assert update.args["condition"].sql(dialect="bigquery") == (
        "NOT S.`retire` AND NOT S.`overtaken` AND "
        "S.`updated_at` > COALESCE(T.`updated_at`, CAST('1970-01-01 00:00:00+00' AS TIMESTAMP))"
    )
    assert insert.args["condition"].sql(dialect="bigquery") == "NOT S.`retire` AND NOT S.`overtaken`"


@every_text
def test_nothing_is_positional_and_there_is_no_full_outer_join(sql: str) -> None:
    assert not list(parsed(sql).find_all(exp.Star))
    assert len(branches(sql)) == 3
    assert not any(when.args["source"] for when in branches(sql)), "no WHEN NOT MATCHED BY SOURCE"
    assert not any(isinstance(when.args["then"].this, exp.Var) for when in branches(sql)), "no INSERT ROW"
    assert not any(isinstance(node, exp.Delete) for node in parsed(sql).find_all(exp.Delete))


@every_text
def test_every_select_of_the_source_gives_the_columns_in_one_order(sql: str) -> None:
    selects = [select for select in parsed(sql).find_all(exp.Select) if len(select.expressions) > 1]

    assert len(selects) >= 3
    for select in selects:
        given = [column.alias_or_name for column in select.expressions]
        assert given in (["retire", "overtaken", *NAMES], [*NAMES, "_delivery"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_count_reads_the_merges_own_source(kind: Kind) -> None:
    job = a_job(kind)

    texts = [" ".join(text.split()) for text in (job.source, merge.count(job), merge.merge(job))]

    assert texts[0] in texts[1]
    assert texts[0] in texts[2]


def test_a_column_that_a_version_lacks_is_a_typed_null_and_a_list_is_empty() -> None:
    live = frozenset(tables.staging_schema(1).names) - {"data_quality_issues", "feature_importance"}
    job = a_job(versions=(1,))

    sql = replace(job, staging=(StagingTable(1, live),)).source

    assert "CAST([] AS ARRAY<STRING>) AS `data_quality_issues`" in sql
    assert "CAST(NULL AS JSON) AS `feature_importance`" in sql
    assert "CAST(NULL AS NUMERIC) AS `feature_quality_score`" in sql


# --- parameters -----------------------------------------------------------------------------------------------


def test_a_root_speaks_for_all_but_its_missing_players_and_a_redrive_for_its_own() -> None:
    assert a_job("root").parameters["players"] == ("failed", "silent")
    assert "`player_lookup` NOT IN UNNEST(@players)" in a_job("root").source
    assert a_job("redrive").parameters["players"] == ("ann", "skipped")
    assert "`player_lookup` IN UNNEST(@players)" in a_job("redrive").source


# --- what the answers mean ------------------------------------------------------------------------------------


def staged(player: str = "ann", **changes: int | str) -> Row:
    sound: dict[str, int | str] = {
        "_delivery": f"of-{player}",
        "_version": 2,
        "distinct_rows": 2,
        "digest": digest.of_ids([player]),
        "of_another_date": 0,
        "of_another_batch": 0,
    }
    return sound | changes


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (staged(_delivery="another"), "ann: no rows of delivery of-ann"),
        (staged(_version=1), "ann: no rows of delivery of-ann"),
        (staged(of_another_date=1), "ann: 1 rows of another game date"),
        (staged(of_another_batch=1), "ann: 1 rows not stamped"),
        (staged(distinct_rows=1), "ann: 1 distinct rows staged, 2 in the ledger"),
        (staged(distinct_rows=3), "ann: 3 distinct rows staged, 2 in the ledger"),
        (staged(digest=digest.of_ids(["bob"])), "ann: the staged prediction ids are not the ledger's"),
    ],
)
def test_staging_that_is_not_the_ledgers_is_refused_with_player_and_figures(row: Row, problem: str) -> None:
    with pytest.raises(VerificationRefused, match=problem):
        merge.judge_staging([row], {"ann": a_delivery("ann")})


def test_sound_staging_passes() -> None:
    merge.judge_staging([staged()], {"ann": a_delivery("ann")})


def test_of_many_unsound_players_five_are_named_and_the_rest_counted() -> None:
    expected = {f"player-{number}": a_delivery(f"player-{number}") for number in range(8)}

    with pytest.raises(VerificationRefused, match=r"player-4: no rows .*\(and 3 more players\)") as caught:
        merge.judge_staging([], expected)

    assert "player-5" not in str(caught.value)


def counted(*, active: int = 10, distinct_ids: int = 2, **changes: int) -> Counted:
    rows = {"staged": 2, "inserted": 2, "updated": 0, "unchanged": 0, "superseded": 0} | changes
    return Counted(RowCounts.model_validate(rows), distinct_ids, active)


SNAPSHOT = a_snapshot(ann=a_delivery("ann", rows=2))


@pytest.mark.parametrize(
    ("unsound", "problem"),
    [
        (counted(distinct_ids=1), "1 prediction ids are staged by more than one delivery"),
        (counted(staged=3, inserted=3), "holds staged prediction ids more than once"),
        (counted(staged=1, inserted=1, distinct_ids=1), "1 distinct rows staged, 2 in the ledger"),
        (counted(inserted=1), r"2 in the ledger, 1 \+ 0 \+ 0 to insert, update and leave"),
        (counted(updated=1), r"2 in the ledger, 2 \+ 1 \+ 0 to insert, update and leave"),
    ],
)
def test_counts_that_do_not_add_up_are_refused(unsound: Counted, problem: str) -> None:
    with pytest.raises(VerificationRefused, match=problem):
        merge.judge_count(unsound, SNAPSHOT, max_retired_share=1, confirmed=True)


def test_a_share_of_retired_rows_above_the_policys_needs_a_persons_word() -> None:
    def judged(superseded: int, *, active: int = 10, confirmed: bool = False) -> float | None:
        counts = counted(superseded=superseded, active=active)
        return merge.judge_count(counts, SNAPSHOT, max_retired_share=0.5, confirmed=confirmed)

    assert judged(6) == 0.6
    assert judged(5) is None
    assert judged(6, confirmed=True) is None
    assert judged(0, active=0) is None, "the first batch of a date retires nothing"


def test_estimates_that_give_way_to_real_lines_count_on_neither_side() -> None:
    rows = counted(superseded=8, active=10).rows

    assert Counted(rows, 2, active=10, replaced=0).retired_share == 0.8
    assert Counted(rows, 2, active=10, replaced=7).retired_share == pytest.approx(1 / 3)
    assert Counted(rows, 2, active=8, replaced=8).retired_share == 0


@pytest.mark.parametrize(
    "left",
    [{"inserted": 1}, {"updated": 1}, {"superseded": 1}, {"staged": 1}],
    ids=["not there", "older", "still active", "rows gone from staging"],
)
def test_a_merge_that_left_something_to_do_is_refused(left: dict[str, int]) -> None:
    done = {"inserted": 0, "unchanged": 2}

    merge.judge_result(counted(**done), SNAPSHOT)
    with pytest.raises(VerificationRefused, match="after the MERGE"):
        merge.judge_result(counted(**(done | left)), SNAPSHOT)
