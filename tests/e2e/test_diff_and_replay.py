"""`tipoff diff`, `tipoff replay` and a shadow run, over what a run left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tipoff_command import DAY, ROOT, stored_predictions, tipoff, write_league

pytestmark = pytest.mark.xdist_group("diff_and_replay")  # its tests share a run

LEAGUE = {"Ann O'Dell": [20, 22, 24], "Bo-Li Tan": [10, 12, 8]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    write_league(folder / "data", players=LEAGUE)
    ran = tipoff("run", "--game-date", DAY, "--data", folder / "data", "--state", folder / "state")
    assert ran.status == 0, ran
    return folder


def test_a_player_is_replayed_cell_by_cell(folder: Path) -> None:
    same = tipoff("replay", DAY, "ann-o'dell", "--state", folder / "state")
    nobody = tipoff("replay", DAY, "nobody", "--state", folder / "state")

    assert (same.status, nobody.status) == (0, 2), (same, nobody)
    assert "every cell of 5 rows" in same.out


def test_a_shadow_of_another_model_is_compared_and_changes_no_prediction(folder: Path) -> None:
    model = json.loads((ROOT / "worker" / "model.json").read_text(encoding="utf-8"))
    model["ridge"]["intercept"] += 3
    model["model_version"] = "another"
    other = folder / "other.json"
    other.write_text(json.dumps(model), encoding="utf-8")
    before = stored_predictions(folder / "state")
    run = ("run", "--shadow", "--game-date", DAY, "--data", folder / "data", "--state", folder / "state")

    same = tipoff(*run, "--json")
    differs = tipoff(*run, "--json", "--model", other)

    assert (same.status, differs.status) == (0, 0), (same, differs)
    assert same.json["changes"] == 0
    systems = differs.json["systems"]
    assert systems["ridge"]["mean_change"] == pytest.approx(3.0, abs=0.06)
    assert systems["season_average"]["changed"] == 0
    assert stored_predictions(folder / "state") == before
    batches = tipoff("status", "--state", folder / "state", "--json").json["batches"]
    assert len(batches) == 1


def test_two_runs_of_one_date_differ_by_nothing(folder: Path) -> None:
    first = tipoff("status", "--state", folder / "state", "--json").json["batches"][0]["batch_id"]
    again = tipoff("run", "--game-date", DAY, "--data", folder / "data", "--state", folder / "state", "--json")

    shown = tipoff("diff", first, DAY, "--state", folder / "state")

    assert (again.status, shown.status) == (0, 0), shown
    assert "every prediction that both have is the same" in shown.out
