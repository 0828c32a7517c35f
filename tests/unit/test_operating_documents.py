"""The documents for operating say what is so: their commands exist, and their figures are those of the forecast."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coordinator.rules.quotas import first_met, forecast
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
        most = first_met(found, is_hard=True)
        assert (hard, int(share)) == (most.name, round(100 * most.share))
        assert soft.replace("`", "") in (first_met(found, is_hard=False).name, "as above")


def test_every_price_has_its_source_and_every_recurring_part_its_price() -> None:
    (prices,) = re.findall(r"^\| what \| price \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", COSTS, re.MULTILINE)
    rows = [row.strip("|").split("|") for row in prices.splitlines()]

    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in rows)
    for part in ("Artifact Registry", "Cloud Build", "Cloud Monitoring, per alert condition"):
        assert any(part in row[0] for row in rows)


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
