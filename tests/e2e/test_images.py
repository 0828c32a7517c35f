"""Both images, built for real on a stand-in base and started as their user with their own command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.buildah import Builder, builder
from tests.dockerfile import command_of, copied_folders
from tests.gunicorn_process import SETTINGS
from tests.image_environment import pins

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SERVICES = ["coordinator", "worker"]

LOOK_INSIDE = """
import json, os, shutil
from importlib import metadata
from pathlib import Path
print(json.dumps({
    "user": os.getuid(),
    "may_write": [folder for folder in ("/app", "/app/shared", "/usr/local/lib") if os.access(folder, os.W_OK)],
    "programs": [name for name in ("gcc", "cc", "c++", "make", "pip", "pip3") if shutil.which(name)],
    "packages": {found.name.lower().replace("_", "-").replace(".", "-"): found.version for found in metadata.distributions()},
    "sources": len(list(Path("/app").rglob("*.py"))),
    "compiled": len(list(Path("/app").rglob("*.pyc"))),
}))
"""

pytestmark = pytest.mark.xdist_group("images")


@pytest.fixture(scope="module")
def images() -> Iterator[Builder]:
    with builder() as built:
        yield built


@pytest.fixture(scope="module", params=SERVICES)
def service(request: pytest.FixtureRequest, images: Builder) -> str:
    """Name each service; its image is built."""
    name: str = request.param
    images.build(name, commit=COMMIT)
    return name


@pytest.fixture(scope="module")
def inside(images: Builder, service: str) -> dict[str, Any]:
    """What a process of the image finds around it."""
    found: dict[str, Any] = json.loads(images.run(service, "python", "-c", LOOK_INSIDE))
    return found


def test_the_image_answers_health_under_its_own_command(images: Builder, service: str) -> None:
    with images.served(service, SETTINGS) as (url, lines):
        health = requests.get(f"{url}/health", timeout=30).json()

    assert (health["service"], health["status"], health["commit"]) == (service, "alive", COMMIT)
    first = json.loads(lines[0])
    assert (first["message"], first["severity"], first["commit"]) == ("image starting", "INFO", COMMIT)


def test_the_image_runs_its_dockerfiles_command_as_a_user_who_may_change_nothing(
    images: Builder, service: str, inside: dict[str, Any]
) -> None:
    configuration = images.configuration(service)

    assert configuration["Cmd"] == command_of(f"Dockerfile.{service}")
    assert str(inside["user"]) == configuration["User"] != "0"
    assert inside["may_write"] == []


def test_the_image_holds_the_pinned_packages_and_no_others(service: str, inside: dict[str, Any]) -> None:
    assert inside["packages"] == pins(f"constraints-{service}.txt")


def test_the_image_holds_no_tool_to_build_or_install_and_no_cache(
    images: Builder, service: str, inside: dict[str, Any]
) -> None:
    root = images.root_of(service)

    assert inside["programs"] == []
    assert not (root / "root/.cache").exists()
    assert list((root / "tmp").iterdir()) == []


def test_the_image_holds_its_own_folders_compiled_and_nothing_else(
    images: Builder, service: str, inside: dict[str, Any]
) -> None:
    held = {path.name for path in (images.root_of(service) / "app").iterdir()}

    assert held == {*copied_folders(f"Dockerfile.{service}"), f"constraints-{service}.txt"}
    assert inside["compiled"] == inside["sources"] > 0


def test_what_we_add_to_the_base_stays_small(images: Builder, service: str) -> None:
    # numpy alone is 65 MB of the worker.
    most = {"coordinator": 150, "worker": 180}[service]
    assert 10 < images.megabytes(service) < most
