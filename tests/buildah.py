"""Images built for real where no registry is in reach: buildah, on a stand-in for their base made of Debian's packages.

What a machine lacks skips on a laptop and fails where `CI=true`. Everything that is built lives in one temporary folder;
the stand-in's files are kept in the cache folder, since fetching them takes longer than all the rest.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.dockerfile import ROOT, base_of
from tests.emulators import skip_or_fail

PATIENCE_SECONDS = 300
SERVICES = ("coordinator", "worker")
STAND_IN_VERSION = 1
"""Raise it when the stand-in is made differently, so that the one in the cache is not taken."""

_PYTHON_IN_USR_LOCAL = 'chroot "$1" python3 -m venv /usr/local'
_ENVIRONMENT = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
_SPARED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


class Builder:
    """Builds the project's images and runs them; every effect is below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._driver = _storage_driver(folder / "probe")
        self._wheels = folder / "wheels"

    def prepare(self) -> None:
        """Fetch the pinned packages, and commit the stand-in under the name of the images' base."""
        base = base_of("Dockerfile.worker")
        stand_in = _stand_in(base)
        self._fetch(base)
        self.call("from", "--name", "base", "scratch")
        self.call("add", "--quiet", "base", str(stand_in), "/")
        self.call("commit", "--quiet", "--rm", "base", base)

    def build(self, service: str, *, commit: str) -> None:
        """Build a service's image as a registry's user would, but for where pip finds the packages."""
        configuration = self._folder / "pip.conf"
        configuration.write_text("[global]\nno-index = true\nfind-links = /wheels\n", encoding="utf-8")
        mounts = (f"--volume={self._wheels}:/wheels:ro", f"--volume={configuration}:/etc/pip.conf:ro")
        build = ("bud", "--quiet", "--pull-never", "--network", "host", *mounts, "--build-arg", f"REVISION={commit}")
        self.call(*build, "--file", str(ROOT / f"Dockerfile.{service}"), "--tag", f"tipoff-{service}", str(ROOT))
        self.call("from", "--pull-never", "--name", service, f"localhost/tipoff-{service}")

    def configuration(self, service: str) -> dict[str, Any]:
        """Return what the image says of itself: user, command, environment."""
        told = json.loads(self.call("inspect", "--type", "image", f"localhost/tipoff-{service}"))
        configuration: dict[str, Any] = told["OCIv1"]["config"]
        return configuration

    def megabytes(self, service: str) -> float:
        """Return how much larger the image is than its base: what we add."""
        listed = json.loads(self.call("images", "--json"))
        sizes = {name: float(image["size"].split()[0]) for image in listed for name in image["names"]}
        (base,) = [size for name, size in sizes.items() if name.endswith(base_of(f"Dockerfile.{service}"))]
        return sizes[f"localhost/tipoff-{service}:latest"] - base

    def root_of(self, service: str) -> Path:
        """Return the folder that is the container's root."""
        return Path(self.call("mount", service).strip())

    def run(self, service: str, *command: str) -> str:
        """Run a command in a container of the image, as the image's user; return what it printed."""
        return self.call("run", service, "--", *command)

    @contextmanager
    def served(self, service: str, environ: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
        """Run the image's own command on a free port; give its URL and lines once it listens, kill it after the block."""
        options = [f"--env={name}={value}" for name, value in {"PORT": "0", **environ}.items()]
        words = ["run", "--network", "host", *options, service, "--", *self.configuration(service)["Cmd"]]
        process = subprocess.Popen(
            [*self._buildah, *words],
            env=_ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )
        timer = threading.Timer(60, _kill_group, [process.pid])
        timer.start()
        try:
            lines: list[str] = []
            yield _listening_at(process, lines), lines
        finally:
            timer.cancel()
            _kill_group(process.pid)
            process.communicate()

    def call(self, *words: str) -> str:
        """Run buildah to its end; a failure fails the test with what buildah wrote."""
        return _ended([*self._buildah, *words])

    @property
    def _buildah(self) -> list[str]:
        return ["buildah", *_stored_in(self._folder, self._driver)]

    def _fetch(self, base: str) -> None:
        """Fetch with this machine's own settings of pip, whatever they are, the wheels for the image's Python."""
        files = [f"--requirement={ROOT / f'constraints-{service}.txt'}" for service in SERVICES]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
        target = ["--only-binary=:all:", f"--python-version={_python_of(base)}", f"--dest={self._wheels}"]
        _fetched([*pip, *target, *files])


@contextmanager
def builder() -> Iterator[Builder]:
    """Give up a builder of this machine; whatever it built is gone after the block."""
    absent = [program for program in ("buildah", "mmdebstrap") if shutil.which(program) is None]
    if absent:
        skip_or_fail(f"{' and '.join(absent)} missing (Debian: apt-get install buildah mmdebstrap)")
    if os.geteuid() != 0:
        skip_or_fail("building images here needs root")
    with tempfile.TemporaryDirectory(prefix="tipoff-images-") as folder:
        made = Builder(Path(folder))
        try:
            made.prepare()
            yield made
        finally:
            made.call("rm", "--all")


def _stand_in(base: str) -> Path:
    """Return the file of a Debian root with a Python under /usr/local, as the base has it; made when it is not there."""
    suite = base.rpartition("-")[2]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tipoff"
    file = cache / f"stand-in-{suite}-{STAND_IN_VERSION}.tar"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = Path(scratch) / file.name
            spared = [f"--dpkgopt=path-exclude={pattern}" for pattern in _SPARED]
            packages = "--include=python3-venv,ca-certificates"
            hook = f"--customize-hook={_PYTHON_IN_USR_LOCAL}"
            _fetched(["mmdebstrap", "--quiet", "--variant=minbase", packages, *spared, hook, suite, str(made)])
            made.rename(file)
    return file


def _python_of(base: str) -> str:
    return base.partition(":")[2].partition("-")[0]


def _fetched(command: Sequence[str]) -> None:
    """Run a command that needs the package indexes; without them the test ends as for anything that is missing."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    if done.returncode != 0:
        skip_or_fail(f"packages could not be fetched; {command[0]} said: {done.stderr[-2000:]}")


def _ended(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, env=_ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def _storage_driver(folder: Path) -> str:
    """Choose overlay mounts where the kernel allows them on this file system, else copies, which take longer."""
    probe = ["buildah", *_stored_in(folder, "overlay"), "info"]
    done = subprocess.run(probe, env=_ENVIRONMENT, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    return "vfs" if done.returncode else "overlay"


def _stored_in(folder: Path, driver: str) -> list[str]:
    return ["--root", str(folder / "images"), "--runroot", str(folder / "run"), "--storage-driver", driver]


def _listening_at(process: subprocess.Popen[str], lines: list[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if found := re.search(r"Listening at: http://[^:]+:(\d+)", line):
            return f"http://127.0.0.1:{found[1]}"
    pytest.fail("the image did not start:\n" + "\n".join(lines))


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
