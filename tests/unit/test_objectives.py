"""The objectives of Cloud Monitoring: made by its API in their turn, and brought up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.provision_stand import DEPLOY, Provisioning


@pytest.fixture
def provisioning(tmp_path: Path) -> Provisioning:
    return Provisioning(tmp_path)


def test_objectives_are_made_after_their_metrics_and_before_what_watches_them(provisioning: Provisioning) -> None:
    assert provisioning.run().returncode == 0

    calls = [" ".join(call) for call in provisioning.calls()]
    made = {file.stem: places(calls, f"POST --data @{file}") for file in DEPLOY.glob("slos/*.json")}
    watched = {name: places(calls, f'serviceLevelObjectives/{name}\\", \\"86400s') for name in made}
    assert [len(found) for found in (*made.values(), *watched.values())] == [1] * 2 * len(made)
    assert all(made[name] < watched[name] for name in made)
    assert max(places(calls, "gcloud logging metrics create")) < min(made.values())[0]
    assert min(places(calls, f"POST --data @{DEPLOY}/slo_service.json")) < min(made.values())[0]
    assert not places(calls, "projects/PROJECT/")


def places(calls: list[str], text: str) -> list[int]:
    """Which of the calls contain a text."""
    return [place for place, call in enumerate(calls) if text in call]


def test_an_objective_that_is_there_is_brought_up_to_date_and_no_token_is_in_a_command(
    provisioning: Provisioning,
) -> None:
    provisioning.run()
    provisioning.calls()

    provisioning.run()

    calls = [call for call in provisioning.calls() if call[0] == "curl" and "monitoring.googleapis.com" in call[-1]]
    assert [call[call.index("--request") + 1] for call in calls] == ["GET", "PATCH"] * 3
    assert not [word for call in calls for word in call if "Bearer" in word]
