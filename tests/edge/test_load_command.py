"""`tipoff load`: a folder of CSV files comes into the input tables by what each row is about, and a repeat changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from local.cli.main import commands
from local.emulated.local_bigquery import local_bigquery
from local.emulated.provision import provision_dataset
from local.one_machine.loading import KEYS
from local.sample.season import write
from schemas.tables import Row
from shared.adapters import bigquery_clients
from shared.adapters.duckdb import DuckdbWarehouse
from shared.errors import InvalidInput, Unavailable
from tests.edge.test_inputs import LINE, LOG, lines, logs
from tests.emulators import skip_or_fail
from tests.local_bigquery_peer import BIGQUERY

REPORT = {"game_date": "2026-01-30", "player_id": "1", "status": "OUT", "reason": "knee", "reported_at": ""}
GAME = {"game_date": "2026-01-30", "game_id": "g1", "home_team": "AAA", "away_team": "BBB"}

Query = Callable[[str], list[Row]]


class Target:
    """Where to load, as options of the command, and how to look at what came of it."""

    def __init__(self, *options: str, environ: Mapping[str, str], query: Query) -> None:
        self.options, self.environ, self.query = options, environ, query

    def load(self, folder: Path) -> dict[str, tuple[int, int, int]]:
        """Load a folder; tells of each table how many rows were new, corrected and there already."""
        arguments = ["load", str(folder), *self.options, "--json"]
        result = CliRunner().invoke(commands, arguments, obj=self.environ, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        told: list[dict[str, Any]] = json.loads(result.output)["tables"]
        return {one["table"]: (one["inserted"], one["updated"], one["unchanged"]) for one in told}


@pytest.fixture(params=["state folder", BIGQUERY])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    if request.param == "state folder":
        state = tmp_path / "state"

        def query(sql: str) -> list[Row]:
            warehouse = DuckdbWarehouse(state / "warehouse.duckdb")
            try:
                return warehouse.query(sql)
            finally:
                warehouse.close()

        yield Target("--state", str(state), environ={}, query=query)
        return
    try:
        with local_bigquery(tmp_path / "bigquery", environ=os.environ, log=tmp_path / "log") as server:
            client, _ = bigquery_clients.clients(server.environment, project="demo", location="US")
            provision_dataset(client, "nba", location="US")
            warehouse = bigquery_clients.connect(server.environment, project="demo", dataset="nba", location="US")
            options = ("--project", "demo", "--dataset", "nba", "--location", "US")
            yield Target(*options, environ=server.environment, query=warehouse.query)
    except InvalidInput as missing:
        skip_or_fail(str(missing))
    except Unavailable as trouble:
        pytest.fail(str(trouble))


def write_rows(folder: Path, name: str, *rows: Mapping[str, str]) -> None:
    logs(folder, *rows, name=f"{name}.csv")


def test_a_repeat_changes_nothing_and_a_corrected_row_replaces_what_was_there(target: Target, tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    folder.mkdir()
    logs(folder, LOG, LOG | {"player_id": "2"})
    lines(folder, LINE, LINE | {"sportsbook": "other"}, LINE)
    write_rows(folder, "injury_reports", REPORT)
    write_rows(folder, "scheduled_games", GAME)
    tables = {"player_game_logs": 2, "scheduled_games": 1, "points_lines": 2, "injury_reports": 1}

    assert target.load(folder) == {table: (rows, 0, 0) for table, rows in tables.items()}
    assert target.load(folder) == {table: (0, 0, rows) for table, rows in tables.items()}

    logs(folder, LOG | {"points": "17"}, LOG | {"player_id": "2"}, LOG | {"player_id": "3"})
    write_rows(folder, "injury_reports", REPORT | {"status": "PROBABLE"})
    write_rows(folder, "scheduled_games", GAME | {"game_date": "2026-01-31"})

    told = target.load(folder)

    assert told["player_game_logs"] == (1, 1, 1)
    assert told["injury_reports"] == (0, 1, 0)
    assert told["scheduled_games"] == (0, 1, 0), "a game that was moved is one game"
    points = target.query("SELECT `player_id`, `points` FROM `player_game_logs` ORDER BY `player_id`")
    assert [(row["player_id"], row["points"]) for row in points] == [("0201143", 17), ("2", 0), ("3", 0)]
    assert [row["status"] for row in target.query("SELECT `status` FROM `injury_reports`")] == ["PROBABLE"]


def test_a_folder_of_one_kind_leaves_the_other_tables_and_columns_it_lacks_as_they_are(
    target: Target, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    logs(first, LOG | {"fga": "9"})
    target.load(first)
    logs(second, {name: value for name, value in LOG.items() if name not in ("fga", "fgm")} | {"points": "3"})
    lines(second, LINE)

    assert target.load(second) == {"player_game_logs": (0, 1, 0), "points_lines": (1, 0, 0)}

    (row,) = target.query("SELECT `points`, `fga`, `fgm` FROM `player_game_logs`")
    assert dict(row) == {"points": 3, "fga": 9, "fgm": 0}


def test_what_tipoff_run_refuses_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    folder.mkdir()
    target = Target("--state", str(tmp_path / "state"), environ={}, query=lambda _sql: [])

    with pytest.raises(InvalidInput, match=r"data folder: .* holds none of player_game_logs"):
        target.load(folder)
    lines(folder, LINE)
    logs(folder, LOG, LOG)
    with pytest.raises(InvalidInput, match="are both of game_id 0022500001 and player_id 0201143"):
        target.load(folder)
    logs(folder, LOG | {"points": "many"})
    with pytest.raises(InvalidInput, match="column points"):
        target.load(folder)

    warehouse = DuckdbWarehouse(tmp_path / "state" / "warehouse.duckdb")
    assert warehouse.columns("points_lines") is None
    warehouse.close()


def test_a_season_is_loaded_whole_and_leaves_no_table_behind(tmp_path: Path) -> None:
    write(tmp_path / "csv")
    state = tmp_path / "state"
    target = Target("--state", str(state), environ={}, query=lambda _sql: [])

    told = target.load(tmp_path / "csv")

    assert told.keys() == KEYS.keys()
    assert all(inserted > 0 == unchanged for inserted, _updated, unchanged in told.values())
    warehouse = DuckdbWarehouse(state / "warehouse.duckdb")
    left = [table.name for table in warehouse.list_tables("_load")]
    warehouse.close()
    assert left == []


def test_without_credentials_one_line_says_which_command_makes_them(tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    folder.mkdir()
    logs(folder, LOG)
    target = Target("--project", "demo", "--dataset", "nba", "--location", "US", environ={}, query=lambda _sql: [])

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HOME", str(tmp_path))
        patched.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        patched.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
        patched.setenv("NO_GCE_CHECK", "true")
        patched.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        with pytest.raises(InvalidInput, match=r"--project: .*`gcloud auth application-default login`"):
            target.load(folder)
