"""`tipoff run` on the shipped sample season: the whole system as a new user first meets it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from local.sample.season import SAMPLE_EMPTY_DATE, SAMPLE_GAME_DATE
from tests.otlp_receiver import collecting
from tests.tipoff_command import (
    ROOT,
    Ran,
    Table,
    finished_events,
    read_csv,
    stored_predictions,
    tipoff,
    without,
)

pytestmark = pytest.mark.xdist_group("run_sample")  # its runs are shared by its tests

OWN_SYSTEMS = {"season_average", "moving_average", "similarity", "ridge", "ensemble"}
SYSTEMS = OWN_SYSTEMS | {"market", "anchored"}
CHANGED_BY_A_REPEAT = ("updated_at", "prediction_version")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def first(folder: Path) -> Ran:
    """The first run in a new state folder."""
    return tipoff("run", "--json", "--export", "first.csv", "--state", "state", cwd=folder)


@pytest.fixture(scope="module")
def second(folder: Path, first: Ran) -> Ran:
    """The same once more."""
    assert first.status == 0, first.err
    return tipoff("run", "--json", "--export", "second.csv", "--state", "state", cwd=folder)


@pytest.fixture(scope="module")
def exported(folder: Path, first: Ran) -> Table:
    assert first.status == 0, first.err
    return read_csv(folder / "first.csv")


def declared_columns() -> list[str]:
    columns = json.loads((ROOT / "schemas/predictions/v2.json").read_text(encoding="utf-8"))
    return [column["name"] for column in columns]


def test_a_first_run_completes_and_its_counts_add_up(first: Ran) -> None:
    done = first.json

    players, rows = done["players"], done["rows"]
    assert (first.status, done["state"], done["game_date"]) == (0, "COMPLETE", SAMPLE_GAME_DATE.isoformat())
    assert players["expected"] == players["predicted"] + players["skipped"] > 100
    assert players["failed"] == players["silent"] == 0
    assert set(done["skipped"].values()) == {"no_history"}
    assert rows["staged"] == rows["inserted"] == done["exported"]["rows"] > 5 * players["predicted"]
    assert rows["updated"] == rows["unchanged"] == rows["superseded"] == 0


def test_json_is_exactly_one_object_and_says_what_was_simulated(first: Ran) -> None:
    assert first.out.count("\n") == 1
    assert first.err == ""
    assert first.json["inputs"]["simulated"] is True
    assert first.json["seconds"] == pytest.approx(sum(first.json["seconds_by_phase"].values()), abs=0.01)


def test_the_export_has_the_declared_columns_in_order_and_null_as_nothing(exported: Table) -> None:
    assert list(exported[0]) == declared_columns()
    assert len(declared_columns()) == 72
    assert not {"None", "null", "NaN", "nan"} & {cell for row in exported for cell in row.values()}
    assert {row["superseded_by"] for row in exported} == {""}


def test_every_predicted_player_has_a_row_of_each_system_on_each_of_his_lines(first: Ran, exported: Table) -> None:
    systems_by_line: dict[tuple[str, str, str], set[str]] = {}
    for row in exported:
        line = row["player_lookup"], row["current_points_line"], row["line_source"]
        systems_by_line.setdefault(line, set()).add(row["system_id"])

    for (_player, _line, source), systems in systems_by_line.items():
        assert systems == (SYSTEMS if source == "ACTUAL_PROP" else OWN_SYSTEMS)
    assert len({player for player, *_line in systems_by_line}) == first.json["players"]["predicted"]
    assert max(Counter(row["prediction_id"] for row in exported).values()) == 1


@pytest.mark.parametrize(
    "player_lookup",
    [
        "karl-emil-vossberg",  # a hyphen of his own
        "c.j.-st.-clairmont",  # periods
        "ha'keem-al-sahrout",  # an apostrophe
        "tomaš-krejovič",  # diacritics
        "tomas-krejovic",  # and another man without
        "ólafur-þorvik",  # a letter without a plain form
        "a.j.-o'fenwick-jr.",  # a suffix
        "obadiah-finchley-iii",
        "joost-van-der-hoolst",  # several words
        "jarrel-windlass",  # on one team with
        "jarell-windlass",
    ],
)
def test_every_kind_of_awkward_name_arrives_as_it_is(exported: Table, player_lookup: str) -> None:
    assert {row["system_id"] for row in exported if row["player_lookup"] == player_lookup} >= OWN_SYSTEMS


def test_most_rows_are_pass_and_none_of_an_estimated_line_is_actionable(exported: Table) -> None:
    recommended = Counter(row["recommendation"] for row in exported)
    estimated = [row for row in exported if row["line_source"] == "ESTIMATED_AVG"]

    # The simulated books disagree with one another far more than real ones, so that many a price is worth taking.
    assert recommended["PASS"] > 0.5 * len(exported)
    assert estimated
    assert {row["is_actionable"] for row in estimated} == {"false"}


def test_a_second_run_updates_every_row_and_inserts_none(folder: Path, first: Ran, second: Ran) -> None:
    rows = second.json["rows"]

    assert (second.status, second.json["state"]) == (0, "COMPLETE")
    assert second.json["batch_id"] != first.json["batch_id"]
    assert (rows["inserted"], rows["superseded"]) == (0, 0)
    assert rows["updated"] + rows["unchanged"] == rows["staged"] == first.json["rows"]["staged"]
    assert stored_predictions(folder / "state/simulated") == (rows["staged"], rows["staged"])


def test_a_second_run_leaves_the_predictions_as_they_were(folder: Path, second: Ran, exported: Table) -> None:
    assert second.status == 0, second.err
    again = read_csv(folder / "second.csv")

    assert without(again, *CHANGED_BY_A_REPEAT) == without(exported, *CHANGED_BY_A_REPEAT)
    assert {row["prediction_version"] for row in exported} == {"1"}
    assert {row["prediction_version"] for row in again} == {"2"}
    assert {row["created_at"] for row in again} == {row["updated_at"] for row in exported}


def test_each_batch_is_announced_once_with_its_true_state(folder: Path, first: Ran, second: Ran) -> None:
    events = finished_events(folder / "state/simulated")

    assert [event["batch_id"] for event in events] == [first.json["batch_id"], second.json["batch_id"]]
    assert {event["state"] for event in events} == {"COMPLETE"}
    assert [event["rows"] for event in events] == [first.json["rows"], second.json["rows"]]


@pytest.fixture(scope="module")
def ended(folder: Path, second: Ran) -> Ran:
    """The second run's batch, looked at again."""
    assert second.status == 0, second.err
    return tipoff("run", "--resume", "--export", "again.parquet", "--state", "state", cwd=folder)


def test_resuming_a_batch_that_has_ended_only_tells_of_it(second: Ran, ended: Ran) -> None:
    staged = second.json["rows"]["staged"]

    assert (ended.status, ended.err) == (0, "")
    assert f"Batch {second.json['batch_id']} of {SAMPLE_GAME_DATE} is COMPLETE" in ended.out
    assert re.search(rf"^skipped +1  updated +{staged:,}  ", ended.out, re.MULTILINE)
    assert f"{staged:,} active predictions written to again.parquet" in ended.out


def test_a_parquet_export_of_the_ended_batch_holds_what_the_csv_does(folder: Path, ended: Ran) -> None:
    assert ended.status == 0, ended.err
    parquet = duckdb.read_parquet(str(folder / "again.parquet"))
    types = dict(zip(parquet.columns, map(str, parquet.types), strict=True))
    assert parquet.columns == declared_columns()
    assert (types["predicted_points"], types["updated_at"]) == ("DECIMAL(5,1)", "TIMESTAMP WITH TIME ZONE")
    names = (
        "player_lookup",
        "system_id",
        "current_points_line",
        "predicted_points",
        "is_active",
        "data_quality_issues",
    )
    from_parquet = parquet.select(*names).fetchall()
    assert [tuple(_as_csv(cell) for cell in row) for row in from_parquet] == [
        tuple(row[name] for name in names) for row in read_csv(folder / "second.csv")
    ]


def _as_csv(cell: object) -> str:
    match cell:
        case bool():
            return str(cell).lower()
        case list():
            return json.dumps(cell, separators=(",", ":"))
        case _:
            return str(cell)


def test_a_date_without_games_is_an_empty_batch_and_no_error(folder: Path) -> None:
    empty_date = SAMPLE_EMPTY_DATE.isoformat()

    ran = tipoff("run", "--game-date", empty_date, "--export", "none.csv", "--state", "empty", cwd=folder)

    assert (ran.status, ran.err) == (0, "")
    assert "is EMPTY: nobody was expected" in ran.out
    assert f"no games on {empty_date}" in ran.out
    assert read_csv(folder / "none.csv") == []


def test_its_spans_are_one_trace_where_a_collector_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        assert tipoff("run", "--json", "--state", "state", cwd=tmp_path).status == 0

    (start,) = collector.named("POST /start")
    (consolidated,) = [one for one in collector.named("MERGE") if one.kind == "INTERNAL"]
    assert collector.ancestry(consolidated)[-1] == "POST /start"
    assert {one.trace_id for one in collector.named("process outcomes")} == {start.trace_id}


def test_an_exporter_that_is_not_built_in_is_a_mistake_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")

    ran = tipoff("run", "--state", "state", cwd=tmp_path)

    assert (ran.status, ran.err) == (2, "tipoff: OTEL_TRACES_EXPORTER: 'zipkin' is not built in; set otlp or none\n")
