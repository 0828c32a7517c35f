"""Google's official emulators for tests: what is absent is a skip on a laptop and a failure where `CI=true`, so that CI
cannot go green unnoticed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NoReturn

import pytest

from local.emulated import emulators
from local.emulated.emulators import Emulator
from shared.errors import InvalidInput, Unavailable


@contextmanager
def firestore_emulator() -> Iterator[Emulator]:
    """Run a Firestore emulator of one's own for the length of the block; skips (CI: fails) where there is none."""
    with ExitStack() as running:
        yield _started(running, emulators.firestore_emulator())


@contextmanager
def pubsub_emulator() -> Iterator[Emulator]:
    """Run a Pub/Sub emulator of one's own for the length of the block; skips (CI: fails) where there is none."""
    with ExitStack() as running:
        yield _started(running, emulators.pubsub_emulator())


def skip_or_fail(missing: str) -> NoReturn:
    """End the test: skipped on a laptop, failed in CI, where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{missing}, and CI=true")
    pytest.skip(missing)


def _started(running: ExitStack, emulator: AbstractContextManager[Emulator]) -> Emulator:
    try:
        return running.enter_context(emulator)
    except InvalidInput as missing:
        skip_or_fail(str(missing))
    except Unavailable as trouble:
        pytest.fail(str(trouble))
