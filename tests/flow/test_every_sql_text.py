"""Every SQL text of the project, as its own code writes it, passes BigQuery's analyzer against the declared tables.

`written_by` says which code writes which texts; a scan of the packages finds whoever is not listed there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Literal

import pytest

from coordinator.rules import completeness, merge, planning, player_queries
from coordinator.rules.entries import Delivery, Snapshot
from coordinator.rules.merge import Consolidation, StagingTable
from coordinator.usecases import repair
from coordinator.usecases.one_at_a_time import use_up
from local.cli import adoption_texts
from local.one_machine import acceptance, loading, run
from schemas import names, tables
from schemas.tables import Column, Row
from shared.adapters.bigquery import BigqueryWarehouse
from shared.adapters.duckdb import DuckdbWarehouse
from shared.declared import create_statement, every_spec
from shared.ports import Parameters
from shared.settings import PlanningRules
from tests import zetasql_check
from tests.season_texts import season_texts
from tests.stand.ledger import a_batch
from tests.warehouse_kit import WatchedWarehouse

pytestmark = zetasql_check.IN_ONE_PROCESS

ROOT = Path(__file__).parents[2]
PACKAGES = ("coordinator", "worker", "shared", "schemas", "local")

OTHER_DIALECTS = {
    "shared.adapters.duckdb": "DuckDB's own catalogue and transactions",
    "shared.adapters.duckdb_schema": "DuckDB's own catalogue",
    "shared.adapters.sqlite": "SQLite",
    "local.one_machine.push_log": "SQLite",
    "local.one_machine.csv_source": "DuckDB's reader of CSV files",
    "local.one_machine.export": "DuckDB's writer of CSV and Parquet files",
    "local.one_machine.csv_inputs": "DuckDB's bulk load",
    "local.one_machine.past_games": "DuckDB's columns as arrays, for training on this machine",
}
"""Modules whose texts never reach BigQuery, and what they speak instead."""

GAME_DATE = date(2026, 1, 30)
NOON = datetime(2026, 1, 30, 17, tzinfo=UTC)
BATCH_ID = names.batch_id(GAME_DATE, "a-key")
PREDICTIONS = names.PREDICTIONS_TABLE
VERSIONS = ((1,), (2,), (1, 2))

PLAN = {"player_lookup": "STRING", "universal_player_id": "STRING", "planned_at": "TIMESTAMP", "request": "STRING"}
DATASET: Mapping[str, Sequence[Column]] = {
    **{table: tables.load(table).columns for table in tables.TABLES},
    **{names.staging_table(version): tables.staging_columns(version) for version in (1, 2)},
    names.plan_table(BATCH_ID): tuple(Column(name, kind) for name, kind in PLAN.items()),
}


@dataclass(frozen=True)
class Text:
    """A statement, what it is called here, and values of its parameters."""

    name: str
    sql: str
    parameters: Parameters = field(default_factory=dict)


# --- who writes what ------------------------------------------------------------------------------------------


def of_inputs_and_models() -> Mapping[str, Sequence[Text]]:
    """What `tipoff load` says, of all columns and of the fewest that a file may have; and whose model predicted."""
    found = []
    for table, key in loading.KEYS.items():
        declared = tables.load(table)
        fewest = [c.name for c in declared.columns if c.mode == "REQUIRED" or c.name in key]
        for columns in (declared.names, fewest):
            found += [
                Text(f"load {table}", text(table, table, columns)) for text in (loading.merge_text, loading.count_text)
            ]
    of_day = {
        "staged_text": [acceptance.staged_text(names.staging_table(2), GAME_DATE, BATCH_ID)],
        "scratch_text": [acceptance.scratch_text(table) for table in loading.KEYS],
        "deletion_text": [acceptance.deletion_text(table) for table in (*loading.KEYS, PREDICTIONS)],
    }
    return {
        "local.one_machine.acceptance": [Text(part, getattr(acceptance, part)) for part in ("WHOLE", "OTHERS", "ROWS")],
        **{f"local.one_machine.acceptance.{part}": [Text(part, sql) for sql in of_day[part]] for part in of_day},
        **{f"local.one_machine.loading.{part}": found for part in ("merge_text", "count_text", "_source")},
        "coordinator/rules/completeness.sql": [
            Text("completeness", completeness.completeness_query(), {"game_date": GAME_DATE})
        ],
        "coordinator.rules.player_queries.simulated": [
            Text("simulated", player_queries.simulated(), {"game_date": GAME_DATE})
        ],
    }


@cache
def written_by() -> Mapping[str, Sequence[Text]]:
    """The function, or module or file, that holds an SQL text → the statements that the text ends up in."""
    merges = [Text(f"merge {job_name}", merge.merge(job), job.parameters) for job_name, job in jobs().items()]
    counts = [Text(f"count {name}", merge.count(job), merge.count_parameters(job)) for name, job in jobs().items()]
    checks = [
        Text(f"staging check {job_name}", merge.staging_check(job), merge.staging_check_parameters(job))
        for job_name, job in jobs().items()
    ]
    plan_parameters = planning.plan_parameters(GAME_DATE, planned_at=NOON, rules=PlanningRules())
    plan = Text("plan", planning.plan_statement(BATCH_ID, expires_at=NOON), plan_parameters)
    findings = Text("plan check", planning.check_query(), {"game_date": GAME_DATE})
    plan_of_some = Text(
        "plan of some",
        planning.plan_statement(BATCH_ID, expires_at=NOON, of_some=True),
        {**plan_parameters, "players": ["ann"]},
    )
    requests = Text("requests", planning.requests_statement(BATCH_ID), {"players": ["ann"]})
    lost = Text(
        "lost deliveries",
        repair.deliveries_query(a_batch(batch_id=BATCH_ID, planned_at=NOON)),
        {"players": ["ann"], "game_date": GAME_DATE, "planned_at": NOON},
    )
    return {
        "coordinator.rules.merge.merge_statement": merges,
        "coordinator.rules.merge.count_statement": counts,
        "coordinator.rules.merge.staging_check": checks,
        "coordinator.rules.merge._source": [*merges, *counts],
        "coordinator.rules.merge._staged": [*merges, *counts],
        "coordinator.rules.planning.plan_statement": [plan, plan_of_some],
        "coordinator/rules/plan.sql": [plan, plan_of_some],
        "coordinator.usecases.repair.deliveries_query": [lost],
        "coordinator/rules/plan_check.sql": [findings],
        "coordinator.rules.planning.names_statement": [Text("names", planning.names_statement(BATCH_ID))],
        "coordinator.rules.planning.requests_statement": [requests],
        "coordinator.rules.planning.drop_statement": [Text("plan dropped", planning.drop_statement(BATCH_ID))],
        **of_inputs_and_models(),
        "coordinator.usecases.one_at_a_time.use_up": [a_job_id_used_up()],
        "local.one_machine.run": [Text("samples", run._SAMPLES, {"game_date": GAME_DATE})],
        **adopting(),
        **{where: [Text(*text) for text in texts] for where, texts in season_texts().items()},
        "shared.declared.addition_statement": [an_alteration()],
        "shared.declared.create_statement": [
            Text(f"create {spec.name}", create_statement(spec)) for spec in every_spec()
        ],
    }


ADOPTION = adoption_texts.an_adoption("_staging_batch_2026_01_30", None, now=NOON)
FOREIGN = {"_left_1": tables.load(PREDICTIONS, 1).columns, "_left_2": tables.load(PREDICTIONS).columns[:20]}

LEFT_BEHIND = {**FOREIGN, **{spec.name: spec.columns for spec in adoption_texts.work_tables(ADOPTION, now=NOON)}}


def adopting() -> Mapping[str, Sequence[Text]]:
    """The texts of `tipoff adopt`, over tables of two shapes."""
    foreign = [adoption_texts.Foreign(name, frozenset(c.name for c in columns)) for name, columns in FOREIGN.items()]
    counted = Text("count adopted", adoption_texts.count(ADOPTION))
    merged = Text("merge adopted", adoption_texts.merge_text(ADOPTION), {"batch_id": "adopt_1"})
    return {
        "local.cli.adoption_texts.gather": [Text("gather", adoption_texts.gather(ADOPTION, foreign))],
        "local.cli.adoption_texts.row_counts": [Text("row counts", adoption_texts.row_counts(foreign))],
        "local.cli.adoption_texts.findings": [Text("findings", adoption_texts.findings(ADOPTION))],
        "local.cli.adoption_texts.distinct_keys": [Text("distinct keys", adoption_texts.distinct_keys(ADOPTION))],
        "local.cli.adoption_texts.source": [counted, merged],
    }


def a_job(kind: Literal["root", "redrive"] = "root", versions: Sequence[int] = (1, 2)) -> Consolidation:
    predicted = {f"of-v{version}": Delivery(version, "d", 1, "") for version in versions}
    return Consolidation(
        game_date=GAME_DATE,
        planned_at=NOON,
        batch_id=BATCH_ID,
        kind=kind,
        columns=tables.load(PREDICTIONS).columns,
        staging=tuple(StagingTable(version, frozenset(tables.staging_schema(version).names)) for version in versions),
        snapshot=Snapshot(predicted, {}, {}, frozenset(), frozenset(), frozenset(), {}),
    )


@cache
def jobs() -> Mapping[str, Consolidation]:
    """Both kinds of batch over every mixture of schema versions, and over staging that lacks every column it may."""
    kinds: tuple[Literal["root", "redrive"], ...] = ("root", "redrive")
    found = {f"{kind} v{versions}": a_job(kind, versions) for kind in kinds for versions in VERSIONS}
    required = frozenset(column.name for column in tables.staging_columns(1) if column.mode == "REQUIRED")
    bare = StagingTable(1, required | {"updated_at"})
    return found | {"root of few columns": replace(a_job(versions=(1,)), staging=(bare,))}


def a_job_id_used_up() -> Text:
    with closing(DuckdbWarehouse(":memory:")) as embedded:
        watched = WatchedWarehouse(embedded)
        use_up(watched, "a-job")
    ((sql, parameters),) = watched.submitted
    return Text("job id used up", sql, parameters)


class Overheard(BigqueryWarehouse):
    """The adapter without a client: it keeps the statements that it would send."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def query(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        assert not parameters
        self.sent.append(sql)
        return []


def an_alteration() -> Text:
    overheard = Overheard()
    added = tables.load(PREDICTIONS).columns[len(tables.load(PREDICTIONS, 1).columns) :]
    overheard.add_columns(PREDICTIONS, [*added, Column("tags", "STRING", "REPEATED", description='an "array"\n')])
    (sql,) = overheard.sent
    return Text("added columns", sql)


def all_texts() -> list[Text]:
    """Each text once."""
    return list({text.sql: text for texts in written_by().values() for text in texts}.values())


# --- the analyzer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", all_texts(), ids=lambda text: text.name)
def test_bigquerys_analyzer_accepts(text: Text) -> None:
    zetasql_check.check(text.sql, {**DATASET, **LEFT_BEHIND}, text.parameters)


@pytest.mark.parametrize("text", all_texts(), ids=lambda text: text.name)
def test_every_parameter_of_the_text_is_given_and_every_given_one_is_in_the_text(text: Text) -> None:
    assert set(re.findall(r"@(\w+)", text.sql)) == text.parameters.keys()


def test_the_analyzer_refuses_a_merge_into_a_table_that_lacks_a_column() -> None:
    of_v1 = {**DATASET, PREDICTIONS: tables.load(PREDICTIONS, 1).columns}

    with pytest.raises(AssertionError, match="feature_version"):
        zetasql_check.check(merge.merge(a_job()), of_v1, a_job().parameters)


def test_the_analyzer_refuses_a_merge_of_a_column_of_another_type() -> None:
    staging = names.staging_table(2)
    retyped = [replace(c, type="STRING") if c.name == "game_date" else c for c in DATASET[staging]]

    with pytest.raises(AssertionError, match="STRING"):
        zetasql_check.check(merge.merge(a_job(versions=(2,))), {**DATASET, staging: retyped}, a_job().parameters)


# --- no text is forgotten -------------------------------------------------------------------------------------

STARTS = re.compile(
    r"\s*(SELECT\s|MERGE (INTO )?`|WITH \w+ AS|CREATE (OR REPLACE |TEMP |TEMPORARY )*(TABLE|VIEW|SCHEMA|FUNCTION)"
    r"|ALTER (TABLE|SCHEMA)|INSERT (INTO )?[`\w{]|UPDATE \S+ SET|DELETE (FROM )?`|DROP (TABLE|VIEW|SCHEMA)|TRUNCATE TABLE)"
)
"""How the statements of this project, or parts of them that could stand alone, begin."""


HOLE = "\0"
"""Stands for what an f-string fills in."""


@dataclass(frozen=True)
class Found:
    """An SQL text in the code: who holds it, and a pattern of the texts that it can become."""

    where: str
    pattern: str


class Scan(ast.NodeVisitor):
    """Finds the string literals and f-strings of a module that begin as SQL does, docstrings apart."""

    def __init__(self, module: str) -> None:
        self.found: list[Found] = []
        self._where = [module]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._inside(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._inside(node)

    def _inside(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        self._where.append(node.name)
        self.generic_visit(node)
        self._where.pop()

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring is an expression of its own
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._note([node.value])

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._note([part.value if isinstance(part, ast.Constant) else None for part in node.values])
        for part in node.values:
            if not isinstance(part, ast.Constant):
                self.visit(part)

    def _note(self, parts: Sequence[object]) -> None:
        text = "".join(part if isinstance(part, str) else HOLE for part in parts)
        if STARTS.match(text):
            self.found.append(Found(".".join(self._where), _pattern(text)))


def _pattern(text: str) -> str:
    return ".*?".join(map(re.escape, _in_one_line(text).split(HOLE)))


def _in_one_line(sql: str) -> str:
    return re.sub(r"\s+", " ", sql).strip()


def scanned() -> Iterator[Found]:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            scan = Scan(module)
            scan.visit(ast.parse(file.read_text(encoding="utf-8")))
            yield from scan.found
        for file in sorted((ROOT / package).rglob("*.sql")):
            sql = file.read_text(encoding="utf-8")
            yield Found(file.relative_to(ROOT).as_posix(), _pattern(sql))


def module_of(where: str) -> str:
    return next((module for module in OTHER_DIALECTS if where == module or where.startswith(f"{module}.")), "")


def test_every_sql_text_of_the_code_is_among_those_that_the_analyzer_sees() -> None:
    for found in scanned():
        if module_of(found.where):
            continue
        texts = written_by().get(found.where)
        assert texts is not None, f"{found.where} holds an SQL text: list it in `written_by` with what it becomes"
        assert any(re.search(found.pattern, _in_one_line(text.sql)) for text in texts), found


def test_the_lists_name_nothing_that_is_gone() -> None:
    holders = {found.where for found in scanned()}

    assert written_by().keys() <= holders
    assert OTHER_DIALECTS.keys() == {module_of(where) for where in holders} - {""}


def test_the_scan_finds_a_text_wherever_it_stands_and_no_prose() -> None:
    code = '''
"""SELECT is explained here."""
TOP = "SELECT 1"
def outer(table):
    """MERGE INTO `x` is explained here."""
    log("MERGE job failed", f"UPDATE of {table}", "SELECTed")
    class Inner:
        def method(self):
            return run(f"""\\
  ALTER TABLE `{table}` {", ".join(f"SELECT {x} FROM `t`" for x in y)}""")
'''
    scan = Scan("m")
    scan.visit(ast.parse(code))

    assert [found.where for found in scan.found] == ["m", "m.outer.Inner.method", "m.outer.Inner.method"]
    assert re.search(scan.found[1].pattern, "ALTER TABLE `t` ADD COLUMN x")
    assert not re.search(scan.found[1].pattern, "ALTER TABLE t")
