"""The emulated cloud for tests: what a machine lacks skips on a laptop and fails where `CI=true`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from local.emulated.cloud_stack import RETRYING, CloudStack
from local.emulated.provision import PushTerms
from shared.errors import InvalidInput, Unavailable
from tests.emulators import skip_or_fail


def started(
    running: ExitStack, folder: Path, *, settings: Mapping[str, str] | None = None, delivery: PushTerms = RETRYING
) -> CloudStack:
    """Start a stack that ends with `running`."""
    try:
        return running.enter_context(CloudStack(folder, environ=os.environ, settings=settings, delivery=delivery))
    except InvalidInput as missing:
        skip_or_fail(str(missing))
    except Unavailable as trouble:
        pytest.fail(str(trouble))


CHROMIUM_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        skip_or_fail("there is no chromium; on Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield running
        running.close()
