"""Google's official emulators: where they are on a machine, and how each is started, awaited and stopped.

Knows no project, topic or document: what is done with a running emulator is its caller's.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local.emulated.processes import answering
from shared.errors import InvalidInput

_WELL_KNOWN_ROOTS = (
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/opt/google-cloud-sdk",
    "/snap/google-cloud-cli/current",
    "~/google-cloud-sdk",
)


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator: `host:port`, and the environment variable by which Google's clients are told of it."""

    variable: str
    address: str


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    component: str
    jar: str
    """Glob below the SDK's root."""
    main_class: str | None
    """None: the jar names its own."""
    arguments: tuple[str, ...]
    ready_path: str
    variable: str


_FIRESTORE = _Kind(
    name="Firestore",
    component="cloud-firestore-emulator",
    jar="platform/cloud-firestore-emulator/cloud-firestore-emulator*.jar",
    main_class="com.google.cloud.datastore.emulator.firestore.CloudFirestore",
    arguments=("start",),
    ready_path="/",
    variable="FIRESTORE_EMULATOR_HOST",
)
_PUBSUB = _Kind(
    name="Pub/Sub",
    component="pubsub-emulator",
    jar="platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
    main_class=None,
    arguments=(),
    ready_path="/v1/projects/ready/topics",
    variable="PUBSUB_EMULATOR_HOST",
)


@contextmanager
def _running(kind: _Kind, *arguments: str) -> Iterator[Emulator]:
    command = [*_launch_command(kind), *arguments, "--host=127.0.0.1"]
    with tempfile.TemporaryDirectory(prefix="tipoff-") as scratch:
        folder = Path(scratch)
        started = answering(
            lambda ports: [*command, f"--port={ports[0]}"], path=kind.ready_path, folder=folder, log=folder / "log"
        )
        with started as (port, _):
            yield Emulator(kind.variable, f"127.0.0.1:{port}")


firestore_emulator = partial(_running, _FIRESTORE)
"""Run a Firestore emulator of one's own, on a free port and in memory, for the length of the block.

Args:
    arguments: more of its own options.

Raises:
    InvalidInput: this machine has no Java or no Google Cloud SDK with the emulator.
    Unavailable: it did not start; the text is its own.
"""

pubsub_emulator = partial(_running, _PUBSUB)
"""Run a Pub/Sub emulator of one's own, as `firestore_emulator` does."""


def _launch_command(kind: _Kind) -> list[str]:
    java, jar = shutil.which("java"), _find_jar(kind.jar)
    if java is None or jar is None:
        raise InvalidInput(
            f"{kind.name} emulator",
            f"needs Java and the Google Cloud SDK's component {kind.component}; install them",
        )
    # The emulators answer in the machine's language without this, and error texts are compared.
    base = [java, "-Duser.language=en"]
    start = ["-cp", str(jar), kind.main_class] if kind.main_class else ["-jar", str(jar)]
    return [*base, *start, *kind.arguments]


def _find_jar(pattern: str) -> Path | None:
    for root in _sdk_roots():
        for jar in sorted(root.glob(pattern)):
            return jar
    return None


def _sdk_roots() -> Iterator[Path]:
    yield from (Path(root).expanduser() for root in _WELL_KNOWN_ROOTS)
    if gcloud := shutil.which("gcloud"):
        command = [gcloud, "info", "--format=value(installation.sdk_root)"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own words
        if root := answer.stdout.strip():
            yield Path(root)
