"""What every test may ask for: the emulators, the document stores on them, and the real data where it is given."""

from __future__ import annotations

import gc
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import hypothesis
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.emulated.emulators import Emulator
from shared.adapters.coalescing import CoalescingDocuments
from shared.adapters.firestore import FirestoreDocuments
from shared.adapters.sqlite import SqliteDocuments
from shared.ports import DocumentStore
from shared.ports import Path as DocumentPath
from tests import emulators
from tests.simulation.memory_documents import MemoryDocuments
from tests.stand.front import Front
from tests.stand.worker import LoggedLines, WorkerStand, a_stand, listening
from tests.stand.world import Stand

# An emulator's first answers are slow, and both cores may be busy: no deadline per example.
hypothesis.settings.register_profile("laptop", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=200, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "laptop")

# The emulators live for a few minutes: Java's second compiler and parallel collectors take more processor time than they
# give back. Every Java that a test starts reads this.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


def pytest_collection_finish() -> None:
    """Keep garbage collection away from the thousands of tests just collected: it took a fifth of the processor's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def the_process_is_left_as_it_was() -> Iterator[None]:
    """A test that leaves logging or garbage collection off fails itself, and not those that run after it."""
    yield
    left_off = logging.root.manager.disable, gc.isenabled()
    logging.disable(logging.NOTSET)
    gc.enable()
    assert left_off == (logging.NOTSET, True)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CSV files that TIPOFF_DATA names; without it the test is skipped, in CI too: it is not ours."""
    folder = os.environ.get("TIPOFF_DATA")
    if not folder:
        pytest.skip("TIPOFF_DATA names no folder of real data")
    return Path(folder)


@pytest.fixture(scope="session")
def firestore_emulator() -> Iterator[Emulator]:
    with emulators.firestore_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def pubsub_emulator() -> Iterator[Emulator]:
    with emulators.pubsub_emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def firestore_client(firestore_emulator: Emulator) -> firestore.Client:
    """A client of the emulator. It is told by the environment, which it reads only while it is made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(firestore_emulator.variable, firestore_emulator.address)
        return firestore.Client(project="tipoff-test", credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]  # the client is untyped


FIRESTORE = pytest.mark.xdist_group("firestore_emulator")
"""Of tests on Firestore: they run in one process, so that one emulator serves them all."""


@pytest.fixture(
    params=[
        *("memory", "sqlite", "coalescing-sqlite"),
        *(pytest.param(store, marks=FIRESTORE) for store in ("firestore", "coalescing-firestore")),
    ]
)
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocumentStore]:
    """Each document store in turn. Firestore's is shared by all tests: use names that no other test uses."""
    with ExitStack() as closing_later:
        store: DocumentStore
        if request.param == "memory":
            store = MemoryDocuments()
        elif request.param.endswith("firestore"):
            store = FirestoreDocuments(request.getfixturevalue("firestore_client"))
        else:
            store = closing_later.enter_context(closing(SqliteDocuments(tmp_path / "documents.sqlite")))
        yield CoalescingDocuments(store) if request.param.startswith("coalescing") else store


@pytest.fixture
def batches() -> DocumentPath:
    """A collection of the test's own."""
    return (f"batches-{uuid.uuid4().hex}",)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """A whole batch's world; tests that need another one have a fixture of this name of their own."""
    with closing(Stand(tmp_path)) as stand:
        yield stand


@pytest.fixture
def front(stand: Stand) -> Front:
    """The coordinator's routes over that world."""
    return Front(stand)


@pytest.fixture
def worker_stand(tmp_path: Path) -> Iterator[WorkerStand]:
    """A worker's routes over a warehouse and a topic."""
    with a_stand(tmp_path) as standing:
        yield standing


@pytest.fixture
def lines_logged() -> Iterator[LoggedLines]:
    """What is logged in the test, as the service logs it."""
    with listening() as heard:
        yield heard
