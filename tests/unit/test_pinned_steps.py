"""`deploy/pin.sh` writes the digests that registries name, and whatever goes by a tag is refused, by the builds too."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.provision_stand import DEPLOY, ROOT, Provisioning

DIGEST = {"tools/python:3.11": f"sha256:{'1' * 64}", "docker:latest": f"sha256:{'2' * 64}"}


class Registry(BaseHTTPRequestHandler):
    """A registry that gives its tokens to whoever asks, as public ones do."""

    def do_GET(self) -> None:
        """Hand out a token for the scope that is asked for."""
        (scope,) = parse_qs(urlsplit(self.path).query)["scope"]
        self._answer(200, {}, json.dumps({"token": f"for {scope}", "expires_in": 300}).encode())

    def do_HEAD(self) -> None:
        """Name the digest of a tag to whoever has a token for its repository."""
        found = re.fullmatch(r"/v2/(.+)/manifests/(.+)", self.path)
        assert found is not None
        scope = f"repository:{found[1]}:pull"
        if self.headers["Authorization"] != f"Bearer for {scope}":
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="here",scope="{scope}"'
            self._answer(401, {"WWW-Authenticate": realm})
        elif digest := DIGEST.get(f"{found[1]}:{found[2]}"):
            self._answer(200, {"Docker-Content-Digest": digest} if "index" in self.headers["Accept"] else {})
        else:
            self._answer(404, {})

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[str]:
    """Where it answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def pinning(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run([DEPLOY / "pin.sh", *arguments], capture_output=True, text=True, check=False, timeout=60)


def build_of(folder: Path, *images: str) -> Path:
    """A build of these steps."""
    file = folder / "build.yaml"
    steps = [f"  - id: step{number}\n    name: {image}\n    args: [a]\n" for number, image in enumerate(images)]
    file.write_text("# a build\nsteps:\n" + "\n".join(steps), encoding="utf-8")
    return file


def test_each_step_gets_the_digest_of_its_tag_and_keeps_the_tag_beside_it(tmp_path: Path, registry: str) -> None:
    python, docker = f"{registry}/tools/python", f"{registry}/docker"
    file = build_of(tmp_path, f"{python}:3.11", docker, f"{python}:3.11")
    before = file.read_text(encoding="utf-8")

    done = pinning(file)

    wanted = before.replace(f"{python}:3.11", f"{python}@sha256:{'1' * 64} # 3.11")
    wanted = wanted.replace(f"name: {docker}\n", f"name: {docker}@sha256:{'2' * 64} # latest\n")
    assert (done.returncode, file.read_text(encoding="utf-8")) == (0, wanted), done.stderr
    assert pinning("--check", file).returncode == 0


def test_pinning_again_asks_for_the_digest_that_the_tag_has_by_then(tmp_path: Path, registry: str) -> None:
    file = build_of(tmp_path, f"{registry}/tools/python@sha256:{'0' * 64} # 3.11")

    done = pinning(file)

    assert done.returncode == 0, done.stderr
    assert f"{registry}/tools/python@sha256:{'1' * 64} # 3.11\n" in file.read_text(encoding="utf-8")


def test_nothing_is_written_where_a_registry_names_no_digest(tmp_path: Path, registry: str) -> None:
    file = build_of(tmp_path, f"{registry}/tools/python:3.11", f"{registry}/tools/python:3.99")
    before = file.read_text(encoding="utf-8")

    done = pinning(file)

    assert (done.returncode, file.read_text(encoding="utf-8")) == (1, before)
    assert f"{registry}/tools/python:3.99: its registry names no digest" in done.stderr


@pytest.mark.parametrize(
    "image", ["python:3.11", "gcr.io/cloud-builders/docker", "python@sha256:0123", "python:sha256"]
)
def test_a_step_that_goes_by_a_tag_is_refused(tmp_path: Path, image: str) -> None:
    done = pinning("--check", build_of(tmp_path, image))

    assert done.returncode == 1
    assert f"name: {image}" in done.stderr
    assert "run deploy/pin.sh" in done.stderr


def test_the_build_refuses_itself_before_anything_else_while_a_step_goes_by_a_tag() -> None:
    first = (ROOT / "cloudbuild.yaml").read_text(encoding="utf-8").partition("steps:")[2].split("- id: ")[1]

    assert first.startswith("revision")
    assert "deploy/pin.sh --check" in first


def test_provisioning_makes_nothing_while_a_step_goes_by_a_tag(tmp_path: Path) -> None:
    refusing = tmp_path / "pin"
    refusing.write_text(f'#!/bin/sh\nexec {DEPLOY}/pin.sh "$@" {build_of(tmp_path, "python:3.11")}\n', encoding="utf-8")
    refusing.chmod(0o755)
    provisioning = Provisioning(tmp_path, pin_check=str(refusing))

    done = provisioning.run()

    assert (done.returncode, provisioning.resources()) == (1, set())
    assert "run deploy/pin.sh" in done.stderr
