"""A model of simulated games is told apart, wherever it predicts, and predicts nothing real on Cloud Run unless told to."""

from __future__ import annotations

import pytest

from shared.errors import InvalidInput
from shared.settings import WorkerSettings
from tests.stand.world import Stand
from worker.main import _check_simulated
from worker.model import Model, shipped_model


def settings(**changes: object) -> WorkerSettings:
    given = {
        "project": "demo-project",
        "location": "US",
        "dataset": "nba",
        "staging_dataset": "nba_staging",
        "outcomes_topic": "outcomes",
    }
    callers = {"audience": "https://x", "push_callers": "push@x", "auth": "cloud-run", "service": "tipoff-worker"}
    return WorkerSettings.model_validate(given | callers | changes)


def test_cloud_run_starts_no_worker_on_a_simulated_model() -> None:
    with pytest.raises(InvalidInput, match=r"TIPOFF_MODEL: .*tipoff train.*TIPOFF_ALLOW_SIMULATED_MODEL=true"):
        _check_simulated(settings())


@pytest.mark.parametrize("changes", [{"allow_simulated_model": True}, {"service": "", "auth": "google"}])
def test_it_does_where_it_is_told_to_and_elsewhere(
    changes: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    _check_simulated(settings(**changes))

    assert [record.message for record in caplog.records] == ["simulated model"]


def test_the_name_of_a_simulated_model_says_so() -> None:
    simulated = shipped_model()
    on_real = simulated.document.trained_on.model_copy(update={"is_simulated": False})
    real = Model(simulated.document.model_copy(update={"trained_on": on_real}))

    assert simulated.version == f"simulated-{real.version}"


@pytest.fixture
def explained(stand: Stand) -> list[str]:
    batch = stand.run()
    return [sentence.text for sentence in stand.coordinator.diagnosis.explain(batch.batch_id).sentences]


def test_a_batch_of_a_simulated_model_says_so(explained: list[str], stand: Stand) -> None:
    rows = len(stand.predictions())

    assert f"{rows:,} active rows of the date are of a model that was trained on simulated games" in explained[0]


def test_every_row_of_it_says_so(explained: list[str], stand: Stand) -> None:
    assert explained
    assert all(row["model_version"].startswith("simulated-") for row in stand.predictions())
