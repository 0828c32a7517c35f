"""`GET /schema`: what is declared beside what is live, column by column, with the drift in words."""

from __future__ import annotations

from typing import Any

from coordinator.app import create_app
from coordinator.ledger import Ledger
from coordinator.operator.schema_view import SchemaView, view_schema
from coordinator.routes.exchange import Caller
from schemas import names, tables
from schemas.tables import Column, Row
from shared.errors import Unavailable
from shared.ports import TableSpec
from tests.stand.world import Stand

PREDICTIONS = tables.load(tables.PREDICTIONS)
V1 = tables.load(tables.PREDICTIONS, 1)


def seen(stand: Stand) -> SchemaView:
    return view_schema(stand.warehouse, Ledger(stand.documents))


def of(view: SchemaView, table: str) -> dict[str, Any]:
    (found,) = (one.model_dump() for one in (*view.tables, *view.staging) if one.table == table)
    return found


def recreate(stand: Stand, columns: tuple[Column, ...]) -> None:
    stand.warehouse.drop(names.PREDICTIONS_TABLE)
    stand.warehouse.create(TableSpec(names.PREDICTIONS_TABLE, columns))


def test_tables_that_are_as_declared_drift_in_nothing(stand: Stand) -> None:
    view = seen(stand)

    assert view.agrees
    assert [one.table for one in view.tables] == list(tables.TABLES)
    predictions = of(view, "predictions")
    assert (predictions["version"], predictions["fingerprint"]) == (PREDICTIONS.version, PREDICTIONS.fingerprint)
    assert [column["name"] for column in predictions["columns"]] == list(PREDICTIONS.names)
    assert {column["drift"] for column in predictions["columns"]} == {None}


def test_each_kind_of_drift_is_told_in_words_by_column(stand: Stand) -> None:
    retyped = (Column("feature_importance", "STRING") if c.name == "feature_importance" else c for c in V1.columns)
    recreate(stand, (*retyped, Column("shoe_size", "INT64")))

    view = seen(stand)

    assert not view.agrees
    drifts = {column["name"]: column["drift"] for column in of(view, "predictions")["columns"] if column["drift"]}
    assert drifts.pop("feature_importance") == "declared JSON, NULLABLE, live STRING, NULLABLE"
    assert drifts.pop("shoe_size") == "not declared"
    assert drifts == dict.fromkeys(set(PREDICTIONS.names) - set(V1.names), "missing in the live table")
    assert "early_season_flag is missing; `tipoff schema apply` adds it" in of(view, "predictions")["drift"]
    assert "shoe_size is not declared; it is kept and left alone" in of(view, "predictions")["drift"]


def test_a_table_that_is_not_there_is_said_to_be_missing(stand: Stand) -> None:
    stand.warehouse.drop("injury_reports")

    missing = of(seen(stand), "injury_reports")

    assert not missing["exists"]
    assert missing["drift"] == ["the table is not there; `tipoff schema apply` creates it"]


def test_the_staging_of_live_batches_is_shown_with_who_wrote_it(stand: Stand) -> None:
    batch = stand.start().batch
    first, second, *_ = stand.coordinator.views.batch(batch.batch_id).silent
    stand.record(stand.answer(first), stand.answer(second, revision="worker-0", version=1))

    view = seen(stand)

    assert [(one.version, one.written_by) for one in view.staging] == [
        (1, {V1.fingerprint: 1}),
        (2, {tables.load(tables.PREDICTIONS, 2).fingerprint: 1}),
    ]
    assert [one.drift for one in view.staging] == [[], []]


def test_a_worker_whose_version_has_other_columns_shows_as_drift(stand: Stand) -> None:
    batch = stand.start().batch
    outcome = stand.answer(stand.coordinator.views.batch(batch.batch_id).silent[0])
    stand.record(outcome.model_copy(update={"schema_fingerprint": "another"}))

    drift = of(seen(stand), names.staging_table(2))["drift"]

    assert drift == [
        f"workers wrote a v2 of fingerprint another; this coordinator's is {tables.load('predictions', 2).fingerprint}"
    ]


def test_who_wrote_for_an_ended_batch_is_not_counted(stand: Stand) -> None:
    stand.run()

    assert [one.written_by for one in seen(stand).staging] == [{}, {}]


def test_every_batch_stores_its_schemas_version_and_fingerprint(stand: Stand) -> None:
    batch = stand.start().batch

    read = stand.batch(batch.batch_id)
    shown = stand.coordinator.views.batch(batch.batch_id)

    expected = (2, tables.load(tables.PREDICTIONS, 2).fingerprint)
    assert (read.schema_version, read.schema_fingerprint) == expected
    assert (shown.schema_version, shown.schema_fingerprint) == expected


def test_the_route_answers_what_the_view_says_to_admins(stand: Stand) -> None:
    asked: list[frozenset[Caller]] = []
    app = create_app(stand.coordinator, guard=lambda _header, callers: asked.append(callers))

    answer = app.test_client().get("/schema")

    assert answer.status_code == 200
    assert answer.get_json() == seen(stand).model_dump(mode="json")
    assert asked == [frozenset({Caller.ADMIN, Caller.VIEWER})]


class Down:
    """A warehouse that does not answer."""

    def columns(self, table: str) -> tuple[Column, ...] | None:
        raise Unavailable(f"no answer about {table}")

    def query(self, *_: object) -> list[Row]:
        raise Unavailable("no answer")


def test_the_route_answers_a_problem_while_the_warehouse_is_down(stand: Stand) -> None:
    coordinator = stand.new_coordinator("two", warehouse=Down())
    app = create_app(coordinator, guard=lambda _header, _callers: None)

    answer = app.test_client().get("/schema")

    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
