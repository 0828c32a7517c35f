"""The documents for operating say what is so: their commands exist, and their figures are those of the forecast."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from coordinator.rules.planning import cut_shards
from coordinator.rules.quotas import forecast
from shared.settings import Policy
from tests.provision_stand import DEPLOY, ROOT

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
COSTS = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "docs" / "runbook.md", ROOT / "docs" / "costs.md", DEPLOY / "README.md"]


def sections() -> dict[str, str]:
    """The runbook's symptoms."""
    return dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", RUNBOOK, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("symptom", sections())
def test_a_symptom_ends_in_one_command(symptom: str) -> None:
    blocks = re.findall(r"^```console cloud\n(.*?)^```$", sections()[symptom], re.DOTALL | re.MULTILINE)

    assert len(blocks) == 1
    assert re.match(r"(tipoff|gcloud|curl) ", blocks[0])
    assert blocks[0].count("\n") == 1


def test_the_costs_name_the_limits_that_are_met_first() -> None:
    rows = re.findall(r"^\| ([\d,]+) \| ([^|]+) \| (\d+) %[^|]*\| ([^|]+) \|", COSTS, re.MULTILINE)

    assert [row[0] for row in rows] == ["150", "450", "20,000", "100,000", "130,000"]
    for players, hard, share, soft in rows:
        found = forecast(int(players.replace(",", "")))
        most, softest = (next(quota for quota in found if quota.is_hard is kind) for kind in (True, False))
        assert (hard, int(share)) == (most.name, round(100 * most.share))
        assert soft.replace("`", "") in (softest.name, "as above")


def test_every_price_has_its_source_and_every_recurring_part_its_price() -> None:
    (prices,) = re.findall(r"^\| what \| price \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", COSTS, re.MULTILINE)
    rows = [row.strip("|").split("|") for row in prices.splitlines()]

    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in rows)
    for part in ("Artifact Registry", "Cloud Build", "Cloud Monitoring, per alert condition", "Cloud Trace"):
        assert any(part in row[0] for row in rows)


def test_the_alerts_cost_what_their_conditions_do() -> None:
    ((told, dollars),) = re.findall(r"the (\d+) conditions\s+of `alerts/` cost ([\d.]+) dollars", COSTS)
    conditions = sum(
        len(json.loads(file.read_text(encoding="utf-8"))["conditions"]) for file in DEPLOY.glob("alerts/*")
    )

    assert (int(told), float(dollars)) == (conditions, 1.5 * conditions)


def test_the_spans_of_a_batch_cost_what_its_slices_make() -> None:
    (text,) = re.findall(r"(\d+) spans a slice and (\d+) a batch.*?: ([\d., and]+) dollars a batch", COSTS, re.DOTALL)
    told = [float(figure) for figure in re.findall(r"\d\.\d+", text[2])]

    slices = [slices_of(players) for players in (150, 450, 20_000, 100_000)]
    wanted = [(int(text[0]) * count + int(text[1])) * 0.20 / 1e6 for count in slices]
    assert told == pytest.approx(wanted, abs=0.0001)


def slices_of(players: int) -> int:
    """How many slices a batch has: each shard is cut by itself."""
    shards = cut_shards([f"{number:06}" for number in range(players)])
    return sum(math.ceil(len(shard) / Policy().players_per_request) for shard in shards)


def test_the_costs_add_up() -> None:
    rows = re.findall(
        r"^\| (?:\*\*)?([A-Za-z].*?) \| ([\d.*]+) \| ([\d.*]+) \| ([\d.*]+) \| ([\d.*]+) \|$", COSTS, re.MULTILINE
    )
    figures = {name: [float(cell.strip("*")) for cell in cells] for name, *cells in rows}
    in_all = figures.pop("in all, dollars**")

    assert len(figures) == 6
    for column, total in enumerate(in_all):
        assert sum(cells[column] for cells in figures.values()) == pytest.approx(total, rel=0.07)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_every_path_that_is_named_exists(file: Path) -> None:
    named = re.findall(
        r"`((?:deploy|docs|schemas|coordinator|worker|local|alerts|metrics)/[\w./-]*)`",
        file.read_text(encoding="utf-8"),
    )

    assert [path for path in named if not (ROOT / path).exists() and not (DEPLOY / path).exists()] == []
