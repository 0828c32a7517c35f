"""D1, D2: each service starts from what its image holds and nothing else, and tells which commit it is.

The files are those that the Dockerfile copies, the packages those that its constraints pin; neither the checkout nor this
environment's other packages can be imported. `tests/e2e/test_images.py` builds the images for real.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dockerfile import command_of, copied_by, copied_folders
from tests.gunicorn_process import SETTINGS, Served, run_to_its_end, served
from tests.image_environment import environment_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SERVICES = ["coordinator", "worker"]

pytestmark = pytest.mark.xdist_group("image trees")


@pytest.fixture(scope="module", params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def programs(service: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_of(f"constraints-{service}.txt", tmp_path_factory.mktemp(service) / "environment")


@pytest.fixture(scope="module")
def past(service: str, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Served, dict[str, str]]:
    """Run a service from its image's files alone; give up what it wrote, and what `/health` answered."""
    folder = copied_by(f"Dockerfile.{service}", tmp_path_factory.mktemp("app"))
    environ = SETTINGS | {"TIPOFF_COMMIT": COMMIT}
    with served(command_of(f"Dockerfile.{service}"), at=folder, environ=environ, programs=programs) as running:
        health: dict[str, str] = running.get("/health").json()
    return running, health


def ended_without(folder: str, service: str, programs: Path, tmp_path: Path) -> str:
    """Start a service whose image lacks a folder; return all that it wrote until its end."""
    at = copied_by(f"Dockerfile.{service}", tmp_path, without=folder)
    ended = run_to_its_end(command_of(f"Dockerfile.{service}"), at=at, environ=SETTINGS, programs=programs)
    assert ended.code not in (0, None)
    return "\n".join([*ended.stdout, ended.stderr])


def test_d1_a_service_starts_from_what_its_dockerfile_copies_and_pins(
    service: str, past: tuple[Served, dict[str, str]]
) -> None:
    running, health = past

    assert (health["service"], health["status"]) == (service, "alive")
    assert (running.code, running.stderr) == (0, "")


@pytest.mark.parametrize("which", range(3))
def test_d1_a_folder_that_is_not_copied_stops_the_start(
    which: int, service: str, programs: Path, tmp_path: Path
) -> None:
    folders = copied_folders(f"Dockerfile.{service}")
    assert len(folders) == 3

    told = ended_without(folders[which], service, programs, tmp_path)

    assert f"No module named '{folders[which]}'" in told


def test_d1_a_package_that_is_not_pinned_stops_the_start(service: str, tmp_path: Path) -> None:
    programs = environment_of(f"constraints-{service}.txt", tmp_path / "environment", without="pydantic")

    told = ended_without("", service, programs, tmp_path / "app")

    assert "No module named 'pydantic'" in told


def test_d2_the_first_line_and_health_name_the_commit(past: tuple[Served, dict[str, str]]) -> None:
    running, health = past
    (started,) = [line for line in running.lines if line["message"] == "service started"]

    assert running.lines[0]["commit"] == COMMIT
    assert started["commit"] == COMMIT
    assert health["commit"] == COMMIT
