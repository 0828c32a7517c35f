"""The emulated cloud for tests: what a machine lacks skips on a laptop and fails where `CI=true`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.emulated.cloud_stack import CloudStack
from shared.errors import InvalidInput, Unavailable
from tests.emulators import skip_or_fail


def started(running: ExitStack, folder: Path) -> CloudStack:
    """Start a stack that ends with `running`."""
    try:
        return running.enter_context(CloudStack(folder, environ=os.environ))
    except InvalidInput as missing:
        skip_or_fail(str(missing))
    except Unavailable as trouble:
        pytest.fail(str(trouble))
