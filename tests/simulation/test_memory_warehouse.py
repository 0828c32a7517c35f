"""The warehouse's model against the embedded warehouse, which runs the statements' own texts, on random inputs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from coordinator.rules import merge
from coordinator.rules.entries import Delivery, Snapshot
from coordinator.usecases.one_at_a_time import USED_UP, use_up
from coordinator.usecases.repair import deliveries_parameters, deliveries_query
from schemas import digest, names, tables
from schemas.tables import Row
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import every_spec
from shared.ports import JobState, Parameters
from tests.simulation.memory_warehouse import MemoryWarehouse
from tests.stand.ledger import a_batch

GAME_DATE = date(2026, 1, 30)
NOON = datetime(2026, 1, 30, 17, tzinfo=UTC)
PLAYERS = ("ann", "bob", "cid", "dee")
BATCHES = [(names.batch_id(GAME_DATE, str(number)), NOON + timedelta(hours=number)) for number in range(3)]
COLUMNS = tables.load(names.PREDICTIONS_TABLE).columns
COMPARED = (
    *("prediction_id", "game_date", "player_lookup", "is_active", "superseded_by", "created_at", "updated_at"),
    *("prediction_version", "has_prop_line", "predicted_points"),
)
A_WHILE = timedelta(seconds=60)


class Both:
    """The embedded warehouse and the model, told the same."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - random inputs of a test
        self.embedded = DuckdbWarehouse(":memory:")
        self.model = MemoryWarehouse(plan=lambda _parameters: [])
        for spec in every_spec():
            self.embedded.create(spec)
        if self.rng.random() < 0.7:  # one of the two games begins between two of the batches
            self.model.tipoffs["g1"] = NOON + timedelta(minutes=self.rng.choice((30, 60, 90)))
            game: Row = {"game_date": GAME_DATE, "game_id": "g1", "home_team": "HOU", "away_team": "OKC"}
            self.embedded.append("scheduled_games", [{**game, "tipoff_at": self.model.tipoffs["g1"]}])
        self.deliveries: dict[str, list[tuple[str, Delivery]]] = {batch_id: [] for batch_id, _ in BATCHES}

    def ask(self, sql: str, parameters: Parameters) -> None:
        found, expected = (sorted(map(_comparable, one.query(sql, parameters))) for one in (self.model, self.embedded))
        assert found == expected, sql[:60]

    def has_foreign_rows(self, job: merge.Consolidation) -> bool:
        found = self.model.query(merge.staging_check(job), merge.staging_check_parameters(job))
        return any(row["of_another_date"] for row in found)

    def run(self, sql: str, parameters: Parameters, job_id: str) -> None:
        for one in (self.model, self.embedded):
            one.submit(sql, parameters, job_id=job_id)
        assert self.model.job(job_id).state is self.embedded.job(job_id, wait=A_WHILE).state
        stored = self.embedded.query(f"SELECT {', '.join(COMPARED)} FROM `predictions`")
        found = [{name: row[name] for name in COMPARED} for row in self.model.predictions.values()]
        assert sorted(map(_comparable, found)) == sorted(map(_comparable, stored))

    def stage(self) -> None:
        """Stage a delivery of some player of some batch: at times copies, foreign rows, ids of another delivery."""
        rng = self.rng
        (batch_id, planned_at), player, version = rng.choice(BATCHES), rng.choice(PLAYERS), rng.choice((1, 2))
        delivery = f"d{rng.randrange(10**6)}"
        ids = [f"{player}-{line}" for line in rng.sample("abcd", rng.choice((1, 2, 3)))]
        rows = [self._row(one, player, planned_at, rng.randrange(9)) for one in ids]
        if rng.random() < 0.1:
            rng.choice(rows)["game_date"] = GAME_DATE + timedelta(days=1)
        if rng.random() < 0.1:
            rng.choice(rows)["updated_at"] = planned_at - timedelta(seconds=1)
        staged = [row | tables.lineage(batch_id, planned_at, delivery) for row in rows]
        staged += [dict(row) for row in staged if rng.random() < 0.3]
        for one in (self.model, self.embedded):
            one.append(names.staging_table(version), staged)
        self.deliveries[batch_id].append((player, Delivery(version, delivery, len(ids), digest.of_ids(ids))))

    def _row(self, prediction_id: str, player: str, planned_at: datetime, points: int) -> dict[str, Any]:
        return {
            "prediction_id": prediction_id,
            "system_id": "s",
            "player_lookup": player,
            "game_date": GAME_DATE,
            "game_id": "g1" if player < "c" else "g2",
            "prediction_version": 1,
            "predicted_points": points,
            "confidence_score": 50,
            "recommendation": "PASS",
            "has_prop_line": self.rng.random() < 0.7,
            "is_active": True,
            "created_at": planned_at,
            "updated_at": planned_at,
        }

    def job(self) -> merge.Consolidation:
        """A consolidation of some of the deliveries of some batch."""
        rng = self.rng
        batch_id, planned_at = rng.choice(BATCHES)
        chosen = dict(rng.sample(known, rng.randrange(len(known) + 1)) if (known := self.deliveries[batch_id]) else [])
        others = {player: rng.choice(("skipped", "failed", "silent")) for player in PLAYERS if player not in chosen}
        snapshot = Snapshot(
            predicted=chosen,
            skipped={player: "no_history" for player, said in others.items() if said == "skipped"},
            failed={player: "bad_request" for player, said in others.items() if said == "failed"},
            silent=frozenset(player for player, said in others.items() if said == "silent"),
            late=frozenset(),
            answered_twice=frozenset(),
            shard_of={},
            overtaken=frozenset(player for player in PLAYERS if rng.random() < 0.1),
        )
        versions = sorted({one.schema_version for one in chosen.values()} | {2})
        return merge.Consolidation(
            game_date=GAME_DATE,
            planned_at=planned_at,
            batch_id=batch_id,
            kind=rng.choice(("root", "redrive")),
            columns=COLUMNS,
            staging=tuple(
                merge.StagingTable(one, frozenset(column.name for column in tables.staging_columns(one)))
                for one in versions
            ),
            snapshot=snapshot,
        )


def _comparable(row: Any) -> list[tuple[str, str]]:
    return sorted((name, str(float(value) if name == "predicted_points" else value)) for name, value in row.items())


@pytest.fixture(params=range(4))
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    both = Both(request.param)
    with closing(both.embedded):
        yield both


def test_every_statement_means_the_same(both: Both) -> None:
    for number in range(8):
        for _ in range(3):
            both.stage()
        job = both.job()
        batch = a_batch(batch_id=job.batch_id, planned_at=job.planned_at, game_date=GAME_DATE)
        both.ask(merge.staging_check(job), merge.staging_check_parameters(job))
        both.ask(deliveries_query(batch), deliveries_parameters(batch, both.rng.sample(PLAYERS, 2)))
        if both.has_foreign_rows(job):
            continue  # no consolidation gets as far with them
        both.ask(merge.count(job), merge.count_parameters(job))
        both.run(merge.merge(job), job.parameters, f"job-{number}")
        both.ask(merge.count(job), merge.count_parameters(job))


def test_a_used_up_id_has_failed_in_both(both: Both) -> None:
    for one in (both.model, both.embedded):
        assert use_up(one, "a-job").state is JobState.FAILED
        found = use_up(one, "a-job")
        assert (found.state, USED_UP in str(found.error)) == (JobState.FAILED, True)


def test_a_statement_that_the_model_does_not_know_is_no_statement_of_a_simulation(both: Both) -> None:
    with pytest.raises(AssertionError, match="does not know"):
        both.model.query("SELECT 2")
