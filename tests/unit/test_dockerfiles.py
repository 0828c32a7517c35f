"""Both Dockerfiles: a base to pin, a user who is not root, pinned packages, and a context of what is copied only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dockerfile import ROOT, base_of, command_of, copied_by, ignored, instructions

SERVICES = ["coordinator", "worker"]


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def of(service: str, name: str) -> list[str]:
    """The texts of one kind of instruction."""
    return [each.text for each in instructions(f"Dockerfile.{service}") if each.name == name]


def test_the_base_can_be_pinned_by_digest_and_is_one_for_both() -> None:
    assert {base_of(f"Dockerfile.{service}") for service in SERVICES} == {"python:3.11-slim-bookworm"}
    assert all(of(service, "FROM") == ["${BASE}"] for service in SERVICES)


def test_the_service_runs_as_a_user_who_is_not_root(service: str) -> None:
    names = [each.name for each in instructions(f"Dockerfile.{service}")]

    (user,) = of(service, "USER")
    assert int(user) >= 1000
    assert "RUN" not in names[names.index("USER") :]


def test_packages_are_installed_from_hashed_wheels_before_any_source_is_copied(service: str) -> None:
    install, _compile = of(service, "RUN")
    names = [each.text for each in instructions(f"Dockerfile.{service}")]

    for option in ("--require-hashes", "--no-deps", "--only-binary :all:", f"-r constraints-{service}.txt"):
        assert option in install
    assert names.index(install) < names.index("schemas/ schemas/")


def test_the_revision_is_baked_in_last_so_that_a_commit_invalidates_no_layer(service: str) -> None:
    names = [each.name for each in instructions(f"Dockerfile.{service}")]

    assert names[-3:] == ["ARG", "ENV", "CMD"]
    assert of(service, "ENV")[-1] == "TIPOFF_COMMIT=${REVISION}"


def test_the_command_serves_the_services_own_application(service: str) -> None:
    assert command_of(f"Dockerfile.{service}")[-1] == f"{service}.main:create_app()"


def test_the_image_gets_its_own_service_and_not_the_other(service: str, tmp_path: Path) -> None:
    copied_by(f"Dockerfile.{service}", tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {
        *("schemas", "shared"),
        *(service, f"constraints-{service}.txt"),
    }
    assert list(tmp_path.rglob("__pycache__")) == []
    assert (tmp_path / "schemas/predictions/v2.json").read_bytes() == (
        ROOT / "schemas/predictions/v2.json"
    ).read_bytes()


@pytest.mark.parametrize(
    ("path", "kept_out"),
    [
        ("tests/dockerfile.py", True),
        (".git/config", True),
        (".env", True),
        ("local/cli/main.py", True),
        ("shared/__pycache__/ports.cpython-311.pyc", True),
        ("shared/adapters/__pycache__/sqlite.cpython-311.pyc", True),
        ("shared/adapters/sqlite.py", False),
        ("constraints-worker.txt", False),
        ("constraints-dev.txt", True),
    ],
)
def test_the_builder_is_sent_nothing_but_what_an_image_needs(path: str, *, kept_out: bool) -> None:
    assert ignored(path) is kept_out
